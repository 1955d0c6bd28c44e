//! The client of the API of another gateway: one question after the other, and what to do where
//! there is no answer.

use std::time::Duration;

use anyhow::anyhow;
use http_body_util::{BodyExt, Full, Limited};
use hyper::body::Bytes;
use hyper::header::{ACCEPT, AUTHORIZATION, CONTENT_TYPE, HeaderValue, USER_AGENT};
use hyper::{Method, Request, StatusCode, Uri};
use serde::Deserialize;
use serde::de::DeserializeOwned;

use super::super::{Failure, plain};
use crate::config::{Network, Secret, is_in_the_clear};
use crate::destinations::http::{AGENT, Pool, describe_for, pool};

/// The time in which a question is answered.
const TIME: Duration = Duration::from_secs(30);
/// The time in which a test of a way is.
const TEST_TIME: Duration = Duration::from_secs(180);
/// The largest answer that is read.
const LARGEST: usize = 64 * 1024 * 1024;

/// The client of the API of another gateway.
pub struct Client {
    base: String,
    host: String,
    token: Option<Secret>,
    pool: Box<dyn Pool>,
}

/// A question to the API.
#[derive(Debug)]
enum Asked {
    /// Something is read.
    Read,
    /// Something is done; the body is JSON.
    Act(serde_json::Value),
}

/// The words of a refusal (RFC 9457).
#[derive(Debug, Default, Deserialize)]
struct Problem {
    #[serde(default)]
    detail: String,
}

/// An answer, read to its end.
struct Answer {
    status: StatusCode,
    is_problem: bool,
    is_json: bool,
    body: Bytes,
}

/// Returns whether a path names something of the configuration.
fn is_of_a_name(path: &str) -> bool {
    ["/sources/", "/destinations/", "/nodes/"]
        .iter()
        .any(|names| path.starts_with(names))
}

impl Client {
    /// Returns the client of the listener at `base`.
    ///
    /// # Errors
    /// The certificates cannot be used.
    pub fn new(base: String, token: Option<Secret>, network: &Network) -> Result<Self, Failure> {
        let uri: Uri = base.parse()?;
        let host = uri
            .authority()
            .map_or_else(String::new, ToString::to_string);
        if token.is_some() && is_in_the_clear(&uri) {
            eprintln!(
                "warning: the token goes to {host} in the clear, for anybody on the way to read: use https"
            );
        }
        let pool = pool(&uri, 1, network)
            .map_err(|error| Failure::Usage(format!("{host} cannot be asked: {error}")))?;
        Ok(Self {
            base,
            host,
            token,
            pool,
        })
    }

    /// Reads what is at a path below `/api/v1`.
    ///
    /// # Errors
    /// The reason why there is no answer, and what to do.
    pub async fn get<T: DeserializeOwned>(&self, path: &str) -> Result<T, Failure> {
        let answer = self.ask(path, &Asked::Read, TIME).await?;
        self.understood(answer, path).await
    }

    /// Has something done, and returns what was; or, inside, why there is nothing to do.
    ///
    /// # Errors
    /// The reason why it is not done, and what to do.
    pub async fn act<T: DeserializeOwned>(
        &self,
        path: &str,
        body: serde_json::Value,
    ) -> Result<Result<T, String>, Failure> {
        let answer = self.ask(path, &Asked::Act(body), TEST_TIME).await?;
        if answer.status == StatusCode::CONFLICT && answer.is_problem {
            return Ok(Err(answer.detail()));
        }
        self.understood(answer, path).await.map(Ok)
    }

    /// Returns the status at a path outside of the API.
    ///
    /// # Errors
    /// The reason why there is no answer.
    pub async fn status(&self, path: &str) -> Result<StatusCode, Failure> {
        Ok(self.send(path, &Asked::Read, TIME).await?.status)
    }

    /// Returns the address that is asked.
    pub fn base(&self) -> &str {
        &self.base
    }

    /// Returns the host that is asked, with its port.
    pub fn host(&self) -> &str {
        &self.host
    }

    async fn ask(&self, path: &str, asked: &Asked, time: Duration) -> Result<Answer, Failure> {
        self.send(&format!("/api/v1{path}"), asked, time).await
    }

