//! Whole runs against the simulated world: what an administrator is promised, subject by subject.
// Tables read better as tuples than as types with a name each.
#![allow(clippy::unwrap_used, clippy::type_complexity)]

#[path = "../support/mod.rs"]
mod support;

mod adoption;
mod attributes;
mod binding;
mod identity;
mod lifecycle;
mod named;
mod order;
mod outcomes;
mod overlap;
mod removal;
mod scope;
mod told;
mod upgrade;
mod user_types;
mod wrike;
