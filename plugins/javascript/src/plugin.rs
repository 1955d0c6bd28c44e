//! The exports.

#![allow(unsafe_code, reason = "a wasm export has a fixed name")]

use std::cell::RefCell;
use std::rc::Rc;

use plugin_sdk::contract::{
    Answer, Checked, Demand, Mistake, Priority, Rejection, RejectionKind, Request,
};
use plugin_sdk::export::configured;
use plugin_sdk::{body, export, signature};
use serde::de::DeserializeOwned;

use crate::carried::Carried;
use crate::engine::{Engine, Thrown};
use crate::place;
use crate::settings::{Settings, describe as description};

#[unsafe(no_mangle)]
extern "C" fn describe() -> i32 {
    export::run(|_| match carried()? {
        Some(carried) => {
            let file = |name: &str| configured(name).unwrap_or_default();
            json(&carried.describe(&file("name"), &file("settings"), &file("setup")))
        }
        None => json(&description()),
    })
}

#[unsafe(no_mangle)]
extern "C" fn check() -> i32 {
    export::run(|input| json(&checked(&Script::of(input)?)))
}

#[unsafe(no_mangle)]
extern "C" fn read() -> i32 {
    export::run(answered)
}

/// The host asks first for all sources, without settings, and then for each source.
#[unsafe(no_mangle)]
extern "C" fn prepare() -> i32 {
    export::run(|settings| {
        prepared(settings)?;
        Ok(Vec::new())
    })
}

thread_local! {
    static READY: RefCell<Ready> = RefCell::default();
}

/// What was made ready before there was a request.
#[derive(Default)]
struct Ready {
    engine: Option<Engine>,
    /// The script that the engine has run.
    ran: Option<String>,
    /// The settings of a source, and the script of its calls.
    script: Option<(Vec<u8>, Rc<Script>)>,
}

/// Makes ready for these settings, or without any for all sources.
fn prepared(settings: &[u8]) -> Result<(), String> {
    let script = match settings {
        [] if carried()?.is_none() => None,
        [] => Some(Script::of(b"{}")?),
        settings => Some(Script::of(settings)?),
    };
    let told = |thrown: Thrown| place::told(&thrown.message, &thrown.stack);
    let engine = match &script {
        Some(script) => start(script).map_err(told)?,
        None => Engine::open().map_err(told)?,
    };
    READY.with_borrow_mut(|ready| {
        ready.engine = Some(engine);
        ready.ran = script.as_ref().map(|script| script.text.clone());
        ready.script = script.map(|script| (settings.to_vec(), Rc::new(script)));
    });
    Ok(())
}

/// Returns the script of a call with these settings.
fn script_of(settings: &[u8]) -> Result<Rc<Script>, String> {
    let ready = READY.with_borrow(|ready| match &ready.script {
        Some((known, script)) if known == settings => Some(Rc::clone(script)),
        _ => None,
    });
    match ready {
        Some(script) => Ok(script),
        None => Script::of(settings).map(Rc::new),
    }
}

fn json(value: &impl serde::Serialize) -> Result<Vec<u8>, String> {
    serde_json::to_vec(value).map_err(|error| error.to_string())
}

/// The script that the host carries as a plugin, where it does.
fn carried() -> Result<Option<Carried>, String> {
    let read = |text: String| {
        serde_json::from_str(&text).map_err(|error| format!("description.json: {error}"))
    };
    configured("description").map(read).transpose()
}

/// The script of a call, and the proof that its sender owes.
struct Script {
    text: String,
    demands: Vec<Demand>,
    /// The secrets that the script is not given, of one that is given all other settings; `None` of
    /// one that is given `options` alone.
    withheld: Option<Vec<String>>,
    /// True where the settings name a way to prove the sender.
    names_sender: bool,
}

