//! The pages of the admin listener, as a browser asks for them: roles, logins, forms, escaping,
//! paging and sizes.

use std::cell::Cell;

use hyper::Method;
use itoc360_double::Reply;
use serde_json::json;

use crate::harness::{Answer, Gateway, Itoc360, Place, Setup, plugin, twilio, until};

const TOKEN: &str = "admin-token-4f1c9a7e2b";
const USERS: &str = "[[admin.users]]\nname = \"kim\"\nrole = \"operator\"\ntoken = \"kims-token-8c2d91f0a3\"\n\
                     [[admin.users]]\nname = \"lee\"\nrole = \"viewer\"\ntoken = \"lees-token-77ab01c9e4\"\n";
/// What a script would begin with, if it were let in.
const HOSTILE: &str = "\"><script>alert('x')</script><img src=x onerror=alert(1)>&amp;'";
/// The most bytes of a page, whose stylesheet and script are loaded with it: 60 KB for all.
const LARGEST: usize = 60 * 1024
    - include_str!("../host/src/admin/pages/style.css").len()
    - include_str!("../host/src/admin/pages/live.js").len();
const PAGES: [&str; 9] = [
    "/",
    "/events",
    "/dead-letters",
    "/sources",
    "/sources/twilio",
    "/destinations",
    "/mutes",
    "/configuration",
    "/audit",
];

/// A browser with its cookie.
struct Browser<'g> {
    gateway: &'g Gateway,
    cookie: String,
}

impl<'g> Browser<'g> {
    fn new(gateway: &'g Gateway) -> Self {
        Self {
            gateway,
            cookie: String::new(),
        }
    }

    /// One that has logged in.
    async fn of(gateway: &'g Gateway, name: &str, secret: &str) -> Self {
        let mut browser = Self::new(gateway);
        let answer = browser.log_in(name, secret, "/").await;
        assert_eq!(answer.status, 303, "{}", answer.body);
        browser
    }

    async fn log_in(&mut self, name: &str, secret: &str, next: &str) -> Answer {
        let form = self.get("/login").await;
        let csrf = field(&form.body, "csrf").to_owned();
        let fields = [
            ("csrf", &*csrf),
            ("name", name),
            ("secret", secret),
            ("next", next),
        ];
        let answer = self.post("/login", &fields).await;
        if let Some(cookie) = answer.headers.get("set-cookie") {
            let cookie = cookie.to_str().unwrap();
            self.cookie = cookie.split(';').next().unwrap().to_owned();
        }
        answer
    }

    async fn ask(&self, method: Method, path: &str, more: &[(&str, &str)], body: &str) -> Answer {
        let mut headers = vec![("accept", "text/html,application/xhtml+xml")];
        if !self.cookie.is_empty() {
            headers.push(("cookie", &self.cookie));
        }
        headers.extend(more);
        self.gateway.admin_with(method, path, &headers, body).await
    }

    async fn get(&self, path: &str) -> Answer {
        self.ask(Method::GET, path, &[], "").await
    }

    async fn page(&self, path: &str) -> String {
        let answer = self.get(path).await;
        assert_eq!(answer.status, 200, "{path}: {}", answer.body);
        answer.body
    }

    async fn post(&self, path: &str, fields: &[(&str, &str)]) -> Answer {
        let origin = format!("http://{}", self.gateway.admin);
        let headers = [
            ("origin", origin.as_str()),
            ("content-type", "application/x-www-form-urlencoded"),
        ];
        let mut form = form_urlencoded::Serializer::new(String::new());
        form.extend_pairs(fields);
        self.ask(Method::POST, path, &headers, &form.finish()).await
    }

    /// Submits a form with the token that the pages of this browser carry.
    async fn submit(&self, path: &str, fields: &[(&str, &str)]) -> Answer {
        let page = self.page("/mutes").await;
        let csrf = field(&page, "csrf").to_owned();
        let mut fields = fields.to_vec();
        fields.push(("csrf", &csrf));
        self.post(path, &fields).await
    }
}

/// The value of the first field of this name in a page.
#[track_caller]
fn field<'p>(page: &'p str, name: &str) -> &'p str {
    let (_, rest) = page
        .split_once(&format!("name=\"{name}\" value=\""))
        .unwrap_or_else(|| panic!("there is no field {name} in {page}"));
    rest.split_once('"').unwrap().0
}

async fn guarded(itoc360: &Itoc360) -> (Place, Gateway) {
    let setup = Setup::new(itoc360).gateway(&format!("admin_token = \"{TOKEN}\"\n{USERS}"));
    setup.start().await
}

