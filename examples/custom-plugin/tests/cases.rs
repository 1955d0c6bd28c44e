//! The plugin's cases, natively.

#[test]
fn every_case_is_answered_as_written() {
    plugin_sdk::testing::run_cases::<custom_plugin::Custom>("cases");
}

#[test]
fn an_id_that_the_host_would_not_take_is_none() {
    for (length, id) in [(0, 71), (200, 233), (201, 71)] {
        let body = format!(r#"{{"id":"{}","title":"x"}}"#, "x".repeat(length));
        let request = plugin_sdk::testing::post("https://alerts.example.com/in/x")
            .json(&body)
            .build();
        let answer = plugin_sdk::testing::read::<custom_plugin::Custom>(&request);
        let plugin_sdk::contract::Answer::Alerts(alerts) = answer else {
            panic!("{answer:?}")
        };
        assert_eq!(alerts[0].event_id.len(), id);
    }
}
