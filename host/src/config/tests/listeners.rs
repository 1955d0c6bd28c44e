//! TLS, the admin listener's guard, and networks: their meaning, and each mistake.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;

use rcgen::{CertificateParams, KeyPair, date_time_ymd};

use super::{edited, environment, good, printed, problems};
use crate::config::{Config, Listen, Problems};

/// `cert.pem`, `key.pem` and `client-ca.pem`, which are right.
pub(super) fn write_pair(folder: &Path) {
    let (cert, key) = pair(|_| {});
    write(folder, "cert.pem", &cert);
    write(folder, "key.pem", &key);
    write(folder, "client-ca.pem", &cert);
}

/// A certificate and its key, in PEM.
fn pair(change: impl FnOnce(&mut CertificateParams)) -> (String, String) {
    let key = KeyPair::generate().expect("a key");
    let mut params = CertificateParams::new(["alerts.example.com".to_owned()]).expect("a name");
    change(&mut params);
    (
        params.self_signed(&key).expect("a certificate").pem(),
        key.serialize_pem(),
    )
}

fn write(folder: &Path, name: &str, content: &str) {
    let path = folder.join(name);
    fs::write(&path, content).expect("written");
    fs::set_permissions(&path, fs::Permissions::from_mode(0o600)).expect("set");
}

/// The usual configuration with these lines in `[gateway]` in place of `admin`, which stood on line
/// 4.
fn with(lines: &str) -> String {
    edited("admin = \"127.0.0.1:9090\"", lines)
}

/// The usual configuration with these lines in `[gateway]` in place of `listen`.
fn listening(lines: &str) -> String {
    edited("listen = \"127.0.0.1:8080\"", lines)
}

/// Warnings or problems of a configuration in a folder, without the folder's name.
fn said(folder: &Path, text: &str) -> Vec<String> {
    let file = folder.join("gateway.toml");
    let said = match Config::parse(text, &file, &environment) {
        Ok(config) => printed(&config.warnings),
        Err(Problems(problems)) => printed(&problems),
    };
    let name = format!("{}/", folder.display());
    said.iter()
        .map(|line| line.replace(&name, "").replace("gateway.toml:", ""))
        .collect()
}

#[test]
fn tls_names_two_files_that_start_at_the_configurations_folder() {
    let folder = tempfile::tempdir().expect("a folder");
    write_pair(folder.path());
    let text = with("tls = { cert = \"cert.pem\", key = \"key.pem\" }");
    let config = Config::parse(&text, &folder.path().join("gateway.toml"), &environment)
        .expect("no problems");
    let tls = config.gateway.tls.expect("tls");
    assert_eq!(
        (tls.cert, tls.key),
        (
            folder.path().join("cert.pem"),
            folder.path().join("key.pem")
        )
    );
    assert_eq!(tls.client_ca, None);
    // Certificate and key may be in one file.
    let both = ["cert.pem", "key.pem"]
        .map(|name| fs::read_to_string(folder.path().join(name)).expect("read"))
        .concat();
    write(folder.path(), "both.pem", &both);
    assert_eq!(
        said(
            folder.path(),
            &with("tls = { cert = \"both.pem\", key = \"both.pem\" }")
        ),
        [""; 0]
    );
}

