//! The gateway that is shown: that of this machine at its socket, or one at its admin listener.

use std::path::{Path, PathBuf};

use anyhow::anyhow;
use serde_json::{Map, Value};

use super::super::remote::Client;
use super::super::{Failure, Place};
use super::state::{Lists, State};
use crate::gateway::control::{Answer, NoAnswer, Question, ask};

/// The newest events that are asked for.
const EVENTS: usize = 50;

/// The gateway that is asked for its state.
pub enum Asked {
    /// That of this machine, by its data directory.
    Here(PathBuf),
    /// One that has an admin listener.
    There(Client),
}

impl Asked {
    /// Finds the gateway of a place. The socket needs no credential, and counts first; users whom it
    /// does not let in ask the admin listener.
    ///
    /// # Errors
    /// The reason why there is none to ask.
    pub async fn of(place: &Place) -> Result<Self, Failure> {
        if let Some(client) = place.remote()? {
            return Ok(Self::There(client));
        }
        let data_dir = place.file.data_dir()?;
        match ask_here(&data_dir).await {
            Err(Unanswered::None(why @ NoAnswer::NotRunning(_))) => Err(why.into()),
            Err(Unanswered::None(why)) => Ok(Self::There(place.listener(&why)?)),
            _ => Ok(Self::Here(data_dir)),
        }
    }

    /// Asks for the present state.
    ///
    /// # Errors
    /// The reason why there is no answer, and what to do.
    pub async fn look(&self) -> Result<State, Failure> {
        let (lists, name) = match self {
            Self::Here(data_dir) => (ask_here(data_dir).await?, "the gateway here"),
            Self::There(client) => (ask_there(client).await?, client.host()),
        };
        let state = State::of(lists).ok_or_else(|| anyhow!("{name} shows no gateway"))?;
        Ok(state)
    }
}

/// The reason why the socket tells no state.
#[derive(Debug, thiserror::Error)]
enum Unanswered {
    /// Nothing answers there.
    #[error(transparent)]
    None(NoAnswer),
    /// The gateway says why.
    #[error("{0}")]
    Refused(String),
}

async fn ask_here(data_dir: &Path) -> Result<Lists, Unanswered> {
    let look = Question::Look { events: EVENTS };
    match ask(data_dir, &look).await.map_err(Unanswered::None)? {
        Answer::Looked { state } => serde_json::from_value(state).map_err(|error| {
            Unanswered::Refused(format!("its answer is not understood ({error})"))
        }),
        Answer::Refused { why, .. } => Err(Unanswered::Refused(why)),
        _ => Err(Unanswered::None(NoAnswer::Stopped)),
    }
}

async fn ask_there(client: &Client) -> Result<Lists, Failure> {
    let mut lists = Map::new();
    for path in [
        "/nodes",
        "/sources",
        "/destinations",
        &format!("/events?limit={EVENTS}"),
    ] {
        lists.extend(client.get::<Map<String, Value>>(path).await?);
    }
    Ok(serde_json::from_value(Value::Object(lists))?)
}
