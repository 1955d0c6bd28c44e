//! `top`: shows what a gateway does now, again and again, as it tells at its socket or its admin
//! listener.

mod asked;
mod frame;
mod screen;
mod state;

use std::io::{IsTerminal, Write, stdin, stdout};
use std::time::Duration;

use clap::Args;
use tokio::time::Instant;

use super::{Failure, Outcome, Place, block_on, columns, plain};
use crate::config::parse_duration;
use asked::Asked;
use frame::Size;
use screen::{Screen, Wish};

/// The least time between two looks: each reads the store of the gateway.
const LEAST: Duration = Duration::from_millis(500);

/// The arguments of `top`.
#[derive(Debug, Args)]
#[command(after_help = "Examples:
  alert-gateway top
  alert-gateway top --every 10s
  alert-gateway top --remote https://gateway.example.com:9090 --token-file token.txt
  alert-gateway top --once | grep -v healthy")]
pub struct Top {
    #[command(flatten)]
    place: Place,
    /// The time between two looks, from 500ms on
    #[arg(long, value_name = "TIME", default_value = "2s", value_parser = every)]
    every: Duration,
    /// Print all of it once, and end
    #[arg(long)]
    once: bool,
}

fn every(text: &str) -> Result<Duration, String> {
    parse_duration(text)
        .filter(|every| *every >= LEAST)
        .ok_or_else(|| "write a duration from 500ms on, as in 5s".to_owned())
}

/// Shows it until a key or a signal ends it.
pub fn top(what: &Top) -> Outcome {
    if what.once || !stdout().is_terminal() || !stdin().is_terminal() {
        return block_on(async {
            let state = Asked::of(&what.place).await?.look().await?;
            let lines = frame::frame(&state, None, columns::width());
            let mut out = stdout().lock();
            for line in lines {
                writeln!(out, "{}", line.text)?;
            }
            Ok(())
        });
    }
    block_on(async {
        // What is wrong at once, such as the address, is said as of any other command.
        let asked = Asked::of(&what.place).await?;
        let mut state = asked.look().await?;
        let mut screen = Screen::enter()?;
        let mut trouble: Option<String> = None;
        loop {
            let next = Instant::now() + what.every;
            loop {
                let size: Size = screen.size();
                let mut lines = frame::frame(&state, Some(size), Some(size.columns));
                if let Some(trouble) = &trouble {
                    lines.truncate(usize::from(size.rows).saturating_sub(1));
                    lines.push(frame::trouble(trouble));
                }
                screen.draw(&lines)?;
                tokio::select! {
                    wish = screen.wish() => match wish {
                        Wish::End => return Ok(()),
                        Wish::Look => break,
                        Wish::Redraw => {}
                    },
                    () = tokio::time::sleep_until(next) => break,
                }
            }
            tokio::select! {
                looked = asked.look() => match looked {
                    Ok(mut looked) => {
                        looked.compare(&state);
                        (state, trouble) = (looked, None);
                    }
                    Err(failure) => trouble = Some(plain::line(&failure.to_string())),
                },
                () = screen.end() => return Ok::<(), Failure>(()),
            }
        }
    })
}
