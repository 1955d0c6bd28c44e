/* Amazon SNS over HTTPS: alarms of CloudWatch, events of EventBridge, and plain messages. */

/* The last part of an ARN, which names the resource. */
const resource = (arn) => text(arn)?.split(/[:/]/).at(-1);

const APPROVALS = { STARTED: "waits for approval", ABANDONED: "waits no longer" };

const PIPELINE = {
  what: "CodePipeline",
  of: ({ pipeline, stage, action }) => [pipeline, ...[stage, action].filter((name) => text(name) !== undefined)],
  // An approval waits for somebody, and the others that start do not.
  word: ({ state, type }) => (type?.category === "Approval" && APPROVALS[state]) || state,
  opens: /^(FAILED|waits for approval)$/,
  closes: /^(SUCCEEDED|waits no longer)$/,
  passes: /^(STARTED|RESUMED|STOPP(ING|ED)|CANCELED|SUPERSEDED|ABANDONED)$/,
  why: (detail) => detail["execution-result"]?.["external-execution-summary"],
};

const BACKUP = {
  what: "AWS Backup",
  of: ({ resourceArn, backupVaultName, destinationBackupVaultArn }) => [
    resourceArn,
    backupVaultName ?? resource(destinationBackupVaultArn),
  ],
  word: ({ state }) => state,
  opens: /^(FAILED|ABORTED|EXPIRED|PARTIAL)$/,
  closes: /^COMPLETED$/,
  passes: /^(CREATED|PENDING|RUNNING|ABORTING)$/,
  why: ({ statusMessage }) => statusMessage,
};

/* A service, and the tasks that it starts, have one key: the steady state of the service ends what its tasks began. */
const ECS = {
  what: "ECS",
  of: ({ clusterArn, group }, { resources }) => [
    resource(clusterArn),
    text(group)?.replace(/^service:/, "") ?? resource(resources?.[0]),
  ],
  opens: /^(STOPPED|[A-Z_]+_(IMPAIRED|UNHEALTHY|VIOLATED|FAILURE|UNKNOWN|THROTTLED))$/,
  closes: /^SERVICE_STEADY_STATE$/,
  passes: /^([A-Z]+ING|stopped as wanted|(TASKSET|CAPACITY_PROVIDER)_STEADY_STATE|SERVICE_DESIRED_COUNT_UPDATED)$/,
};

const AUTO_SCALING = {
  what: "Auto Scaling",
  of: ({ AutoScalingGroupName }, message) => [
    AutoScalingGroupName,
    /Launch/.test(typeOf(message)) ? "launch" : "terminate",
  ],
  name: ({ AutoScalingGroupName }) => [AutoScalingGroupName],
  word: (_, message) => typeOf(message),
  opens: / Unsuccessful$/,
  closes: / Successful$/,
  why: ({ StatusMessage, Cause }) => text(StatusMessage) ?? Cause,
};

const CERTIFICATE = {
  what: "ACM certificate",
  of: (_, { resources }) => [resources?.[0]],
  name: ({ CommonName }) => [CommonName],
  word: (_, message) => typeOf(message).replace("ACM Certificate ", ""),
  opens: /^(Approaching Expiration|Expired|Renewal Action Required|Revoked)$/,
  closes: /^Available$/,
  why: ({ DaysToExpiry, RenewalStatusReason }) =>
    text(RenewalStatusReason) ?? (text(DaysToExpiry) && `${DaysToExpiry} days to its expiry`),
};

const MEDIA_LIVE = {
  what: "MediaLive",
  of: ({ channel_arn, multiplex_arn, alarm_id }) => [channel_arn ?? multiplex_arn, alarm_id],
  name: ({ channel_arn, multiplex_arn, alert_type }) => [channel_arn ?? multiplex_arn, alert_type],
  word: ({ alarm_state }) => alarm_state,
  opens: /^SET$/i,
  closes: /^CLEARED$/i,
  why: ({ message }) => message,
};

const CANARY_RUN = {
  what: "Synthetics canary",
  of: (detail) => [detail["canary-id"]],
  name: (detail) => [detail["canary-name"]],
  word: (detail) => detail["test-run-status"],
  opens: /^FAILED$/,
  closes: /^PASSED$/,
  why: (detail) => detail["state-reason"],
};

