//! The turns of the prefetch window: whether what waits in it must yield to what came in later.
//!
//! The store reads alerts in the order in which they are to go out: by priority, within it the
//! sources in turns. Later arrivals would queue up behind the whole window. So the window yields
//! where more of it is less urgent than a lower priority's share, or where a source that came later
//! has no place in it while another source has two.

use std::collections::{HashMap, VecDeque};

use plugin_sdk::contract::Priority;

use crate::store::{Due, SHARE};

/// Returns whether what waits must yield to alerts of these priorities and sources.
pub fn must_yield(waiting: &VecDeque<Due>, unclaimed: &[(Priority, String)]) -> bool {
    // What is in the order of the store has no more low priorities than this.
    let share = waiting.len() / SHARE as usize + 1;
    let mut places = HashMap::<(Priority, &str), usize>::new();
    for due in waiting {
        *places.entry((due.priority, &due.alert.source)).or_default() += 1;
    }
    unclaimed.iter().any(|(priority, source)| {
        let less_urgent = waiting
            .iter()
            .filter(|due| due.priority > *priority)
            .count();
        let same = places.iter().filter(|((of, _), _)| of == priority);
        let most = same.map(|(_, places)| *places).max().unwrap_or_default();
        less_urgent > share || (most > 1 && !places.contains_key(&(*priority, source)))
    })
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use plugin_sdk::contract;

    use super::*;
    use crate::alert::Alert;

    use Priority::{Critical, High, Low};

    fn waiting(turns: &[(Priority, &str, usize)]) -> VecDeque<Due> {
        let due = |priority, source: &str| Due {
            id: 1,
            attempts: 0,
            priority,
            bytes: 1,
            alert: Arc::new(Alert {
                source: source.to_owned(),
                request: "r".to_owned(),
                received_at: String::new(),
                event: contract::Alert::new("e", priority, "t"),
            }),
        };
        let all = turns
            .iter()
            .flat_map(|&(priority, source, times)| (0..times).map(move |_| due(priority, source)));
        all.collect()
    }

    #[test]
    fn window_yields_to_what_is_more_urgent_than_its_share() {
        let critical = [(Critical, "b".to_owned())];
        assert!(must_yield(&waiting(&[(Low, "a", 2)]), &critical));
        assert!(must_yield(
            &waiting(&[(Critical, "b", 5), (Low, "a", 2)]),
            &critical
        ));
        assert!(!must_yield(
            &waiting(&[(Critical, "b", 7), (Low, "a", 1)]),
            &critical
        ));
        let low = [(Low, "b".to_owned())];
        assert!(!must_yield(&waiting(&[(Critical, "a", 8)]), &low));
        assert!(!must_yield(&waiting(&[]), &critical));
    }

    #[test]
    fn window_yields_to_a_source_that_has_no_place_in_it() {
        let other = [(High, "b".to_owned())];
        assert!(must_yield(&waiting(&[(High, "a", 2)]), &other));
        assert!(!must_yield(
            &waiting(&[(High, "a", 2), (High, "b", 1)]),
            &other
        ));
        assert!(!must_yield(
            &waiting(&[(High, "a", 1), (High, "c", 1)]),
            &other
        ));
    }
}