#[test]
fn each_file_of_tls_that_cannot_be_used_is_told_at_its_place() {
    let folder = tempfile::tempdir().expect("a folder");
    write_pair(folder.path());
    write(folder.path(), "empty.pem", "");
    write(folder.path(), "other-key.pem", &pair(|_| {}).1);
    write(
        folder.path(),
        "torn.pem",
        "-----BEGIN CERTIFICATE-----\nMIIBcanary\n",
    );
    write(
        folder.path(),
        "nonsense.pem",
        "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n",
    );
    write(
        folder.path(),
        "locked.pem",
        "-----BEGIN ENCRYPTED PRIVATE KEY-----\nAAAA\n-----END ENCRYPTED PRIVATE KEY-----\n",
    );
    write(
        folder.path(),
        "bad-key.pem",
        "-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----\n",
    );
    write(folder.path(), "huge.pem", &"#".repeat((1 << 20) + 1));
    let cert = "4:16: cert in tls in [gateway]";
    let key = "4:34: key in tls in [gateway]";
    for (tls, expected) in [
        (
            "\"cert.pem\"",
            &["4:7: tls in [gateway] is text; write { cert = \"cert.pem\", key = \"key.pem\" }"][..],
        ),
        (
            "{ cert = \"cert.pem\" }",
            &["4:7: tls in [gateway] has no key; add key = \"key.pem\""],
        ),
        (
            "{ cert = 5, key = \"key.pem\" }",
            &["4:16: cert in tls in [gateway] is an integer; write text such as \"cert.pem\""],
        ),
        (
            "{ cert = \"cert.pem\", key = \"\" }",
            &["4:34: key in tls in [gateway] is \"\"; name a file in PEM"],
        ),
        (
            "{ cert = \"cert.pem\", key = \"key.pem\", client_ca = \"client-ca.pem\" }",
            &[
                "4:45: unknown key \"client_ca\" in tls in [gateway]; the keys here are cert and key",
            ],
        ),
        (
            "{ cert = \"none.pem\", key = \"nil.pem\" }",
            &[
                &format!(
                    "{cert} names none.pem, which cannot be read: No such file or directory (os error 2); relative paths start at the configuration file's folder"
                ),
                &format!(
                    "{key} names nil.pem, which cannot be read: No such file or directory (os error 2); relative paths start at the configuration file's folder"
                ),
            ],
        ),
        (
            "{ cert = \"nonsense.pem\", key = \"empty.pem\" }",
            &[
                &format!(
                    "{cert} names nonsense.pem, which holds a certificate that cannot be understood; name a file that holds the listener's certificate after -----BEGIN CERTIFICATE-----, and then those between it and an authority"
                ),
                "4:38: key in tls in [gateway] names empty.pem, which holds no private key in PEM; name a file that holds the key after -----BEGIN PRIVATE KEY-----",
            ],
        ),
        (
            "{ cert = \"torn.pem\", key = \"key.pem\" }",
            &[&format!(
                "{cert} names torn.pem, which is torn, or is not PEM; name a file that holds the listener's certificate after -----BEGIN CERTIFICATE-----, and then those between it and an authority"
            )],
        ),
        (
            "{ cert = \"key.pem\", key = \"key.pem\" }",
            &[&format!(
                "{cert} names key.pem, which holds no certificate in PEM; name a file that holds the listener's certificate after -----BEGIN CERTIFICATE-----, and then those between it and an authority"
            )],
        ),
        (
            "{ cert = \"cert.pem\", key = \"locked.pem\" }",
            &[&format!(
                "{key} names locked.pem, which holds a key that is encrypted; write it without its passphrase: openssl pkey -in encrypted.pem -out key.pem"
            )],
        ),
        (
            "{ cert = \"cert.pem\", key = \"bad-key.pem\" }",
            &[&format!(
                "{key} names bad-key.pem, which holds a key that cannot be used; take ECDSA with P-256 or P-384, Ed25519, or RSA from 2048 bits"
            )],
        ),
        (
            "{ cert = \"cert.pem\", key = \"other-key.pem\" }",
            &[&format!(
                "{key} names other-key.pem, which is not the key of the certificate in cert.pem; name the two that belong together; of a chain, the listener's own certificate comes first"
            )],
        ),
        (
            "{ cert = \"cert.pem\", key = \"huge.pem\" }",
            &[&format!(
                "{key} names huge.pem, which is larger than 1 MiB; name a file in PEM"
            )],
        ),
        (
            "{ cert = \"cert.pem\", key = \"-----BEGIN PRIVATE KEY-----\\ncanary\" }",
            &[&format!(
                "{key} is not the name of a file; write it to a file that only the gateway can read, and name that"
            )],
        ),
    ] {
        assert_eq!(
            said(folder.path(), &with(&format!("tls = {tls}"))),
            *expected,
            "{tls}"
        );
    }
}

