//! The network that a configuration is to work in: its listeners, the public URL, the destinations,
//! and the clock.

use std::sync::Arc;
use std::time::{Duration, SystemTime};

use hyper::Request;
use hyper::StatusCode;
use hyper::body::Incoming;
use tokio::sync::mpsc;
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

use super::super::audit::user;
use crate::clock::{rfc3339, wall_ms};
use crate::config::{Config, Listen};
use crate::destinations::{Destination, Probe, Shown};
use crate::gateway;
use crate::gateway::control::{Answer, Conversation, NoAnswer, Question};
use crate::gateway::testing::{self, Hops, Place};
use crate::hops::{Hop, Way};
use crate::http::{self, Client, Listener, Peer};
use crate::intake::{Awaited, route};
use crate::metrics::Metrics;
use crate::recent::Recent;

/// A clock further off than this is wrong; less is the network's, and the second of a `Date`.
const SKEW: i64 = 30;

/// Looks at the network.
pub async fn look(config: &Config) -> Vec<Hop> {
    let mut found = way_in(config).await;
    let (destinations, dates) = destinations(config).await;
    found.extend(destinations);
    found.extend(clock(dates));
    found
}

/// Follows the public URL to the gateway that runs, or to this process in its place.
async fn way_in(config: &Config) -> Vec<Hop> {
    let question = Question::Test {
        way: Way::PublicUrl,
        who: user(),
    };
    let data_dir = &config.gateway.data_dir;
    match Conversation::begin(data_dir, &question).await {
        Ok(mut conversation) => {
            let found = format!("one runs with the data directory {}", data_dir.display());
            let mut hops = vec![Hop::passed("gateway", found)];
            while let Ok(Answer::Hop(hop)) = conversation.next().await {
                hops.push(hop);
            }
            hops
        }
        Err(NoAnswer::NotRunning(_)) => in_its_place(config).await,
        Err(error) => vec![Hop::failed("gateway", error.to_string(), "")],
    }
}

/// Listens in place of a gateway, for as long as its public URL is followed.
async fn in_its_place(config: &Config) -> Vec<Hop> {
    let gateway = &config.gateway;
    let metrics = Metrics::new();
    let mut hops = Vec::new();
    if let Some(admin) = &gateway.admin {
        let address = Listen::Tcp(admin.address);
        let opened = gateway::open(&address, admin.tls.as_ref(), "admin", &metrics).await;
        hops.push(bound("admin", &address, &opened));
    }
    let opened = gateway::open(&gateway.listen, gateway.tls.as_ref(), "listen", &metrics).await;
    hops.push(bound("listen", &gateway.listen, &opened));
    let (Ok(opened), Some(source)) = (opened, config.sources.first()) else {
        return hops;
    };
    let awaited = Awaited::default();
    let stop = CancellationToken::new();
    let serving = tokio::spawn(serve(
        opened.listener,
        config.clone(),
        awaited.clone(),
        stop.clone(),
    ));
    let (told, mut hear) = mpsc::channel(1);
    let follow = async {
        let told = Hops::new(told);
        if let Some(number) = testing::number(&told).await {
            let mut awaiting = awaited.wait(number, &source.name, Vec::new());
            let place = Place {
                recent: &Recent::default(),
                listen: &gateway.listen,
                public_url: &gateway.public_url,
            };
            testing::by_public_url(&source.name, &place, &mut awaiting, &told).await;
        }
    };
    let gather = async {
        while let Some(hop) = hear.recv().await {
            hops.push(hop);
        }
    };
    tokio::join!(follow, gather);
    stop.cancel();
    serving.abort();
    hops
}

/// Returns the hop of a listener.
fn bound<T>(key: &str, listen: &Listen, opened: &anyhow::Result<T>) -> Hop {
    match opened {
        Ok(_) => Hop::passed(key, format!("{listen} is free")),
        Err(error) => Hop::failed(key, format!("{error:#}"), ""),
    }
}