const DATABASE = {
  what: "RDS",
  of: ({ SourceArn }) => [SourceArn],
  name: ({ SourceIdentifier }) => [SourceIdentifier],
  word: ({ EventID }) => EventID,
  shown: ({ Message }) => Message,
  // Shut down and stopped, an instance or a cluster; restarted and started.
  opens: /^RDS-EVENT-(0004|0087|0150)$/,
  closes: /^RDS-EVENT-(0006|0088|0151)$/,
  // Any other event begins nothing that another one ends.
  alone: true,
};

const INSIGHT = {
  what: "DevOps Guru",
  of: ({ insightId }) => [insightId],
  name: ({ insightDescription, insightId }) => [text(insightDescription) ?? insightId],
  word: (_, message) => typeOf(message).replace("DevOps Guru ", ""),
  opens: /^(New Insight Open|Insight Severity Upgraded)$/,
  closes: /^Insight Closed$/,
  passes: /^New (Anomaly Association|Recommendation Created)$/,
  severity: ({ insightSeverity }) => insightSeverity,
};

/* Events of EventBridge about a state, by their detail-type. `of` is the key within account and region, and the name where
   there is no `name`. `word` is the state. One that `passes` is on its way, or somebody asked for it. The key holds the run
   where another run of the same thing says nothing of this one. */
