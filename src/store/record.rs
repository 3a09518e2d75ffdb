//! What happened: the journal with its chain, events, report lines, and how history is audited, pruned and erased.

pub(super) mod audit;
pub(super) mod chain;
pub(super) mod erasure;
pub(super) mod events;
pub(super) mod intent;
pub(super) mod journal;
pub(super) mod report_line;
pub(super) mod retention;
#[cfg(test)]
pub(super) mod sample_tests;
