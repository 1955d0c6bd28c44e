//! The thread that keeps a gateway's leases: it shows that the gateway lives, takes the leases of
//! dead ones, and hears of the commits of others.

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender, channel};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use super::guard::{self, Guard};
use super::leases::{Leases, Moment};
use super::nodes::NOW;
use super::schema::{self, integer, text};
use super::server::{self, Server};
use super::session::{LEADER, Session};
use crate::clock::Clock;
use crate::log_throttle::LogThrottle;
use crate::store::postgres::{ANSWER, BEGIN, Link};
use crate::store::{SharedStore, StoreError};
use rusqlite::types::Value;

/// The time between two looks for the commits of others.
const LOOK: Duration = Duration::from_millis(100);
/// The longest time between two beats of a gateway.
const BEAT: Duration = Duration::from_millis(500);
/// The time that a gateway of the same name is watched for a beat: more than two of them.
pub const WATCHED: Duration = Duration::from_millis(1_200);

/// The longest wait for an answer within a takeover.
const TAKE: Duration = Duration::from_secs(60);

/// Called after each commit of another gateway.
pub type Committed = Box<dyn Fn() + Send>;

/// A gateway that has joined the others.
#[derive(Debug)]
pub struct Joined {
    /// The server.
    pub server: Server,
    /// The writer's part.
    pub session: Session,
    /// The leases.
    pub leases: Arc<Leases>,
    /// The thread, to be stopped after the last commit.
    pub keeper: Keeper,
    /// The clock that alerts are due by.
    pub clock: Clock,
}

/// The thread that keeps the leases.
#[derive(Debug)]
pub struct Keeper {
    stop: Sender<()>,
    thread: JoinHandle<()>,
}

impl Keeper {
    /// Gives the leases back, so that another gateway goes on at once.
    pub fn stop(self) {
        // It may have ended by itself, where another gateway has its name.
        let _ = self.stop.send(());
        if self.thread.join().is_err() {
            tracing::error!("the keeper of leases panicked; other gateways wait for their end");
        }
    }
}

/// Joins the gateways that share a store, making its tables where there are none. `committed`
/// is called after each commit of another gateway.
///
/// # Errors
/// [`StoreError::Refused`] where the database will not do, or another gateway has this one's name;
/// otherwise what the database said.
pub fn join(
    shared: &SharedStore,
    clock: Option<Clock>,
    committed: Committed,
) -> Result<Joined, StoreError> {
    let link = Link::new(Arc::clone(&shared.address));
    let server = server::ask(&link, shared.replication)?;
    // That of the database counts, as those of the gateways may differ.
    let clock = clock.unwrap_or_else(|| Clock::at(server.now_ms));
    schema::make(&link)?;
    let instance = uuid::Uuid::now_v7().to_string();
    expect_no_other(&link, shared)?;
    enter(&link, shared, &instance)?;
    link.set_within((shared.lease / 2).min(ANSWER));
    let leases = Arc::new(Leases::default());
    let (stop, stopped) = channel();
    let work = Work {
        link,
        node: shared.node.clone(),
        instance: instance.clone(),
        lease: shared.lease,
        quarantine: shared.quarantine,
        clock,
        guards: None,
        leads: false,
        led: false,
        leases: Arc::clone(&leases),
        committed,
        commits: 0,
        asked: 0,
        seen: HashMap::new(),
        throttle: LogThrottle::default(),
    };
    let thread = thread::Builder::new()
        .name("store-leases".into())
        .spawn(move || work.run(&stopped))
        .map_err(|error| StoreError::Away(format!("cannot start a thread: {error}")))?;
    let session = Session {
        node: shared.node.clone(),
        instance,
        commits: 0,
        committed: 0,
        leads: false,
        guarded: false,
    };
    let keeper = Keeper { stop, thread };
    Ok(Joined {
        server,
        session,
        leases,
        keeper,
        clock,
    })
}

/// Expects that no gateway with this one's name is alive.
fn expect_no_other(link: &Link, shared: &SharedStore) -> Result<(), StoreError> {
    let look = || -> Result<Option<Vec<Value>>, StoreError> {
        let sql = "SELECT instance, beat FROM gateways WHERE node = ? AND instance <> ''";
        let rows = link.query(sql, &[shared.node.clone().into()])?;
        Ok(rows.into_iter().next())
    };
    let before = look()?;
    if before.is_none() {
        return Ok(());
    }
    thread::park_timeout(WATCHED);
    if look()? == before {
        return Ok(());
    }
    Err(StoreError::Refused(format!(
        "another gateway with the name {:?} uses it: stop that one, or give this one a node of its own in [store]",
        shared.node
    )))
}

