/** What a script of the plugin `javascript` finds beside the language, and what it returns. */

type Priority = "critical" | "high" | "medium" | "low";
type Status = "trigger" | "resolve";
type Json = null | boolean | number | string | Json[] | { [name: string]: Json };

interface Request {
  /** The source's name in the gateway's configuration. */
  source: string;
  /** RFC 3339, UTC. `new Date()` is the same time. */
  received_at: string;
  method: string;
  /** The public URL of the source, with the received suffix and query. */
  url: string;
  /** Names in lower case, in the order received. */
  headers: [string, string][];
  /** The body as a value. A body that cannot be read becomes an alert that says so, unless this is caught. */
  json(): any;
  text(): string;
  /** The fields of a form in the body, or of the query. */
  form(): [string, string][];
  query(): [string, string][];
  header(name: string): string | undefined;
  headerAll(name: string): string[];
}

interface Alert {
  /** One line that a person woken at night understands. */
  title: string;
  /** Unique for this event; a repeat is dropped. By default a hash of the request. */
  event_id?: unknown;
  /** What opening and closing events have in common. */
  key?: unknown;
  /** "trigger" by default. */
  status?: Status | null;
  /** "high" by default. */
  priority?: Priority | null;
  message?: string | null;
  /** RFC 3339; the time of receipt by default. */
  occurred_at?: string | null;
  /** The place among the events of its key, where the sender numbers them. */
  order?: number | null;
  link?: string | null;
  labels?: Record<string, unknown>;
  /** The whole body by default. */
  details?: unknown;
}

type Answer =
  | Alert
  | Alert[]
  /** The reason why the request needs nobody. */
  | string
  | { alerts: Alert[] }
  | { ignored: { reason: string } }
  | { rejected: { kind: "unauthenticated" | "forbidden" | "malformed"; reason: string; help?: string } }
  | { reply: { status: number; headers: [string, string][]; body: { text: string } | { base64: string } } };

/** The function that a script has: `read`. */
type Read = (request: Request, options: Record<string, any>) => Answer | Promise<Answer>;

/** What common senders mean by a word; `otherwise` for a word that is not known. */
declare function priority(word: unknown, otherwise?: Priority): Priority | null;
declare function status(word: unknown, otherwise?: Status): Status | null;
/** Any sender's time, as RFC 3339 in UTC. */
declare function time(text: unknown, otherwise?: string): string | null;
/** The text of a field that may hold anything: a text or a number; of all else, and of blanks, nothing. */
declare function text(value: unknown): string | undefined;
/** The same, where it is a URL of a web page. */
declare function link(value: unknown): string | undefined;
/** An alert for a request that is not what its sender should send. */
declare function unreadable(request: Request, reason: string): Alert;
declare function form(text: string): [string, string][];

/** An event id for what has none of its own: the same text within 15 minutes is a repeat. */
declare function attempt(text: string): string;
declare function sha256(text: string): string;
declare function hmac(algorithm: "sha256" | "sha1", key: string, text: string, encoding?: "hex" | "base64"): string;
/** The text that base64 means, in either alphabet; `null` where it is none. */
declare function decodeBase64(text: string): string | null;
declare function timingSafeEqual(given: string, expected: string): boolean;
/** A JSON text for `details`, to the letter. */
declare function verbatim(json: string): unknown;
