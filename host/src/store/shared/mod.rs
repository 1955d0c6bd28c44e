//! Several gateways on one store, and the one of them that leads.

pub mod guard;
mod heard;
mod hearing;
mod keeper;
mod leases;
mod moving;
pub mod schema;
mod server;
mod session;

pub use guard::is_gone;
pub use heard::Heard;
pub use hearing::share_heard;
pub use keeper::{Joined, Keeper, join};
pub use leases::{Lease, Leases};
pub use moving::{Moved, to_database, to_file};
pub use server::{Neighbour, Server, examine};
pub use session::{LEADER, Session};
