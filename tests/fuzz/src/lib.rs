//! The common parts of the fuzz targets: requests from bytes, and plugins by hand.

pub mod by_hand;
pub mod cases;
