//! The difference between two configurations: hot reload or restart.
//!
//! Sources and limits are looked up anew by each request, and so are the credentials of the admin
//! listener. A delivery takes up another client for its destination between two attempts, and the
//! heartbeat another URL. All else is held by what was started with it: sockets and the store.

use super::{Config, Gateway};

impl Config {
    /// Returns the tables, as the operator writes them, that changed in `new` and need a restart.
    pub fn restarts_for(&self, new: &Self) -> Vec<String> {
        let mut tables = Vec::new();
        if let Some(what) = self.gateway.differs_from(&new.gateway) {
            tables.push(what.to_owned());
        }
        if self.store != new.store {
            tables.push("[store]".to_owned());
        }
        if self.retention != new.retention {
            tables.push("[retention]".to_owned());
        }
        tables
    }
}

impl Gateway {
    fn differs_from(&self, new: &Self) -> Option<&'static str> {
        let mut rest = Self {
            memory: self.memory,
            // Read by each reload anew.
            reload: self.reload,
            plugin_keys: self.plugin_keys.clone(),
            plugin_store: self.plugin_store.clone(),
            heartbeat: self.heartbeat.clone(),
            ..new.clone()
        };
        if let (Some(rest), Some(admin)) = (&mut rest.admin, &self.admin) {
            rest.users = admin.users.clone();
            rest.tokens = admin.tokens.clone();
        }
        let follows = !self.memory_is_written && !new.memory_is_written;
        // More memory than the sources need does no harm. Less leaves no room for what they are to
        // take.
        let is_enough = self.memory == new.memory || follows && self.memory > new.memory;
        if is_enough {
            // Whether it was written is no difference where it is as much.
            rest.memory_is_written = self.memory_is_written;
        }
        match (*self == rest, is_enough) {
            (true, true) => None,
            (true, false) if follows => {
                Some("[gateway] (its memory follows the largest body of a source)")
            }
            _ => Some("[gateway]"),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;

    const BEFORE: &str = r#"
        [gateway]
        public_url = "https://gw.example.com"
        [destinations.first]
        kind = "itoc360"
        token = "canary-1"
        [destinations.second]
        kind = "itoc360"
        token = "canary-2"
        [sources.s]
        plugin = "twilio-errors"
        destination = "first"
        settings.auth_token = "canary-3"
    "#;

    fn config(text: &str) -> Config {
        Config::parse(text, Path::new("gateway.toml"), &|_| None)
            .unwrap_or_else(|problems| panic!("{problems}"))
    }

    /// The tables that need a restart where each `from` in the configuration becomes `to`.
    fn restarts(edits: &[(&str, &str)]) -> Vec<String> {
        let edited = edits.iter().fold(BEFORE.to_owned(), |text, (from, to)| {
            assert!(text.contains(from), "{from}");
            text.replace(from, to)
        });
        config(BEFORE).restarts_for(&config(&edited))
    }

    #[test]
    fn sources_limits_and_destinations_need_no_restart() {
        let none = [""; 0];
        assert_eq!(restarts(&[]), none);
        assert_eq!(
            restarts(&[
                ("canary-3", "canary-4"),
                ("[sources.s]", "[limits]\nbody = \"1MiB\"\n[sources.t]")
            ]),
            none
        );
        assert_eq!(restarts(&[("canary-2", "canary-4")]), none);
        assert_eq!(
            restarts(&[("[destinations.second]", "[destinations.third]")]),
            none
        );
        assert_eq!(
            restarts(&[(
                "\"first\"\n",
                "\"second\"\ntoken = \"t\"\nexpect_every = \"1h\"\n"
            )]),
            none
        );
    }

    #[test]
    fn heartbeat_plugins_and_credentials_need_no_restart() {
        for more in [
            "heartbeat.url = \"https://hc.example/1\"",
            "plugin_store = \"plugins\"",
            "admin_token = \"canary-5\"",
            "[admin]\nusers = [{ name = \"kim\", role = \"viewer\", token = \"canary-6\" }]",
        ] {
            let after = format!("public_url = \"https://gw.example.com\"\n{more}\n");
            let none = [""; 0];
            let before = "public_url = \"https://gw.example.com\"\n";
            assert_eq!(restarts(&[(before, &after)]), none, "{more}");
        }
    }

    #[test]
    fn every_other_table_is_named() {
        assert_eq!(restarts(&[("gw.example", "gx.example")]), ["[gateway]"]);
        assert_eq!(
            restarts(&[(
                "[gateway]",
                "[retention]\nage = \"2h\"\n[gateway]\nadmin_hosts = [\"gw.internal\"]"
            )]),
            ["[gateway]", "[retention]"]
        );
    }

    #[test]
    fn memory_that_nobody_wrote_may_become_less_and_not_more() {
        let huge = BEFORE.replace("[sources.s]", "[limits]\nbody = \"64MiB\"\n[sources.s]");
        assert_eq!(config(&huge).restarts_for(&config(BEFORE)), [""; 0]);
        let more = config(BEFORE).restarts_for(&config(&huge));
        assert_eq!(
            more,
            ["[gateway] (its memory follows the largest body of a source)"]
        );
        let memory =
            |size: &str| BEFORE.replace("[gateway]", &format!("[gateway]\nmemory = \"{size}\""));
        assert_eq!(
            config(BEFORE).restarts_for(&config(&memory("256MiB"))),
            [""; 0]
        );
        for size in ["255MiB", "257MiB"] {
            assert_eq!(
                config(BEFORE).restarts_for(&config(&memory(size))),
                ["[gateway]"]
            );
        }
    }
}
