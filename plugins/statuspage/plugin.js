/* Webhooks of Atlassian Statuspage: an update of an incident, or of a component. */

const MAINTENANCE = ["scheduled", "in_progress", "verifying", "completed"];

function read(request, options) {
  const body = request.json();
  const incident = body?.incident;
  if (text(incident?.id) !== undefined) return incidentOf(body, incident, options);
  const component = body?.component;
  const id = text(component?.id) ?? text(body?.component_update?.component_id);
  if (id !== undefined) return componentOf(body, component, id, options);
  return unreadable(request, "no webhook of Statuspage");
}

function incidentOf(body, incident, options) {
  const word = text(incident.status);
  const isMaintenance = MAINTENANCE.includes(word) || text(incident.scheduled_for) !== undefined;
  if (isMaintenance && options.maintenance !== true) return "scheduled maintenance";
  if (word === "scheduled") return "maintenance that has not begun";
  const notes = [];
  const known = {
    in_progress: "trigger",
    verifying: "trigger",
    completed: "resolve",
    postmortem: "resolve",
  };
  let state = status(word ?? "") ?? known[word];
  if (typeof state !== "string") {
    notes.push({ kind: "unknown_status", field: "status", found: word });
    state = "trigger";
  }
  const impact = text(incident.impact_override) ?? text(incident.impact);
  const urgent = isMaintenance ? "low" : priority(impact ?? "");
  if (urgent === null)
    notes.push({ kind: "unknown_priority", field: "priority", found: impact });
  const updates = Array.isArray(incident.incident_updates) ? incident.incident_updates : [];
  return {
    key: `incident ${text(incident.id)}`,
    status: state,
    priority: urgent ?? (impact === undefined ? "high" : "critical"),
    title: `${pageOf(body) ?? "Statuspage"}: ${text(incident.name) ?? "an incident"}${word === undefined ? "" : ` (${word})`}`,
    message: text(updates[0]?.body),
    occurred_at: time(text(incident.updated_at) ?? text(incident.created_at) ?? ""),
    order: number(Date.parse(time(text(incident.updated_at) ?? "") ?? "")),
    link: link(incident.shortlink),
    labels: { kind: "incident", page: text(body.page?.id), status: word, impact },
    notes,
  };
}

function componentOf(body, component, id, options) {
  if (options.components === false) return "components are left to incidents";
  const word = text(body.component_update?.new_status) ?? text(component?.status);
  if (word === "under_maintenance" && options.maintenance !== true)
    return "a component under maintenance";
  const notes = [];
  let state = word === "under_maintenance" ? "trigger" : status(word ?? "");
  if (state === null) {
    notes.push({ kind: "unknown_status", field: "status", found: word });
    state = "trigger";
  }
  const name = text(component?.name) ?? `component ${id}`;
  const at = time(text(body.component_update?.created_at) ?? "");
  return {
    key: `component ${id}`,
    status: state,
    priority:
      word === "under_maintenance"
        ? "low"
        : (priority(word ?? "high") ?? (state === "resolve" ? "low" : "critical")),
    title: `${pageOf(body) ?? "Statuspage"}: ${name}: ${(word ?? "an unknown state").replaceAll("_", " ")}`,
    occurred_at: at,
    order: number(Date.parse(at ?? "")),
    labels: { kind: "component", page: text(body.page?.id), component: name, status: word },
    notes,
  };
}

const number = (value) => (Number.isSafeInteger(value) ? value : undefined);

/* Where to look: the status page's own name is in no webhook, but its links name its host. */
function pageOf(body) {
  const link = text(body.meta?.unsubscribe) ?? text(body.incident?.shortlink);
  return /^https?:\/\/([^/?#:]+)/.exec(link ?? "")?.[1];
}
