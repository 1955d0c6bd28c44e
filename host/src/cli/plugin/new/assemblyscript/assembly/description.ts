// What the plugin says of itself. The gateway checks the settings against the schema before `read` sees any.

import { quoted } from "./json";

const SETTINGS = `{
  "type": "object",
  "additionalProperties": false,
  "properties": {
    "priority": {
      "description": "How urgent an event is that does not say so itself.",
      "enum": ["critical", "high", "medium", "low"],
      "default": "medium"
    }
  }
}`;

const SETUP = `1. In the sender's settings, add a webhook with the URL \`{url}\`, by POST and as JSON.
2. Have it send the header \`Authorization: Bearer <token>\`, with the \`token\` of this source.
`;

export function description(): string {
  return (
    '{"contract":1,"name":"my-plugin","version":"0.1.0","summary":"Reads the requests of my-plugin.","settings":' +
    SETTINGS + ',"setup":' + quoted(SETUP) + "}"
  );
}