/// Takes down that this run has the name from now on.
fn enter(link: &Link, shared: &SharedStore, instance: &str) -> Result<(), StoreError> {
    link.begin(BEGIN)?;
    let sql = format!(
        "INSERT INTO gateways (node, instance, commit, beat, version, configuration, started_at, seen_at)
         VALUES (?, ?, 0, 0, ?, ?, {NOW}, {NOW})
         ON CONFLICT (node) DO UPDATE SET instance = excluded.instance, commit = 0, beat = gateways.beat + 1,
             version = excluded.version, configuration = excluded.configuration,
             started_at = excluded.started_at, seen_at = excluded.seen_at"
    );
    let values = [
        shared.node.clone().into(),
        instance.to_owned().into(),
        env!("CARGO_PKG_VERSION").to_owned().into(),
        shared.configuration.clone().into(),
    ];
    let entered = link.execute(&sql, &values);
    if entered.is_err() {
        link.roll_back();
    }
    entered?;
    link.commit()
}

/// The last look of a lease, and since when.
struct Seen {
    epoch: i64,
    beat: i64,
    since: Moment,
}

/// The holder of a lease, as it stands in the database.
struct Holder {
    node: String,
    /// Empty where it was given back.
    instance: String,
    epoch: i64,
    beat: i64,
}

/// A lease that may be taken, with its last holder.
struct Free {
    name: String,
    holder: Option<Holder>,
}

struct Work {
    link: Link,
    node: String,
    instance: String,
    lease: Duration,
    quarantine: Duration,
    clock: Clock,
    /// The moment since when this gateway guards keys that another may be delivering.
    guards: Option<Moment>,
    /// True if this gateway led at the last beat.
    leads: bool,
    /// True if this gateway has led, and has not said since that nothing of it is under way.
    led: bool,
    leases: Arc<Leases>,
    committed: Committed,
    /// The number of commits of others that are known.
    commits: i64,
    /// The number of leases that were asked for at the last beat.
    asked: usize,
    seen: HashMap<String, Seen>,
    throttle: LogThrottle,
}

impl Work {
    fn run(mut self, stopped: &Receiver<()>) {
        let every = (self.lease / 10).min(BEAT);
        let mut beaten: Option<Moment> = None;
        loop {
            let asked = self.leases.wanted().len();
            let is_due = asked != self.asked || beaten.is_none_or(|last| last.elapsed() >= every);
            let done = self.look().and_then(|()| {
                if is_due {
                    beaten = Some(Moment::now());
                    self.beat()?;
                    self.asked = asked;
                }
                Ok(())
            });
            match done {
                Ok(()) => {}
                Err(error @ StoreError::Lost(_)) => {
                    tracing::error!(%error, "this gateway delivers nothing more");
                    return;
                }
                Err(error) => {
                    if let Some(suppressed) = self.throttle.due("", error.kind()) {
                        tracing::warn!(%error, suppressed, "leases could not be kept; it tries again");
                    }
                }
            }
            match stopped.recv_timeout(LOOK) {
                Err(RecvTimeoutError::Timeout) => {}
                Ok(()) | Err(RecvTimeoutError::Disconnected) => break,
            }
        }
        if let Err(error) = self.give_back() {
            tracing::warn!(%error, "leases could not be given back; other gateways wait for their end");
        }
    }

    /// Looks for the commits of others.
    fn look(&mut self) -> Result<(), StoreError> {
        // All but this gateway's own.
        let sql = "SELECT w.commits - g.commit FROM writer w JOIN gateways g ON g.node = ?";
        let rows = self.link.query(sql, &[self.node.clone().into()])?;
        let commits = rows
            .into_iter()
            .flatten()
            .find_map(integer)
            .unwrap_or_default();
        if commits != self.commits {
            self.commits = commits;
            (self.committed)();
        }
        Ok(())
    }

    /// Shows that this gateway lives, renews its leases, and takes those of dead ones.
    fn beat(&mut self) -> Result<(), StoreError> {
        let me = [self.node.clone().into(), self.instance.clone().into()];
        let sql = format!(
            "UPDATE gateways SET beat = beat + 1, seen_at = {NOW} WHERE node = ? AND instance = ?"
        );
        if self.link.execute(&sql, &me)? == 0 {
            self.leases.set([], Moment::now());
            return Err(StoreError::Lost(format!(
                "another gateway has the name {:?}: give each a node of its own in [store]",
                self.node
            )));
        }
        let wanted = self.leases.wanted();
        let asked = Moment::now();
        let sql = "UPDATE leases SET beat = beat + 1 WHERE instance = ? RETURNING name";
        let rows = self.link.query(sql, &me[1..])?;
        let mut held: Vec<String> = rows.into_iter().flatten().filter_map(text).collect();
        held.retain(|name| wanted.contains(name));
        let free = self.free(&wanted, &held)?;
        if !free.is_empty() {
            held.extend(self.take(free)?);
        }
        let leads = held.iter().any(|name| name == LEADER);
        // Some time before any other may take it.
        self.leases.set(held, asked.after(self.lease / 5 * 4));
        if leads {
            if !std::mem::replace(&mut self.leads, true) {
                self.led = true;
                self.guards = Some(Moment::now());
            }
            return self.guard();
        }
        self.leads = false;
        if self.led && self.leases.is_idle() {
            guard::gone(&self.link, &self.instance)?;
            self.led = false;
        }
        Ok(())
    }

