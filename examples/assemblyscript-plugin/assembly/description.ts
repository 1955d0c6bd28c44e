// What the plugin says of itself. The gateway checks the settings against the schema before `read` sees any.

import { quoted } from "./json";

const SETTINGS = `{
  "type": "object",
  "additionalProperties": false,
  "properties": {
    "priority": {
      "description": "How urgent it is that something is down.",
      "enum": ["critical", "high", "medium", "low"],
      "default": "high"
    },
    "dashboard": {
      "description": "Where Uptime Kuma is reached, as in \\"https://kuma.example.com\\": alerts then link to their monitor.",
      "type": "string",
      "pattern": "^https?://[^/]"
    }
  }
}`;

const SETUP = `1. In Uptime Kuma, *Settings → Notifications → Setup Notification*, type *Webhook*.
2. *Post URL*: {url}
3. *Request Body*: the preset application/json.
4. *Additional Headers*, with the token of this source: { "Authorization": "Bearer …" }
5. *Test*: it opens an alert of low priority that says so.
`;

export function description(): string {
  return (
    '{"contract":1,"name":"uptime-kuma","version":"0.1.0","summary":' +
    quoted("Reads Uptime Kuma's webhook: what is down opens an alert, what is up again closes it.") +
    ',"settings":' + SETTINGS + ',"authenticates":false,"setup":' + quoted(SETUP) + "}"
  );
}