/// Answers as a gateway that has taken nothing up, and tells the test of its request.
async fn serve(listener: Listener, config: Config, awaited: Awaited, stop: CancellationToken) {
    let config = Arc::new(config);
    let answer = move |mut request: Request<Incoming>, peer: Peer| {
        let proxies = &config.gateway.trusted_proxies;
        let client = Client::of(peer, request.headers(), proxies);
        let path = request.uri().path().to_owned();
        let route = route::find(config.gateway.public_url.path(), &path);
        let source = route.map(|route| route.source);
        if let Some(marked) = awaited.by_header(request.headers_mut()) {
            marked.tell("of this check", source, client, "checked", None);
        }
        async {
            let said = "an alert gateway is being set up here\n";
            http::answer(
                StatusCode::SERVICE_UNAVAILABLE,
                "text/plain; charset=utf-8",
                said,
            )
        }
    };
    http::serve(listener, http::FEW, stop, Duration::ZERO, answer).await;
}

/// Reaches every destination, side by side. Returns their hops in the order of the file, and the
/// seconds by which their clocks are ahead of this machine's.
async fn destinations(config: &Config) -> (Vec<Hop>, Vec<i64>) {
    let mut probes = JoinSet::new();
    for (number, configured) in config.destinations.iter().enumerate() {
        let name = configured.name.clone();
        match Destination::new(configured) {
            Ok(destination) => {
                probes.spawn(async move {
                    let probe = destination.probe().await;
                    (number, reached(&name, &probe), ahead(&probe))
                });
            }
            Err(error) => {
                let hop = Hop::failed(&format!("destination {name}"), error.to_string(), "");
                probes.spawn(async move { (number, hop, None) });
            }
        }
    }
    let mut found = probes.join_all().await;
    found.sort_by_key(|(number, ..)| *number);
    let dates = found.iter().filter_map(|(_, _, ahead)| *ahead).collect();
    (found.into_iter().map(|(_, hop, _)| hop).collect(), dates)
}

fn reached(name: &str, probe: &Probe) -> Hop {
    let hop = format!("destination {name}");
    let hop = match &probe.shown {
        Ok(Shown::Credential) => Hop::passed(&hop, "it takes the credential"),
        Ok(Shown::Open) => Hop::passed(&hop, "it is reached, and asks for no credential"),
        Ok(Shown::Reached(status)) => Hop::passed(
            &hop,
            format!(
                "it is reached, and answered {status} to OPTIONS; nothing that opens no alert shows more: \
                 alert-gateway test --destination {name}"
            ),
        ),
        Err(why) => {
            let fix = format!("correct [destinations.{name}], or what stands between");
            Hop::failed(&hop, why.clone(), fix)
        }
    };
    hop.after(probe.duration)
}

/// Returns the seconds by which a service's clock is ahead of this machine's.
fn ahead(probe: &Probe) -> Option<i64> {
    let date = probe.date?.duration_since(SystemTime::UNIX_EPOCH).ok()?;
    Some(i64::try_from(date.as_secs()).ok()? - wall_ms() / 1000)
}

/// Judges this machine's clock by those of others.
fn clock(mut ahead: Vec<i64>) -> Option<Hop> {
    ahead.sort_unstable();
    // One of them may be wrong itself.
    let median = *ahead.get(ahead.len() / 2)?;
    if median.abs() <= SKEW {
        let found = format!("right, by the clocks of {} destinations", ahead.len());
        return Some(Hop::passed("clock", found));
    }
    let direction = if median > 0 { "behind" } else { "ahead of" };
    let found = format!(
        "{} is {} s {direction} the clocks of the destinations",
        rfc3339(wall_ms()),
        median.abs()
    );
    let fix = "set this machine's clock (timedatectl set-ntp true): senders that sign the time are refused when it is five \
               minutes off, and certificates are judged by it";
    Some(Hop::failed("clock", found, fix))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn clock_is_judged_by_the_median_of_others() {
        assert_eq!(clock(Vec::new()), None);
        for (ahead, ok) in [
            (&[0][..], true),
            (&[-30], true),
            (&[31], false),
            (&[-4000, 1, 2], true),
            (&[-600, -599, 0], false),
        ] {
            assert_eq!(clock(ahead.to_vec()).unwrap().ok, ok, "{ahead:?}");
        }
        assert!(clock(vec![90]).unwrap().found.contains("90 s behind"));
        assert!(clock(vec![-90]).unwrap().found.contains("90 s ahead"));
    }
}
