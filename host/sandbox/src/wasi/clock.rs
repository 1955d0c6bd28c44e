//! The clock of a call: it stands at the time when the request was received, and moves only while
//! the plugin sleeps. A sleep takes no time of the host.
//!
//! All of preview1's clocks are this one, once the plugin is asked to answer. Its initializer, which
//! may run before there is a request, sees the others stand at the start of 2000.

use super::guest::{Guest, element, with};
use super::{BADF, Errno, INVAL, MODULE, SUCCESS, streams};
use crate::call::Call;
use crate::phase::{Asked, Phase};
use serde::Deserialize;
use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;
use wasmtime::{Caller, Linker};

/// The time where there is no request: a plugin describes itself at the start of 2000. It is not
/// 1970, because a runtime may take a clock at zero for a broken one.
const WITHOUT_REQUEST: u64 = 946_684_800 * NANOSECONDS;

const NANOSECONDS: u64 = 1_000_000_000;

/// The clocks of preview1 are numbered from 0: real time, monotonic, of the process and the thread.
const CLOCKS: u32 = 4;

/// The most subscriptions of one poll. Languages' runtimes use one for each sleeping task.
const MAX_SUBSCRIPTIONS: u32 = 1024;

/// The clock that tells the time of day.
const WALL: u32 = 0;

/// The times of the clocks, in nanoseconds.
#[derive(Default)]
pub(super) struct VirtualClock {
    /// The time of receipt since 1970, once it was asked for.
    received_at: Option<u64>,
    slept: u64,
}

impl VirtualClock {
    fn now(&mut self, input: &[u8]) -> u64 {
        let received_at = self
            .received_at
            .get_or_insert_with(|| received_at(input).unwrap_or(WITHOUT_REQUEST));
        received_at.saturating_add(self.slept)
    }

    fn before_any_request(&self) -> u64 {
        WITHOUT_REQUEST.saturating_add(self.slept)
    }

    fn sleep(&mut self, time: u64) {
        self.slept = self.slept.saturating_add(time);
    }
}

/// The time of receipt that a request names.
fn received_at(input: &[u8]) -> Option<u64> {
    #[derive(Deserialize)]
    struct Received {
        received_at: String,
    }
    let Received { received_at } = serde_json::from_slice(input).ok()?;
    let time = OffsetDateTime::parse(&received_at, &Rfc3339).ok()?;
    time.unix_timestamp_nanos().try_into().ok()
}

pub(super) fn link(linker: &mut Linker<Call>) -> wasmtime::Result<()> {
    linker
        .func_wrap(MODULE, "clock_res_get", resolution)?
        .func_wrap(MODULE, "clock_time_get", time)?
        .func_wrap(MODULE, "poll_oneoff", poll)?;
    Ok(())
}

fn now(call: &mut Call, clock: u32) -> u64 {
    if clock != WALL && call.phase() == Phase::Initialize {
        return call.wasi.clock.before_any_request();
    }
    call.asks(Asked::Time);
    call.wasi.clock.now(call.memory.input())
}

fn resolution(mut caller: Caller<'_, Call>, clock: u32, at: u32) -> i32 {
    with(&mut caller, |mut guest, _| {
        is_clock(clock)?;
        guest.store(at, &1_u64.to_le_bytes())
    })
}

fn time(mut caller: Caller<'_, Call>, clock: u32, _precision: u64, at: u32) -> i32 {
    with(&mut caller, |mut guest, call| {
        is_clock(clock)?;
        guest.store(at, &now(call, clock).to_le_bytes())
    })
}

fn is_clock(clock: u32) -> Result<(), Errno> {
    if clock < CLOCKS { Ok(()) } else { Err(INVAL) }
}

/// One awaited event.
struct Awaited {
    /// The plugin's own word for it.
    userdata: [u8; 8],
    /// 0 for a clock, 1 for reading, 2 for writing.
    kind: u8,
    until: Until,
}

/// The moment of an event.
enum Until {
    /// After this time.
    Slept(u64),
    /// At once: so many bytes can be read or written, or it never will be.
    Now(Errno, u64),
}

impl Awaited {
    /// The size of preview1's `subscription`, in bytes.
    const SIZE: u32 = 48;
    /// The size of preview1's `event`.
    const EVENT_SIZE: u32 = 32;

    fn load(guest: &Guest<'_>, at: u32, call: &mut Call) -> Result<Self, Errno> {
        let record: [u8; Self::SIZE as usize] = guest.load(at)?;
        let [userdata, kind, at_16, timeout] =
            [0, 8, 16, 24].map(|at| u64::from_le_bytes(std::array::from_fn(|i| record[at + i])));
        let [kind, ..] = kind.to_le_bytes();
        let flags = record[40];
        let number = at_16 as u32;
        let until = match kind {
            0 if is_clock(number).is_err() => Until::Now(INVAL, 0),
            0 if flags & 1 == 1 => Until::Slept(timeout.saturating_sub(now(call, number))),
            0 => Until::Slept(timeout),
            1 | 2 => match streams::ready(call, number.cast_signed(), kind == 2) {
                Some(bytes) => Until::Now(SUCCESS, bytes),
                None => Until::Now(BADF, 0),
            },
            _ => return Err(INVAL),
        };
        Ok(Self {
            userdata: userdata.to_le_bytes(),
            kind,
            until,
        })
    }

    /// The time after which it happens.
    fn time(&self) -> u64 {
        match self.until {
            Until::Slept(time) => time,
            Until::Now(..) => 0,
        }
    }

    /// Preview1's `event`.
    fn event(&self) -> [u8; Self::EVENT_SIZE as usize] {
        let (errno, bytes) = match self.until {
            Until::Slept(_) => (SUCCESS, 0),
            Until::Now(errno, bytes) => (errno, bytes),
        };
        let mut event = [0; Self::EVENT_SIZE as usize];
        event[..8].copy_from_slice(&self.userdata);
        event[8..10].copy_from_slice(&(errno.0 as u16).to_le_bytes());
        event[10] = self.kind;
        event[16..24].copy_from_slice(&bytes.to_le_bytes());
        event
    }
}

/// Moves the clock to the first of the awaited events, and returns all that have happened then.
fn poll(mut caller: Caller<'_, Call>, list: u32, events: u32, count: u32, stored: u32) -> i32 {
    with(&mut caller, |mut guest, call| {
        if count == 0 || count > MAX_SUBSCRIPTIONS {
            return Err(INVAL);
        }
        let awaited = (0..count)
            .map(|index| Awaited::load(&guest, element(list, index, Awaited::SIZE)?, call))
            .collect::<Result<Vec<_>, Errno>>()?;
        call.asks(Asked::Sleep);
        let slept = awaited.iter().map(Awaited::time).min().unwrap_or_default();
        let happened = awaited.iter().filter(|event| event.time() <= slept);
        let mut number = 0_u32;
        for event in happened {
            guest.store(
                element(events, number, Awaited::EVENT_SIZE)?,
                &event.event(),
            )?;
            number += 1;
        }
        guest.store(stored, &number.to_le_bytes())?;
        call.wasi.clock.sleep(slept);
        Ok(())
    })
}