#[tokio::test]
async fn reload_ends_sessions_of_changed_credentials() {
    let itoc360 = Itoc360::alertmanager().await;
    let (place, gateway) = guarded(&itoc360).await;
    let kim = Browser::of(&gateway, "kim", "kims-token-8c2d91f0a3").await;
    let lee = Browser::of(&gateway, "lee", "lees-token-77ab01c9e4").await;
    let admin = Browser::of(&gateway, "", TOKEN).await;
    let before = std::fs::read_to_string(place.config()).unwrap();
    let after = before
        .replace("kims-token-8c2d91f0a3", "kims-other-token-51")
        .replace(
            "[[admin.users]]\nname = \"lee\"",
            "[[admin.users]]\nname = \"ann\"\nrole = \"viewer\"\ntoken = \"anns-token-0f3b7799\"\n\
             [[admin.users]]\nname = \"lee\"",
        );
    place.write(
        "gateway.toml",
        after.replace(TOKEN, "another-admin-token-9"),
    );
    let reloaded = place.run(&["reload"]).await;
    assert_eq!(reloaded.code, Some(0), "{reloaded:?}");
    for gone in [&kim, &admin] {
        assert_eq!(gone.get("/mutes").await.status, 303);
    }
    assert!(lee.page("/").await.contains("lee, viewer"));
    Browser::of(&gateway, "ann", "anns-token-0f3b7799").await;
    for (token, status) in [
        (TOKEN, 403),
        ("another-admin-token-9", 200),
        ("kims-token-8c2d91f0a3", 403),
        ("kims-other-token-51", 200),
    ] {
        let bearer = format!("Bearer {token}");
        let headers = [("authorization", &*bearer)];
        let answer = gateway
            .admin_with(Method::GET, "/api/v1/sources", &headers, "")
            .await;
        assert_eq!(answer.status, status, "{token}");
    }
}

#[tokio::test]
async fn browser_without_a_session_is_led_to_the_login_and_back() {
    let itoc360 = Itoc360::alertmanager().await;
    let (_place, gateway) = guarded(&itoc360).await;
    let mut browser = Browser::new(&gateway);
    for path in PAGES {
        let answer = browser.get(path).await;
        assert_eq!(answer.status, 303, "{path}");
        assert!(answer.header("location").starts_with("/login?next="));
    }
    let next = "/events?q=a%20b";
    let led = browser.get(next).await;
    let login = browser.get(led.header("location")).await;
    assert_eq!((login.status, field(&login.body, "next")), (200, next));
    for (name, secret) in [("", "wrong"), ("kim", ""), ("lee", "kims-token-8c2d91f0a3")] {
        let refused = browser.log_in(name, secret, next).await;
        assert_eq!(refused.status, 403, "{name}");
        assert!(browser.cookie.is_empty());
    }
    let answer = browser.log_in("kim", "kims-token-8c2d91f0a3", next).await;
    assert_eq!((answer.status, answer.header("location")), (303, next));
    let cookie = answer.header("set-cookie");
    for word in ["HttpOnly", "SameSite=Strict", "Path=/", "Max-Age=43200"] {
        assert!(cookie.contains(word), "{cookie}");
    }
    assert!(browser.page("/").await.contains("kim, operator"));
    // Where a link of another site leads here, the cookie stays behind at first.
    let foreign = [
        ("sec-fetch-site", "cross-site"),
        ("sec-fetch-mode", "navigate"),
        ("sec-fetch-dest", "document"),
    ];
    let stranger = Browser::new(&gateway);
    let doorway = stranger.ask(Method::GET, next, &foreign, "").await;
    assert_eq!(doorway.status, 200);
    assert!(
        doorway.body.contains("url=/events?q=a%20b"),
        "{}",
        doorway.body
    );
    let led = browser.log_in("", TOKEN, "//evil.example/").await;
    assert_eq!(led.header("location"), "/");

    let csrf = field(&browser.page("/").await, "csrf").to_owned();
    let stays = browser.post("/logout", &[("csrf", "x")]).await;
    assert_eq!(stays.status, 403);
    let out = browser.post("/logout", &[("csrf", &csrf)]).await;
    assert_eq!((out.status, out.header("location")), (303, "/login"));
    assert_eq!(browser.get("/").await.status, 303, "the session has ended");
    // A program is told so in its own language.
    let refused = gateway.admin(Method::GET, "/api/v1/events").await;
    assert_eq!(refused.status, 401);
    let limited = gateway.stop().await;
    assert!(limited.stderr.contains("wrong_login") || limited.stdout.contains("wrong_login"));
}

#[tokio::test]
async fn guesses_at_a_login_are_slowed_down() {
    let itoc360 = Itoc360::alertmanager().await;
    let (_place, gateway) = guarded(&itoc360).await;
    let mut browser = Browser::new(&gateway);
    let mut last = None;
    for number in 0..20 {
        last = Some(browser.log_in("kim", &format!("guess-{number}"), "/").await);
        if last.as_ref().is_some_and(|answer| answer.status == 429) {
            break;
        }
    }
    let last = last.unwrap();
    assert_eq!(last.status, 429);
    assert!(last.header("retry-after").parse::<u64>().unwrap() >= 1);
    let right = browser.log_in("kim", "kims-token-8c2d91f0a3", "/").await;
    assert_eq!(right.status, 429, "the right one waits as well");
    // Sessions, and programs with a token, notice nothing.
    let token = format!("Bearer {TOKEN}");
    let asked = [("authorization", token.as_str())];
    let answer = gateway
        .admin_with(Method::GET, "/api/v1/nodes", &asked, "")
        .await;
    assert_eq!(answer.status, 200);
}

