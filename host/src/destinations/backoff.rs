//! The time one alert waits before it is tried again.
//!
//! Exponential backoff with full jitter: the wait is drawn evenly from nothing to a ceiling that
//! doubles with each attempt. Full jitter, because the alerts that failed together must not come
//! back together.

use std::time::Duration;

/// The ceiling after the first attempt.
pub const FIRST_CEILING: Duration = Duration::from_secs(1);

/// The ceiling that is never exceeded. An alert that fails while others are accepted waits so long,
/// at most.
pub const LAST_CEILING: Duration = Duration::from_secs(5 * 60);

/// The wait after attempt number `attempt`, the first being 1, came to nothing; below `longest`, but
/// never shorter than what the destination asked for in `retry_after`.
pub fn delay(
    attempt: u32,
    retry_after: Option<Duration>,
    longest: Duration,
    rng: &mut fastrand::Rng,
) -> Duration {
    ceiling(attempt)
        .min(longest)
        .mul_f64(rng.f64())
        .max(retry_after.unwrap_or_default())
}

fn ceiling(attempt: u32) -> Duration {
    let doublings = attempt.saturating_sub(1);
    2u32.checked_pow(doublings)
        .and_then(|factor| FIRST_CEILING.checked_mul(factor))
        .unwrap_or(LAST_CEILING)
        .min(LAST_CEILING)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ceiling_doubles_from_one_second_to_five_minutes() {
        let seconds =
            [0, 1, 2, 3, 4, 8, 9, 10, 32, 33, u32::MAX].map(|attempt| ceiling(attempt).as_secs());
        assert_eq!(seconds, [1, 1, 2, 4, 8, 128, 256, 300, 300, 300, 300]);
    }

    #[test]
    fn wait_is_spread_evenly_below_the_ceiling() {
        let mut rng = fastrand::Rng::with_seed(1);
        let waits: Vec<_> = (0..1000)
            .map(|_| delay(4, None, LAST_CEILING, &mut rng))
            .collect();
        let shares = waits.iter().fold([0; 4], |mut shares, wait| {
            shares[wait.as_secs() as usize / 2] += 1;
            shares
        });
        assert!(waits.iter().all(|wait| *wait < Duration::from_secs(8)));
        assert!(shares.iter().all(|&share| share > 200), "{shares:?}");
    }

    #[test]
    fn wait_is_never_shorter_than_retry_after() {
        let mut rng = fastrand::Rng::with_seed(2);
        for attempt in 1..100 {
            let asked = Duration::from_secs(10);
            assert!(delay(attempt, Some(asked), LAST_CEILING, &mut rng) >= asked);
        }
        assert_eq!(
            delay(1, Some(Duration::from_secs(3600)), FIRST_CEILING, &mut rng),
            Duration::from_secs(3600)
        );
    }
}
