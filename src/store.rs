//! The state: links, journal, runs and what else must survive, in SQLite.
//!
//! Methods are use-case transactions. No SQL, row type or closure over a connection appears in a signature; times
//! are UTC milliseconds; case folding is done in Rust; every mutation takes a [`Tenure`]. What must not live here:
//! decisions.
//!
//! *Invariant*: [`Snapshot`] only reads, and leaves the directory byte-identical; only [`Store`] writes.

mod connection;
mod error;
mod files;
mod read;
mod record;
mod rows;
mod state;

pub use connection::{Snapshot, Store, Tenure};
pub use error::StoreError;
pub use files::lock::StateLock;
pub use files::move_aside::set_aside;
pub use read::history::{Past, RunAgain};
pub use read::overview::Overview;
pub use read::undo::{RunToUndo, Trace};
pub use record::erasure::{Erasure, KnownAs};
pub use record::events::{NewEvent, counted};
pub use record::intent::{IntentId, IntentOutcome, IntentSettlement, LinkOutcome, LinkWrite};
pub use record::journal::InFlight;
pub use record::report_line::LineScope;
pub use record::retention::{Pruned, SHORTEST_KEEP};
pub use state::credentials::SecretDigests;
pub use state::door::{DoorTerms, Permit, Recorded};
pub use state::door_refusal::DoorRefusal;
pub use state::drift::{Repairs, RepairsByPath};
pub use state::forget::{ForgottenSync, Unsettled};
pub use state::handover::{Pair, Restored};
pub use state::holds::{Approvals, Decided, HeldPair, Hold, HoldScope, Waiting, Wanted};
pub use state::looks::{LookAgain, NamedPerson, OwedFullRun, OwedLook};
pub use state::owed::{OwedScope, OwedTotals};
pub use state::pins::{KeptAccount, Pin};
pub use state::runs::{Binding, LinkCounts, RunHealth};