#[tokio::test]
async fn viewer_reads_and_only_operator_acts() {
    let itoc360 = Itoc360::alertmanager().await;
    let (place, gateway) = guarded(&itoc360).await;
    let sid = twilio::sid(1);
    let id = gateway.accept(&twilio::error(&sid).to("twilio")).await;
    place.event_in_state(&id, "delivered").await;
    let viewer = Browser::of(&gateway, "lee", "lees-token-77ab01c9e4").await;
    let operator = Browser::of(&gateway, "kim", "kims-token-8c2d91f0a3").await;
    let mute = [
        ("when", "source=elsewhere title=\"a *\""),
        ("for", "1h"),
        ("why", "a test"),
    ];
    let page = viewer.page("/mutes").await;
    assert!(!page.contains("/mutes/add") && page.contains("this needs the role operator"));
    assert_eq!(viewer.submit("/mutes/add", &mute).await.status, 403);
    let event = viewer.page(&format!("/events/{sid}")).await;
    assert!(event.contains("It went out: itoc360 has it"), "{event}");
    assert!(!event.contains("/events/resolve"));
    let open = format!("<a href=\"/events/{}\">", id.replace('-', "%2D"));
    let now = viewer.page("/").await;
    assert!(now.contains(&open), "{now}");

    let made = operator.submit("/mutes/add", &mute).await;
    assert_eq!(
        (made.status, made.header("location")),
        (303, "/mutes?did=mute&n=1")
    );
    let told = operator.page("/mutes?did=mute&n=1").await;
    assert!(told.contains("The mute holds within a second"));
    assert!(told.contains("source=elsewhere title=a *"), "{told}");
    let ended = operator.submit("/mutes/end", &[("id", "1")]).await;
    assert_eq!(ended.status, 303);
    let resolved = operator
        .submit("/events/resolve", &[("id", &id), ("reason", "by hand")])
        .await;
    assert_eq!(resolved.status, 303, "{}", resolved.body);
    let again = operator.submit("/events/resolve", &[("id", &id)]).await;
    assert_eq!(again.status, 409);
    assert!(again.body.contains("an operator has resolved it before"));
    until("the alert is open no more", async || {
        let now = viewer.page("/").await;
        (!now.contains(&open) && now.contains("None of the newest alerts is open")).then_some(())
    })
    .await;

    // A test of a way is drawn hop by hop.
    let sources = viewer.page("/sources/twilio").await;
    assert!(!sources.contains("action=\"/test\""), "{sources}");
    let way = [("kind", "destinations"), ("name", "itoc360")];
    assert_eq!(viewer.submit("/test", &way).await.status, 403);
    assert!(
        operator
            .page("/destinations")
            .await
            .contains("action=\"/test\"")
    );
    let tested = operator.submit("/test", &way).await;
    assert_eq!(tested.status, 200, "{}", tested.body);
    assert!(tested.body.contains("The way works"), "{}", tested.body);
    let way = [("kind", "sources"), ("name", "twilio"), ("local", "yes")];
    let tested = operator.submit("/test", &way).await;
    assert!(tested.body.contains("The way works"), "{}", tested.body);
    let nothing = [("kind", "sources"), ("name", "<b>nope")];
    let nothing = operator.submit("/test", &nothing).await;
    assert_eq!(nothing.status, 404);
    assert!(!nothing.body.contains("<b>"), "{}", nothing.body);

    // The own token, the own origin, the own session: each is asked for.
    let own = field(&operator.page("/mutes").await, "csrf").to_owned();
    let foreign = field(&viewer.page("/mutes").await, "csrf").to_owned();
    let fields = |csrf| [("csrf", csrf), ("id", "1")];
    for csrf in ["", "x", &foreign] {
        let refused = operator.post("/mutes/end", &fields(csrf)).await;
        assert_eq!(refused.status, 403, "{csrf}");
    }
    let form = format!("csrf={own}&id=1");
    let media_type = ("content-type", "application/x-www-form-urlencoded");
    for origin in [None, Some("https://evil.example"), Some("null")] {
        let headers: Vec<_> = origin
            .map(|origin| ("origin", origin))
            .into_iter()
            .chain([media_type])
            .collect();
        let refused = operator
            .ask(Method::POST, "/mutes/end", &headers, &form)
            .await;
        assert_eq!(refused.status, 403, "{origin:?}");
    }
    assert_eq!(operator.get("/mutes/end").await.status, 405);

    let audit = viewer.page("/audit").await;
    for word in ["kim", "127.0.0.1", "a test", "by hand", "unmute"] {
        assert!(audit.contains(word), "{word}: {audit}");
    }
    assert!(!audit.contains("lee</td>"));
}

