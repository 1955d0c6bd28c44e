/* Datadog's webhooks, with the payload of setup.md, or Datadog's own. */

/* What is no monitor's has no transition, and its type tells the state. */
const TYPES = { error: "trigger", warning: "trigger", info: "trigger", success: "resolve" };

/* A variable that Datadog does not know comes as it was written, and an empty one as nothing. */
const filled = (value) => {
  const found = text(value)?.trim() ?? "";
  return found === "" || /^null$/i.test(found) || /^\$[A-Z_]+$/.test(found) ? undefined : found;
};

function read(request, options) {
  const body = request.json();
  const title = filled(body?.alert_title) ?? filled(body?.title);
  const said = filled(body?.alert_transition) ?? transitionIn(filled(body?.title));
  if (title === undefined && said === undefined) return unreadable(request, "no event of Datadog");
  const notes = [];
  const kind = filled(body.alert_type) ?? "";
  let state = status(said ?? "");
  if (said === undefined && Object.hasOwn(TYPES, kind)) state = TYPES[kind];
  if (state === null) {
    const found = said ?? kind;
    notes.push({ kind: "unknown_status", field: "status", found: found });
    state = "trigger";
  }
  const id = filled(body.alert_id);
  const scope = filled(body.alert_scope);
  const key = filled(body.alert_cycle_key) ?? filled(body.aggreg_key) ?? (id && `${id} ${scope ?? ""}`);
  if (key === undefined) notes.push({ kind: "incomplete_key", field: "key" });
  const occurred = time(filled(body.date) ?? filled(body.last_updated) ?? "");
  return {
    event_id: unnamed(request, body, key),
    key,
    status: state,
    priority: urgency(body, said, options, notes),
    title: title ?? "an event of Datadog",
    message: filled(body.body) ?? filled(body.alert_status),
    occurred_at: occurred,
    link: link(filled(body.link)),
    labels: {
      alert_id: id,
      transition: said,
      metric: filled(body.alert_metric),
      scope,
      host: filled(body.hostname),
      org: filled(body.org?.name),
      priority: filled(body.alert_priority),
    },
    notes,
  };
}

/* The id of an event whose payload holds neither an id nor a time. What fires again looks the same, and so does a second
   attempt: that one only updates the open alert, where there is a key. */
function unnamed(request, body, key) {
  if ([body.id, body.date, body.last_updated].some((value) => filled(value) !== undefined)) return undefined;
  const said = request.text();
  return key === undefined ? attempt(said) : `${request.received_at} sha256:${sha256(said)}`;
}

/* Datadog's titles begin with the transition: [Triggered on {host:web-1}] …, behind [TEST] where it is one. */
const transitionIn = (title) => {
  const found = /^(?:\[TEST\] ?)?(?:\[P[1-5]\] ?)?\[([A-Za-z -]+?)(?: on [^\]]*)?\]/.exec(
    title ?? "",
  );
  return found?.[1];
};

function urgency(body, said, options, notes) {
  const word = filled(body.alert_priority);
  // $PRIORITY of an event is `normal` where nobody has set one.
  if (word !== undefined && word.toLowerCase() !== "normal") {
    const known = priority(word);
    if (known === null) notes.push({ kind: "unknown_priority", field: "priority", found: word });
    return known ?? options.default_priority ?? "critical";
  }
  if (/warn/i.test(said ?? "") || filled(body.alert_type) === "warning") return "medium";
  if (said === undefined && filled(body.alert_type) === "info") return "low";
  return options.default_priority ?? "high";
}
