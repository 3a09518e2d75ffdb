//! The situation table: one pure function, one `match`, total.

use crate::model::link::LinkState;
use crate::model::plan::Situation;

use super::eligibility::EligibilityKind;

/// The link as the table sees it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum LinkKind {
    /// No link.
    None,
    /// Linked, active.
    Active,
    /// Linked; deactivated by us, or adopted while inactive and still owed its activation.
    Inactive,
    /// Linked, the target said 404, and nobody has looked whether the account was made anew.
    Vanished,
    /// Linked, the target said 404, and a look found no other account.
    Gone,
}

impl From<Option<LinkState>> for LinkKind {
    fn from(state: Option<LinkState>) -> LinkKind {
        match state {
            None => LinkKind::None,
            Some(LinkState::Active) => LinkKind::Active,
            Some(LinkState::Deactivated(_) | LinkState::Inactive) => LinkKind::Inactive,
            Some(LinkState::Vanished(_)) => LinkKind::Vanished,
            Some(LinkState::Gone(_)) => LinkKind::Gone,
        }
    }
}

/// What the matching ladder found.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum MatchKind {
    /// Nothing, or nobody needed to look.
    None,
    /// Exactly one free account.
    One,
    /// Two or more.
    Several,
    /// One that a living identity or another sync is linked to.
    LinkedElsewhere,
    /// One that is linked to an identity that is proven gone.
    LinkedToGone,
}

/// The situation of one person.
pub fn situation(eligibility: EligibilityKind, link: LinkKind, hits: MatchKind) -> Situation {
    match (eligibility, link, hits) {
        (EligibilityKind::Blocked, _, _) => Situation::Blocked,
        (EligibilityKind::Pending, _, _) => Situation::Waiting,
        // A 404 on a leaver's account is a question, and the removal asks it.
        (EligibilityKind::Suspended, LinkKind::Active | LinkKind::Vanished, _) => Situation::Suspended,
        (EligibilityKind::Leaver, LinkKind::Active | LinkKind::Vanished, _) => Situation::Leaver,
        (EligibilityKind::OutOfScope, LinkKind::Active | LinkKind::Vanished, _) => Situation::OutOfScope,
        (
            EligibilityKind::Suspended | EligibilityKind::Leaver | EligibilityKind::OutOfScope,
            LinkKind::None | LinkKind::Inactive | LinkKind::Gone,
            _,
        ) => Situation::Gone,
        (EligibilityKind::Qualifies, LinkKind::Active, _) => Situation::Confirmed,
        (EligibilityKind::Qualifies, LinkKind::Inactive, _) => Situation::Returning,
        (EligibilityKind::Qualifies, LinkKind::None, MatchKind::None) => Situation::Absent,
        (EligibilityKind::Qualifies, LinkKind::None, MatchKind::One) => Situation::Found,
        (EligibilityKind::Qualifies, LinkKind::Vanished | LinkKind::Gone, MatchKind::None) => {
            Situation::Missing
        }
        (EligibilityKind::Qualifies, LinkKind::Vanished | LinkKind::Gone, MatchKind::One) => {
            Situation::Relink
        }
        (
            EligibilityKind::Qualifies,
            LinkKind::None | LinkKind::Vanished | LinkKind::Gone,
            MatchKind::Several,
        ) => Situation::Ambiguous,
        (
            EligibilityKind::Qualifies,
            LinkKind::None | LinkKind::Vanished | LinkKind::Gone,
            MatchKind::LinkedElsewhere,
        ) => Situation::TakenElsewhere,
        (
            EligibilityKind::Qualifies,
            LinkKind::None | LinkKind::Vanished | LinkKind::Gone,
            MatchKind::LinkedToGone,
        ) => Situation::Successor,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_table_is_the_documented_one() {
        use EligibilityKind as S;
        use LinkKind as L;
        use MatchKind as M;
        let table = [
            (S::Qualifies, L::Active, M::None, Situation::Confirmed),
            (S::Qualifies, L::Inactive, M::None, Situation::Returning),
            (S::Qualifies, L::None, M::One, Situation::Found),
            (S::Qualifies, L::None, M::None, Situation::Absent),
            (S::Qualifies, L::Gone, M::None, Situation::Missing),
            (S::Qualifies, L::Gone, M::One, Situation::Relink),
            (S::Qualifies, L::None, M::Several, Situation::Ambiguous),
            (S::Qualifies, L::None, M::LinkedElsewhere, Situation::TakenElsewhere),
            (S::Qualifies, L::None, M::LinkedToGone, Situation::Successor),
            (S::Pending, L::None, M::None, Situation::Waiting),
            (S::Pending, L::Active, M::None, Situation::Waiting),
            (S::Suspended, L::Active, M::None, Situation::Suspended),
            (S::Leaver, L::Active, M::None, Situation::Leaver),
            (S::OutOfScope, L::Active, M::None, Situation::OutOfScope),
            (S::Suspended, L::None, M::None, Situation::Gone),
            (S::Leaver, L::Inactive, M::None, Situation::Gone),
            (S::OutOfScope, L::Gone, M::None, Situation::Gone),
            (S::OutOfScope, L::Vanished, M::None, Situation::OutOfScope),
            (S::Suspended, L::Vanished, M::None, Situation::Suspended),
            (S::Leaver, L::Vanished, M::None, Situation::Leaver),
            (S::Leaver, L::Gone, M::None, Situation::Gone),
            (S::Qualifies, L::Vanished, M::None, Situation::Missing),
            (S::Qualifies, L::Vanished, M::One, Situation::Relink),
            (S::Blocked, L::Active, M::None, Situation::Blocked),
        ];
        for (eligibility, link, hits, expected) in table {
            assert_eq!(situation(eligibility, link, hits), expected, "{eligibility:?} {link:?} {hits:?}");
        }
    }

    #[test]
    fn nobody_who_does_not_qualify_is_ever_created_adopted_or_reactivated() {
        use EligibilityKind::{Blocked, Leaver, OutOfScope, Pending, Suspended};
        for eligibility in [Pending, Suspended, Leaver, OutOfScope, Blocked] {
            let links =
                [LinkKind::None, LinkKind::Active, LinkKind::Inactive, LinkKind::Vanished, LinkKind::Gone];
            for link in links {
                for hits in [MatchKind::None, MatchKind::One, MatchKind::Several] {
                    let found = situation(eligibility, link, hits);
                    let gives =
                        [Situation::Absent, Situation::Found, Situation::Returning, Situation::Relink];
                    assert!(!gives.contains(&found), "{eligibility:?} {link:?} {hits:?}");
                }
            }
        }
    }
}
