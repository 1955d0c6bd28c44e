//! The person or program that asks at the admin listener.

use serde::Serialize;

/// The caller of a request, once it is known.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Caller {
    /// Its name, as the audit has it.
    pub who: String,
    /// Its rights.
    pub role: Role,
    /// The address that it asks from.
    pub origin: String,
    /// The way in which it is known.
    pub known_by: KnownBy,
    /// The token that its forms carry.
    pub csrf: String,
}

/// The rights of a caller.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Role {
    /// Reads.
    Viewer,
    /// Reads and acts.
    Operator,
}

/// The way in which a caller is known.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum KnownBy {
    /// The listener asks for no credential.
    Nothing,
    /// A token in the request.
    Token,
    /// A client certificate of the connection.
    Certificate,
    /// The cookie of a session.
    Session,
    /// The word of a trusted proxy.
    Proxy,
}

impl KnownBy {
    /// Returns true if a browser shows it with each request by itself, so that a page of another
    /// site could act with it.
    pub fn is_ambient(self) -> bool {
        self != Self::Token
    }

    /// Returns the advice where a caller may not act.
    pub fn advice(self) -> &'static str {
        match self {
            Self::Nothing => {
                "this listener asks for no credential, and then nobody may act: write admin_token in [gateway] or \
                 [[admin.users]], and log in, or show a token as Authorization: Bearer <token>"
            }
            _ => "this needs the role operator",
        }
    }
}

impl Role {
    /// Returns its word.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Viewer => "viewer",
            Self::Operator => "operator",
        }
    }
}
