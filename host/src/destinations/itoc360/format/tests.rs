use plugin_sdk::contract::{self, Priority, Status};
use serde_json::{Value, json, value::RawValue};

use super::*;
use crate::destinations::words::occurred_at;

/// `printf 'twilio-prod\0NO1' | sha256sum | cut -c1-32`
const FINGERPRINT: &str = "2a1b9f522161ef6ccd381a16e257cbaf";

fn alert() -> Alert {
    let mut event = contract::Alert::new("NO1", Priority::High, "11200 \"HTTP\" retrieval failure");
    event.message = Some("line 1\nline 2".into());
    event.occurred_at = Some("2026-01-02T04:04:05.678+01:00".into());
    event.link = Some("https://www.twilio.com/console/debugger/NO1".into());
    event.labels.insert("error_code".into(), "11200".into());
    event.details = Some(RawValue::from_string(r#"{"a": 1.50}"#.into()).unwrap());
    Alert {
        source: "twilio-prod".into(),
        request: "0197".into(),
        received_at: "2026-01-02T03:04:06.001Z".into(),
        event,
    }
}

fn bare(priority: Priority, status: Status) -> Alert {
    let mut alert = alert();
    alert.event = contract::Alert::new("NO1", priority, "t");
    alert.event.status = status;
    alert
}

fn text(format: Format, alert: &Alert) -> String {
    String::from_utf8(body(format, alert).unwrap().to_vec()).unwrap()
}

fn read(format: Format, alert: &Alert) -> Value {
    serde_json::from_slice(&body(format, alert).unwrap()).unwrap()
}

#[test]
fn an_alertmanager_body_is_this_to_the_byte() {
    let labels = r#"{"alertname":"twilio-prod","severity":"error","source":"twilio-prod","error_code":"11200"}"#;
    let annotations = concat!(
        r#"{"summary":"11200 \"HTTP\" retrieval failure","description":"line 1\nline 2","#,
        r#""link":"https://www.twilio.com/console/debugger/NO1","event_id":"NO1","request":"0197","#,
        r#""received_at":"2026-01-02T03:04:06.001Z","details":"{\"a\": 1.50}"}"#,
    );
    let expected = [
        r#"{"receiver":"alert-gateway","status":"firing","alerts":[{"status":"firing","labels":"#,
        labels,
        r#","annotations":"#,
        annotations,
        r#","startsAt":"2026-01-02T03:04:05Z","fingerprint":"FP","#,
        r#""generatorURL":"https://www.twilio.com/console/debugger/NO1"}],"groupLabels":{"fingerprint":"FP"},"#,
        r#""commonLabels":"#,
        labels,
        r#","commonAnnotations":"#,
        annotations,
        r#","version":"4","groupKey":"{}:{fingerprint=\"FP\"}"}"#,
    ]
    .concat();
    assert_eq!(
        text(Format::Alertmanager, &alert()),
        expected.replace("FP", FINGERPRINT)
    );
}

#[test]
fn a_zapier_body_is_this_to_the_byte() {
    let expected = concat!(
        r#"{"id":"FP","title":"11200 \"HTTP\" retrieval failure","status":"trigger","severity":"high","#,
        r#""message":"line 1\nline 2","source":"twilio-prod","event_id":"NO1","request":"0197","#,
        r#""occurred_at":"2026-01-02T03:04:05Z","received_at":"2026-01-02T03:04:06.001Z","#,
        r#""link":"https://www.twilio.com/console/debugger/NO1","labels":{"error_code":"11200"},"#,
        r#""details":{"a": 1.50}}"#,
    );
    assert_eq!(
        text(Format::Zapier, &alert()),
        expected.replace("FP", FINGERPRINT)
    );
}

#[test]
fn every_priority_and_status_has_its_words_in_both_formats() {
    for (priority, am, zap) in [
        (Priority::Critical, "critical", "critical"),
        (Priority::High, "error", "high"),
        (Priority::Medium, "warning", "medium"),
        (Priority::Low, "info", "low"),
    ] {
        for (status, am_status, zap_status) in [
            (Status::Trigger, "firing", "trigger"),
            (Status::Resolve, "resolved", "resolve"),
        ] {
            let alert = bare(priority, status);
            let times = match status {
                Status::Trigger => r#""startsAt":"2026-01-02T03:04:06Z""#,
                Status::Resolve => {
                    r#""startsAt":"2026-01-02T03:04:06Z","endsAt":"2026-01-02T03:04:06Z""#
                }
            };
            let labels = format!(
                r#"{{"alertname":"twilio-prod","severity":"{am}","source":"twilio-prod"}}"#
            );
            let annotations = r#"{"summary":"t","event_id":"NO1","request":"0197","received_at":"2026-01-02T03:04:06.001Z"}"#;
            let expected = format!(
                concat!(
                    r#"{{"receiver":"alert-gateway","status":"{s}","alerts":[{{"status":"{s}","labels":{l},"#,
                    r#""annotations":{a},{t},"fingerprint":"{f}"}}],"groupLabels":{{"fingerprint":"{f}"}},"#,
                    r#""commonLabels":{l},"commonAnnotations":{a},"version":"4","#,
                    r#""groupKey":"{{}}:{{fingerprint=\"{f}\"}}"}}"#
                ),
                s = am_status,
                l = labels,
                a = annotations,
                t = times,
                f = FINGERPRINT,
            );
            assert_eq!(text(Format::Alertmanager, &alert), expected);
            let expected = format!(
                concat!(
                    r#"{{"id":"{f}","title":"t","status":"{s}","severity":"{p}","source":"twilio-prod","#,
                    r#""event_id":"NO1","request":"0197","occurred_at":"2026-01-02T03:04:06Z","#,
                    r#""received_at":"2026-01-02T03:04:06.001Z"}}"#
                ),
                f = FINGERPRINT,
                s = zap_status,
                p = zap,
            );
            assert_eq!(text(Format::Zapier, &alert), expected);
        }
    }
}

#[test]
fn plugin_labels_cannot_replace_the_labels_of_the_host() {
    let mut alert = alert();
    for name in ["source", "severity", "alertname", "exported_source"] {
        alert
            .event
            .labels
            .insert(name.into(), format!("its own {name}"));
    }
    let expected = json!({
        "alertname": "twilio-prod", "severity": "error", "source": "twilio-prod", "error_code": "11200",
        "exported_alertname": "its own alertname", "exported_severity": "its own severity",
        "exported_source": "its own exported_source",
    });
    assert_eq!(read(Format::Alertmanager, &alert)["commonLabels"], expected);
    assert_eq!(read(Format::Zapier, &alert)["source"], "twilio-prod");
}

#[test]
fn empty_title_is_replaced_by_one_that_says_where_to_look() {
    let mut alert = alert();
    alert.event.title = " \n".into();
    let title = "Event NO1 from twilio-prod";
    assert_eq!(
        read(Format::Alertmanager, &alert)["commonAnnotations"]["summary"],
        title
    );
    assert_eq!(read(Format::Zapier, &alert)["title"], title);
}

#[test]
fn implausible_time_is_replaced_by_the_time_of_receipt() {
    for odd in [
        "",
        "yesterday",
        "0001-01-01T00:00:00Z",
        "-009999-01-01T00:00:00Z",
        "2026-13-01T00:00:00Z",
    ] {
        let mut alert = alert();
        alert.event.occurred_at = Some(odd.into());
        assert_eq!(occurred_at(&alert), "2026-01-02T03:04:06Z", "{odd:?}");
    }
}

#[test]
fn a_link_that_is_not_http_is_left_out() {
    let mut alert = alert();
    alert.event.link = Some("javascript:alert(1)".into());
    for format in [Format::Alertmanager, Format::Zapier] {
        assert!(!text(format, &alert).contains("javascript"));
    }
}
