/* CloudEvents 1.0 over HTTP: structured, batched and binary. */

const MOST = 1000;

function read(request, options) {
  if (request.method === "OPTIONS") return handshake(request);
  const events = eventsOf(request);
  if (events === undefined) return unreadable(request, "no CloudEvent");
  const alerts = events
    .slice(0, MOST - 1)
    .map((event) => alertOf(request, event, options))
    .filter((alert) => alert !== undefined);
  if (events.length >= MOST)
    alerts.push(unreadable(request, `a batch of ${events.length} CloudEvents, more than fit`));
  return alerts.length > 0 ? alerts : "events of types that the settings ignore, or an empty batch";
}

/* The sender asks whether it may send here. */
function handshake(request) {
  const origin = request.header("webhook-request-origin");
  if (origin === undefined) return "an OPTIONS without WebHook-Request-Origin";
  const headers = [
    ["WebHook-Allowed-Origin", origin.replace(/[^ -~]/g, "")],
    ["WebHook-Allowed-Rate", "*"],
  ];
  return { reply: { status: 200, headers, body: { text: "" } } };
}

function eventsOf(request) {
  if (request.header("ce-specversion") !== undefined) return [inHeaders(request)];
  const body = request.json();
  const events = Array.isArray(body) ? body : [body];
  return events.every((event) => text(event?.specversion) !== undefined) ? events : undefined;
}

/* Binary mode: the attributes stand in headers, percent-encoded, and the body is the data. */
function inHeaders(request) {
  const event = {};
  for (const [name, value] of request.headers) {
    if (!/^ce-[a-z0-9]+$/.test(name)) continue;
    const quoted = /^"((?:[^"\\]|\\.)*)"$/.exec(value);
    const written = quoted === null ? value : quoted[1].replace(/\\(.)/g, "$1");
    try {
      event[name.slice(3)] = decodeURIComponent(written);
    } catch {
      event[name.slice(3)] = written;
    }
  }
  const type = request.header("content-type");
  if (type !== undefined) event.datacontenttype = type;
  if (type === undefined) event.data = parsed(request.text());
  else if (/json/i.test(type)) event.data = request.json();
  else event.data = request.text();
  return event;
}

/* The data in base64, as some libraries write it in any case: JSON, where it is that. */
function ofBase64(event) {
  const said = text(event.data_base64);
  const decoded = said === undefined ? null : decodeBase64(said);
  return decoded === null ? undefined : parsed(decoded);
}

function parsed(written) {
  try {
    return JSON.parse(written);
  } catch {
    return written;
  }
}

function alertOf(request, event, options) {
  const type = text(event.type) ?? "";
  const ruled =
    options.types !== undefined && Object.hasOwn(options.types, type)
      ? options.types[type]
      : undefined;
  if (ruled === "ignore") return undefined;
  const data = event.data ?? ofBase64(event);
  const source = text(event.source) ?? "";
  const subject = text(event.subject) || undefined;
  const word =
    text(event.severity) ?? text(data?.severity) ?? text(event.priority) ?? text(data?.priority);
  const urgent = priority(word ?? "");
  const notes = [];
  if (word !== undefined && urgent === null)
    notes.push({ kind: "unknown_priority", field: "priority", found: word });
  if (text(event.id) === undefined) notes.push({ kind: "incomplete_id", field: "event_id" });
  const state = ruled ?? said(data, type);
  // What ends nothing that is known by name closes nothing.
  if (state === "resolve" && subject === undefined)
    notes.push({ kind: "incomplete_key", field: "key" });
  const name = text(data?.title) ?? text(data?.summary) ?? text(data?.message) ?? text(data?.name);
  return {
    event_id: `${source} ${text(event.id) ?? ""} sha256:${sha256(JSON.stringify(event))}`,
    key: subject === undefined ? undefined : `${source} ${subject}`,
    status: state,
    priority: urgent ?? options.priority ?? "high",
    title: [name ?? type, subject && `(${subject})`].filter(Boolean).join(" ") || "a CloudEvent",
    message: name === undefined ? undefined : type,
    occurred_at: time(text(event.time) ?? ""),
    link: link(data?.url) ?? link(data?.link) ?? link(source),
    labels: { type, source, subject, datacontenttype: text(event.datacontenttype) },
    details: event,
    notes,
  };
}

/* An event opens, unless its words say that something is over. */
function said(data, type) {
  const last = type.split(/[.:/]/).at(-1);
  return (
    status(text(data?.status) ?? "") ?? status(text(data?.state) ?? "") ?? status(last) ?? "trigger"
  );
}
