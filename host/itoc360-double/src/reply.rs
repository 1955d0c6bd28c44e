//! The words of a script.

use std::sync::Arc;

use tokio::sync::Semaphore;

/// The way to answer one request.
#[derive(Debug, Clone)]
pub enum Reply {
    /// As ITOC360 would.
    Ok,
    /// As ITOC360 would, once there is a permit for it, which is used up. The event is taken at
    /// once.
    OkWhen(Arc<Semaphore>),
    /// This, and the event is not taken.
    Status {
        /// The status, 200 to 599. Anything else is answered 500.
        code: u16,
        /// Names and values. What is no header is left out.
        headers: Vec<(String, String)>,
        /// The body.
        body: String,
    },
    /// Never. The event is not taken.
    Hang,
    /// The connection is dropped without an answer. The event is not taken.
    Close,
    /// The event is taken as ITOC360 would, but the connection is dropped before the answer.
    Lost,
    /// The event is taken as ITOC360 would, but the answer is 200 with words.
    Garbage,
}

impl Reply {
    /// A status with ITOC360's own `{"error":"…"}`.
    pub fn error(code: u16, message: &str) -> Self {
        let body = serde_json::json!({ "error": message }).to_string();
        Self::Status {
            code,
            headers: Vec::new(),
            body,
        }
    }
}
