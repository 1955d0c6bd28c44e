//! Several gateways on one store, and the one of them that leads.

pub mod guard;
mod heard;
mod hearing;
mod keeper;
mod leases;
mod moving;
mod nodes;
pub mod schema;
mod server;
mod session;

pub use guard::is_gone;
pub use heard::Heard;
pub use hearing::share_heard;
pub use keeper::{Joined, Keeper, join};
pub use leases::{Lease, Leases};
pub use moving::{Moved, to_database, to_file};
pub use nodes::{Node, NodeState, all as nodes};
pub use server::{Server, examine};
pub use session::{LEADER, Session};
