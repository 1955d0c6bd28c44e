/* Notifications of Grafana's unified alerting: a list of alerts. */

const MOST = 999;

function read(request, options) {
  const body = request.json();
  if (!Array.isArray(body?.alerts))
    return unreadable(request, "no notification of Grafana's alerting");
  const alerts = body.alerts.slice(0, MOST).map((alert) => alertOf(request, body, alert, options));
  const left =
    body.alerts.length -
    alerts.length +
    (Number.isSafeInteger(body.truncatedAlerts) ? Math.max(body.truncatedAlerts, 0) : 0);
  if (left > 0) alerts.push(leftOut(request, body, left));
  return alerts.length > 0 ? alerts : "a notification without alerts";
}

function alertOf(request, body, alert, options) {
  const labels = alert?.labels ?? {};
  const annotations = alert?.annotations ?? {};
  const notes = [];
  const word = text(alert?.status);
  let state = status(word ?? "");
  if (state === null) {
    notes.push({ kind: "unknown_status", field: "status", found: word });
    state = "trigger";
  }
  const name = text(labels.alertname);
  const instance = text(labels.instance);
  const fingerprint = text(alert?.fingerprint) || undefined;
  if (fingerprint === undefined) notes.push({ kind: "incomplete_key", field: "key" });
  return {
    // A repeat of what still fires is news after some minutes: it may have been closed by hand.
    event_id: attempt(JSON.stringify([body.receiver ?? null, alert])),
    key: fingerprint ?? (Object.keys(labels).length > 0 ? JSON.stringify(labels) : undefined),
    status: state,
    priority: urgency(alert, labels, annotations, options, notes),
    title:
      text(annotations.summary) ||
      [name ?? "an alert of Grafana", instance && `(${instance})`].filter(Boolean).join(" "),
    message:
      [text(annotations.description), text(alert?.valueString)].filter(Boolean).join("\n") ||
      undefined,
    occurred_at: time(text(state === "resolve" ? alert?.endsAt : alert?.startsAt) ?? ""),
    link: link(alert?.panelURL) ?? link(alert?.dashboardURL) ?? link(alert?.generatorURL),
    labels: {
      alertname: name,
      instance,
      folder: text(labels.grafana_folder),
      job: text(labels.job),
      team: text(labels.team),
      severity: text(labels[options.severity_label ?? "severity"]),
      receiver: text(body.receiver),
    },
    details: alert ?? {},
    notes,
  };
}

function urgency(alert, labels, annotations, options, notes) {
  const isTest =
    labels.alertname === "TestAlert" &&
    labels.instance === "Grafana" &&
    annotations.summary === "Notification test";
  if (isTest) return "low";
  const word = text(labels[options.severity_label ?? "severity"]);
  if (word === undefined || word === "") return "high";
  const own = options.severity;
  if (own !== undefined && Object.hasOwn(own, word)) return own[word];
  const known = priority(word);
  if (known === null)
    notes.push({ kind: "unknown_priority", field: "priority", found: word });
  return known ?? "critical";
}

function leftOut(request, body, count) {
  const named = JSON.stringify([body.groupKey ?? null, body.receiver ?? null]);
  return {
    event_id: attempt(`left out ${count} ${named}`),
    key: `left out ${named}`,
    priority: "high",
    title: `${request.source}: Grafana left out ${count} alerts of a notification`,
    link: link(body.externalURL),
    labels: { receiver: text(body.receiver) },
    details: { truncatedAlerts: body.truncatedAlerts ?? null, groupKey: body.groupKey ?? null },
  };
}
