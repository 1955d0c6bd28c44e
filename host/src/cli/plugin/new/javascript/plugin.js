// @ts-check
/// <reference path="gateway.d.ts" />

/**
 * Makes alerts of a request of `my-plugin`'s sender. As it stands, it reads
 * `{"id": "17", "check": "db-1", "title": "…", "severity": "…", "ok": false}`. To make it yours: put a real request of
 * your sender into `cases/`, and change this until the answer is right.
 * @type {Read}
 */
function read(request, options) {
  const event = request.json() ?? {};
  return {
    event_id: event.id,
    key: event.check,
    status: event.ok ? "resolve" : "trigger",
    priority: priority(event.severity, options.priority ?? "medium"),
    title: event.title ?? `${request.source}: a request without a title`,
  };
}
