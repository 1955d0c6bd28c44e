/* CloudEvents 1.0 over HTTP: structured, batched and binary. */

const MOST = 1000;

const RANKS = ["critical", "high", "medium", "low"];

/* Last words of a type that end whatever stands before them: com.example.disk.recovered. */
const ENDS = [
  "resolved",
  "recovered",
  "restored",
  "fixed",
  "cleared",
  "remediated",
  "succeeded",
  "success",
  "successful",
  "completed",
  "healthy",
  "operational",
  "online",
  "normal",
  "ok",
];
const DENIALS = ["not", "never", "no", "non", "yet", "partially", "nearly", "almost", "half"];

/* Last words that name the matter and tell no state: com.example.alert may begin and end. */
const MATTERS = [
  "alert",
  "alarm",
  "alerting",
  "monitoring",
  "problem",
  "error",
  "errors",
  "warning",
  "outage",
  "emergency",
  "disaster",
  "trouble",
  "fault",
  "timeout",
];

/* The version behind a type, as in com.example.object.deleted.v2. */
const VERSION = /([.:/@_-]v?\d+((alpha|beta|rc)\d*)?)+$/i;

function read(request, options) {
  if (request.method === "OPTIONS") return handshake(request);
  const events = eventsOf(request);
  if (events === undefined) return unreadable(request, "no CloudEvent");
  const alerts = events
    .slice(0, MOST - 1)
    .map((event) => alertOf(request, event, options))
    .filter((alert) => alert !== undefined);
  if (events.length >= MOST) {
    const ranks = events
      .filter((event) => ruled(event, options) !== "ignore")
      .map((event) => urgency(event, dataOf(event), options).rank);
    alerts.push({
      ...unreadable(request, `a batch of ${events.length} CloudEvents, more than fit`),
      // What does not fit may be as urgent as the most urgent one of the batch.
      priority: RANKS.find((rank) => rank === "high" || ranks.includes(rank)),
    });
  }
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

/* What the settings say of the event's type. */
function ruled(event, options) {
  const type = text(event.type) ?? "";
  return Object.hasOwn(options.types ?? {}, type) ? options.types[type] : undefined;
}

const dataOf = (event) => event.data ?? ofBase64(event);

/* How urgent an event is, and its word for that. */
function urgency(event, data, options) {
  const word =
    text(event.severity) ?? text(data?.severity) ?? text(event.priority) ?? text(data?.priority);
  const known = priority(word ?? "");
  const otherwise = options.priority ?? (word === undefined ? "high" : "critical");
  return { word, known, rank: known ?? otherwise };
}

function alertOf(request, event, options) {
  const type = text(event.type) ?? "";
  const rule = ruled(event, options);
  if (rule === "ignore") return undefined;
  const data = dataOf(event);
  const source = text(event.source) ?? "";
  const subject = text(event.subject) || undefined;
  const { word, known, rank } = urgency(event, data, options);
  const notes = [];
  if (word !== undefined && known === null)
    notes.push({ kind: "unknown_priority", field: "priority", found: word });
  const id = text(event.id);
  if (id === undefined) notes.push({ kind: "incomplete_id", field: "event_id" });
  const state = rule ?? said(data, type);
  // What ends nothing that is known by name closes nothing.
  if (state === "resolve" && subject === undefined)
    notes.push({ kind: "incomplete_key", field: "key" });
  const name = text(data?.title) ?? text(data?.summary) ?? text(data?.message) ?? text(data?.name);
  const key = subject === undefined ? undefined : `${source} ${subject}`;
  const written = JSON.stringify(event);
  // Without an id, what happens again looks like a second attempt: that one only updates the open alert of a key.
  const moment = id ?? request.received_at;
  return {
    event_id:
      id === undefined && key === undefined
        ? attempt(written)
        : `${source} ${moment} sha256:${sha256(written)}`,
    key,
    status: state,
    priority: rank,
    title: [name ?? type, subject && `(${subject})`].filter(Boolean).join(" ") || "a CloudEvent",
    message: name === undefined ? undefined : type,
    occurred_at: time(text(event.time) ?? ""),
    link: link(data?.url) ?? link(data?.link) ?? link(source),
    labels: { type, source, subject, datacontenttype: text(event.datacontenttype) },
    details: event,
    notes,
  };
}

/* An event opens, unless its words agree that something is over. */
function said(data, type) {
  const told = [text(data?.status), text(data?.state)].map((word) => status(word ?? ""));
  told.push(saidBy(type));
  return told.includes("trigger") || !told.includes("resolve") ? "trigger" : "resolve";
}

/* The state that a type tells. Its last word alone is half of the matter: a passed deadline and a reset connection end
   nothing. */
function saidBy(type) {
  const names = type.replace(VERSION, "").split(/[.:/]/);
  const own = partsOf(names.at(-1));
  const named = own.length > 1 ? names.at(-1) : names.slice(-2).join(" ");
  const [before, last] = ["", ...partsOf(named)].slice(-2);
  if (MATTERS.includes(last)) return null;
  const known = status(named);
  if (known !== null) return known;
  if (ENDS.includes(last) && !DENIALS.includes(before)) return "resolve";
  return status(last) === "trigger" ? "trigger" : null;
}

/* The words in a name: AlertResolved, limit_passed. */
const partsOf = (name) =>
  name
    .replace(/(\p{Ll})(\p{Lu})/gu, "$1 $2")
    .toLowerCase()
    .split(/[^\p{L}\p{N}]+/u);
