//! The exports.

#![allow(unsafe_code, reason = "a wasm export has a fixed name")]

use plugin_sdk::contract::{Answer, Checked, Mistake, Priority, Rejection, RejectionKind, Request};
use plugin_sdk::{body, export, signature};

use crate::engine::{Engine, Thrown};
use crate::place;
use crate::settings::{Settings, describe as description};

#[unsafe(no_mangle)]
extern "C" fn describe() -> i32 {
    export::run(|_| json(&description()))
}

#[unsafe(no_mangle)]
extern "C" fn check() -> i32 {
    export::run(|input| json(&checked(&parsed(input)?)))
}

#[unsafe(no_mangle)]
extern "C" fn read() -> i32 {
    export::run(answered)
}

fn json(value: &impl serde::Serialize) -> Result<Vec<u8>, String> {
    serde_json::to_vec(value).map_err(|error| error.to_string())
}

fn parsed(settings: &[u8]) -> Result<Settings, String> {
    serde_json::from_slice(settings).map_err(|error| {
        format!("the settings fit the plugin's schema, but not the plugin: {error}")
    })
}

/// Runs the script, without a request: a mistake in it is one of the settings.
fn checked(settings: &Settings) -> Checked {
    let demands = settings.demands();
    let mut mistakes = Vec::new();
    if let Err(Thrown { message, stack, .. }) = start(settings) {
        let found = place::told(&message, &stack);
        let help = "a script is plain JavaScript, without `import` and `export`";
        mistakes.push(Mistake {
            line: place::in_script(&stack).map(|(line, _)| line),
            ..Mistake::new("/script", found, help)
        });
    }
    if settings.sender.is_some() && demands.is_empty() {
        mistakes.push(Mistake::new(
            "/sender",
            "names no way to prove a sender",
            "write \"github\" or another name, or a table such as { header = \"x-token\" }",
        ));
    }
    Checked {
        mistakes,
        authenticates: Some(!demands.is_empty()),
        proof: Some(demands),
        ..Checked::default()
    }
}

/// Starts the engine and runs the script.
fn start(settings: &Settings) -> Result<Engine, Thrown> {
    let mut engine = Engine::open()?;
    engine.run(place::SCRIPT, &settings.script)?;
    engine.call("__prepare", "null")?;
    Ok(engine)
}

fn answered(input: &[u8]) -> Result<Vec<u8>, String> {
    let request: Request = serde_json::from_slice(input)
        .map_err(|error| format!("the host sent what is no request of contract 1: {error}"))?;
    let settings = parsed(request.settings.get().as_bytes())?;
    let proof = match proved(&settings, &request) {
        Ok(proof) => proof,
        Err(rejection) => return json(&Answer::Rejected(rejection)),
    };
    let result = start(&settings).and_then(|mut engine| {
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
    settings: &Settings,
    request: &Request,
) -> Result<Option<plugin_sdk::contract::ProofIdentity>, Rejection> {
    if settings.sender.is_none() || request.proved.is_some() {
        return Ok(None);
    }
    match signature::verify(&settings.demands(), request.settings.get(), request)? {
        Some(proved) => Ok(proved.proof),
        None => Err(Rejection::new(
            RejectionKind::Forbidden,
            "this source cannot tell who sends",
            "`sender` is set without `secret` in this source's settings.",
        )),
    }
}
