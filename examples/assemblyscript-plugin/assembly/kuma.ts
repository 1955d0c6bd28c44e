// From Uptime Kuma's webhook to an answer.
//
// It posts `{"heartbeat": {…}, "monitor": {…}, "msg": "…"}`; both objects are null in its test, and where a certificate is
// about to expire. The time of a heartbeat is UTC, as `2026-03-14 02:17:45.123`.

import { Json, Kind, quoted } from "./json";

const MAX_TITLE: i32 = 200;
const MAX_ID_PART: i32 = 32;

/** The answer to a request: both are JSON. */
export function answer(input: string): string {
  const request = Json.parse(input);
  if (request === null) return rejected("the gateway sent no JSON");
  const settings = request.object("settings");
  const body = request.object("body");
  // The token of the source has proved the sender, so whatever it sends is taken.
  const text = body.text("text");
  const report = Json.parse(text);
  if (report === null || report.kind != Kind.Object) return strange(text, body.text("base64"));
  const heartbeat = report.object("heartbeat");
  const monitor = report.object("monitor");
  const receivedAt = request.text("received_at");
  const id = first(heartbeat.text("monitorID"), monitor.text("id"), monitor.text("name"));
  if (heartbeat.kind != Kind.Object || id.length == 0) return message(report, receivedAt);
  return change(report, heartbeat, monitor, settings, short(id), receivedAt);
}

/** Something went down, or is up again. */
function change(
  report: Json,
  heartbeat: Json,
  monitor: Json,
  settings: Json,
  id: string,
  receivedAt: string,
): string {
  const status = heartbeat.text("status");
  if (status == "2") return ignored("the monitor is pending: it is tried again before it counts as down");
  if (status == "3") return ignored("the monitor is under maintenance");
  const up = status == "1";
  const name = first(monitor.text("name"), "Monitor " + id);
  const why = heartbeat.text("msg");
  const title = up ? name + " is up again" : name + " is down" + (why.length > 0 ? ": " + why : "");
  const time = heartbeat.text("time");
  // A word for a status that is not known yet is better heard than missed, so only "up" closes.
  const event = new Event(
    "monitor " + id + (up ? " up " : " down ") + short(first(time, receivedAt)),
    up ? "resolve" : "trigger",
    first(settings.text("priority"), "high"),
    title,
    report.raw,
  );
  event.key = "monitor " + id;
  event.message = report.text("msg");
  event.occurredAt = rfc3339(time);
  const dashboard = settings.text("dashboard");
  const base = dashboard.endsWith("/") ? dashboard.substring(0, dashboard.length - 1) : dashboard;
  event.link = base.length > 0 ? base + "/dashboard/" + id : monitor.text("url");
  event.label("monitor", monitor.text("name"));
  event.label("monitor_id", id);
  event.label("type", monitor.text("type"));
  return event.alone();
}

/** A message about no monitor. */
function message(report: Json, receivedAt: string): string {
  const title = first(report.text("msg"), "A message of Uptime Kuma without words");
  return new Event("message " + receivedAt + " " + hash(report.raw), "trigger", "low", title, report.raw).alone();
}

/** Something else, carried as it is: as text, or as base64 where it is not UTF-8. */
function strange(text: string, base64: string): string {
  const whole = first(text, base64);
  if (whole.length == 0) return ignored("the body is empty");
  const name = text.length > 0 ? "body_text" : "body_base64";
  const title = "Uptime Kuma sent what is no report" + (text.length > 0 ? ": " + text.substring(0, MAX_TITLE) : "");
  const details = ["{", quoted(name), ":", quoted(whole), "}"].join("");
  return new Event("body " + hash(whole), "trigger", "low", title, details).alone();
}

class Event {
  key: string = "";
  message: string = "";
  occurredAt: string = "";
  link: string = "";
  private labels: string[] = [];

  constructor(
    readonly id: string,
    readonly status: string,
    readonly priority: string,
    readonly title: string,
    readonly details: string,
  ) {}

  label(name: string, value: string): void {
    if (value.length > 0) this.labels.push(quoted(name) + ":" + quoted(value));
  }

  /** The answer that has this alert alone. Joined once: the details may be large, and nothing is freed in a call. */
  alone(): string {
    const parts = [
      '{"alerts":[{"event_id":', quoted(this.id),
      ',"status":', quoted(this.status),
      ',"priority":', quoted(this.priority),
      ',"title":', quoted(line(this.title)),
    ];
    if (this.key.length > 0) parts.push(',"key":' + quoted(this.key));
    if (this.message.length > 0) parts.push(',"message":' + quoted(this.message));
    if (this.occurredAt.length > 0) parts.push(',"occurred_at":' + quoted(this.occurredAt));
    if (this.link.startsWith("http")) parts.push(',"link":' + quoted(this.link));
    if (this.labels.length > 0) parts.push(',"labels":{' + this.labels.join(",") + "}");
    parts.push(',"details":');
    parts.push(this.details);
    parts.push("}]}");
    return parts.join("");
  }
}

function ignored(reason: string): string {
  return '{"ignored":{"reason":' + quoted(reason) + "}}";
}

function rejected(reason: string): string {
  return '{"rejected":{"kind":"malformed","reason":' + quoted(reason) + "}}";
}

/** The first of these that says anything. */
function first(one: string, other: string, last: string = ""): string {
  if (one.length > 0) return one;
  return other.length > 0 ? other : last;
}

/** A part of an id: the gateway takes ids of 256 bytes. */
function short(text: string): string {
  return text.length > MAX_ID_PART ? hash(text) : text;
}

/** One line that fits on a lock screen. */
function line(text: string): string {
  const cut = text.length > MAX_TITLE ? text.substring(0, MAX_TITLE - 1) + "…" : text;
  const words: string[] = [];
  const all = cut.replaceAll("\r", " ").replaceAll("\n", " ").replaceAll("\t", " ").split(" ");
  for (let i = 0; i < all.length; i++) if (all[i].length > 0) words.push(all[i]);
  return words.join(" ");
}

/** The time of a heartbeat as the contract writes it; empty where it is of another shape. */
function rfc3339(time: string): string {
  const shape = "0000-00-00 00:00:00";
  if (time.length < shape.length) return "";
  for (let i = 0; i < shape.length; i++) {
    const code = time.charCodeAt(i);
    const fits = shape.charCodeAt(i) == 0x30 ? code >= 0x30 && code <= 0x39 : code == shape.charCodeAt(i);
    if (!fits) return "";
  }
  return time.replace(" ", "T") + "Z";
}

/** FNV-1a, for what has no id of its own. */
function hash(text: string): string {
  const bytes = Uint8Array.wrap(String.UTF8.encode(text, false, String.UTF8.ErrorMode.REPLACE));
  let hash: u64 = 0xcbf29ce484222325;
  for (let i = 0; i < bytes.length; i++) hash = (hash ^ bytes[i]) * 0x100000001b3;
  return hash.toString(16).padStart(16, "0");
}
