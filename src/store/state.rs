//! What stands: links, claims, owed changes, holds, pins, looks, runs, and the door that every write passes.

pub(super) mod claims;
pub(super) mod clock;
pub(super) mod credentials;
pub(super) mod door;
pub(super) mod door_refusal;
pub(super) mod drift;
pub(super) mod forget;
pub(super) mod handover;
pub(super) mod heartbeat;
pub(super) mod holds;
pub(super) mod links;
pub(super) mod looks;
pub(super) mod owed;
pub(super) mod pins;
pub(super) mod return_pins;
pub(super) mod runs;
