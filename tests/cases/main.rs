//! Faults that were found from outside, each as the sentence that holds now, with its siblings: what is owed, one door for
//! every write, nobody stops everybody.
#![allow(clippy::unwrap_used, clippy::type_complexity)]

#[path = "../support/mod.rs"]
mod support;

mod accounts;
mod clock;
mod guards;
mod leavers;
mod people;
mod proofs;
