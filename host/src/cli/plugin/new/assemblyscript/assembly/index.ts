// The two exports of the contract. Both answer JSON, and 0 for success.

import { input, output } from "./host";
import { description } from "./description";
import { answer } from "./plugin";

export function describe(): i32 {
  output(description());
  return 0;
}

export function read(): i32 {
  output(answer(input()));
  return 0;
}
