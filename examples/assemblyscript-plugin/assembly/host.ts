// What goes in and out: the only file that knows Extism.

import { Host, Memory } from "@extism/as-pdk";
import { error_set } from "@extism/as-pdk/lib/env";

export function input(): string {
  return Host.inputString();
}

/** Not the PDK's `outputString`: that takes a text's length in UTF-16 for its bytes in UTF-8, and so cuts every `ä`. */
export function output(text: string): void {
  Host.output(bytes(text));
}

/**
 * Where AssemblyScript ends when an assertion fails. By default it imports `env.abort`, which the gateway does not offer;
 * asconfig.json names this instead. The message is left as the call's error, so that the operator reads it in the log.
 */
export function abort(message: string | null, file: string | null, line: u32, column: u32): void {
  const what = message === null ? "aborted" : message;
  const where = file === null ? "" : ", " + file + ":" + line.toString() + ":" + column.toString();
  error_set(Memory.allocateBytes(bytes(what + where)).offset);
  unreachable();
}

/** UTF-8. Half a surrogate pair, which JSON can spell and UTF-8 cannot, becomes U+FFFD. */
function bytes(text: string): Uint8Array {
  return Uint8Array.wrap(String.UTF8.encode(text, false, String.UTF8.ErrorMode.REPLACE));
}
