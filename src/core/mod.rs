//! The verbs: pure, synchronous, total. What lives here decides; what must not: I/O, `async`, a clock, a
//! failure that is not returned as a value.

pub mod schedule;