const STATES = {
  "CodePipeline Pipeline Execution State Change": PIPELINE,
  "CodePipeline Stage Execution State Change": PIPELINE,
  "CodePipeline Action Execution State Change": PIPELINE,
  "CodeBuild Build State Change": {
    what: "CodeBuild",
    // A pull request's build tells nothing of a branch, and a commit's is one of its branch.
    of: (detail) => {
      const version = text(detail["additional-information"]?.["source-version"])?.replace(/\^\{.*$/, "");
      return /^(pr\/|refs\/)/.test(version) ? [detail["project-name"], version] : [detail["project-name"]];
    },
    word: (detail) => detail["build-status"],
    opens: /^(FAILED|FAULT|TIMED_OUT)$/,
    closes: /^SUCCEEDED$/,
    passes: /^(IN_PROGRESS|STOPPED)$/,
  },
  "CodeDeploy Deployment State-change Notification": {
    what: "CodeDeploy",
    of: ({ application, deploymentGroup }) => [application, deploymentGroup],
    word: ({ state }) => state,
    opens: /^FAILURE$/,
    closes: /^SUCCESS$/,
    passes: /^(START|READY|STOP)$/,
  },
  "CloudFormation Stack Status Change": {
    what: "CloudFormation stack",
    of: (detail) => [detail["stack-id"]],
    name: (detail) => [/:stack\/([^/]+)/.exec(detail["stack-id"])?.[1]],
    word: (detail) => detail["status-details"]?.status,
    opens: /ROLLBACK|_FAILED$/,
    closes: /^(CREATE|UPDATE|IMPORT|DELETE)_COMPLETE$/,
    passes: /_IN_PROGRESS$|^DELETE_SKIPPED$/,
    why: (detail) => detail["status-details"]?.["status-reason"],
  },
  "ECS Task State Change": {
    ...ECS,
    word: (detail) => (isWanted(detail) ? "stopped as wanted" : detail.lastStatus),
    why: ({ stoppedReason }) => stoppedReason,
  },
  "ECS Service Action": {
    ...ECS,
    word: ({ eventName }) => eventName,
    why: ({ reason }) => reason,
  },
  "ECS Deployment State Change": {
    ...ECS,
    // A service is steady after a deployment was rolled back, too.
    what: "ECS deployment",
    word: ({ eventName }) => eventName,
    opens: /^SERVICE_DEPLOYMENT_FAILED$/,
    closes: /^SERVICE_DEPLOYMENT_COMPLETED$/,
    passes: /^SERVICE_DEPLOYMENT_IN_PROGRESS$/,
    why: ({ reason }) => reason,
  },
  "Batch Job State Change": {
    what: "Batch job",
    of: ({ jobId }) => [jobId],
    name: ({ jobName, jobQueue }) => [jobQueue, jobName],
    word: ({ status }) => status,
    opens: /^FAILED$/,
    closes: /^SUCCEEDED$/,
    passes: /^(SUBMITTED|PENDING|RUNNABLE|STARTING|RUNNING)$/,
    why: ({ statusReason }) => statusReason,
  },
  "Step Functions Execution Status Change": {
    what: "Step Functions",
    of: ({ executionArn }) => [executionArn],
    name: ({ stateMachineArn, name }) => [stateMachineArn, name],
    word: ({ status }) => status,
    opens: /^(FAILED|TIMED_OUT|ABORTED)$/,
    closes: /^SUCCEEDED$/,
    passes: /^(RUNNING|PENDING_REDRIVE)$/,
    why: ({ error, cause }) => [error, cause].filter((part) => text(part) !== undefined).join(": "),
  },
  "Glue Job State Change": {
    what: "Glue job",
    of: ({ jobName }) => [jobName],
    word: ({ state }) => state,
    opens: /^(FAILED|TIMEOUT|ERROR|EXPIRED)$/,
    closes: /^SUCCEEDED$/,
    passes: /^(STARTING|RUNNING|STOPPING|STOPPED|WAITING)$/,
    why: ({ message }) => message,
  },
  "Backup Job State Change": BACKUP,
  "Copy Job State Change": { ...BACKUP, what: "AWS Backup copy" },
  "EC2 Instance State-change Notification": {
    what: "EC2 instance",
    of: (detail) => [detail["instance-id"]],
    word: ({ state }) => state,
    opens: /^(stopping|stopped|shutting-down|terminated)$/,
    closes: /^running$/,
    passes: /^pending$/,
  },
  "EC2 Instance Launch Successful": AUTO_SCALING,
  "EC2 Instance Launch Unsuccessful": AUTO_SCALING,
  "EC2 Instance Terminate Successful": AUTO_SCALING,
  "EC2 Instance Terminate Unsuccessful": AUTO_SCALING,
  "RDS DB Instance Event": DATABASE,
  "RDS DB Cluster Event": DATABASE,
  "RDS DB Snapshot Event": DATABASE,
  "RDS DB Cluster Snapshot Event": DATABASE,
  "Config Rules Compliance Change": {
    what: "Config rule",
    of: ({ configRuleName, resourceType, resourceId, awsAccountId }) => [
      configRuleName,
      resourceType,
      resourceId,
      awsAccountId,
    ],
    name: ({ configRuleName, resourceId }) => [configRuleName, resourceId],
    word: ({ newEvaluationResult }) => newEvaluationResult?.complianceType,
    opens: /^NON_COMPLIANT$/,
    closes: /^(COMPLIANT|NOT_APPLICABLE)$/,
    passes: /^INSUFFICIENT_DATA$/,
    why: ({ newEvaluationResult }) => newEvaluationResult?.annotation,
  },
  "Trusted Advisor Check Item Refresh Notification": {
    what: "Trusted Advisor",
    of: (detail) => [detail["check-name"], text(detail.resource_id) ?? JSON.stringify(limitOf(detail))],
    name: (detail) => [detail["check-name"], text(detail.resource_id) ?? limitOf(detail)].flat(),
    word: ({ status }) => status,
    opens: /^(WARN|ERROR)$/,
    closes: /^OK$/,
    passes: /^NOT_AVAILABLE$/,
    severity: ({ status }) => status,
  },
  "Synthetics Canary TestRun Successful": CANARY_RUN,
  "Synthetics Canary TestRun Failure": CANARY_RUN,
  "ACM Certificate Approaching Expiration": CERTIFICATE,
  "ACM Certificate Expired": CERTIFICATE,
  "ACM Certificate Renewal Action Required": CERTIFICATE,
  "ACM Certificate Revoked": CERTIFICATE,
  "ACM Certificate Available": CERTIFICATE,
  "MediaLive Channel Alert": MEDIA_LIVE,
  "MediaLive Multiplex Alert": MEDIA_LIVE,
  "DevOps Guru New Insight Open": INSIGHT,
  "DevOps Guru Insight Severity Upgraded": INSIGHT,
  "DevOps Guru Insight Closed": INSIGHT,
  "DevOps Guru New Anomaly Association": INSIGHT,
  "DevOps Guru New Recommendation Created": INSIGHT,
  "AWS Health Event": {
    what: "AWS Health",
    of: ({ eventArn }) => [eventArn],
    name: ({ service, eventTypeCode }) => [service, eventTypeCode],
    word: ({ statusCode }) => statusCode,
    opens: /^(open|upcoming)$/,
    closes: /^closed$/,
    why: ({ eventDescription }) => eventDescription?.[0]?.latestDescription,
  },
};

/* A task that somebody stopped, or a deployment or a change of the scale; and one of no service that did its work. */
const isWanted = ({ lastStatus, stopCode, stoppedReason, group, containers }) =>
  lastStatus === "STOPPED" &&
  (stopCode === "UserInitiated" ||
    /^Scaling activity initiated by/.test(stoppedReason) ||
    (!/^service:/.test(group) &&
      Array.isArray(containers) &&
      containers.length > 0 &&
      containers.every((container) => container?.exitCode === 0)));

/* The place of a service limit, which is no resource. */
const limitOf = (detail) =>
  ["Region", "Service", "Limit Name"].map((name) => text(detail["check-item-detail"]?.[name]) ?? "");

const ended = (isOver) => (isOver ? "closed" : "open");

/* Findings, by their detail-type: each is a list of what a finding says of itself. */
const FINDINGS = {
  "GuardDuty Finding": (detail) => [
    { ...detail, state: ended(detail.service?.archived === true), severity: ofNumber(detail.severity) },
  ],
  "Inspector2 Finding": (detail) => [{ ...detail, id: detail.findingArn, state: detail.status }],
  "Macie Finding": (detail) => [
    { ...detail, state: ended(detail.archived === true), severity: detail.severity?.description },
  ],
  "Access Analyzer Finding": access,
  "Internal Access Finding": access,
  "Unused Access Finding for IAM entities": access,
  "Security Hub Findings - Imported": (detail) =>
    listed(detail).map((finding) => ({
      ...ofHub(finding),
      state: ended(
        finding?.RecordState === "ARCHIVED" ||
          ["RESOLVED", "SUPPRESSED"].includes(finding?.Workflow?.Status) ||
          finding?.Compliance?.Status === "PASSED",
      ),
    })),
  // Somebody sends these by hand, whatever their state.
  "Security Hub Findings - Custom Action": (detail) =>
    listed(detail).map((finding) => ({ ...ofHub(finding), state: "open" })),
  "Findings Imported V2": (detail) =>
    listed(detail).map((finding) => ({
      id: text(finding?.metadata?.uid) ?? finding?.finding_info?.uid,
      title: finding?.finding_info?.title,
      description: finding?.finding_info?.desc,
      severity: finding?.severity,
      state: finding?.status,
    })),
};

function access(detail) {
  return [
    {
      id: detail.id,
      title: `Access Analyzer: ${text(detail.resource) ?? text(detail.resourceType) ?? "a resource"}`,
      description: text(detail.error) ?? (detail.isPublic === true ? "It is open to the public." : undefined),
      state: detail.isDeleted === true ? "DELETED" : detail.status,
    },
  ];
}

const listed = (detail) => (Array.isArray(detail.findings) ? detail.findings : []);

const ofHub = (finding) => ({
  id: finding?.Id,
  title: finding?.Title,
  description: finding?.Description,
  severity: finding?.Severity?.Label,
});

const FINDING_OPENS = /^(open|active|new|in progress)$/i;
const FINDING_CLOSES = /^(closed|suppressed|archived|resolved|deleted)$/i;

/* Words by which a service leaves the severity open. */
const UNRATED = /^(unknown|other|untriaged)$/i;

/* EventBridge and the notification rules of the developer tools name it differently. */
const typeOf = (message) => text(message?.["detail-type"]) ?? text(message?.detailType);

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
  const detailType = typeOf(message);
  if (detailType !== undefined) {
    const detail = message.detail ?? {};
    if (text(detail.alarmName) === undefined || text(detail.state?.value) === undefined)
      return event(body, topic, message, options);
    if (detailType === "CloudWatch Alarm Configuration Change")
      return configured(body, topic, message, options);
    const told = alarm(body, topic, ofEventBridge(message, detail), options);
    const isOfContributor = detailType === "CloudWatch Alarm Contributor State Change";
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
  const detail = message.detail ?? {};
  const type = typeOf(message);
  const found = Object.hasOwn(FINDINGS, type) ? FINDINGS[type](detail) : [];
  if (found.length > 0) return found.map((finding) => findingOf(body, topic, message, options, finding));
  if (Object.hasOwn(STATES, type)) return stateOf(body, topic, message, options, STATES[type]);
  const thing = text(detail.name) ?? resource(message.resources?.[0]);
  const state = text(detail.state) ?? text(detail.status) ?? text(detail.result);
  const named = [thing, state].filter(Boolean).join(": ");
  return {
    ...told(body, topic, message, options, text(detail.severity)),
    title:
      text(detail.title) ?? `${type}${named && `: ${named}`}${text(message.source) ? ` (${message.source})` : ""}`,
    message: text(detail.description) ?? text(body.Subject),
  };
}

/* What all events of EventBridge have, with the severity by this word. */
function told(body, topic, message, options, word) {
  const shared = common(body, topic, "event");
  const notes = [];
  const known = priority(word ?? "");
  if (word !== undefined && known === null)
    notes.push({ kind: "unknown_priority", field: "priority", found: word });
  const at = time(text(message.time) ?? text(body.Timestamp) ?? "");
  return {
    ...shared,
    priority: known ?? options.priority ?? (word === undefined ? "high" : "critical"),
    occurred_at: at,
    labels: { ...shared.labels, account: text(message.account) },
    notes,
  };
}

/* SNS delivers in any order. */
function orderOf(message) {
  const order = Date.parse(time(text(message.time) ?? "") ?? "");
  return Number.isSafeInteger(order) ? order : undefined;
}

function findingOf(body, topic, message, options, finding) {
  const severity = text(finding.severity);
  const shared = told(body, topic, message, options, UNRATED.test(severity) ? undefined : severity);
  const id = text(finding.id);
  if (id === undefined) shared.notes.push({ kind: "incomplete_key", field: "key" });
  const state = text(finding.state) ?? "open";
  const isKnown = FINDING_OPENS.test(state) || FINDING_CLOSES.test(state);
  if (!isKnown) shared.notes.push({ kind: "unknown_status", field: "status", found: state });
  return {
    ...shared,
    key: id && `finding ${id}`,
    status: FINDING_CLOSES.test(state) ? "resolve" : "trigger",
    order: id && orderOf(message),
    title: text(finding.title) ?? `${typeOf(message)} ${id ?? ""}`,
    message: text(finding.description) ?? text(body.Subject),
  };
}

function stateOf(body, topic, message, options, row) {
  const detail = message.detail ?? {};
  const word = text(row.word(detail, message));
  if (word !== undefined && row.passes?.test(word)) return `${row.what}: ${word} needs nobody`;
  const isOver = row.closes.test(word);
  // What tells no state is an event of its own where the service sends such, too.
  const isState = isOver || row.opens.test(word) || !row.alone;
  const shared = told(body, topic, message, options, text((row.severity ?? severityOf)(detail)));
  if (isState && !isOver && !row.opens.test(word))
    shared.notes.push({ kind: "unknown_status", field: "status", found: word });
  const parts = row.of(detail, message).map(text);
  const isWhole = parts.length > 0 && !parts.includes(undefined);
  if (isState && !isWhole) shared.notes.push({ kind: "incomplete_key", field: "key" });
  const keyed = isState && isWhole;
  // An ARN has its region, and a service may tell of it in another one.
  const region = parts[0]?.startsWith("arn:") ? undefined : message.region;
  const names = (row.name ?? row.of)(detail, message).map(text).filter(Boolean);
  const named = names.map((name) => (name.startsWith("arn:") ? resource(name) : name)).join(", ");
  return {
    ...shared,
    key: keyed ? [row.what, text(message.account), text(region), ...parts].filter(Boolean).join(" ") : undefined,
    status: isOver ? "resolve" : "trigger",
    order: keyed ? orderOf(message) : undefined,
    title: `${[row.what, named].filter(Boolean).join(" ")}: ${text(row.shown?.(detail)) ?? word ?? "an unknown state"}`,
    message: text(row.why?.(detail)) ?? text(detail.description) ?? text(body.Subject),
    link: link(detail.insightUrl) ?? link(detail["execution-result"]?.["external-execution-url"]),
  };
}

const severityOf = ({ severity }) => severity;

/* GuardDuty's severity: from 9 critical, from 7 high, from 4 medium. */
function ofNumber(severity) {
  if (typeof severity !== "number") return severity;
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