#[tokio::test]
async fn dead_letters_are_previewed_before_they_are_dismissed() {
    let itoc360 = Itoc360::alertmanager().await;
    let broken = plugin::hostile("(unreachable)");
    let (place, gateway) = Setup::new(&itoc360)
        .gateway(&format!("admin_token = \"{TOKEN}\""))
        .plugin("broken", &broken, "")
        .start()
        .await;
    let mut ids = Vec::new();
    for _ in 0..3 {
        let answer = gateway.post(&plugin::alerts("broken", &[])).await;
        ids.push(answer.json()["request"].as_str().unwrap().to_owned());
    }
    let operator = Browser::of(&gateway, "", TOKEN).await;
    let page = operator.page("/dead-letters").await;
    assert!(ids.iter().all(|id| page.contains(id)) && page.contains("3"));
    let fields = [
        ("what", "failed"),
        ("do", "dismiss"),
        ("id", &*ids[0]),
        ("reason", "a try"),
    ];
    let preview = operator.submit("/act", &fields).await;
    assert_eq!(preview.status, 200, "{}", preview.body);
    assert!(
        preview.body.contains("Dismiss 1 request?")
            && preview.body.contains("no alert is made of it")
    );
    assert_eq!(
        place.event(&ids[0]).await["state"],
        "failed",
        "nothing was done yet"
    );
    let none = operator
        .submit("/act", &[("what", "failed"), ("do", "replay")])
        .await;
    assert_eq!(none.status, 400);
    let all = [("what", "failed"), ("do", "dismiss-all"), ("reason", "all")];
    let preview = operator.submit("/act", &all).await;
    assert!(
        preview.body.contains("Dismiss 3 requests?"),
        "{}",
        preview.body
    );
    let confirmed = [all.as_slice(), &[("confirmed", "yes")]].concat();
    let done = operator.submit("/act", &confirmed).await;
    assert_eq!(done.header("location"), "/dead-letters?did=dismiss&n=3");
    for id in &ids {
        until("it is dismissed", async || {
            (place.event(id).await["state"] == "dismissed").then_some(())
        })
        .await;
    }
    let page = operator.page(&format!("/events/{}", ids[0])).await;
    assert!(page.contains("The request was dismissed"), "{page}");
}

#[tokio::test]
async fn nothing_from_the_network_is_taken_for_markup() {
    let itoc360 = Itoc360::alertmanager().await;
    let (place, gateway) = Setup::new(&itoc360)
        .plugin("odd", &plugin::parrot(), "")
        .start()
        .await;
    let alert = json!({
        "event_id": HOSTILE,
        "key": HOSTILE,
        "priority": "high",
        "title": HOSTILE,
        "message": HOSTILE.repeat(20),
        "link": "javascript:alert(1)",
        "labels": { "name": HOSTILE },
    });
    let post = plugin::alerts("odd", &[alert]).header("X-Odd", HOSTILE);
    let id = gateway.accept(&post).await;
    place.event_in_state(&id, "delivered").await;
    gateway
        .post(&twilio::unsigned(
            "/in/twillio?a=%3Cscript%3Ealert(1)%3C/script%3E",
            "a",
        ))
        .await;
    let path = "/in/twilio?token=%22%3E%3Cscript%3Ealert(1)%3C/script%3E";
    gateway.post(&twilio::unsigned(path, "a")).await;

    let browser = Browser::new(&gateway);
    let encoded = form_urlencoded::byte_serialize(HOSTILE.as_bytes()).collect::<String>();
    let event = percent(HOSTILE);
    let mut pages: Vec<String> = PAGES.iter().map(ToString::to_string).collect();
    pages.extend([
        format!("/events/{id}"),
        format!("/events/{event}"),
        "/sources/odd".to_owned(),
        format!("/sources/{event}"),
        format!("/events?q={encoded}&source={encoded}"),
        format!("/events?label=name%3D{encoded}&state=delivered"),
        format!("/events?state={encoded}&cursor={encoded}"),
        format!("/mutes?when={encoded}"),
        format!("/{event}"),
        format!("/?did={encoded}&n=1"),
        "/events?state=rejected".to_owned(),
    ]);
    for path in pages {
        let answer = browser.get(&path).await;
        let page = &answer.body;
        assert!(page.starts_with("<!DOCTYPE html>"), "{path}: {page}");
        assert_eq!(page.matches("<script").count(), 1, "{path}: {page}");
        for markup in [
            "<img",
            "onerror=alert(1)>",
            "javascript:",
            "href=\"javascript",
        ] {
            assert!(!page.contains(markup), "{path} has {markup}: {page}");
        }
        let policy = answer.header("content-security-policy");
        assert!(
            policy.contains("default-src 'none'") && !policy.contains("unsafe"),
            "{policy}"
        );
        assert!(page.len() <= LARGEST, "{path} has {} bytes", page.len());
        assert!(!page.contains(" style="), "{path}");
    }
    let found = browser
        .page(&format!("/events?label=name%3D{encoded}"))
        .await;
    assert!(
        found.contains(&id) || found.contains("&lt;script&gt;"),
        "{found}"
    );
}

