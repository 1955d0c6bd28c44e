// JSON as far as a plugin needs it: read without ever trapping, and written.
//
// The packages that npm has for this end the program where the text is no JSON. A plugin reads what strangers send, so
// this answers null instead. A value knows where it stands in its text, so that it can be passed on to the letter.

export enum Kind {
  Null,
  Boolean,
  Number,
  String,
  Array,
  Object,
}

/** Deeper values are no JSON here: reading recurses, and the stack of a plugin is small. */
const MAX_DEPTH: i32 = 64;

export class Json {
  /** The members of an object; of two with one name, the last. */
  members: Map<string, Json> | null = null;
  /** The text of a string, decoded. */
  string: string = "";

  constructor(
    readonly kind: Kind,
    private source: string,
    private start: i32,
    private end: i32,
  ) {}

  /** The value that a text is; null where it is no JSON. */
  static parse(source: string): Json | null {
    const reader = new Reader(source);
    const value = reader.value(0);
    reader.space();
    return reader.at == source.length ? value : null;
  }

  /** As it is spelled. */
  get raw(): string {
    return this.source.substring(this.start, this.end);
  }

  get(name: string): Json | null {
    const members = this.members;
    return members !== null && members.has(name) ? members.get(name) : null;
  }

  /** The member's own members; none where there is no such object. */
  object(name: string): Json {
    const member = this.get(name);
    return member !== null && member.kind == Kind.Object ? member : new Json(Kind.Null, "", 0, 0);
  }

  /** A string or number as text; empty where there is none. */
  text(name: string): string {
    const member = this.get(name);
    if (member === null) return "";
    if (member.kind == Kind.String) return member.string.trim();
    return member.kind == Kind.Number ? member.raw : "";
  }
}

/**
 * A text as a JSON string. Control characters become U+FFFD, but for line ends and tabs: spelled out they take six bytes
 * each, and a body of them would outgrow the limit on an answer.
 */
export function quoted(text: string): string {
  const out = new Units(2 * text.length + 2);
  out.push(0x22);
  for (let i = 0; i < text.length; i++) {
    const code = text.charCodeAt(i);
    const short = shortEscape(code);
    if (short != 0) out.push(0x5c);
    out.push(short != 0 ? short : code < 0x20 ? 0xfffd : code);
  }
  out.push(0x22);
  return out.text();
}

/** What stands behind the backslash for a character that has an escape of two; 0 for all others. */
function shortEscape(code: i32): i32 {
  if (code == 0x22 || code == 0x5c) return code;
  if (code == 0x0a) return 0x6e;
  if (code == 0x0d) return 0x72;
  return code == 0x09 ? 0x74 : 0;
}

/** A text in the making, in one piece of memory: nothing is freed before the call ends. */
class Units {
  private units: StaticArray<u16>;
  private length: i32 = 0;

  constructor(capacity: i32) {
    this.units = new StaticArray<u16>(capacity);
  }

  push(unit: i32): void {
    this.units[this.length++] = <u16>unit;
  }

  text(): string {
    return String.UTF16.decodeUnsafe(changetype<usize>(this.units), this.length << 1);
  }
}

class Reader {
  at: i32 = 0;

  constructor(private source: string) {}

  /** The code of the next character, or -1 at the end. */
  private get next(): i32 {
    return this.at < this.source.length ? this.source.charCodeAt(this.at) : -1;
  }

  private take(code: i32): bool {
    if (this.next != code) return false;
    this.at++;
    return true;
  }

  space(): void {
    while (this.next == 0x20 || this.next == 0x0a || this.next == 0x0d || this.next == 0x09) this.at++;
  }

  value(depth: i32): Json | null {
    this.space();
    if (depth > MAX_DEPTH) return null;
    switch (this.next) {
      case 0x7b: // {
        return this.object(depth);
      case 0x5b: // [
        return this.array(depth);
      case 0x22: // "
        return this.string();
      case 0x74: // t
        return this.word("true", Kind.Boolean);
      case 0x66: // f
        return this.word("false", Kind.Boolean);
      case 0x6e: // n
        return this.word("null", Kind.Null);
      default:
        return this.number();
    }
  }

