//! The documentation says what is true: each command line and each piece of configuration in the README and in docs/ is
//! run or parsed, links lead somewhere, numbers are those of the program, and every message that the program can
//! say to a user is in docs/troubleshooting.md, and no other. CONTRIBUTING.md names what is there.
#![allow(clippy::unwrap_used)]

mod commands;
mod configuration;
mod contributing;
mod coverage;
mod links;
mod literals;
mod messages;
mod numbers;
mod pages;
#[cfg(feature = "sim")]
mod walk;

#[cfg(feature = "sim")]
#[path = "../binary/support.rs"]
mod program;
