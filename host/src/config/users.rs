//! `[admin]`: the people who use the admin listener, and how a proxy names them.

use argon2::password_hash::phc::PasswordHash;
use hyper::header::HeaderName;
use toml::de::DeValue;

use super::name::OWN_SOURCE;
use super::raw::{Table, Value};
use super::secret::Secret;

/// The name under which the holder of an admin token acts.
pub const ADMIN_TOKEN: &str = "admin token";
/// The name of a caller without a credential.
pub const NOBODY: &str = "nobody";
/// The name under which the holder of a client certificate acts.
pub const CERTIFICATE: &str = "client certificate";
/// The name under which the configuration acts: its mutes are of it.
pub const CONFIGURATION: &str = "configuration";
/// The names in the audit that stand for no user.
const TAKEN: [&str; 5] = [ADMIN_TOKEN, NOBODY, CERTIFICATE, CONFIGURATION, OWN_SOURCE];

/// The longest name of a user.
const LONGEST_NAME: usize = 100;
/// The most memory that the hash of a password may ask for, in KiB: a login must not be a burden.
const HASH_MEMORY: u32 = 256 * 1024;
/// The most passes over that memory.
const HASH_PASSES: u32 = 16;

/// The people who use the admin listener.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Users {
    /// The header in which a trusted proxy names the user. Default none.
    pub header: Option<HeaderName>,
    /// The users. Default none.
    pub list: Vec<User>,
}

/// A user of the admin listener.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct User {
    /// The name, as the audit has it.
    pub name: String,
    /// True if the user may act, and not only read.
    pub operates: bool,
    /// The Argon2 hash of the password, as a PHC string. Default none.
    pub password: Option<Secret>,
    /// Any one of these stands for the user. Default none.
    pub tokens: Vec<Secret>,
}

impl Users {
    /// Returns true if no caller can be known by them.
    pub fn is_empty(&self) -> bool {
        self.header.is_none() && self.list.is_empty()
    }
}

/// Reads `[admin]`.
pub(super) fn read(mut table: Table<'_>) -> Option<Users> {
    let header = table.optional("user_header", None, |value| header(&value).map(Some));
    let by_proxy = header.as_ref().is_none_or(Option::is_some);
    let list = table.optional("users", Vec::new(), |value| users(&value, by_proxy));
    table.finish();
    Some(Users {
        header: header?,
        list: list?,
    })
}

fn header(value: &Value<'_>) -> Option<HeaderName> {
    let text = value.text("X-Forwarded-User")?;
    match text.parse() {
        Ok(header) => Some(header),
        Err(_) => {
            value.wrong_text(
                text,
                "write the name of a header, like \"X-Forwarded-User\"",
            );
            None
        }
    }
}

fn users(value: &Value<'_>, by_proxy: bool) -> Option<Vec<User>> {
    let DeValue::Array(list) = value.value else {
        value.wrong_type("write each user as a table of its own, below [[admin.users]]");
        return None;
    };
    // Every one is read before any is given up, so that every problem is told.
    let read = list.iter().map(|one| user(&value.item(one), by_proxy));
    let users: Vec<Option<User>> = read.collect();
    let users: Vec<User> = users.into_iter().collect::<Option<_>>()?;
    for (number, user) in users.iter().enumerate() {
        if users[..number].iter().any(|other| other.name == user.name) {
            let found = format!("two users in [admin] are called {:?}", user.name);
            value.problem(
                found,
                "give each a name of its own: the audit tells them apart by it",
            );
            return None;
        }
    }
    Some(users)
}

fn user(value: &Value<'_>, by_proxy: bool) -> Option<User> {
    let DeValue::Table(entries) = value.value else {
        value.wrong_type("write each user as a table of its own, below [[admin.users]]");
        return None;
    };
    let mut table = value.inner(entries);
    let name = table.required("name", "name = \"kim\"", |value| name(&value));
    let operates = table.required("role", "role = \"viewer\", or \"operator\"", |value| {
        let text = value.text("viewer")?;
        match text {
            "viewer" => Some(false),
            "operator" => Some(true),
            _ => {
                value.wrong_text(
                    text,
                    "write \"viewer\" for one who reads, or \"operator\" for one who acts",
                );
                None
            }
        }
    });
    let password = table.optional("password", None, |value| password(&value).map(Some));
    let tokens = table.optional("token", Vec::new(), |value| value.tokens());
    table.finish();
    let name = name?;
    let operates = operates?;
    let password = password?;
    let tokens = tokens?;
    if password.is_none() && tokens.is_empty() && !by_proxy {
        value.problem(
            format!("user {name:?} in [admin] has neither a password nor a token"),
            "add password = { env = \"KIM_PASSWORD_HASH\" }, an Argon2 hash, or token = { env = \"KIM_TOKEN\" }",
        );
        return None;
    }
    Some(User {
        name,
        operates,
        password,
        tokens,
    })
}

/// Returns whether a name stands for no user in the audit. A reader must not take one for the other,
/// however it is written.
pub fn is_taken(name: &str) -> bool {
    let words: Vec<_> = name.split_whitespace().map(str::to_lowercase).collect();
    TAKEN.contains(&words.join(" ").as_str())
}

fn name(value: &Value<'_>) -> Option<String> {
    let text = value.text("kim")?;
    let fits = !text.trim().is_empty()
        && text.len() <= LONGEST_NAME
        && !text.chars().any(char::is_control);
    if !fits {
        value.wrong_text(text, "write a name of 1 to 100 bytes, on one line");
        return None;
    }
    if is_taken(text) {
        let found = format!("a user in [admin] is called {text:?}");
        let help = "choose another name: in the audit this one stands for no user";
        value.problem(found, help);
        return None;
    }
    Some(text.to_owned())
}

fn password(value: &Value<'_>) -> Option<Secret> {
    let hash = value.token()?;
    // A stand-in for a secret that is not read is no hash, and is never compared.
    if value.reading.stand_in.is_some() {
        return Some(hash);
    }
    let Some(params) = params(hash.expose()) else {
        let help = "write the hash and not the password, like \"$argon2id$v=19$m=19456,t=2,p=1$…\": \
                    `alert-gateway hash-password` asks for a password and prints one";
        value.problem(format!("{} is no Argon2 hash", value.label), help);
        return None;
    };
    if params.m_cost() > HASH_MEMORY || params.t_cost() > HASH_PASSES {
        let found = format!(
            "{} asks for {} KiB and {} passes at each login",
            value.label,
            params.m_cost(),
            params.t_cost()
        );
        let help = format!("take at most {HASH_MEMORY} KiB and {HASH_PASSES} passes");
        value.problem(found, help);
        return None;
    }
    Some(hash)
}

/// Returns the cost of a hash that has a salt and an output.
fn params(hash: &str) -> Option<argon2::Params> {
    let hash = PasswordHash::new(hash).ok()?;
    argon2::Algorithm::try_from(hash.algorithm.as_str()).ok()?;
    if hash.salt.is_none() || hash.hash.is_none() {
        return None;
    }
    argon2::Params::try_from(&hash).ok()
}
