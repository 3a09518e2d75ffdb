//! Whole runs against the simulated world: what an administrator is promised, subject by subject.

#[path = "../support/mod.rs"]
mod support;

mod adoption;
mod attributes;
mod identity;
mod lifecycle;
mod removal;