#[test]
fn tls_that_is_unwise_is_warned_of() {
    let folder = tempfile::tempdir().expect("a folder");
    let (cert, key) = pair(|params| params.not_after = date_time_ymd(2020, 1, 2));
    write(folder.path(), "expired.pem", &cert);
    write(folder.path(), "key.pem", &key);
    fs::set_permissions(
        folder.path().join("key.pem"),
        fs::Permissions::from_mode(0o644),
    )
    .expect("set");
    let text = with("tls = { cert = \"expired.pem\", key = \"key.pem\" }")
        .replace("https://alerts", "http://alerts");
    assert_eq!(
        said(folder.path(), &text),
        [
            "3:14: public_url in [gateway] is plain http, and listen has tls; senders must use https there, and signatures \
             are made over what they use; write https",
            "4:16: cert in tls in [gateway] names expired.pem, which holds a certificate that expired at \
             2020-01-02T00:00:00Z; clients refuse it; a renewed one in its place is taken up without a restart",
            "4:37: key in tls in [gateway] names key.pem, which every user of this machine can read; chown it to the user \
             that the gateway runs as, or chgrp it to that user's group and chmod 0640; or write { credential = \"name\" }",
        ]
    );
    let (cert, key) = pair(|params| params.not_before = date_time_ymd(4000, 1, 2));
    write(folder.path(), "early.pem", &cert);
    write(folder.path(), "key.pem", &key);
    let text = with("tls = { cert = \"early.pem\", key = \"key.pem\" }");
    let early = said(folder.path(), &text);
    assert_eq!(early.len(), 1, "{early:?}");
    assert!(
        early[0].contains("that is not valid before 4000-01-02T00:00:00Z"),
        "{early:?}"
    );
}

#[test]
fn an_admin_listener_beyond_loopback_knows_who_asks() {
    let folder = tempfile::tempdir().expect("a folder");
    write_pair(folder.path());
    let tls = "admin_tls = { cert = \"cert.pem\", key = \"key.pem\" }";
    let mutual =
        "admin_tls = { cert = \"cert.pem\", key = \"key.pem\", client_ca = \"client-ca.pem\" }";
    let refused = "; nobody who reaches it is asked who they are: put it on loopback, like \"127.0.0.1:9090\", or add \
        admin_token = { env = \"ADMIN_TOKEN\" }, or [[admin.users]], or admin_tls with a client_ca";
    let plain = "by plain http; the token can be read on the way; add admin_tls";
    for (lines, part) in [
        ("", None),
        ("admin_token = { env = \"ADMIN_TOKEN\" }", Some(plain)),
        (
            &format!(
                "admin_token = [{{ env = \"ADMIN_TOKEN\" }}, {{ env = \"ADMIN_TOKEN_2\" }}]\n{tls}"
            ),
            None,
        ),
        (mutual, None),
        (
            &format!("admin_token = {{ env = \"ADMIN_TOKEN\" }}\n{mutual}"),
            None,
        ),
        (tls, Some(refused)),
        ("admin_hosts = [\"gateway.internal\"]", Some(refused)),
        // What is wrong with the guard is said alone.
        (
            "admin_token = { env = \"NO_T\" }",
            Some("NO_T, which is not set"),
        ),
        (
            "admin_tls = { cert = \"none.pem\", key = \"key.pem\" }",
            Some("which cannot be read"),
        ),
    ] {
        let address = if lines.is_empty() {
            "127.0.0.1:9090"
        } else {
            "0.0.0.0:9090"
        };
        let said = said(
            folder.path(),
            &with(&format!("admin = \"{address}\"\n{lines}")),
        );
        assert_eq!(said.len(), usize::from(part.is_some()), "{lines}: {said:?}");
        assert!(
            part.is_none_or(|part| said[0].contains(part)),
            "{lines}: {said:?}"
        );
    }
    // What is beyond the machine is also [::], and not all of 127.0.0.0/8 is 127.0.0.1.
    assert_eq!(problems(&with("admin = \"127.0.0.2:9090\"")), [""; 0]);
    assert_eq!(problems(&with("admin = \"[::1]:9090\"")), [""; 0]);
    assert_eq!(problems(&with("admin = \"[::]:9090\"")).len(), 1);
    assert_eq!(
        problems(&with("admin = \"[::ffff:10.0.0.1]:9090\"")).len(),
        1
    );
    assert_eq!(
        problems(&with("admin = \"0.0.0.0:8080\"\nadmin_token = \"t\"")).len(),
        1,
        "listen has the port"
    );
}

