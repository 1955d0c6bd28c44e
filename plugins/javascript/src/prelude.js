"use strict";
(() => {
  const host = globalThis.host;
  delete globalThis.host;
  const ask = (name, value) => JSON.parse(host(name, JSON.stringify(value ?? "", wellFormed)));
  const define = (to, names) => {
    for (const [name, value] of Object.entries(names))
      Object.defineProperty(to, name, { value, writable: true, configurable: true });
  };

  /* A JSON text that goes into the answer as it is. */
  class Verbatim {
    constructor(json) { this.json = json; }
    toJSON() { return JSON.parse(this.json); }
  }

  const shown = (value) => {
    if (typeof value === "string") return value;
    if (value instanceof Error) return `${value}\n${value.stack}`;
    try { return JSON.stringify(value) ?? String(value); } catch { return String(value); }
  };
  const log = (level) => (...values) => { host(`log ${level}`, values.map(shown).join(" ")); };
  const sha256 = (text) => ask("sha256", String(text));
  const verbatim = (text) => new Verbatim(host("details", JSON.stringify(String(text).toWellFormed())));
  /* The text of a field that may hold anything; undefined where it says nothing. */
  const text = (value) => {
    const said = typeof value === "string" || typeof value === "number" ? String(value) : "";
    return said.trim() === "" ? undefined : said;
  };
  define(globalThis, {
    text,
    link: (value) => (/^https?:\/\//.test(text(value)) ? text(value) : undefined),
    unreadable: (request, reason) => ({
      priority: "high",
      title: `${request.source}: ${reason}`,
      unreadable: { reason: String(reason) },
    }),
    sha256,
    verbatim,
    console: { debug: log("debug"), log: log("info"), info: log("info"), warn: log("warn"), error: log("error") },
    priority: (word, otherwise = null) => ask("priority", word) ?? otherwise,
    status: (word, otherwise = null) => ask("status", word) ?? otherwise,
    time: (text, otherwise = null) => ask("time", text instanceof Date ? text.toISOString() : text) ?? otherwise,
    form: (text) => ask("form", text),
    attempt: (text) => ask("attempt", String(text)),
    decodeBase64: (text) => ask("decode_base64", String(text)),
    hmac: (algorithm, key, text, encoding = "hex") => ask("hmac", { algorithm, key, text, encoding }),
    timingSafeEqual: (given, expected) => ask("same", [String(given), String(expected)]),
  });

  const lower = (name) => String(name).toLowerCase();
  const methods = {
    header(name) { return this.headers.find(([known]) => known === lower(name))?.[1]; },
    headerAll(name) { return this.headers.filter(([known]) => known === lower(name)).map(([, value]) => value); },
    text() { return ask("text"); },
    json() { return ask("json"); },
    form() { return ask("form", this.text()); },
    query() { return ask("form", this.url.split("#")[0].split("?").slice(1).join("?")); },
  };

  const KINDS = ["alerts", "ignored", "rejected", "reply"];

  /* An answer of the contract, out of what a script may return for it. */
  const completed = (result) => {
    if (Array.isArray(result)) return { alerts: result };
    if (typeof result === "string") return { ignored: { reason: result } };
    if (result === null || typeof result !== "object")
      throw new TypeError("read returned nothing: return alerts, or a text that says why there are none");
    return KINDS.some((kind) => kind in result) ? result : { alerts: [result] };
  };

  /* JSON has no half of a surrogate pair, and a sender may: in a text, and in the name of a member. */
  const wellFormed = (_, value) => {
    if (typeof value === "string") return value.toWellFormed();
    if (value === null || typeof value !== "object" || Array.isArray(value)) return value;
    if (Object.keys(value).every((name) => name.isWellFormed())) return value;
    return Object.fromEntries(Object.entries(value).map(([name, member]) => [name.toWellFormed(), member]));
  };

  /* A text of at most so many bytes, or its hash; undefined where there is none. */
  const bounded = (value, bytes) => {
    if (value === null || value === undefined || value === "") return undefined;
    const text = (typeof value === "object" ? shown(value) : String(value)).toWellFormed();
    return text.length * 3 <= bytes ? text : ask("bounded", [text, String(bytes)]);
  };

  /* What a note found may be missing, of any type, and long. */
  const noted = (note) => ({ ...note, found: bounded(text(note?.found)?.slice(0, 100), 400) });

  /* The id of an event without one, made of all its parts. */
  const own_id = (alert, made_of, request) => {
    const proof = request.proved?.proof;
    /* What is no event of the sender's is news some minutes later. */
    if (alert.unreadable !== undefined) return ask("attempt", made_of);
    if (withheld !== null || (proof && !proof.expires_at)) return `sha256:${sha256(made_of)}`;
    /* The same problem may begin and end again within minutes. Its key tells whether it is open. */
    if (alert.key !== undefined) return `sha256:${sha256(`${proof?.id ?? request.received_at}\n${made_of}`)}`;
    return proof ? `sha256:${sha256(made_of)}` : ask("attempt", made_of);
  };

  const written = (answer, request) => {
    if (!Array.isArray(answer.alerts)) return JSON.stringify(answer, wellFormed);
    let whole;
    const alerts = answer.alerts.map((alert, index) => {
      if (alert === null || typeof alert !== "object") throw new TypeError(`alerts[${index}] is no object`);
      const { details, labels, ...rest } = alert;
      /* A script of the settings may have made it of headers as well. */
      const told = () => (withheld === null ? [rest.key, rest.status, rest.title].map(String).join("\n") : "");
      const whole_request = () => `${request.method} ${request.url}\n${index}${told()}\n${request.text()}`;
      rest.key = bounded(rest.key, 1024);
      rest.event_id = bounded(rest.event_id, 256) ?? own_id(rest, whole_request(), request);
      rest.status ??= undefined;
      rest.priority ??= "high";
      rest.title = String(rest.title ?? "").trim() === "" ? request.source : String(rest.title);
      if (Array.isArray(rest.notes)) rest.notes = rest.notes.map(noted);
      rest.labels = Object.fromEntries(
        Object.entries(labels ?? {})
          .filter(([, value]) => value !== null && value !== undefined)
          .map(([name, value]) => [name, shown(value)]),
      );
      let json = details instanceof Verbatim ? details.json : JSON.stringify(details, wellFormed);
      json ??= whole ??= verbatim(request.text()).json;
      return `${JSON.stringify(rest, wellFormed).slice(0, -1)},"details":${json}}`;
    });
    return `{"alerts":[${alerts.join(",")}]}`;
  };

  /* The secrets that the script is not given; null where it is given `options` alone. */
  let withheld = null;
  const without = (settings, names) =>
    Object.fromEntries(Object.entries(settings).filter(([name]) => !names.includes(name)));

  define(globalThis, {
    __prepare(secrets) {
      withheld = secrets;
      if (typeof read !== "function")
        throw new TypeError("the script has no function read(request, options)");
      return "";
    },
    __answer(request) {
      const settings = request.settings;
      const options = withheld === null ? settings.options ?? {} : without(settings, withheld);
      delete request.settings;
      Object.setPrototypeOf(request, methods);
      const result = read(request, options);
      if (result instanceof Promise) return result.then((result) => written(completed(result), request));
      return written(completed(result), request);
    },
  });
})();
