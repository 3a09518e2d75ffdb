//! Whether our clock can be trusted: judged by witnesses, the two sides whose answers tell the time.
//!
//! What lives here: the comparison. What must not: how a witness is heard (`http::clock`), what is done about a clock that
//! is wrong.

/// From here on an offset is reported, milliseconds.
const REPORTED_MILLIS: u64 = 60 * 1000;
/// From here on a clock is wrong, milliseconds.
const WRONG_MILLIS: u64 = 5 * 60 * 1000;
/// Two witnesses agree within this, milliseconds.
const AGREE_MILLIS: u64 = 60 * 1000;

/// What the witnesses say of our clock.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ClockTrust {
    /// A witness confirms it and none contradicts; the text reports an offset of more than a minute.
    Confirmed(Option<String>),
    /// Nobody confirms it: what cannot be taken back has to wait. The text reports why, where there is something to.
    Unconfirmed(Option<String>),
    /// Two witnesses agree that it is wrong: nothing is written. The text has the three times.
    Wrong(String),
}

impl ClockTrust {
    /// Whether what cannot be taken back may be done.
    pub fn is_confirmed(&self) -> bool {
        match self {
            ClockTrust::Confirmed(_) => true,
            ClockTrust::Unconfirmed(_) | ClockTrust::Wrong(_) => false,
        }
    }

    /// What a reader must know.
    pub fn note(&self) -> Option<&str> {
        match self {
            ClockTrust::Confirmed(note) | ClockTrust::Unconfirmed(note) => note.as_deref(),
            ClockTrust::Wrong(text) => Some(text),
        }
    }
}

/// One side's clock less ours, milliseconds, and its name.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Witness {
    /// `identity provider` or `workspace`.
    pub name: &'static str,
    /// Its clock less ours.
    pub offset_millis: i64,
}

/// Judges our clock; `show` gives a time so many milliseconds from ours as people read it.
pub fn judge_clock(witnesses: &[Witness], show: impl Fn(i64) -> String) -> ClockTrust {
    let off = |witness: &&Witness| witness.offset_millis.unsigned_abs() > WRONG_MILLIS;
    let words: Vec<String> = witnesses
        .iter()
        .filter(|witness| witness.offset_millis.unsigned_abs() > REPORTED_MILLIS)
        .map(|witness| format!("the {} says {}", witness.name, show(witness.offset_millis)))
        .collect();
    let told = (!words.is_empty()).then(|| {
        format!(
            "this machine's clock says {}, and {}; help: set the clock, and keep it set (NTP)",
            show(0),
            words.join(", and ")
        )
    });
    match witnesses {
        [] => ClockTrust::Unconfirmed(None),
        [one, other]
            if off(&one)
                && off(&other)
                && one.offset_millis.abs_diff(other.offset_millis) <= AGREE_MILLIS =>
        {
            ClockTrust::Wrong(told.unwrap_or_default())
        }
        all if all.iter().any(|witness| off(&witness)) => ClockTrust::Unconfirmed(told),
        _ => ClockTrust::Confirmed(told),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MINUTE: i64 = 60_000;

    fn judged(offsets: &[i64]) -> ClockTrust {
        let names = ["identity provider", "workspace"];
        let witnesses: Vec<Witness> = offsets
            .iter()
            .zip(names)
            .map(|(minutes, name)| Witness { name, offset_millis: minutes * MINUTE })
            .collect();
        judge_clock(&witnesses, |offset| format!("{} min", offset / MINUTE))
    }

    #[test]
    fn a_clock_is_wrong_only_where_two_witnesses_agree() {
        assert!(matches!(judged(&[-120, -120]), ClockTrust::Wrong(text) if text.contains("-120 min")));
        assert!(matches!(judged(&[-120, -100]), ClockTrust::Unconfirmed(Some(_))));
        assert!(matches!(judged(&[-120, 0]), ClockTrust::Unconfirmed(Some(_))));
        assert!(matches!(judged(&[-120]), ClockTrust::Unconfirmed(Some(_))));
        assert!(matches!(judged(&[]), ClockTrust::Unconfirmed(None)));
    }

    #[test]
    fn more_than_a_minute_is_reported_and_more_than_five_is_wrong() {
        assert_eq!(judged(&[0, 1]), ClockTrust::Confirmed(None));
        assert!(matches!(judged(&[2, 2]), ClockTrust::Confirmed(Some(text)) if text.contains("2 min")));
        assert!(matches!(judged(&[5, 5]), ClockTrust::Confirmed(Some(_))));
        assert!(matches!(judged(&[6, 6]), ClockTrust::Wrong(_)));
    }

    #[test]
    fn what_cannot_be_taken_back_waits_until_a_witness_confirms_the_clock() {
        for (offsets, confirmed) in
            [(&[0][..], true), (&[2, 2], true), (&[], false), (&[-120], false), (&[-120, -120], false)]
        {
            assert_eq!(judged(offsets).is_confirmed(), confirmed, "{offsets:?}");
        }
    }

    #[test]
    fn two_witnesses_agree_within_a_minute_and_both_have_to_find_the_clock_wrong() {
        assert!(matches!(judged(&[6, 7]), ClockTrust::Wrong(_)));
        assert!(matches!(judged(&[6, 8]), ClockTrust::Unconfirmed(Some(_))));
        assert!(
            matches!(judged(&[5, 6]), ClockTrust::Unconfirmed(Some(_))),
            "one of them is within five minutes"
        );
    }

    #[test]
    fn an_offset_is_told_with_our_time_and_the_time_of_whoever_says_otherwise() {
        assert_eq!(judged(&[0, 1]).note(), None);
        let told = "this machine's clock says 0 min, and the workspace says 2 min; help: set the clock, and keep it set \
                    (NTP)";
        assert_eq!(judged(&[0, 2]).note(), Some(told));
        let wrong = judged(&[-120, -120]);
        let note = wrong.note().unwrap();
        assert!(
            note.contains("the identity provider says -120 min, and the workspace says -120 min"),
            "{note}"
        );
    }
}