#[test]
fn the_guard_of_the_admin_listener_is_what_was_written() {
    let text = with(
        "admin_token = [{ env = \"T\" }, \"u\"]\nadmin_hosts = [\"Gateway.Internal\", \"gw\"]",
    );
    let admin = good(&text).gateway.admin.expect("an admin listener");
    assert_eq!(
        admin
            .tokens
            .iter()
            .map(|token| token.expose())
            .collect::<Vec<_>>(),
        ["value-of-T", "u"]
    );
    assert_eq!(admin.hosts, ["gateway.internal", "gw"]);
    assert_eq!(
        good(&with("admin_hosts = \"gw\""))
            .gateway
            .admin
            .expect("one")
            .hosts,
        ["gw"]
    );
    for wrong in [
        "\"\"",
        "\"gw:9090\"",
        "[\"http://gw\"]",
        "\"*.internal\"",
        "\"[::1]\"",
    ] {
        let said = problems(&with(&format!("admin_hosts = {wrong}")));
        assert_eq!(said.len(), 1, "{wrong}: {said:?}");
        assert!(
            said[0].ends_with("write a host's name without a port, like \"gateway.internal\""),
            "{said:?}"
        );
    }
}

#[test]
fn networks_are_written_as_addresses_and_networks() {
    let config = good(&with(
        "trusted_proxies = [\"127.0.0.1\", \"10.0.0.0/8\", \"fd00::/8\"]",
    ));
    for (address, within) in [
        ("127.0.0.1", true),
        ("127.0.0.2", false),
        ("10.255.0.1", true),
        ("::ffff:10.0.0.1", true),
        ("fd00::1", true),
        ("fe80::1", false),
    ] {
        assert_eq!(
            config
                .gateway
                .trusted_proxies
                .contains(address.parse().expect("one")),
            within,
            "{address}"
        );
    }
    let one = edited(
        "destination = \"itoc360\"",
        "destination = \"itoc360\"\nclients = \"::ffff:192.0.2.1\"",
    );
    assert!(
        good(&one).sources[0]
            .clients
            .contains([192, 0, 2, 1].into())
    );
    for (written, expected) in [
        (
            "[]",
            "4:19: trusted_proxies in [gateway] is an empty list; name a network, or leave the key out",
        ),
        (
            "[5]",
            "4:20: trusted_proxies in [gateway] is an integer; write text such as \"10.0.0.0/8\"",
        ),
        (
            "[\"proxy.internal\"]",
            "4:20: trusted_proxies in [gateway] is \"proxy.internal\"; write an address or a network, like \"10.0.0.0/8\"",
        ),
        (
            "[\"10.0.0.0/33\"]",
            "4:20: trusted_proxies in [gateway] is \"10.0.0.0/33\"; write an address or a network, like \"10.0.0.0/8\"",
        ),
        (
            "\"10.0.0.1/8\"",
            "4:19: trusted_proxies in [gateway] is \"10.0.0.1/8\"; write \"10.0.0.0/8\" for the network, or \"10.0.0.1\" for the address",
        ),
    ] {
        assert_eq!(
            problems(&with(&format!("trusted_proxies = {written}"))),
            [expected],
            "{written}"
        );
    }
    let everybody = good(&with("trusted_proxies = [\"0.0.0.0/0\"]")).warnings;
    assert_eq!(
        printed(&everybody),
        [
            "4:19: trusted_proxies in [gateway] is everybody; any client can then claim any address; name your proxies alone"
        ]
    );
}

