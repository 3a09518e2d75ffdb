//! Whatever ends the program or takes the disk away, the word is kept: killed at every step and at random instants, a
//! full disk, a directory that may not be written, a damaged or newer database, killed in a migration. Afterwards a run
//! as usual brings everything to where it would have been.
#![cfg(feature = "sim")]
// The lint's exception for tests covers test functions only, not what they share.
#![allow(clippy::unwrap_used)]

#[path = "../binary/support.rs"]
mod support;

mod aftermath;
mod damage;
mod disk;
mod instants;
mod journal_steps;
mod migration;
mod requests;
mod small_disk;
mod worlds;
