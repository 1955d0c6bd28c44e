//! Drawn pages, kept for a second: however many look at one, it is drawn once.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use hyper::StatusCode;
use maud::Markup;
use parking_lot::Mutex;
use tokio::sync::OnceCell;
use tokio::time::Instant;

use super::super::caller::{Caller, KnownBy, Role};

/// The time for which a drawn page is shown.
const FRESH: Duration = Duration::from_secs(1);
/// The most pages that are kept.
const MOST: usize = 64;

/// The pages that were drawn lately.
#[derive(Debug)]
pub struct Kept {
    mark: String,
    pages: Mutex<HashMap<Key, (Instant, Cell)>>,
}

/// Callers for whom a page is the same: their rights, and the reason why they may not act; and its
/// address.
type Key = (Role, bool, String);

/// A page that is drawn, or is being drawn.
type Cell = Arc<OnceCell<Arc<Drawn>>>;

/// A page without its frame.
#[derive(Debug)]
pub struct Drawn {
    /// The status.
    pub status: StatusCode,
    /// The title.
    pub title: String,
    /// The address of its entry in the navigation.
    pub here: &'static str,
    /// The part within the frame.
    pub content: Markup,
    /// Dead letters and failed requests.
    pub waiting: i64,
}

impl Kept {
    /// Keeps nothing yet. `mark` is a text that no caller can know: it stands in forms where the
    /// caller's own token goes.
    pub fn new(mark: String) -> Self {
        Self {
            mark,
            pages: Mutex::default(),
        }
    }

    /// Returns the text that stands in the place of a caller's token.
    pub fn mark(&self) -> &str {
        &self.mark
    }

    /// Returns a page that was drawn within the last second, or draws it. Others that ask for it
    /// meanwhile wait for this one.
    pub async fn drawn(
        &self,
        caller: &Caller,
        address: &str,
        draw: impl Future<Output = Drawn>,
    ) -> Arc<Drawn> {
        let is_nobody = caller.known_by == KnownBy::Nothing;
        let key = (caller.role, is_nobody, address.to_owned());
        let cell = {
            let mut pages = self.pages.lock();
            let now = Instant::now();
            pages.retain(|_, (at, _)| now.duration_since(*at) < FRESH);
            if pages.len() >= MOST {
                pages.clear();
            }
            let (_, cell) = pages
                .entry(key)
                .or_insert_with(|| (now, Arc::new(OnceCell::new())));
            Arc::clone(cell)
        };
        let drawn = cell.get_or_init(async || Arc::new(draw.await)).await;
        Arc::clone(drawn)
    }

    /// Drops all of them, because something was done.
    pub fn clear(&self) {
        self.pages.lock().clear();
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicUsize, Ordering};

    use maud::html;

    use super::*;

    #[tokio::test(start_paused = true)]
    async fn page_is_drawn_once_a_second_for_all_of_a_role() {
        let kept = Kept::new("mark".to_owned());
        let drawn = AtomicUsize::new(0);
        let caller = |role| Caller {
            who: "kim".to_owned(),
            role,
            origin: String::new(),
            known_by: KnownBy::Session,
            csrf: String::new(),
        };
        let draw = async || {
            tokio::time::sleep(Duration::from_millis(10)).await;
            drawn.fetch_add(1, Ordering::Relaxed);
            Drawn {
                status: StatusCode::OK,
                title: String::new(),
                here: "/",
                content: html! {},
                waiting: 0,
            }
        };
        let viewer = caller(Role::Viewer);
        let operator = caller(Role::Operator);
        let ask = async |caller, address| drop(kept.drawn(caller, address, draw()).await);
        let count = || drawn.load(Ordering::Relaxed);
        tokio::join!(ask(&viewer, "/"), ask(&viewer, "/"), ask(&viewer, "/"));
        assert_eq!(count(), 1);
        ask(&operator, "/").await;
        ask(&viewer, "/events").await;
        assert_eq!(count(), 3);
        ask(&viewer, "/").await;
        assert_eq!(count(), 3);
        tokio::time::advance(FRESH).await;
        ask(&viewer, "/").await;
        assert_eq!(count(), 4);
        kept.clear();
        ask(&viewer, "/").await;
        assert_eq!(count(), 5);
        for number in 0..1000 {
            let address = format!("/{number}");
            drop(kept.drawn(&viewer, &address, draw()).await);
        }
        assert!(kept.pages.lock().len() <= MOST);
    }
}
