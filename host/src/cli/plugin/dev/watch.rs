//! Notices that an author has changed something.

use std::ffi::OsStr;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use anyhow::Context;
use notify::{Event, EventKind, RecommendedWatcher, RecursiveMode, Watcher};
use tokio::sync::Notify;
use tokio::time::{Instant, timeout};

/// An editor saves in several steps, and a tool changes several files: it is over when nothing has
/// changed for so long.
const QUIET: Duration = Duration::from_millis(100);
/// Something that never rests is looked at nevertheless.
const LONGEST: Duration = Duration::from_secs(2);

/// Watches a plugin's crate and a configuration.
#[derive(Debug)]
pub struct Watch {
    watcher: RecommendedWatcher,
    changed: Arc<Notify>,
    dir: PathBuf,
}

/// The watched folders and files.
#[derive(Debug)]
struct Ground {
    dir: PathBuf,
    config: PathBuf,
}

impl Watch {
    /// Begins to watch. No change is missed from now on.
    pub fn start(dir: &Path, config: &Path) -> anyhow::Result<Self> {
        let ground = Ground::new(dir, config)?;
        let dir = ground.dir.clone();
        let beside = ground.config.parent().map(Path::to_owned);
        let changed = Arc::new(Notify::new());
        let watcher = notify::recommended_watcher({
            let changed = Arc::clone(&changed);
            move |event: notify::Result<Event>| {
                // An error may stand for changes that were missed.
                if event.map_or(true, |event| ground.concerns(&event)) {
                    changed.notify_one();
                }
            }
        });
        let mut watch = Self {
            watcher: watcher.context("cannot watch files")?,
            changed,
            dir,
        };
        beside.map_or(Ok(()), |beside| {
            watch.add(&beside, RecursiveMode::NonRecursive)
        })?;
        watch.spread()?;
        Ok(watch)
    }

    /// Waits until something has changed, and rests again.
    pub async fn changed(&mut self) -> anyhow::Result<()> {
        self.changed.notified().await;
        let end = Instant::now() + LONGEST;
        while Instant::now() < end && timeout(QUIET, self.changed.notified()).await.is_ok() {}
        self.spread()
    }

    /// The crate's folders, some of which may be new. What cargo makes of them is none.
    fn spread(&mut self) -> anyhow::Result<()> {
        let dir = self.dir.clone();
        self.add(&dir, RecursiveMode::NonRecursive)?;
        for entry in
            std::fs::read_dir(&dir).with_context(|| format!("cannot read {}", dir.display()))?
        {
            let path = entry?.path();
            if path.is_dir() && path.file_name().is_some_and(is_source) {
                self.add(&path, RecursiveMode::Recursive)?;
            }
        }
        Ok(())
    }

    fn add(&mut self, path: &Path, mode: RecursiveMode) -> anyhow::Result<()> {
        self.watcher.watch(path, mode).with_context(|| {
            format!(
                "cannot watch {}; does the machine allow so many? See fs.inotify.max_user_watches",
                path.display()
            )
        })
    }
}

impl Ground {
    fn new(dir: &Path, config: &Path) -> anyhow::Result<Self> {
        let whole = |path: &Path| {
            path.canonicalize()
                .with_context(|| format!("cannot find {}", path.display()))
        };
        let folder = config
            .parent()
            .filter(|folder| !folder.as_os_str().is_empty())
            .unwrap_or(Path::new("."));
        Ok(Self {
            dir: whole(dir)?,
            config: whole(folder)?.join(config.file_name().unwrap_or_default()),
        })
    }

    fn concerns(&self, event: &Event) -> bool {
        !matches!(event.kind, EventKind::Access(_))
            && event.paths.iter().any(|path| self.holds(path))
    }

    fn holds(&self, path: &Path) -> bool {
        let Ok(within) = path.strip_prefix(&self.dir) else {
            return path == self.config;
        };
        let mut parts = within.iter();
        match (parts.next(), parts.next()) {
            (Some(_), None) if path == self.config => true,
            (Some(name), None) => is_source(name) && (!is_product(path) || path.is_dir()),
            (Some(_), Some(_)) => within.iter().all(is_source) && !is_product(path),
            _ => false,
        }
    }
}

/// The beginning of the names of recorded cases, which begin no round: each request would.
pub const RECORDED: &str = "live-";

/// Folders of what compilers and package managers make.
const PRODUCTS: [&str; 5] = ["target", "node_modules", "build", "dist", "zig-out"];

/// Endings of what they make beside the sources.
const PRODUCT_ENDINGS: [&str; 6] = ["wasm", "wat", "o", "map", "lock", "sum"];

/// Not what compilers, git and editors keep.
fn is_source(name: &OsStr) -> bool {
    let name = name.to_string_lossy();
    !PRODUCTS.contains(&&*name) && !name.starts_with('.') && !name.ends_with('~')
}

/// A file that a build or a request leaves, which must not begin another round.
fn is_product(path: &Path) -> bool {
    let ending = path.extension().unwrap_or_default();
    let name = path.file_name().unwrap_or_default().to_string_lossy();
    PRODUCT_ENDINGS.iter().any(|product| ending == *product) || name.starts_with(RECORDED)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn authors_changes_are_noticed_and_build_products_are_not() {
        let ground = Ground {
            dir: "/bell".into(),
            config: "/etc/gateway.toml".into(),
        };
        for noticed in [
            "/bell/src/lib.rs",
            "/bell/cases/a.http",
            "/bell/sdk/src/lib.rs",
            "/bell/Cargo.toml",
            "/bell/plugin.toml",
            "/bell/bell.js",
            "/bell/plugin.c",
            "/bell/assembly/index.ts",
            "/etc/gateway.toml",
        ] {
            assert!(ground.holds(Path::new(noticed)), "{noticed}");
        }
        for unnoticed in [
            "/bell/target/debug/x",
            "/bell/bell.wasm",
            "/bell/Cargo.lock",
            "/bell/.git/index",
            "/bell/build/bell.wasm",
            "/bell/node_modules/x/index.js",
            "/bell/src/lib.o",
            "/bell/cases/live-001.http",
            "/bell/src/.lib.rs.swp",
            "/bell/src/lib.rs~",
            "/etc/passwd",
            "/bell",
        ] {
            assert!(!ground.holds(Path::new(unnoticed)), "{unnoticed}");
        }
    }
}
