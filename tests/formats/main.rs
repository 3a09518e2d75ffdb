//! The formats of a report: what each of them says of ten telling runs, that nothing a name or an answer holds breaks
//! or steers one, that JSON is what its schema promises, and that the program delivers them.
#![cfg(feature = "sim")]
#![allow(clippy::unwrap_used)]

mod delivered;
mod explained;
mod hostile;
mod made;
mod markup;
mod page;
mod parsed;
mod schema;
// Each test crate takes what it needs.
#[allow(dead_code)]
#[path = "../watch/service.rs"]
mod service;
mod snapshots;
#[path = "../binary/support.rs"]
mod support;
