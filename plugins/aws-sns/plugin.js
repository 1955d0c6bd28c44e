/* Amazon SNS over HTTPS: alarms of CloudWatch, events of EventBridge, and plain messages. */

function read(request, options) {
  const body = request.json();
  const type = text(body?.Type);
  const topic = text(body?.TopicArn);
  if (type === undefined || topic === undefined)
    return unreadable(request, "no message of Amazon SNS");
  if (options.topics !== undefined && !options.topics.includes(topic))
    return {
      rejected: {
        kind: "forbidden",
        reason: "this topic is none of this source's",
        help: `The message is of ${topic.slice(0, 200)}; add it to topics in this source's settings if it is yours.`,
      },
    };
  if (type === "UnsubscribeConfirmation") return unsubscribed(body, topic);
  if (type === "SubscriptionConfirmation") return subscribed(body, topic);
  if (type !== "Notification") return unreadable(request, "an unknown type of message of Amazon SNS");
  const message = parsed(body.Message);
  if (text(message?.AlarmName) !== undefined && text(message?.NewStateValue) !== undefined)
    return alarm(body, topic, message, options);
  if (text(message?.["detail-type"]) !== undefined) {
    const detail = message.detail ?? {};
    if (text(detail.alarmName) === undefined || text(detail.state?.value) === undefined)
      return event(body, topic, message, options);
    if (message["detail-type"] === "CloudWatch Alarm Configuration Change")
      return configured(body, topic, message, options);
    const told = alarm(body, topic, ofEventBridge(message, detail), options);
    const isOfContributor = message["detail-type"] === "CloudWatch Alarm Contributor State Change";
    return isOfContributor && typeof told !== "string" ? ofContributor(told, detail) : told;
  }
  const said = text(body.Message) ?? "";
  return {
    ...common(body, topic, "message"),
    priority: options.priority ?? "high",
    title: text(body.Subject) ?? text(said.trim().split(/\r?\n/)[0]) ?? `a message of ${nameOf(topic)}`,
    message: said,
  };
}

function alarm(body, topic, message, options) {
  const word = text(message.NewStateValue);
  const notes = [];
  let state = { ALARM: "trigger", OK: "resolve", INSUFFICIENT_DATA: "trigger" }[word];
  const isBlind = word === "INSUFFICIENT_DATA";
  if (isBlind && options.insufficient_data === "ignore") return "an alarm without data";
  if (typeof state !== "string") {
    notes.push({ kind: "unknown_status", field: "status", found: word });
    state = "trigger";
  }
  const arn = text(message.AlarmArn);
  const named = [message.AWSAccountId, message.Region].map(text);
  if (arn === undefined && named.includes(undefined))
    notes.push({ kind: "incomplete_key", field: "key" });
  const at = time(text(message.StateChangeTime) ?? text(body.Timestamp) ?? "");
  const order = Date.parse(at);
  const name = text(message.AlarmName);
  const shared = common(body, topic, "alarm");
  return {
    ...shared,
    key: arn ?? [...named, name].join(" "),
    status: state,
    order: Number.isSafeInteger(order) ? order : undefined,
    priority: isBlind ? "medium" : (options.priority ?? "high"),
    title: `${name} is ${word}`,
    message:
      [text(message.AlarmDescription), text(message.NewStateReason)].filter(Boolean).join("\n") ||
      undefined,
    occurred_at: at,
    link: consoleOf(arn, name),
    labels: {
      ...shared.labels,
      alarm: name,
      account: text(message.AWSAccountId),
      namespace:
        text(message.Trigger?.Namespace) ??
        text(message.Trigger?.Metrics?.[0]?.MetricStat?.Metric?.Namespace),
    },
    notes,
  };
}

/* A contributor of an alarm opens and closes by itself, beside the alarm. */
function ofContributor(told, detail) {
  const id = text(detail.alarmContributor?.id);
  const attributes = Object.values(detail.alarmContributor?.attributes ?? {}).map(text).filter(Boolean);
  if (id === undefined)
    return { ...told, key: undefined, notes: [...told.notes, { kind: "incomplete_key", field: "key" }] };
  return { ...told, key: `${told.key} ${id}`, title: `${told.title}: ${attributes.join(", ") || id}` };
}

