/* Webhooks of GitHub. The body alone is signed, so the kind of an event is told by its body. */

/* Runs that a stranger can start. */
const STRANGERS = [
  "pull_request",
  "pull_request_target",
  "pull_request_review",
  "pull_request_review_comment",
  "pull_request_comment",
  "issues",
  "issue_comment",
  "discussion",
  "discussion_comment",
  "fork",
  "watch",
  "gollum",
];
/* The branch of one change in a merge queue, as GitHub makes it. */
const QUEUE = /^gh-readonly-queue\/(.+)\/pr-[^/]+$/;
const CONCLUSIONS = {
  success: "resolve",
  failure: "trigger",
  timed_out: "trigger",
  startup_failure: "trigger",
};
const NOBODY = ["cancelled", "skipped", "neutral", "stale", "action_required"];
const OPENS = [
  "created",
  "reopened",
  "reopened_by_user",
  "reintroduced",
  "auto_reopened",
  "appeared_in_branch",
  "publicly_leaked",
  "create",
  "reopen",
];
const CLOSES = ["fixed", "dismissed", "auto_dismissed", "closed_by_user", "resolved", "revoked", "dismiss", "resolve"];
const NO_CHANGE = [
  "assigned",
  "unassigned",
  "updated_assignment",
  "assignees_changed",
  "validated",
];

function read(request, options) {
  let event = request.json();
  let details;
  // The content type that GitHub proposes: a form with the event in one field.
  if (typeof event?.payload === "string") {
    try {
      details = verbatim(event.payload);
      event = JSON.parse(event.payload);
    } catch {
      return unreadable(request, "a form of GitHub's whose payload is no JSON");
    }
  }
  if (event === null || typeof event !== "object" || Array.isArray(event))
    return unreadable(request, "no event of GitHub");
  if (event.workflow_run?.id !== undefined) return completed(run(request, event, options), details);
  if (event.alert !== undefined) return completed(scanned(request, event), details);
  if (text(event.zen) !== undefined) return "GitHub's ping";
  if (event.security_advisory !== undefined) return "an advisory to everybody";
  if (
    event.sender === undefined &&
    event.repository === undefined &&
    event.organization === undefined
  )
    return unreadable(request, "no event of GitHub");
  return "neither a workflow's run nor an alert";
}

const completed = (result, details) =>
  typeof result === "string" ? result : { details, ...result };

function run(request, event, options) {
  const run = event.workflow_run;
  const repository = text(event.repository?.full_name);
  const conclusion = text(run.conclusion);
  const branch = text(run.head_branch);
  if (repository === undefined) return unreadable(request, "a run of GitHub without a repository");
  if (event.action !== "completed") return "the run has not ended";
  if (NOBODY.includes(conclusion)) return `a run that was ${conclusion} needs nobody`;
  if (STRANGERS.includes(run.event)) return "a stranger can start such a run";
  const head = text(run.head_repository?.full_name);
  if (head !== undefined && head !== repository) return "a run of a fork";
  if (options.events !== undefined && !options.events.includes(run.event))
    return "begun by an event that the settings leave out";
  if (options.branches !== undefined && !options.branches.includes(branch))
    return "a branch that the settings leave out";
  const notes = [];
  let state = Object.hasOwn(CONCLUSIONS, conclusion) ? CONCLUSIONS[conclusion] : undefined;
  if (state === undefined) {
    notes.push({ kind: "unknown_status", field: "status", found: conclusion });
    state = "trigger";
  }
  const target = QUEUE.exec(branch ?? "")?.[1];
  // No run comes back to the branch of one change: the next run of the queue tells that it moves again.
  const queue = target && `merge queue of ${target}`;
  const named = [text(run.workflow_id) ?? text(run.path), queue ?? branch];
  if (named.includes(undefined)) notes.push({ kind: "incomplete_key", field: "key" });
  const isDefault =
    branch !== undefined &&
    [text(event.repository?.default_branch), "main", "master"].includes(target ?? branch);
  // A queue that is held up leaves its branch as it was.
  const urgent = queue ? "medium" : "high";
  const where = queue ? ` in the ${queue}` : branch === undefined ? "" : ` on ${branch}`;
  const workflow =
    text(run.name) || text(event.workflow?.name) || text(run.path) || "a workflow";
  const origin = [["by", run.actor?.login], ["run", run.run_number]]
    .filter(([, name]) => text(name) !== undefined)
    .map((words) => words.join(" "));
  // A run that is tried again keeps its number.
  const order = run.run_number * 1000 + Math.min(Number(run.run_attempt) || 0, 999);
  return {
    key: [repository, ...named].join("/"),
    order: Number.isSafeInteger(order) ? order : undefined,
    status: state,
    priority: isDefault ? urgent : "low",
    title: `${repository}: ${workflow}${where}: ${conclusion ?? "ended in an unknown way"}`,
    message: [text(run.display_title), origin.join(", ")].filter(Boolean).join("\n") || undefined,
    occurred_at: time(text(run.updated_at) ?? ""),
    link: link(run.html_url),
    labels: { kind: "workflow_run", repository, branch, workflow },
    notes,
  };
}