/// Every byte of a text, as a path has it.
fn percent(text: &str) -> String {
    text.bytes().map(|byte| format!("%{byte:02X}")).collect()
}

#[tokio::test]
async fn long_lists_and_texts_stay_within_the_size_of_a_page() {
    let itoc360 = Itoc360::alertmanager().await;
    let mut setup = Setup::new(&itoc360).plugin("odd", &plugin::parrot(), "");
    for number in 0..60 {
        setup = setup.twilio(&format!("account-number-{number:03}"));
    }
    let (place, gateway) = setup.start().await;
    let long = |number: usize| {
        let labels: serde_json::Map<_, _> = (0..15)
            .map(|label| (format!("l{label}"), "\"".repeat(60).into()))
            .collect();
        let title = format!("{number} {}", "&".repeat(400));
        json!({ "event_id": number.to_string(), "priority": "low", "title": title,
                "message": "<".repeat(3000), "labels": labels })
    };
    let mut last = String::new();
    for request in 0..12 {
        let alerts: Vec<_> = (0..10).map(|number| long(10 * request + number)).collect();
        let answer = gateway.post(&plugin::alerts("odd", &alerts)).await;
        assert_eq!(answer.json()["accepted"], 10, "{}", answer.body);
        answer.json()["request"]
            .as_str()
            .unwrap()
            .clone_into(&mut last);
    }
    let browser = Browser::new(&gateway);
    let sizes = async |path: &str| {
        let page = browser.page(path).await;
        eprintln!("{path} has {} bytes of {LARGEST}", page.len());
        page
    };
    for path in PAGES {
        sizes(path).await;
    }
    sizes(&format!("/events/{last}")).await;
    assert!(sizes("/sources?page=2").await.contains("account-number-0"));
    assert!(
        sizes("/sources?q=number-059")
            .await
            .contains("account-number-059")
    );
    // Every event is on one page, and on no other.
    let mut seen = std::collections::BTreeSet::new();
    let mut path = "/events?source=odd".to_owned();
    loop {
        let page = sizes(&path).await;
        let links = page.split("href=\"/events/").skip(1);
        for link in links.map(|rest| rest.split('"').next().unwrap().to_owned()) {
            assert!(seen.insert(link.clone()), "{link} twice");
        }
        match page.split_once("rel=\"next\" href=\"") {
            Some((_, rest)) => path = rest.split('"').next().unwrap().replace("&amp;", "&"),
            None => break,
        }
    }
    assert_eq!(seen.len(), 120);
    for name in ["/style.css", "/live.js", "/icon.svg"] {
        let file = browser.get(name).await;
        assert_eq!(file.status, 200);
        assert!(
            file.body.len() < 20 * 1024,
            "{name} has {} bytes",
            file.body.len()
        );
    }
    drop(place);
}

#[tokio::test]
async fn full_pages_stay_within_the_size_of_a_page() {
    let itoc360 = Itoc360::alertmanager().await;
    let long = "<&\"".repeat(200);
    let said = long.clone();
    itoc360.answers(move |_| Reply::error(422, &said));
    let name = |number: usize| format!("destination-of-a-long-name-{number:02}");
    let mut setup = Setup::new(&itoc360).gateway(&format!("admin_token = \"{TOKEN}\""));
    for number in 0..30 {
        setup = setup.destination(&name(number), &itoc360);
        let lines = "plugin = \"twilio-errors\"\nsettings.auth_token = \"a-token-of-no-account\"\n\
                     expect_every = \"1h\"";
        setup = setup.source(&format!("source-{number:02}"), lines);
    }
    let all: Vec<_> = (0..14).map(name).collect();
    let broken = plugin::hostile("(unreachable)");
    let (place, gateway) = setup
        .plugin(
            "odd",
            &plugin::parrot(),
            &format!("rules = [{{ when = {{ source = \"odd\" }}, destination = {all:?} }}]"),
        )
        .plugin("broken", &broken, "")
        .start()
        .await;
    let operator = Browser::of(&gateway, "", TOKEN).await;
    let mut last = String::new();
    for number in 0..20 {
        let alert = |part: usize| {
            json!({ "event_id": format!("{number}-{part}-{}", "x".repeat(150)), "priority": "low", "key": "k".repeat(200),
                    "title": long, "message": long.repeat(4), "labels": { "a": "<".repeat(90), "b": "&".repeat(90) } })
        };
        let answer = gateway
            .post(&plugin::alerts("odd", &[alert(1), alert(2)]))
            .await;
        answer.json()["request"]
            .as_str()
            .unwrap()
            .clone_into(&mut last);
        gateway.post(&plugin::alerts("broken", &[])).await;
        let why = format!("{number} {}", "&".repeat(150));
        let when = format!("source=source-{number:02} title=\"{} *\"", "&".repeat(40));
        let mute = [("when", &*when), ("for", "1h"), ("why", &*why)];
        let made = operator.submit("/mutes/add", &mute).await;
        assert_eq!(made.status, 303, "{}", made.body);
    }
    place.event_in_state(&last, "dead").await;
    let event = format!("/events/{last}");
    let paths = [
        "/events?source=odd",
        "/mutes?all=true",
        "/destinations?page=2",
        "/nodes",
        &*event,
    ];
    let large = async |why: &str| {
        let mut large = Vec::new();
        for path in PAGES
            .iter()
            .chain(&paths)
            .filter(|path| **path != "/sources/twilio")
        {
            let size = operator.page(path).await.len();
            if size > LARGEST {
                large.push((*path, size));
            }
        }
        assert!(large.is_empty(), "{why}: of {LARGEST} bytes: {large:?}");
    };
    large("all is rejected").await;
    let dead = operator.page("/dead-letters").await;
    assert!(dead.contains(" and 11 more"), "{dead}");
    let found = operator.page("/destinations?q=name-29").await;
    assert!(
        found.contains("id=\"destination-of-a-long-name-29\"") && !found.contains("name-28"),
        "{found}"
    );

    let said = long.clone();
    itoc360.answers(move |_| Reply::error(401, &said));
    for number in 20..26 {
        let alert = json!({ "event_id": number.to_string(), "priority": "low", "title": long });
        gateway.post(&plugin::alerts("odd", &[alert])).await;
    }
    until("destinations are held", async || {
        let page = operator.page("/destinations").await;
        page.contains("held since").then_some(())
    })
    .await;
    large("much is held").await;
}

