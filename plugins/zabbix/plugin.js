/* Zabbix's media type Webhook, with the parameters of setup.md. */

const SEVERITIES = ["high", "low", "medium", "medium", "high", "critical"];

/* A macro that has no value here comes as it was written. */
const filled = (value) => {
  const found = text(value) ?? "";
  return found === "" || found === "*UNKNOWN*" || /^\{[A-Z.]+\}$/.test(found) ? undefined : found;
};

function read(request, options) {
  const body = request.json();
  const id = filled(body?.event_id);
  if (id === undefined || !/^[0-9]+$/.test(id))
    return unreadable(request, "no event of Zabbix, or its macros were not expanded");
  const notes = [];
  // Services and triggers have 1 for a problem and 0 for its end; what has neither is a plain event.
  const value = filled(body.event_value);
  const state = value === "0" ? "resolve" : "trigger";
  if (value !== "0" && value !== "1")
    notes.push({ kind: "unknown_status", field: "status", found: value });
  const number = filled(body.event_nseverity);
  const word = filled(body.event_severity);
  const urgent = /^[0-5]$/.test(number) ? SEVERITIES[number] : priority(word ?? "");
  if (urgent === null)
    notes.push({ kind: "unknown_priority", field: "priority", found: word ?? number });
  const host = filled(body.host);
  const name = filled(body.event_name) || filled(body.subject) || `event ${id}`;
  const trigger = filled(body.trigger_id);
  const tags = tagsOf(body.event_tags);
  return {
    key: `event ${id}`,
    status: state,
    priority: urgent ?? (word === undefined && number === undefined ? "high" : "critical"),
    title: host ? `${host}: ${name}` : name,
    message: [filled(body.event_opdata), filled(body.message)].filter(Boolean).join("\n") || undefined,
    occurred_at: time(filled(body.clock) ?? ""),
    link: linkTo(options.url, trigger, id),
    // A tag of Zabbix's never replaces a label of this plugin's.
    labels: {
      ...tags,
      host,
      groups: filled(body.groups),
      severity: word,
      trigger_id: trigger,
      event_source: filled(body.event_source),
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
  const named = list.map((tag) => [filled(tag?.tag), filled(tag?.value)]);
  return Object.fromEntries(
    named.filter(([name, value]) => name && name.length <= 64 && value).slice(0, 20),
  );
}

function linkTo(url, trigger, id) {
  if (url === undefined || !/^[0-9]+$/.test(trigger)) return undefined;
  return `${url.replace(/\/+$/, "")}/tr_events.php?triggerid=${trigger}&eventid=${id}`;
}