/* A deleted alarm will never be OK, whatever its last state; other changes need nobody. */
function configured(body, topic, message, options) {
  const { detail } = message;
  if (detail.operation !== "delete") return "a change of an alarm's configuration";
  const ended = { ...ofEventBridge(message, detail), NewStateValue: "OK", StateChangeTime: message.time };
  return {
    ...alarm(body, topic, ended, options),
    title: `${text(detail.alarmName)} was deleted`,
    message: undefined,
  };
}

/* The alarm of an event about an alarm, in the words of CloudWatch's own message. */
const ofEventBridge = (message, detail) => ({
  AlarmName: detail.alarmName,
  AlarmArn: message.resources?.[0],
  AlarmDescription: detail.configuration?.description,
  AWSAccountId: message.account,
  Region: message.region,
  NewStateValue: detail.state.value,
  NewStateReason: detail.state.reason,
  StateChangeTime: detail.state.timestamp ?? message.time,
  Trigger: { Namespace: detail.configuration?.metrics?.[0]?.metricStat?.metric?.namespace },
});

function event(body, topic, message, options) {
  const shared = common(body, topic, "event");
  const notes = [];
  const word = text(message.detail?.severity);
  const urgent = ofNumber(message.source, message.detail?.severity) ?? priority(word ?? "");
  if (word !== undefined && urgent === null)
    notes.push({ kind: "unknown_priority", field: "priority", found: word });
  // AWS Health tells of the beginning and of the end of one event.
  const arn = text(message.detail?.eventArn);
  const code = { open: "trigger", upcoming: "trigger", closed: "resolve" };
  const said = text(message.detail?.statusCode);
  const account = text(message.account);
  const known = arn !== undefined && account !== undefined && Object.hasOwn(code, said);
  return {
    ...shared,
    ...(known ? { key: `${arn} ${account}`, status: code[said] } : {}),
    priority: urgent ?? options.priority ?? "high",
    title:
      text(message.detail?.title) ??
      [text(message["detail-type"]), text(message.source) && `(${message.source})`]
        .filter(Boolean)
        .join(" "),
    message:
      text(message.detail?.description) ??
      text(message.detail?.eventDescription?.[0]?.latestDescription) ??
      text(body.Subject),
    occurred_at: time(text(message.time) ?? text(body.Timestamp) ?? ""),
    labels: { ...shared.labels, account },
    notes,
  };
}

/* GuardDuty's severity: from 9 critical, from 7 high, from 4 medium. */
function ofNumber(source, severity) {
  if (source !== "aws.guardduty" || typeof severity !== "number") return undefined;
  return severity >= 9 ? "critical" : severity >= 7 ? "high" : severity >= 4 ? "medium" : "low";
}

/* The link confirms the subscription, so it must lead to Amazon. */
function subscribed(body, topic) {
  const url = text(body.SubscribeURL);
  const isAmazons = /^https:\/\/sns\.[a-z0-9-]+\.amazonaws\.com(\.cn)?\/\?/.test(url);
  return {
    ...common(body, topic, "subscription"),
    key: `subscription ${topic}`,
    priority: "medium",
    title: `Confirm the subscription to ${nameOf(topic)}`,
    message: isAmazons
      ? "Opening the link confirms it."
      : "Its link does not lead to Amazon: do not open it.",
    link: isAmazons ? url : undefined,
  };
}

const unsubscribed = (body, topic) => ({
  ...common(body, topic, "subscription"),
  key: `subscription ${topic}`,
  priority: "high",
  title: `The subscription to ${nameOf(topic)} has ended`,
  message: text(body.Message),
});

const common = (body, topic, kind) => ({
  occurred_at: time(text(body.Timestamp) ?? ""),
  labels: {
    kind,
    topic: nameOf(topic),
    region: topic.split(":")[3] || undefined,
    account: topic.split(":")[4] || undefined,
  },
});

const nameOf = (topic) => topic.split(":").at(-1);

function parsed(written) {
  try {
    return typeof written === "string" ? JSON.parse(written) : undefined;
  } catch {
    return undefined;
  }
}

function consoleOf(arn, name) {
  const [, partition, , region] = arn?.split(":") ?? [];
  if (region === undefined || !/^[a-z0-9-]+$/.test(region)) return undefined;
  const encoded = encodeURIComponent(name.toWellFormed());
  const hosts = { "aws-cn": "console.amazonaws.cn", "aws-us-gov": "console.amazonaws-us-gov.com" };
  const host = hosts[partition];
  return `https://${host ?? `${region}.console.aws.amazon.com`}/cloudwatch/home?region=${region}#alarmsV2:alarm/${encoded}`;
}