impl Script {
    fn of(settings: &[u8]) -> Result<Self, String> {
        if let Some(carried) = carried()? {
            let demands = carried.demands(&parsed(settings)?);
            return Ok(Self {
                text: configured("script").unwrap_or_default(),
                names_sender: !demands.is_empty(),
                demands,
                withheld: Some(carried.secrets),
            });
        }
        let settings: Settings = parsed(settings)?;
        Ok(Self {
            demands: settings.demands(),
            names_sender: settings.sender.is_some(),
            text: settings.script,
            withheld: None,
        })
    }
}

fn parsed<T: DeserializeOwned>(settings: &[u8]) -> Result<T, String> {
    serde_json::from_slice(settings).map_err(|error| {
        format!("the settings fit the plugin's schema, but not the plugin: {error}")
    })
}

/// Runs the script, without a request: a mistake in it is one of the settings.
fn checked(script: &Script) -> Checked {
    let mut mistakes = Vec::new();
    if let Err(Thrown { message, stack, .. }) = start(script) {
        let found = place::told(&message, &stack);
        let help = "a script is plain JavaScript, without `import` and `export`";
        mistakes.push(Mistake {
            line: place::in_script(&stack).map(|(line, _)| line),
            ..Mistake::new("/script", found, help)
        });
    }
    if script.names_sender && script.demands.is_empty() {
        mistakes.push(Mistake::new(
            "/sender",
            "names no way to prove a sender",
            "write \"github\" or another name, or a table such as { header = \"x-token\" }",
        ));
    }
    Checked {
        mistakes,
        authenticates: Some(!script.demands.is_empty()),
        proof: Some(script.demands.clone()),
        ..Checked::default()
    }
}

/// Returns an engine that has run the script: the one that is ready, as far as it goes.
fn start(script: &Script) -> Result<Engine, Thrown> {
    let ready = READY.with_borrow_mut(|ready| (ready.engine.take(), ready.ran.take()));
    let mut engine = match ready {
        (Some(engine), Some(ran)) if ran == script.text => return Ok(engine),
        (Some(engine), None) => engine,
        _ => Engine::open()?,
    };
    engine.run(place::SCRIPT, &script.text)?;
    let withheld = serde_json::to_string(&script.withheld).unwrap_or_default();
    engine.call("__prepare", &withheld)?;
    Ok(engine)
}

fn answered(input: &[u8]) -> Result<Vec<u8>, String> {
    let request: Request = serde_json::from_slice(input)
        .map_err(|error| format!("the host sent what is no request of contract 1: {error}"))?;
    let script = script_of(request.settings.get().as_bytes())?;
    let proof = match proved(&script, &request) {
        Ok(proof) => proof,
        Err(rejection) => return json(&Answer::Rejected(rejection)),
    };
    let result = start(&script).and_then(|mut engine| {
        engine.set_request(request);
        let input = std::str::from_utf8(input).unwrap_or_default();
        engine.call("__answer", input)
    });
    match result {
        Ok(text) if proof.is_none() => Ok(text.into_bytes()),
        Ok(text) => {
            let answer: Answer = serde_json::from_str(&text).map_err(|error| {
                format!("the script's answer does not keep the contract: {error}")
            })?;
            json(&answer.proved_by(proof))
        }
        // The script did not catch it, so it cannot tell more than the SDK can.
        Err(Thrown {
            unreadable: Some((request, why)),
            ..
        }) => json(
            &Answer::alert(body::unreadable::alert(&request, &why, Priority::High))
                .proved_by(proof),
        ),
        Err(Thrown { message, stack, .. }) => Err(place::told(&message, &stack)),
    }
}

/// Returns the identity of the proof, where the host has not checked it already.
fn proved(
    script: &Script,
    request: &Request,
) -> Result<Option<plugin_sdk::contract::ProofIdentity>, Rejection> {
    if !script.names_sender || request.proved.is_some() {
        return Ok(None);
    }
    match signature::verify(&script.demands, request.settings.get(), request)? {
        Some(proved) => Ok(proved.proof),
        None => Err(Rejection::new(
            RejectionKind::Forbidden,
            "this source cannot tell who sends",
            "Neither a secret of this source's settings nor a key that the gateway fetched tells it.",
        )),
    }
}
