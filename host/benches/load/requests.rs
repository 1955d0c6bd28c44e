//! Distinct requests, each signed as Twilio does, prepared before the clock runs.

use std::io::Write;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};

use plugin_sdk::signature::hmac_sha1;
use tokio::net::TcpListener;

use super::{ANY_PORT, TOKEN};

/// No program takes more than this in a second on two processors; one that did would be sent
/// requests for a second time, and opens no alert for these.
const PER_SECOND: u64 = 30_000;
/// The token that signs them.
pub const AUTH_TOKEN: &str = "12345";
/// The secret that a stranger signs with.
const GUESSED_TOKEN: &str = "54321";
/// The sources of the configuration: the first is measured and flooded, the second sends calmly
/// meanwhile.
pub const SOURCES: [&str; 2] = ["twilio", "calm"];
/// The media type of a form, as Twilio writes it.
pub const FORM: &str = "application/x-www-form-urlencoded; charset=utf-8";
/// The body that Twilio's documentation shows: 768 bytes.
const BODY: &str = include_str!("../../../plugins/twilio-errors/tests/data/docs_11200.form");
/// The event's id in it, for which each request has its own, of the same length.
const SID: &str = "NOxxxxx";

/// The files for `wrk`.
pub struct Script {
    pub lua: PathBuf,
    pub count: u64,
}

/// Writes the requests to a source one after the other, and a script that sends them in order.
pub fn write(folder: &Path, source: &str, seconds: u64) -> Script {
    write_signed(folder, source, seconds, AUTH_TOKEN, None)
}

/// As [`write`], signed by someone who does not know the token.
pub fn write_forged(folder: &Path, source: &str, seconds: u64) -> Script {
    write_signed(folder, source, seconds, GUESSED_TOKEN, None)
}

/// As [`write`], with a pause of so many milliseconds before each request of a connection.
pub fn write_paced(folder: &Path, source: &str, seconds: u64, pause_ms: u64) -> Script {
    write_signed(folder, source, seconds, AUTH_TOKEN, Some(pause_ms))
}

fn write_signed(
    folder: &Path,
    source: &str,
    seconds: u64,
    token: &str,
    pause_ms: Option<u64>,
) -> Script {
    let script = write_each(folder, source, seconds, |number| {
        signed(source, number, token)
    });
    if let Some(pause_ms) = pause_ms {
        let mut lua = std::fs::OpenOptions::new()
            .append(true)
            .open(&script.lua)
            .expect("the script");
        writeln!(lua, "function delay() return {pause_ms} end").expect("room on the disk");
    }
    script
}

/// The event of this number for a source, signed as Twilio does.
pub fn signed(source: &str, number: u64, token: &str) -> String {
    let body = body(number);
    let signature = signature(source, &body, token);
    let headers = format!(
        "User-Agent: TwilioProxy/1.1\r\nAccept: */*\r\n\
         I-Twilio-Idempotency-Token: 7c2a5a3e-6d8f-4f0e-9d57-4f3f0b7c1a55\r\nX-Twilio-Signature: {signature}\r\n"
    );
    post(&format!("/in/{source}"), FORM, &headers, &body)
}

/// The body of a request, with an event's id of its own.
pub fn body(number: u64) -> String {
    BODY.trim_end().replace(SID, &format!("NO{number:05x}"))
}

/// A request that wrk sends as it is. `headers` are whole lines.
pub fn post(path: &str, media_type: &str, headers: &str, body: &str) -> String {
    format!(
        "POST {path} HTTP/1.1\r\nHost: alerts.example.com\r\nContent-Type: {media_type}\r\nContent-Length: {}\r\n\
         {headers}\r\n{body}",
        body.len(),
    )
}

/// Writes the requests that `request` makes, all of one length, and a script that sends them in
/// order.
pub fn write_each(
    folder: &Path,
    name: &str,
    seconds: u64,
    request: impl Fn(u64) -> String,
) -> Script {
    let count = seconds * PER_SECOND;
    let path = folder.join(name);
    let mut file = std::io::BufWriter::new(std::fs::File::create(&path).expect("a file"));
    let mut request_bytes = 0;
    for number in 0..count {
        let request = request(number);
        request_bytes = request.len();
        file.write_all(request.as_bytes())
            .expect("room on the disk");
    }
    file.flush().expect("room on the disk");
    let lua = path.with_extension("lua");
    std::fs::write(&lua, script(&path, count, request_bytes)).expect("room on the disk");
    Script { lua, count }
}

fn script(requests: &Path, count: u64, bytes: usize) -> String {
    format!(
        "local next, count, bytes = 0, {count}, {bytes}
local requests
function init()
  requests = io.open({requests:?}, 'rb'):read('*a')
end
function request()
  local start = (next % count) * bytes
  next = next + 1
  return requests:sub(start + 1, start + bytes)
end
function done(summary, latency)
  local failed = summary.errors.status
  print('figures ' .. table.concat({{summary.requests, failed, summary.duration, latency:percentile(50), latency:percentile(99)}}, ' '))
end
"
    )
}

/// Signs the URL, then each field's name and value, by name.
fn signature(source: &str, body: &str, token: &str) -> String {
    let mut fields: Vec<_> = form_urlencoded::parse(body.as_bytes()).collect();
    fields.sort();
    let mut signed = format!("https://alerts.example.com/in/{source}");
    for (name, value) in fields {
        signed.push_str(&name);
        signed.push_str(&value);
    }
    hmac_sha1(token.as_bytes(), &[signed.as_bytes()]).base64()
}

/// A configuration for the gateway, as an operator would write it.
pub fn configuration(data: &Path, itoc360: &str, memory: &str) -> PathBuf {
    configuration_of(&SOURCES, data, itoc360, memory)
}

/// As [`configuration`], with these sources.
pub fn configuration_of(
    sources: &[impl AsRef<str>],
    data: &Path,
    itoc360: &str,
    memory: &str,
) -> PathBuf {
    let sources = sources.iter().map(|source| {
        format!(
            "[sources.{}]\nplugin = 'twilio-errors'\ndestination = 'itoc360'\n\
             settings = {{ auth_token = '{AUTH_TOKEN}' }}\n",
            source.as_ref()
        )
    });
    std::fs::create_dir_all(data).expect("a folder");
    let path = data.join("gateway.toml");
    let text = format!(
        "[gateway]\nlisten = '127.0.0.1:0'\nadmin = 'off'\npublic_url = 'https://alerts.example.com'\ndata_dir = 'data'\nmemory = '{memory}'\n\
         [destinations.itoc360]\nkind = 'itoc360'\nurl = '{itoc360}'\ntoken = '{TOKEN}'\n\
         {}",
        sources.collect::<String>()
    );
    std::fs::write(&path, text).expect("room on the disk");
    path
}

/// Gives a configuration an admin listener, and returns its address.
pub async fn admit(config: &Path) -> SocketAddr {
    let free = TcpListener::bind(ANY_PORT).await.expect("a port");
    let admin = free.local_addr().expect("an address");
    let text = std::fs::read_to_string(config).expect("the configuration");
    let text = text.replace("admin = 'off'", &format!("admin = '{admin}'"));
    std::fs::write(config, text).expect("room on the disk");
    admin
}

/// Adds a table to a configuration.
pub fn add(config: &Path, table: &str) {
    let mut file = std::fs::OpenOptions::new()
        .append(true)
        .open(config)
        .expect("the configuration");
    file.write_all(table.as_bytes()).expect("room on the disk");
}
