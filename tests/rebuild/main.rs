//! Links without a run: found again in the workspace, handed over between syncs, kept in a backup.
// Tables read better as tuples than as types with a name each.
#![allow(clippy::unwrap_used, clippy::type_complexity)]

#[path = "../support/mod.rs"]
mod support;

mod backup;
mod contradiction;
mod hands;
mod lost;
mod ownership;
mod transfer;
