/* Webhooks v3 of PagerDuty: one event of an incident each. */

const OPENS = [
  "triggered",
  "reopened",
  "escalated",
  "unacknowledged",
  "priority_updated",
  "delegated",
  "reassigned",
];
const CLOSES = ["resolved"];
const NOBODY = ["acknowledged", "service_updated"];

function read(request) {
  const event = request.json()?.event;
  const type = text(event?.event_type);
  if (type === undefined) return unreadable(request, "no webhook event of PagerDuty");
  if (type === "pagey.ping") return "PagerDuty's test event";
  if (!type.startsWith("incident."))
    return known(type)
      ? `${type} is no incident`
      : unreadable(request, "an unknown event of PagerDuty");
  const what = type.slice("incident.".length);
  // A note, a responder, a workflow, an action: it belongs to an incident, and is none.
  const belongs = what.includes(".") || (text(event.data?.type) ?? "incident") !== "incident";
  if (belongs || NOBODY.includes(what)) return `${type} needs nobody`;
  const incident = event.data?.incident ?? event.data;
  const id = text(incident?.id);
  if (id === undefined) return unreadable(request, "an incident of PagerDuty without an id");
  return alertOf(request, event, what, incident, id);
}

/* Events of other resources, which open nothing. */
const known = (type) =>
  ["pagey.", "service.", "action_invocation.", "workflow."].some((kind) => type.startsWith(kind));

function alertOf(request, event, what, incident, id) {
  const notes = [];
  let state = CLOSES.includes(what) ? "resolve" : OPENS.includes(what) ? "trigger" : undefined;
  // A priority may be set when all is over.
  if (text(incident.status) === "resolved") state = "resolve";
  if (state === undefined) {
    notes.push({ kind: "unknown_status", field: "status", found: what });
    state = "trigger";
  }
  const word = text(incident.priority?.summary) ?? text(incident.priority?.name);
  const urgency = text(incident.urgency);
  const told = word ?? urgency;
  const known = priority(told ?? "high");
  if (known === null) notes.push({ kind: "unknown_priority", field: "priority", found: told });
  const occurred = time(text(event.occurred_at) ?? "");
  const order = Date.parse(occurred);
  const title = text(incident.title) ?? text(incident.summary) ?? `incident ${id}`;
  const service = text(incident.service?.summary);
  return {
    key: `incident ${id}`,
    status: state,
    priority: known ?? "critical",
    title: service === undefined ? title : `${service}: ${title}`,
    occurred_at: occurred,
    order: Number.isSafeInteger(order) ? order : undefined,
    link: link(incident.html_url),
    labels: {
      event: what,
      service,
      urgency,
      priority: word,
      team: text(incident.teams?.[0]?.summary),
      escalation_policy: text(incident.escalation_policy?.summary),
    },
    notes,
  };
}