  private object(depth: i32): Json | null {
    const start = this.at++;
    const members = new Map<string, Json>();
    this.space();
    if (!this.take(0x7d)) {
      do {
        this.space();
        const name = this.next == 0x22 ? this.string() : null;
        if (name === null) return null;
        this.space();
        const value = this.take(0x3a) ? this.value(depth + 1) : null;
        if (value === null) return null;
        members.set(name.string, value);
        this.space();
      } while (this.take(0x2c));
      if (!this.take(0x7d)) return null;
    }
    const object = this.made(Kind.Object, start);
    object.members = members;
    return object;
  }

  /** Nobody asks for an item, so there is only where the array stands. */
  private array(depth: i32): Json | null {
    const start = this.at++;
    this.space();
    if (!this.take(0x5d)) {
      do {
        if (this.value(depth + 1) === null) return null;
        this.space();
      } while (this.take(0x2c));
      if (!this.take(0x5d)) return null;
    }
    return this.made(Kind.Array, start);
  }

  private word(word: string, kind: Kind): Json | null {
    const start = this.at;
    if (!this.source.startsWith(word, start)) return null;
    this.at += word.length;
    return this.made(kind, start);
  }

  private number(): Json | null {
    const start = this.at;
    this.take(0x2d);
    const zero = this.next == 0x30;
    const digits = this.digits();
    if (digits == 0 || (zero && digits > 1)) return null;
    if (this.take(0x2e) && this.digits() == 0) return null;
    if (this.take(0x65) || this.take(0x45)) {
      if (!this.take(0x2b)) this.take(0x2d);
      if (this.digits() == 0) return null;
    }
    return this.made(Kind.Number, start);
  }

  private digits(): i32 {
    const start = this.at;
    while (this.next >= 0x30 && this.next <= 0x39) this.at++;
    return this.at - start;
  }

  private string(): Json | null {
    const start = this.at++;
    const end = this.closing();
    if (end < 0) return null;
    // Most have no escape, and are what they are spelled.
    let text = this.source.substring(this.at, end);
    if (text.includes("\\")) {
      const decoded = new Units(end - this.at);
      while (this.at < end) {
        let unit = this.source.charCodeAt(this.at++);
        if (unit == 0x5c) unit = this.escape();
        if (unit < 0) return null;
        decoded.push(unit);
      }
      text = decoded.text();
    }
    this.at = end + 1;
    const string = this.made(Kind.String, start);
    string.string = text;
    return string;
  }

  /** Where the quote stands that ends a string; -1 where there is none, or what may not stand before it. */
  private closing(): i32 {
    for (let i = this.at; i < this.source.length; i++) {
      const code = this.source.charCodeAt(i);
      if (code == 0x22) return i;
      if (code < 0x20) return -1;
      if (code == 0x5c) i++;
    }
    return -1;
  }

  /** What an escape means, behind its backslash; -1 where it means nothing. */
  private escape(): i32 {
    const code = this.next;
    this.at++;
    switch (code) {
      case 0x22:
      case 0x5c:
      case 0x2f:
        return code;
      case 0x62:
        return 0x08;
      case 0x66:
        return 0x0c;
      case 0x6e:
        return 0x0a;
      case 0x72:
        return 0x0d;
      case 0x74:
        return 0x09;
      case 0x75:
        return this.hex();
      default:
        return -1;
    }
  }

  /** Four hex digits. */
  private hex(): i32 {
    let code = 0;
    for (let i = 0; i < 4; i++) {
      const digit = this.next;
      this.at++;
      if (digit >= 0x30 && digit <= 0x39) code = code * 16 + digit - 0x30;
      else if ((digit | 0x20) >= 0x61 && (digit | 0x20) <= 0x66) code = code * 16 + (digit | 0x20) - 0x57;
      else return -1;
    }
    return code;
  }

  private made(kind: Kind, start: i32): Json {
    return new Json(kind, this.source, start, this.at);
  }
}
