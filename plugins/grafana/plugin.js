/* Notifications of Grafana's unified alerting: a list of alerts. */

const MOST = 999;

const RANKS = ["critical", "high", "medium", "low"];

/* What kept a rule from its answer, by Grafana's word for it. */
const BLIND = { NoData: "No data", Error: "Query failed" };

function read(request, options) {
  const body = request.json();
  if (!Array.isArray(body?.alerts))
    return unreadable(request, "no notification of Grafana's alerting");
  const alerts = body.alerts.slice(0, MOST).map((alert) => alertOf(request, body, alert, options));
  const left =
    body.alerts.length -
    alerts.length +
    (Number.isSafeInteger(body.truncatedAlerts) ? Math.max(body.truncatedAlerts, 0) : 0);
  if (left > 0) {
    const ranks = body.alerts.map((alert) => urgency(alert, options, []));
    alerts.push(leftOut(request, body, left, ranks));
  }
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
  const blind = blindness(name, annotations);
  const summary = text(annotations.summary);
  const rule = [text(labels.rulename) ?? name ?? "an alert of Grafana", instance && `(${instance})`]
    .filter(Boolean)
    .join(" ");
  const fingerprint = text(alert?.fingerprint) || undefined;
  if (fingerprint === undefined) notes.push({ kind: "incomplete_key", field: "key" });
  const occurred = time(text(state === "resolve" ? alert?.endsAt : alert?.startsAt) ?? "");
  const key = fingerprint ?? (Object.keys(labels).length > 0 ? JSON.stringify(labels) : undefined);
  return {
    event_id: identity(request, JSON.stringify([body.receiver ?? null, alert]), key, state, occurred),
    key,
    status: state,
    priority: urgency(alert, options, notes),
    // The summary claims the rule's condition. Without data, nothing has met it.
    title: blind === undefined ? (summary ?? rule) : `${blind}: ${rule}`,
    message:
      [
        blind && text(annotations.Error),
        blind && summary,
        text(annotations.description),
        text(alert?.valueString),
      ]
        .filter(Boolean)
        .join("\n") || undefined,
    occurred_at: occurred,
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

/* A new firing may be told in the same words, start time included. A repeat of one only updates the open alert of its key.
   An end has a time of its own, so a second attempt at telling it does not end a later firing. */
function identity(request, said, key, state, occurred) {
  if (key === undefined) return attempt(said);
  const isEnd = state === "resolve" && occurred !== null;
  return `${isEnd ? "ended" : request.received_at} sha256:${sha256(said)}`;
}

/* What kept a rule from its answer. Grafana names such an alert for it, and the rule in the label `rulename`; or the rule
   fires under its own name, and an annotation has the reasons. */
function blindness(name, annotations) {
  const named = /^Datasource(NoData|Error)$/.exec(name ?? "")?.[1];
  const reasons = [named, ...(text(annotations.grafana_state_reason)?.split(/, */) ?? [])];
  return BLIND[reasons.find((reason) => Object.hasOwn(BLIND, reason))];
}

function urgency(alert, options, notes) {
  const labels = alert?.labels ?? {};
  const annotations = alert?.annotations ?? {};
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

/* Nothing is known of what was left out: it may be as urgent as the most urgent of the others. */
function leftOut(request, body, count, ranks) {
  const named = JSON.stringify([body.groupKey ?? null, body.receiver ?? null]);
  return {
    event_id: attempt(`left out ${count} ${named}`),
    key: `left out ${named}`,
    priority: RANKS.find((rank) => rank === "high" || ranks.includes(rank)),
    title: `${request.source}: Grafana left out ${count} alerts of a notification`,
    link: link(body.externalURL),
    labels: { receiver: text(body.receiver) },
    details: { truncatedAlerts: body.truncatedAlerts ?? null, groupKey: body.groupKey ?? null },
  };
}
