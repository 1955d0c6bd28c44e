/* Webhooks of Sentry's integration platform. The body alone is signed. */

const STATES = {
  triggered: "trigger",
  critical: "trigger",
  warning: "trigger",
  unresolved: "trigger",
  open: "trigger",
  resolved: "resolve",
  archived: "resolve",
  ignored: "resolve",
};
const NOBODY = ["created", "assigned", "updated", "deleted"];
/* Sentry's own work on an issue or on a build: `root_cause_started`, `pr_created`, `size_analysis_completed`. */
const WORK = /_(started|completed|created)$/;

function read(request) {
  const body = request.json();
  const action = text(body?.action);
  const data = body?.data;
  if (action === undefined || data === null || typeof data !== "object")
    return unreadable(request, "no webhook of Sentry");
  if (NOBODY.includes(action)) return `what was ${action} needs nobody`;
  const issue = data.issue ?? data.event;
  const id = text(data.issue?.id) ?? text(data.event?.issue_id);
  const metric = data.metric_alert;
  const metricId = text(metric?.id);
  if (id === undefined && metricId === undefined)
    return WORK.test(action)
      ? `${action.slice(0, 100)} needs nobody`
      : unreadable(request, "a webhook of Sentry without an issue");
  const notes = [];
  let state = STATES[action];
  if (state === undefined || !Object.hasOwn(STATES, action)) {
    notes.push({ kind: "unknown_status", field: "status", found: action });
    state = "trigger";
  }
  const word =
    text(issue?.level) ?? (action === "critical" || action === "warning" ? action : undefined);
  const urgent = priority(word ?? "high");
  if (urgent === null)
    notes.push({ kind: "unknown_priority", field: "priority", found: word });
  const title =
    text(issue?.title) ??
    text(data.description_title) ??
    text(metric?.title) ??
    "an issue of Sentry";
  const project = text(issue?.project?.slug) ?? text(issue?.project) ?? projects(metric);
  const rule =
    text(data.triggered_rule) ?? text(data.issue_alert?.title) ?? text(metric?.alert_rule?.name);
  return {
    key: id ?? `metric-${metricId}`,
    status: state,
    priority: urgent ?? "critical",
    title,
    message: text(issue?.culprit) ?? text(data.description_text),
    occurred_at: when(state, issue, metric),
    link: link(issue?.web_url) ?? link(data.web_url),
    labels: {
      action,
      project,
      level: word,
      environment: text(data.event?.environment) ?? text(metric?.alert_rule?.environment),
      rule,
    },
    notes,
  };
}

const projects = (metric) =>
  Array.isArray(metric?.projects)
    ? metric.projects.map(text).filter(Boolean).join(", ")
    : undefined;

function when(state, issue, metric) {
  const ended = state === "resolve" ? metric?.date_closed : undefined;
  return time(
    text(issue?.lastSeen) ??
      text(issue?.datetime) ??
      text(ended) ??
      text(metric?.date_started) ??
      "",
  );
}