    async fn send(&self, path: &str, asked: &Asked, time: Duration) -> Result<Answer, Failure> {
        let request = self.request(path, asked)?;
        let host = &self.host;
        let asking = async {
            let response = self.pool.request(request).await.map_err(|error| {
                let why = describe_for(&error, host, "--client-cert and --client-key");
                anyhow!("{}{}", plain::line(&why), advice(&why, &self.base))
            })?;
            let (head, body) = response.into_parts();
            let media_type = head.headers.get(CONTENT_TYPE);
            let media_type = media_type.and_then(|value| value.to_str().ok());
            let media_type = media_type.unwrap_or_default().to_owned();
            let body = Limited::new(body, LARGEST).collect().await;
            let body = body.map_err(|error| anyhow!("the answer of {host} broke off: {error}"))?;
            Ok(Answer {
                status: head.status,
                is_problem: media_type.starts_with("application/problem+json"),
                is_json: media_type.starts_with("application/json"),
                body: body.to_bytes(),
            })
        };
        match tokio::time::timeout(time, asking).await {
            Ok(answer) => answer.map_err(Failure::Run),
            Err(_) => Err(Failure::Run(anyhow!(
                "{host} did not answer within {} s",
                time.as_secs()
            ))),
        }
    }

    fn request(&self, path: &str, asked: &Asked) -> Result<Request<Full<Bytes>>, Failure> {
        let (method, body) = match asked {
            Asked::Read => (Method::GET, Bytes::new()),
            Asked::Act(body) => (Method::POST, Bytes::from(serde_json::to_vec(body)?)),
        };
        let mut request = Request::builder()
            .method(method)
            .uri(format!("{}{path}", self.base))
            .header(USER_AGENT, AGENT)
            .header(ACCEPT, "application/json");
        if let Some(token) = &self.token {
            let mut value = HeaderValue::try_from(format!("Bearer {}", token.expose()))?;
            value.set_sensitive(true);
            request = request.header(AUTHORIZATION, value);
        }
        if matches!(asked, Asked::Act(_)) {
            request = request.header(CONTENT_TYPE, "application/json");
        }
        Ok(request.body(Full::new(body))?)
    }

    /// Returns what an answer says, or why it says nothing.
    async fn understood<T: DeserializeOwned>(
        &self,
        answer: Answer,
        path: &str,
    ) -> Result<T, Failure> {
        let host = &self.host;
        if answer.status.is_success() && answer.is_json {
            return serde_json::from_slice(&answer.body).map_err(|error| {
                Failure::Run(anyhow!(
                    "the answer of {host} is not understood ({error}): is the gateway there of another version than this \
                     program ({})?",
                    env!("CARGO_PKG_VERSION")
                ))
            });
        }
        // Whatever else listens there answers in its own way.
        let is_gateway = answer.is_problem
            && (answer.status != StatusCode::NOT_FOUND || self.is_admin_listener().await);
        if !is_gateway {
            return Err(Failure::Run(anyhow!(
                "{} is not the admin listener of a gateway (it answers {}): name the address of `admin` in [gateway] of \
                 its configuration",
                self.base,
                answer.status.as_u16()
            )));
        }
        let detail = answer.detail();
        Err(match answer.status {
            StatusCode::UNAUTHORIZED if self.token.is_none() => Failure::Run(anyhow!(
                "{host} wants a token: put it into ALERT_GATEWAY_TOKEN, or name its file with --token-file"
            )),
            // As here: a name is wrong, and an id may be one that is kept no longer.
            StatusCode::NOT_FOUND if !is_of_a_name(path) => Failure::Run(anyhow!(detail)),
            StatusCode::BAD_REQUEST | StatusCode::NOT_FOUND => Failure::Usage(detail),
            _ => Failure::Run(anyhow!("{host} refuses it: {detail}")),
        })
    }

    /// Returns whether the description of the API is there.
    async fn is_admin_listener(&self) -> bool {
        let answer = self.ask("/openapi.json", &Asked::Read, TIME).await;
        answer.is_ok_and(|answer| answer.status.is_success() && answer.is_json)
    }
}

impl Answer {
    /// Returns the words of a problem.
    fn detail(&self) -> String {
        let problem: Problem = serde_json::from_slice(&self.body).unwrap_or_default();
        plain::line(&problem.detail)
    }
}

/// Returns what to do about a connection that failed, by the words of the failure.
fn advice(why: &str, base: &str) -> &'static str {
    if why.contains("UnknownIssuer") || why.contains("unknown issuer") {
        "; name the authority that signed its certificate with --ca FILE"
    } else if why.contains("CertificateRequired") || why.contains("certificate required") {
        "; it asks for a client certificate: see --client-cert and --client-key"
    } else if why.contains("onnection refused") {
        "; is the gateway running, and does `admin` in [gateway] of its configuration listen at this address? Its default \
         is 127.0.0.1:9090, which other machines do not reach"
    } else if base.starts_with("http://") && why.contains("broke") {
        "; does it speak TLS? Try https:// in --remote"
    } else {
        ""
    }
}
