//! Delivery as a whole, with the store and the client that it has, against a destination within the
//! same process.

mod model;
mod network;
mod wire;