#[tokio::test]
async fn page_of_an_event_tells_its_sender_key_and_next_attempt() {
    let itoc360 = Itoc360::alertmanager().await;
    let (place, gateway) = Setup::new(&itoc360)
        .plugin("odd", &plugin::parrot(), "resolve_after = \"4h\"")
        .start()
        .await;
    let browser = Browser::new(&gateway);
    let sid = twilio::sid(1);
    gateway.accept(&twilio::error(&sid).to("twilio")).await;
    place.event_in_state(&sid, "delivered").await;
    let page = browser.page(&format!("/events/{sid}")).await;
    let proof = "signature in the header X-Twilio-Signature, by auth_token";
    for words in [proof, "from 127.0.0.1", "the one loaded now"] {
        assert!(page.contains(words), "{words}: {page}");
    }

    let of_key = |id: &str, status: &str| json!({ "event_id": id, "key": "k&1", "status": status, "priority": "low", "title": id });
    let mut ids = Vec::new();
    for (id, status) in [("e1", "trigger"), ("e2", "resolve"), ("e3", "trigger")] {
        ids.push(
            gateway
                .accept(&plugin::alerts("odd", &[of_key(id, status)]))
                .await,
        );
        place.event_in_state(id, "delivered").await;
    }
    let page = browser.page("/events/e3").await;
    for words in [
        "open: its newest event opens it",
        "; resolves by itself at ",
        "Resolves by itself</h3><p>4h after the last event of its key",
        "checked by the plugin",
        "opens (this one)",
        ">3 events</a>",
    ] {
        assert!(page.contains(words), "{words}: {page}");
    }
    assert!(page.contains(&format!("href=\"/events/{}\"", ids[0].replace('-', "%2D"))));
    let all = "/events?source=odd&key=k%261";
    assert!(page.contains(&all.replace('&', "&amp;")), "{page}");
    let list = browser.page(all).await;
    for id in &ids {
        assert!(
            list.contains(&id.replace('-', "%2D")) || list.contains("/events/e"),
            "{list}"
        );
    }
    assert!(!list.contains(&sid), "{list}");
    let unknown = browser.get("/events/nope").await;
    assert_eq!(unknown.status, 404);
    for words in [
        "Events are kept for 30d",
        "no event and no request has the id",
        "name=\"q\"",
    ] {
        assert!(unknown.body.contains(words), "{words}: {}", unknown.body);
    }
    let without_source = browser.get("/events?key=k").await;
    assert_eq!(without_source.status, 400);

    // Before the resolve came the key was open, and its timer belongs to what is open now.
    let resolved = gateway
        .accept(&plugin::alerts("odd", &[of_key("e4", "resolve")]))
        .await;
    place.event_in_state(&resolved, "delivered").await;
    until("the key is resolved", async || {
        let page = browser.page("/events/e3").await;
        let is_resolved = page.contains("resolved: its newest event resolves it");
        (is_resolved && !page.contains("esolves by itself")).then_some(())
    })
    .await;

    itoc360.answers(|_| Reply::error(401, "who are you?"));
    gateway
        .accept(&plugin::alerts("odd", &[plugin::alert("w1")]))
        .await;
    gateway.destination("itoc360", "held").await;
    let page = browser.page("/events/w1").await;
    for words in [
        "Next attempt",
        "Once itoc360 takes alerts again: it is held since",
        "who are you?",
    ] {
        assert!(page.contains(words), "{words}: {page}");
    }
    let shown = gateway.admin(Method::GET, "/api/v1/events/w1").await.json();
    let delivery = &shown["requests"][0]["alerts"][0]["deliveries"][0];
    assert_eq!(delivery["held_up"]["state"], "held", "{shown}");
    let shown = place.run(&["events", "show", "w1"]).await;
    assert!(
        shown
            .stdout
            .contains("next      itoc360: once it takes alerts again; it is held since "),
        "{shown:?}"
    );
    assert!(
        shown
            .stdout
            .contains("sender    from 127.0.0.1; proof: checked by the plugin"),
        "{shown:?}"
    );
    let shown = place.run(&["events", "show", "e3"]).await;
    assert!(
        shown.stdout.contains("key       k&1: resolved\n"),
        "{shown:?}"
    );
    let listed = place.list(&["--source", "odd", "--key", "k&1"]).await;
    assert_eq!(listed.len(), 4, "{listed:?}");
}

