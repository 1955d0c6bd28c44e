/* Uptime Kuma's notifications of type Webhook. */

/* Down, up, pending, maintenance. */
const STATES = { 0: "trigger", 1: "resolve" };
const NOBODY = { 2: "a monitor that is tried again", 3: "a monitor under maintenance" };

function read(request, options) {
  let body = request.json();
  // The preset multipart/form-data puts the same JSON into a field.
  if (typeof body?.data === "string") {
    try {
      body = JSON.parse(body.data);
    } catch {
      return unreadable(request, "a form of Uptime Kuma whose data is no JSON");
    }
  }
  const message = text(body?.msg);
  const beat = body?.heartbeat;
  const monitor = body?.monitor;
  const id = text(monitor?.id) ?? text(beat?.monitorID);
  if (id === undefined)
    return message === undefined
      ? unreadable(request, "no notification of Uptime Kuma")
      : plain(request, message);
  const word = text(beat?.status);
  if (Object.hasOwn(NOBODY, word)) return NOBODY[word];
  const notes = [];
  let state = Object.hasOwn(STATES, word) ? STATES[word] : undefined;
  if (state === undefined) {
    notes.push({ kind: "unknown_status", field: "status", found: word });
    state = "trigger";
  }
  const name = text(monitor?.name) ?? `monitor ${id}`;
  return {
    // What goes down again is news, also in the same words. A repeat only updates the open alert of its key.
    event_id: `${request.received_at} sha256:${sha256(JSON.stringify(body))}`,
    key: `monitor ${id}`,
    status: state,
    priority: options.priority ?? "critical",
    title: `${name}: ${text(beat?.msg) || { trigger: "is down", resolve: "is up" }[state]}`,
    message,
    occurred_at: when(beat),
    link: link(monitor?.url),
    labels: {
      ...tagsOf(monitor?.tags),
      monitor: name,
      type: text(monitor?.type),
      group: text(monitor?.pathName),
    },
    details: body,
    notes,
  };
}

/* A text without a monitor: the button Test, or a certificate that ends. The same text is the same alert, and is told
   again: Uptime Kuma tries nothing twice, and who presses the button wants to see it. */
const plain = (request, message) => ({
  event_id: `${request.received_at} sha256:${sha256(message)}`,
  key: `message ${message}`,
  priority: /Testing$/.test(message) ? "low" : "medium",
  title: message,
});

/* Uptime Kuma writes UTC with a space and without a zone. */
function when(beat) {
  const written = text(beat?.time);
  return written === undefined
    ? null
    : time(/[zZ]|[+-]\d\d:?\d\d$/.test(written) ? written : `${written}Z`);
}

function tagsOf(list) {
  if (!Array.isArray(list)) return {};
  const named = list.map((tag) => [text(tag?.name), text(tag?.value)]);
  return Object.fromEntries(
    named.filter(([name, value]) => name && name.length <= 64 && value).slice(0, 20),
  );
}
