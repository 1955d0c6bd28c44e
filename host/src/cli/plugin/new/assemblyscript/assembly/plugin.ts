// From a request of `my-plugin`'s sender to an answer.
//
// As it stands, it reads {"id": "17", "check": "db-1", "title": "…", "severity": "…", "ok": false}. To make it yours:
// put a real request of your sender into cases/, and change `known` until the answer is right.

import { Json, Kind, quoted } from "./json";
import { sha256 } from "./sha256";

const MAX_ID_BYTES: i32 = 256;
const MAX_TITLE: i32 = 200;

/** The answer to a request: both are JSON. */
export function answer(input: string): string {
  const request = Json.parse(input);
  if (request === null) return '{"rejected":{"kind":"malformed","reason":"the gateway sent no JSON"}}';
  const content = request.object("content").text("text");
  const body = request.object("body");
  const text = content.length > 0 ? content : body.text("text");
  const event = Json.parse(text);
  const usual = request.object("settings").text("priority");
  const alert =
    event !== null && event.kind == Kind.Object && isKnown(event)
      ? known(event, usual.length > 0 ? usual : "medium")
      : unknown(text);
  const details =
    event !== null ? event.raw : text.length > 0 ? named("body_text", text) : named("body_base64", body.text("base64"));
  return '{"alerts":[{' + alert + ',"details":' + details + "}]}";
}

function isKnown(event: Json): bool {
  return event.text("id").length > 0 && event.text("check").length > 0 && event.text("title").length > 0;
}

/** The fields of an alert for an event of the expected shape. */
function known(event: Json, usual: string): string {
  const severity = event.text("severity").toLowerCase();
  const isWord = severity == "critical" || severity == "high" || severity == "medium" || severity == "low";
  // A word that is not known never ranks below a known one.
  const priority = isWord ? severity : severity.length > 0 ? "critical" : usual;
  const check = event.text("check");
  const ok = event.get("ok");
  const title = event.text("title");
  const fields = [
    field("event_id", id(event.text("id"))),
    field("key", id(check)),
    field("status", ok !== null && ok.kind == Kind.Boolean && ok.raw == "true" ? "resolve" : "trigger"),
    field("priority", priority),
    field("title", title.length > MAX_TITLE ? title.substring(0, MAX_TITLE - 1) + "…" : title),
    '"labels":' + named("check", check),
  ];
  if (severity.length > 0 && !isWord)
    fields.push('"notes":[{"kind":"unknown_priority","field":"severity","found":' + quoted(severity) + "}]");
  return fields.join(",");
}

/** The fields of an alert for anything else: it is carried on as it is, and never refused. */
function unknown(text: string): string {
  return [
    field("event_id", sha256(text)),
    field("status", "trigger"),
    field("priority", "high"),
    field("title", "my-plugin: an event of unknown shape (another shape); see its details"),
    '"unreadable":' + named("reason", "another shape"),
  ].join(",");
}

function field(name: string, value: string): string {
  return quoted(name) + ":" + quoted(value);
}

function named(name: string, value: string): string {
  return "{" + field(name, value) + "}";
}

/** An id that is too long becomes its hash. */
function id(given: string): string {
  return String.UTF8.byteLength(given) <= MAX_ID_BYTES ? given : sha256(given);
}
