/* Zabbix's media type Webhook, with the parameters of setup.md. */

const SEVERITIES = ["high", "low", "medium", "medium", "high", "critical"];

/* A macro that has no value here comes as it was written. */
const text = (value) => {
  const found = typeof value === "string" || typeof value === "number" ? String(value) : "";
  return found === "" || found === "*UNKNOWN*" || /^\{[A-Z.]+\}$/.test(found) ? undefined : found;
};

function read(request, options) {
  const body = request.json();
  const id = text(body?.event_id);
  if (id === undefined || !/^[0-9]+$/.test(id))
    return strange(request, "no event of Zabbix, or its macros were not expanded");
  const notes = [];
  // Services and triggers have 1 for a problem and 0 for its end; what has neither is a plain event.
  const value = text(body.event_value);
  const state = value === "0" ? "resolve" : "trigger";
  if (value !== "0" && value !== "1")
    notes.push({ kind: "unknown_status", field: "status", found: String(value).slice(0, 100) });
  const number = text(body.event_nseverity);
  const word = text(body.event_severity);
  const urgent = /^[0-5]$/.test(number) ? SEVERITIES[number] : priority(word ?? "");
  if (urgent === null)
    notes.push({
      kind: "unknown_priority",
      field: "priority",
      found: String(word ?? number).slice(0, 100),
    });
  const host = text(body.host);
  const name = text(body.event_name) || text(body.subject) || `event ${id}`;
  const trigger = text(body.trigger_id);
  const tags = tagsOf(body.event_tags);
  return {
    key: `event ${id}`,
    status: state,
    priority: urgent ?? "high",
    title: host ? `${host}: ${name}` : name,
    message: [text(body.event_opdata), text(body.message)].filter(Boolean).join("\n") || undefined,
    occurred_at: time(text(body.clock) ?? ""),
    link: linkTo(options.url, trigger, id),
    // A tag of Zabbix's never replaces a label of this plugin's.
    labels: {
      ...tags,
      host,
      groups: text(body.groups),
      severity: word,
      trigger_id: trigger,
      event_source: text(body.event_source),
    },
    notes,
  };
}

/* Tags as {EVENT.TAGSJSON} writes them: a list of objects, in a text. */
function tagsOf(written) {
  let list = written;
  try {
    if (typeof written === "string") list = JSON.parse(written);
  } catch {
    return {};
  }
  if (!Array.isArray(list)) return {};
  const named = list.map((tag) => [text(tag?.tag), text(tag?.value)]);
  return Object.fromEntries(
    named.filter(([name, value]) => name && name.length <= 64 && value).slice(0, 20),
  );
}

function linkTo(url, trigger, id) {
  if (url === undefined || !/^[0-9]+$/.test(trigger)) return undefined;
  return `${url.replace(/\/+$/, "")}/tr_events.php?triggerid=${trigger}&eventid=${id}`;
}

const strange = (request, reason) => ({
  priority: "high",
  title: `${request.source}: ${reason}`,
  unreadable: { reason },
});
