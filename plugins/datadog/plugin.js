/* Datadog's webhooks, with the payload of setup.md, or Datadog's own. */

/* Transitions that common words do not cover. */
const TRANSITIONS = {
  "re-warn": "trigger",
  "warn recovered": "resolve",
  "alert recovered": "resolve",
  "no data recovered": "resolve",
};

/* A variable that Datadog does not know comes as it was written, and an empty one as nothing. */
const text = (value) => {
  const found = typeof value === "string" || typeof value === "number" ? String(value).trim() : "";
  return found === "" || found === "null" || /^\$[A-Z_]+$/.test(found) ? undefined : found;
};
const page = (value) => (/^https?:\/\//.test(text(value)) ? text(value) : undefined);

function read(request, options) {
  const body = request.json();
  const title = text(body?.alert_title) ?? text(body?.title);
  const said = text(body?.alert_transition) ?? transitionIn(text(body?.title));
  if (title === undefined && said === undefined) return strange(request, "no event of Datadog");
  const notes = [];
  let state = status(said ?? "") ?? TRANSITIONS[said?.toLowerCase()];
  if (typeof state !== "string") {
    notes.push({ kind: "unknown_status", field: "status", found: String(said).slice(0, 100) });
    state = "trigger";
  }
  const id = text(body.alert_id);
  const scope = text(body.alert_scope);
  const key = text(body.alert_cycle_key) ?? text(body.aggreg_key) ?? (id && `${id} ${scope ?? ""}`);
  if (key === undefined) notes.push({ kind: "incomplete_key", field: "key" });
  const occurred = time(text(body.date) ?? text(body.last_updated) ?? "");
  return {
    key,
    status: state,
    priority: urgency(body, said, options, notes),
    title: title ?? "an event of Datadog",
    message: text(body.body) ?? text(body.alert_status),
    occurred_at: occurred,
    link: page(body.link),
    labels: {
      alert_id: id,
      transition: said,
      metric: text(body.alert_metric),
      scope,
      host: text(body.hostname),
      org: text(body.org?.name),
      priority: text(body.alert_priority),
    },
    notes,
  };
}

/* Datadog's titles begin with the transition: [Triggered on {host:web-1}] …, behind [TEST] where it is one. */
const transitionIn = (title) => {
  const found = /^(?:\[TEST\] ?)?(?:\[P[1-5]\] ?)?\[([A-Za-z -]+?)(?: on [^\]]*)?\]/.exec(
    title ?? "",
  );
  return found?.[1];
};

function urgency(body, said, options, notes) {
  const word = text(body.alert_priority);
  const known = priority(word ?? "");
  if (known !== null) return known;
  if (word !== undefined && word.toLowerCase() !== "normal")
    notes.push({ kind: "unknown_priority", field: "priority", found: word.slice(0, 100) });
  if (/warn/i.test(said ?? "") || text(body.alert_type) === "warning") return "medium";
  return options.default_priority ?? "high";
}

const strange = (request, reason) => ({
  priority: "high",
  title: `${request.source}: ${reason}`,
  unreadable: { reason },
});
