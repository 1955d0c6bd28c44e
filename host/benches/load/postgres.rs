//! The gateway with a file beside one with a database: `cargo bench --bench load -- postgres`.
//!
//! The database has a synchronous standby; both share the machine with all else. The same requests
//! go to both in turns, each time to an empty store: over many connections, over one, and into a
//! backlog that is delivered after `kill -9` and a restart. `cargo bench --bench store_append` has
//! the cost of an append alone.

use std::path::Path;

use test_postgres::{Database, Server, installed};

use super::rounds::{self, Figures};
use super::{USUAL, backlog, requests};

/// The number of rounds. The other load of the machine changes, so that each has both.
const ROUNDS: usize = 3;
/// The share of the time that a lone sender gets, and the time for which a backlog builds up, of that
/// of a round.
const LONE: u64 = 3;
const BACKLOG: u64 = 2;

/// Measures both.
pub async fn measure(folder: &Path, seconds: u64) {
    let script = requests::write(folder, requests::SOURCES[0], seconds * BACKLOG);
    let initdb = installed().expect("PostgreSQL; on Debian, `apt-get install postgresql`");
    let primary = Server::start(&initdb);
    let _standby = primary.with_standby();
    for (connections, seconds) in [(USUAL, seconds), (1, seconds.div_ceil(LONE))] {
        println!("{connections} connections");
        let mut files = Vec::new();
        let mut databases = Vec::new();
        for round in 0..ROUNDS {
            let place = folder.join(format!("{connections}-{round}"));
            let database = table(&primary.database());
            let file = async |name: &str, store: &str| {
                rounds::gateway_with(store, &place.join(name), &script, connections, seconds).await
            };
            files.push(file("file", "").await);
            databases.push(file("database", &database).await);
            // The files of a round are large.
            let _ = std::fs::remove_dir_all(&place);
            println!("{round} file      {}", files[round]);
            println!("{round} database  {}", databases[round]);
        }
        let file = Figures::median(&files);
        let database = Figures::median(&databases);
        println!("file        {file}");
        println!("database    {database}");
        println!("            {}", database.beside(&file, "the file"));
    }
    let file = backlog(&folder.join("file"), &script, seconds * BACKLOG, "").await;
    let store = table(&primary.database());
    let database = backlog(&folder.join("database"), &script, seconds * BACKLOG, &store).await;
    println!(
        "            {:.2} of the delivered/s of the file",
        database / file
    );
}

/// The table of a gateway's configuration that has its store there.
fn table(database: &Database) -> String {
    format!(
        "[store]\nkind = 'postgres'\nurl = '{}'\nnode = 'bench'\n",
        database.url()
    )
}