#[test]
fn clients_that_exclude_the_proxy_are_warned_of() {
    let clients = |clients: &str, gateway: &str| {
        let text = with(gateway).replace(
            "destination = \"itoc360\"",
            &format!("destination = \"itoc360\"\nclients = {clients}"),
        );
        printed(&good(&text).warnings)
    };
    let hidden = clients("[\"192.0.2.0/24\"]", "");
    assert_eq!(hidden.len(), 1, "{hidden:?}");
    assert!(
        hidden[0].contains("trusted_proxies = [\"127.0.0.1\"] in [gateway]"),
        "{hidden:?}"
    );
    // Where the proxy is believed, so is every other program of the machine.
    let trusting = clients("[\"192.0.2.0/24\"]", "trusted_proxies = \"127.0.0.1\"");
    assert_eq!(trusting.len(), 1, "{trusting:?}");
    assert!(
        trusting[0].contains("any user or program of this machine"),
        "{trusting:?}"
    );
    assert_eq!(clients("[\"192.0.2.0/24\", \"127.0.0.1\"]", ""), [""; 0]);
    let of_socket = |mode: &str| {
        let lines = format!("listen = \"unix:/run/a.sock\"\nlisten_mode = \"{mode}\"");
        let text = listening(&lines).replace(
            "destination = \"itoc360\"",
            "destination = \"itoc360\"\nclients = \"192.0.2.0/24\"",
        );
        printed(&good(&text).warnings)
    };
    let open = of_socket("666");
    assert!(
        open.len() == 1 && open[0].contains("listen_mode"),
        "{open:?}"
    );
    assert_eq!(of_socket("660"), [""; 0]);
}

#[test]
fn unix_socket_has_a_path_and_permissions() {
    let listen = |lines: &str| good(&listening(lines)).gateway.listen;
    assert_eq!(
        listen("listen = \"unix:/run/a.sock\"").to_string(),
        "unix:/run/a.sock"
    );
    let relative = listen("listen = \"unix:a.sock\"\nlisten_mode = \"666\"");
    assert!(
        matches!(&relative, Listen::Unix { path, mode: 0o666 } if path.ends_with("a.sock")),
        "{relative:?}"
    );
    assert!(matches!(
        listen("listen = \"unix:a\""),
        Listen::Unix { mode: 0o660, .. }
    ));
    for mistake in [
        "listen = \"unix:\"".to_owned(),
        format!("listen = \"unix:/{}\"", "x".repeat(107)),
        "listen = \"unix:a\"\nlisten_mode = \"888\"".to_owned(),
        "listen = \"unix:a\"\nlisten_mode = \"1777\"".to_owned(),
        "listen = \"unix:a\"\nlisten_mode = \"060\"".to_owned(),
        "listen = \"unix:a\"\nlisten_mode = 660".to_owned(),
    ] {
        assert_eq!(problems(&listening(&mistake)).len(), 1, "{mistake}");
    }
    let idle = printed(&good(&with("listen_mode = \"660\"")).warnings);
    assert!(
        idle.len() == 1 && idle[0].contains("listen is no Unix socket"),
        "{idle:?}"
    );
}

#[test]
fn reading_the_data_needs_neither_token_nor_key() {
    let folder = tempfile::tempdir().expect("a folder");
    let file = folder.path().join("gateway.toml");
    let text = with(
        "tls = { cert = \"none.pem\", key = \"none.pem\" }\nadmin_token = { env = \"NO_TOKEN\" }",
    );
    fs::write(&file, &text).expect("written");
    assert_eq!(Config::data_dir(&file), Ok(folder.path().join("data")));
    let without = Config::load_without_secrets(&file, "unknown").expect("no problems");
    assert!(without.gateway.tls.is_some());
    assert!(Config::load(&file).is_err());
}
