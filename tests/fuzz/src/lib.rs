//! What the fuzz targets share: requests from bytes, and plugins by hand.

pub mod by_hand;
pub mod cases;
