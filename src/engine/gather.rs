//! Gathering: whom a run is about, and what both sides and the state show of them.
//!
//! What must not live here: what is done about it (`plan`).

pub mod account_owner;
pub(crate) mod login_holder;
pub mod lookup;
pub mod named;
pub mod read;
pub mod read_set;
pub mod uncertain_access;
pub mod unlisted_people;
