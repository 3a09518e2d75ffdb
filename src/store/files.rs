//! The directory and its files: opening, locking, migrating, backing up, moving aside.

pub(super) mod backup;
#[cfg(feature = "sim")]
pub(super) mod killed;
pub(super) mod lock;
pub(super) mod migrations;
pub(super) mod move_aside;
pub(super) mod open;
#[cfg(feature = "sim")]
pub(super) mod simulated;