#[tokio::test]
async fn alerts_like_one_are_muted_by_its_ticked_labels() {
    let itoc360 = Itoc360::alertmanager().await;
    let setup = Setup::new(&itoc360).gateway(&format!("admin_token = \"{TOKEN}\"\n{USERS}"));
    let (place, gateway) = setup.plugin("odd", &plugin::parrot(), "").start().await;
    for (id, room) in [("e1", "the cellar"), ("e2", "the cellar"), ("e3", "roof")] {
        let labels = json!({ "room": room, "title": "x", "range": "1..5" });
        let alert = json!({ "event_id": id, "priority": "low", "title": id, "labels": labels });
        gateway.accept(&plugin::alerts("odd", &[alert])).await;
        place.event_in_state(id, "delivered").await;
    }
    let viewer = Browser::of(&gateway, "lee", "lees-token-77ab01c9e4").await;
    let page = viewer.page("/events/e1").await;
    assert!(!page.contains("name=\"term\""), "{page}");
    let operator = Browser::of(&gateway, "kim", "kims-token-8c2d91f0a3").await;
    let page = operator.page("/events/e1").await;
    let terms = page.split("name=\"term\" value=\"").skip(1);
    let terms: Vec<_> = terms.map(|rest| rest.split('"').next().unwrap()).collect();
    // A text that would be a range matches other alerts than this one.
    assert_eq!(terms, ["source=odd", "room=the cellar", "labels.title=x"]);
    let mut fields = vec![("for", "1h"), ("why", "known"), ("do", "preview")];
    fields.extend(terms[..2].iter().map(|term| ("term", *term)));
    let preview = operator.submit("/mutes/add", &fields).await.body;
    assert!(
        preview.contains("2 of 3 alerts would have been held"),
        "{preview}"
    );
    let when = field(&preview, "when").replace("&quot;", "\"");
    assert_eq!(when, "source=odd room=\"the cellar\"");
    let made = [("for", "1h"), ("why", "known"), ("when", &*when)];
    let made = operator.submit("/mutes/add", &made).await;
    assert_eq!(made.status, 303, "{}", made.body);
    let mutes = operator.page("/mutes").await;
    assert!(mutes.contains("room=the cellar source=odd"), "{mutes}");
    let tries = Cell::new(4);
    until("the mute holds", async || {
        // What came before it holds is known.
        let id = format!("e{}", tries.replace(tries.get() + 1));
        let labels = json!({ "room": "the cellar" });
        let alert = json!({ "event_id": id, "priority": "low", "title": id, "labels": labels });
        gateway.post(&plugin::alerts("odd", &[alert])).await;
        let list = operator.page("/events?state=muted").await;
        list.contains("held by kim: known").then_some(())
    })
    .await;
    let list = operator.page("/events").await;
    assert!(list.contains("delivered to itoc360 after "), "{list}");
}

#[tokio::test]
async fn chips_of_the_events_count_what_they_lead_to() {
    let itoc360 = Itoc360::alertmanager().await;
    let broken = plugin::hostile("(unreachable)");
    let (place, gateway) = Setup::new(&itoc360)
        .plugin("odd", &plugin::parrot(), "")
        .plugin("broken", &broken, "")
        .start()
        .await;
    for number in 1..4 {
        let sid = twilio::sid(number);
        gateway.accept(&twilio::error(&sid).to("twilio")).await;
        place.event_in_state(&sid, "delivered").await;
    }
    let urgent = json!({ "event_id": "odd-1", "priority": "critical", "title": "It burns" });
    gateway.accept(&plugin::alerts("odd", &[urgent])).await;
    place.event_in_state("odd-1", "delivered").await;
    gateway.post(&plugin::alerts("broken", &[])).await;
    let refused = twilio::unsigned("/in/twilio?a=b", "a=b");
    gateway.post(&refused).await;
    place
        .event_in_state("plugin-failed/broken/5", "delivered")
        .await;
    let browser = Browser::new(&gateway);
    for (filter, counts) in [
        ("", [7, 0, 5, 0, 1, 0, 1, 0, 0, 0]),
        ("?source=twilio", [4, 0, 3, 0, 0, 0, 1, 0, 0, 0]),
        ("?priority=critical", [1, 0, 1, 0, 0, 0, 0, 0, 0, 0]),
    ] {
        let page = browser.page(&format!("/events{filter}")).await;
        let (_, chips) = page.split_once("id=\"states\"").unwrap();
        let (chips, _) = chips.split_once("</ul>").unwrap();
        let mut shown = Vec::new();
        for chip in chips.split("<li>").skip(1) {
            let (_, count) = chip.split_once("<b>").unwrap();
            let count: usize = count.split('<').next().unwrap().parse().unwrap();
            let address = chip.split('"').nth(1).unwrap().replace("&amp;", "&");
            let rows = browser.page(&address).await.matches("<tr").count();
            assert_eq!(rows.saturating_sub(1), count, "{address}");
            shown.push(count);
        }
        assert_eq!(shown, counts, "{filter}");
    }
    // A search is not counted, as it would be made twice.
    let searched = browser.page("/events?q=burns").await;
    assert!(
        !searched
            .split_once("id=\"states\"")
            .unwrap()
            .1
            .contains("<b>")
    );
}