/* An alert of Dependabot, of code scanning or of secret scanning. */
function scanned(request, event) {
  const alert = event.alert;
  const repository = text(event.repository?.full_name);
  const number = text(alert?.number) ?? text(alert?.id);
  if (number === undefined || repository === undefined)
    return unreadable(request, "an alert of GitHub without a number");
  const ref = text(event.ref) ?? text(alert.most_recent_instance?.ref);
  if (ref?.startsWith("refs/pull/")) return "found in a pull request";
  if (NO_CHANGE.includes(event.action)) return `an alert that was ${event.action} needs nobody`;
  const notes = [];
  let state = CLOSES.includes(event.action)
    ? "resolve"
    : OPENS.includes(event.action)
      ? "trigger"
      : undefined;
  if (state === undefined) {
    notes.push({ kind: "unknown_status", field: "status", found: text(event.action) });
    state = "trigger";
  }
  const { kind, severity, title, labels } = described(alert);
  const urgent = severity === "note" ? "low" : priority(severity ?? "high");
  if (urgent === null)
    notes.push({ kind: "unknown_priority", field: "priority", found: severity });
  return {
    key: `${repository}/${kind}/${number}`,
    status: state,
    priority: urgent ?? "critical",
    title: `${repository}: ${title}`,
    occurred_at: time(text(alert.updated_at) ?? text(alert.created_at) ?? ""),
    link: link(alert.html_url),
    labels: { kind, repository, severity, ...labels },
    notes,
    ...withoutSecret(event),
  };
}

function described(alert) {
  if (alert.secret_type !== undefined) {
    const name = text(alert.secret_type_display_name) ?? text(alert.secret_type) ?? "of an unknown type";
    return {
      kind: "secret_scanning_alert",
      severity: "critical",
      title: `secret found: ${name}`,
      labels: { rule: text(alert.secret_type) },
    };
  }
  if (alert.security_advisory !== undefined || alert.dependency !== undefined) {
    const name = text(alert.dependency?.package?.name);
    const severity =
      text(alert.security_vulnerability?.severity) ?? text(alert.security_advisory?.severity);
    const summary = text(alert.security_advisory?.summary) ?? "vulnerable dependency";
    return {
      kind: "dependabot_alert",
      severity,
      title: name === undefined ? summary : `${name}: ${summary}`,
      labels: { package: name },
    };
  }
  if (alert.affected_package_name !== undefined) {
    const name = text(alert.affected_package_name);
    const title = `${name ?? "a package"}: ${text(alert.external_identifier) ?? "vulnerable dependency"}`;
    const severity = text(alert.severity);
    return { kind: "repository_vulnerability_alert", severity, title, labels: { package: name } };
  }
  const severity = text(alert.rule?.security_severity_level) ?? text(alert.rule?.severity);
  const rule = text(alert.rule?.id);
  const title = text(alert.rule?.description) ?? rule ?? "code scanning alert";
  return {
    kind: "code_scanning_alert",
    severity,
    title,
    labels: { rule, tool: text(alert.tool?.name) },
  };
}

/* Of a secret that was found, the details hold all but the secret. */
const withoutSecret = (event) => {
  if (event.alert.secret === undefined) return {};
  return { details: { ...event, alert: { ...event.alert, secret: "(left out)" } } };
};
