//! Gateways whose store is in PostgreSQL.

use test_postgres::Database;

use super::Setup;

/// The table `[store]` of a gateway on this database, with more lines.
pub fn table(database: &Database, node: &str, lines: &str) -> String {
    of(&database.url(), node, lines)
}

/// The table `[store]` of a gateway on the database at a URL.
pub fn of(url: &str, node: &str, lines: &str) -> String {
    format!("[store]\nkind = \"postgres\"\nurl = \"{url}\"\nnode = \"{node}\"\n{lines}")
}

impl Setup {
    /// With this table `[store]`. It comes last of what is said of the gateway.
    pub fn store(self, table: &str) -> Self {
        self.gateway(&format!("\n{table}"))
    }
}