    /// Ends the guard of keys that a former leader may be delivering, once it is gone.
    fn guard(&mut self) -> Result<(), StoreError> {
        let Some(since) = self.guards else {
            return Ok(());
        };
        match guard::look(&self.link)? {
            Guard::Down => {}
            Guard::Waits if since.elapsed() < self.quarantine => return Ok(()),
            Guard::Waits | Guard::Over => {
                guard::end(&self.link, &self.instance, self.clock)?;
                tracing::info!("no former leader is waited for any more");
                (self.committed)();
            }
        }
        self.guards = None;
        Ok(())
    }

    /// Returns the wanted leases that are free, with their last holders.
    fn free(&mut self, wanted: &[String], held: &[String]) -> Result<Vec<Free>, StoreError> {
        let rows = self
            .link
            .query("SELECT name, node, instance, epoch, beat FROM leases", &[])?;
        let mut there: HashMap<String, Holder> = HashMap::new();
        for row in rows {
            let Ok([name, node, instance, epoch, beat]) = <[Value; 5]>::try_from(row) else {
                continue;
            };
            if let (Some(name), Some(node), Some(instance), Some(epoch), Some(beat)) = (
                text(name),
                text(node),
                text(instance),
                integer(epoch),
                integer(beat),
            ) {
                let holder = Holder {
                    node,
                    instance,
                    epoch,
                    beat,
                };
                there.insert(name, holder);
            }
        }
        let mut free = Vec::new();
        for name in wanted.iter().filter(|name| !held.contains(name)) {
            let name = name.clone();
            let Some(holder) = there.remove(&name) else {
                free.push(Free { name, holder: None });
                continue;
            };
            let Holder { epoch, beat, .. } = holder;
            let now = Moment::now();
            let seen = self.seen.entry(name.clone()).or_insert(Seen {
                epoch,
                beat,
                since: now,
            });
            if (seen.epoch, seen.beat) != (epoch, beat) {
                *seen = Seen {
                    epoch,
                    beat,
                    since: now,
                };
            }
            // One of the same name is dead: this one has its place among the gateways.
            let is_free = holder.instance.is_empty() || holder.node == self.node;
            if is_free || seen.since.elapsed() >= self.lease {
                let holder = Some(holder);
                free.push(Free { name, holder });
            }
        }
        Ok(free)
    }

    /// Takes leases that are free, unless another gateway was faster. It waits for the lock of the
    /// writers, so that no settlement of the former holder is under way.
    fn take(&mut self, free: Vec<Free>) -> Result<Vec<String>, StoreError> {
        // All keys that wait may have to be taken down.
        self.link.set_within(TAKE);
        let taken = self.link.begin(BEGIN).and_then(|()| self.take_each(free));
        self.link.set_within((self.lease / 2).min(ANSWER));
        match taken {
            Ok(taken) => {
                self.link.commit()?;
                for name in &taken {
                    tracing::info!(lease = name, "this gateway does it from now on");
                }
                Ok(taken)
            }
            Err(error) => {
                self.link.roll_back();
                Err(error)
            }
        }
    }

    fn take_each(&mut self, free: Vec<Free>) -> Result<Vec<String>, StoreError> {
        let mut taken = Vec::new();
        for Free { name, holder } in free {
            let who = [self.node.clone().into(), self.instance.clone().into()];
            let changed = match &holder {
                None => {
                    let sql = "INSERT INTO leases (name, node, instance, epoch, beat) VALUES (?, ?, ?, 1, 1)
                               ON CONFLICT (name) DO NOTHING";
                    let [node, instance] = who;
                    self.link
                        .execute(sql, &[name.clone().into(), node, instance])?
                }
                Some(Holder { epoch, beat, .. }) => {
                    let sql = "UPDATE leases SET node = ?2, instance = ?3, epoch = epoch + 1, beat = beat + 1
                               WHERE name = ?1 AND epoch = ?4 AND beat = ?5";
                    let [node, instance] = who;
                    let values = [
                        name.clone().into(),
                        node,
                        instance,
                        (*epoch).into(),
                        (*beat).into(),
                    ];
                    self.link.execute(sql, &values)?
                }
            };
            if changed > 0 {
                let former =
                    holder.filter(|holder| !holder.instance.is_empty() && holder.node != self.node);
                if let Some(former) = former
                    && name == LEADER
                    && !self.quarantine.is_zero()
                {
                    guard::begin(&self.link, &former.node, &former.instance)?;
                }
                self.seen.remove(&name);
                taken.push(name);
            }
        }
        Ok(taken)
    }

    /// Gives back the leases of this gateway, and those of a dead one of its name that it had not
    /// yet taken.
    fn give_back(&self) -> Result<(), StoreError> {
        self.leases.set([], Moment::now());
        let me = [self.node.clone().into(), self.instance.clone().into()];
        for sql in [
            "UPDATE leases SET instance = '' WHERE node = ?1
             AND EXISTS (SELECT 1 FROM gateways WHERE node = ?1 AND instance = ?2)",
            "UPDATE gateways SET instance = '' WHERE node = ?1 AND instance = ?2",
        ] {
            self.link.execute(sql, &me)?;
        }
        Ok(())
    }
}
