//! Order: which of two observations is the newer one. A number says it, never a clock.
//!
//! What lives here: the number and the pair of it with the wall clock's time. What must not: who compares them, and
//! where they are stored.

use std::sync::atomic::{AtomicI64, Ordering};

use serde::{Deserialize, Deserializer, Serialize};

use super::time::Millis;

/// Bits of the counter; the epoch stands above them. That is room for 10^12 numbers in each of eight million epochs.
const COUNTER_BITS: u32 = 40;
const COUNTER_MAXIMUM: i64 = (1 << COUNTER_BITS) - 1;
const EPOCH_MAXIMUM: i64 = (1 << (63 - COUNTER_BITS)) - 1;

/// The last counter that was given out in this process.
static COUNTER: AtomicI64 = AtomicI64::new(0);

/// A place in the order of everything that is observed and decided: (epoch, counter), the epoch first. The epoch is
/// that of the tenure under which the number is stored; until then it is 0. Nothing is written to take a number.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default, Serialize, Deserialize)]
#[serde(transparent)]
pub struct OrderNumber(i64);

impl OrderNumber {
    /// Older than every other number: what was stored before there were numbers.
    pub const OLDEST: OrderNumber = OrderNumber(0);

    /// The next number of this process, not yet in an epoch.
    pub fn next() -> OrderNumber {
        OrderNumber((COUNTER.fetch_add(1, Ordering::Relaxed) + 1).min(COUNTER_MAXIMUM))
    }

    /// The number within an epoch. A number that has an epoch keeps it; the oldest stays the oldest.
    #[must_use]
    pub fn in_epoch(self, epoch: i64) -> OrderNumber {
        if self.epoch() != 0 || self == OrderNumber::OLDEST {
            return self;
        }
        OrderNumber((epoch.clamp(0, EPOCH_MAXIMUM) << COUNTER_BITS) | self.0)
    }

    /// The epoch; 0 = none yet.
    pub fn epoch(self) -> i64 {
        self.0 >> COUNTER_BITS
    }

    /// As it is stored.
    pub fn get(self) -> i64 {
        self.0
    }

    /// As it was stored. Nothing below zero was.
    pub fn stored(number: i64) -> OrderNumber {
        OrderNumber(number.max(0))
    }
}

/// When something was observed: the number taken when the request was sent, which decides, and the wall clock's time,
/// which people read.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize)]
pub struct Observation {
    /// By the wall clock.
    pub at: Millis,
    /// Its place in the order.
    pub number: OrderNumber,
}

impl Observation {
    /// Takes the next number, now.
    pub fn now() -> Observation {
        Observation { at: Millis::now(), number: OrderNumber::next() }
    }

    /// Older than everything that has a number.
    pub const fn before_numbers(at: Millis) -> Observation {
        Observation { at, number: OrderNumber::OLDEST }
    }

    /// The same within an epoch; see [`OrderNumber::in_epoch`].
    #[must_use]
    pub fn in_epoch(self, epoch: i64) -> Observation {
        Observation { number: self.number.in_epoch(epoch), ..self }
    }

    /// The older of two.
    #[must_use]
    pub fn older(self, other: Observation) -> Observation {
        if other.number < self.number { other } else { self }
    }
}

/// Entries of the journal from before there were numbers hold the time alone.
impl<'de> Deserialize<'de> for Observation {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Observation, D::Error> {
        #[derive(Deserialize)]
        #[serde(untagged)]
        enum Stored {
            Time(Millis),
            Whole { at: Millis, number: OrderNumber },
        }
        Ok(match Stored::deserialize(deserializer)? {
            Stored::Time(at) => Observation::before_numbers(at),
            Stored::Whole { at, number } => Observation { at, number },
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_later_epoch_is_newer_whatever_the_counters_say() {
        let (early, late) = (OrderNumber::next(), OrderNumber::next());
        assert!(early < late);
        assert!(late.in_epoch(1) < early.in_epoch(2));
        assert_eq!(early.in_epoch(2).in_epoch(7).epoch(), 2, "an epoch is given once");
    }

    #[test]
    fn what_was_stored_before_there_were_numbers_is_older_than_every_number() {
        let old: Observation = serde_json::from_str("1772323200000").unwrap();
        assert_eq!(old, Observation::before_numbers(Millis(1_772_323_200_000)));
        assert_eq!(old.in_epoch(5).number, OrderNumber::OLDEST);
        let new = Observation { at: Millis(0), number: OrderNumber::next() };
        assert!(old.number < new.number && new == serde_json::from_value(serde_json::json!(new)).unwrap());
    }
}
