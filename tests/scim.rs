//! The adapter against the simulated workspace, with each habit that a real server was seen to have. The numbers
//! in the names are those of the list of observations in `tests/scim/README.md`.
#![cfg(feature = "sim")]
#![allow(clippy::unwrap_used)]

#[path = "scim/listing.rs"]
mod listing;
#[path = "scim/lookup.rs"]
mod lookup;
#[path = "scim/one_object.rs"]
mod one_object;
#[path = "scim/removing.rs"]
mod removing;
#[path = "scim/support.rs"]
mod support;
#[path = "scim/whole_life.rs"]
mod whole_life;
#[path = "scim/workspace.rs"]
mod workspace;
#[path = "scim/wrike.rs"]
mod wrike;
#[path = "scim/writing.rs"]
mod writing;