#[tokio::test]
async fn loopback_without_credential_shows_pages_and_lets_none_act() {
    let itoc360 = Itoc360::alertmanager().await;
    let (_place, gateway) = Setup::new(&itoc360).start().await;
    let browser = Browser::new(&gateway);
    let page = browser.page("/mutes").await;
    assert!(
        page.contains("this listener asks for no credential"),
        "{page}"
    );
    assert!(page.contains("nobody, viewer"));
    let refused = browser
        .post("/mutes/end", &[("csrf", "x"), ("id", "1")])
        .await;
    assert_eq!(refused.status, 403);
    assert_eq!(
        browser.get("/login").await.status,
        404,
        "there is nothing to log in with"
    );
    assert_eq!(browser.get("/nothing").await.status, 404);
    // What is no browser reads the index as ever.
    let index = gateway.admin(Method::GET, "/").await;
    assert!(index.body.starts_with("alert gateway"));
}

#[tokio::test]
async fn user_that_a_trusted_proxy_names_is_in_the_audit() {
    let itoc360 = Itoc360::alertmanager().await;
    let proxy = "trusted_proxies = [\"127.0.0.1\"]\n[admin]\nuser_header = \"X-Forwarded-User\"\n\
                 [[admin.users]]\nname = \"kim\"\nrole = \"operator\"\n";
    let (_place, gateway) = Setup::new(&itoc360).gateway(proxy).start().await;
    let browser = Browser::new(&gateway);
    let as_user = async |user: &str, path: &str| {
        let headers = [("x-forwarded-user", user), ("x-forwarded-for", "192.0.2.7")];
        browser.ask(Method::GET, path, &headers, "").await
    };
    assert_eq!(browser.get("/api/v1/nodes").await.status, 401);
    assert!(as_user("sam", "/").await.body.contains("sam, viewer"));
    let page = as_user("kim", "/mutes").await.body;
    let csrf = field(&page, "csrf").to_owned();
    let origin = format!("http://{}", gateway.admin);
    let headers = [
        ("x-forwarded-user", "kim"),
        ("x-forwarded-for", "192.0.2.7"),
        ("origin", &origin),
        ("content-type", "application/x-www-form-urlencoded"),
    ];
    let form = format!("csrf={csrf}&when=source%3Dx&for=1h&why=w");
    let made = browser
        .ask(Method::POST, "/mutes/add", &headers, &form)
        .await;
    assert_eq!(made.status, 303, "{}", made.body);
    let audit = as_user("kim", "/audit").await.body;
    assert!(
        audit.contains(">kim<") && audit.contains(">192.0.2.7<"),
        "{audit}"
    );
}

#[tokio::test]
async fn viewers_are_told_of_a_change() {
    use tokio::io::{AsyncReadExt, AsyncWriteExt};

    let itoc360 = Itoc360::alertmanager().await;
    let (_place, gateway) = Setup::new(&itoc360).start().await;
    let mut viewers = Vec::new();
    for _ in 0..100 {
        let mut viewer = tokio::net::TcpStream::connect(gateway.admin).await.unwrap();
        let asked = format!("GET /live HTTP/1.1\r\nHost: {}\r\n\r\n", gateway.admin);
        viewer.write_all(asked.as_bytes()).await.unwrap();
        viewers.push(viewer);
    }
    gateway
        .accept(&twilio::error(&twilio::sid(1)).to("twilio"))
        .await;
    for mut viewer in viewers {
        let mut text = String::new();
        while !text.contains("event: changed") {
            let mut bytes = [0; 1024];
            let read = viewer.read(&mut bytes).await.unwrap();
            assert_ne!(read, 0, "{text}");
            text += &String::from_utf8_lossy(&bytes[..read]);
        }
        assert!(text.contains("content-type: text/event-stream"), "{text}");
    }
}
