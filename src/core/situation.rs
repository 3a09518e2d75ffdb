//! The situation table: one pure function, one `match`, total.

use crate::model::link::LinkState;
use crate::model::plan::Situation;

use super::standing::Standing;

/// A standing without its details.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum StandingKind {
    /// Assigned, active, in scope, mappable.
    Qualifies,
    /// Not yet activated.
    Pending,
    /// Suspended.
    Suspended,
    /// Not assigned, disabled or deleted.
    Leaver,
    /// Out by the filter.
    OutOfScope,
    /// Undecidable.
    HeldBack,
}

impl From<&Standing> for StandingKind {
    fn from(standing: &Standing) -> StandingKind {
        match standing {
            Standing::Qualifies(_) => StandingKind::Qualifies,
            Standing::Pending => StandingKind::Pending,
            Standing::Suspended => StandingKind::Suspended,
            Standing::Leaver(_) => StandingKind::Leaver,
            Standing::OutOfScope => StandingKind::OutOfScope,
            Standing::HeldBack(_) | Standing::Unknown(_) => StandingKind::HeldBack,
        }
    }
}

/// The link as the table sees it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum LinkKind {
    /// No link.
    None,
    /// Linked, active.
    Active,
    /// Linked; deactivated by us, or adopted while inactive and still owed its activation.
    Inactive,
    /// Linked, and the target said 404.
    Gone,
}

impl From<Option<LinkState>> for LinkKind {
    fn from(state: Option<LinkState>) -> LinkKind {
        match state {
            None => LinkKind::None,
            Some(LinkState::Active) => LinkKind::Active,
            Some(LinkState::Deactivated(_) | LinkState::Inactive) => LinkKind::Inactive,
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
pub fn situation(standing: StandingKind, link: LinkKind, hits: MatchKind) -> Situation {
    match (standing, link, hits) {
        (StandingKind::HeldBack, _, _) => Situation::HeldBack,
        (StandingKind::Pending, _, _) => Situation::Waiting,
        (StandingKind::Suspended, LinkKind::Active, _) => Situation::Suspended,
        (StandingKind::Leaver, LinkKind::Active, _) => Situation::Leaver,
        (StandingKind::OutOfScope, LinkKind::Active, _) => Situation::OutOfScope,
        (
            StandingKind::Suspended | StandingKind::Leaver | StandingKind::OutOfScope,
            LinkKind::None | LinkKind::Inactive | LinkKind::Gone,
            _,
        ) => Situation::Gone,
        (StandingKind::Qualifies, LinkKind::Active, _) => Situation::Confirmed,
        (StandingKind::Qualifies, LinkKind::Inactive, _) => Situation::Returning,
        (StandingKind::Qualifies, LinkKind::None, MatchKind::None) => Situation::Absent,
        (StandingKind::Qualifies, LinkKind::None, MatchKind::One) => Situation::Found,
        (StandingKind::Qualifies, LinkKind::Gone, MatchKind::None) => Situation::Missing,
        (StandingKind::Qualifies, LinkKind::Gone, MatchKind::One) => Situation::Relink,
        (StandingKind::Qualifies, LinkKind::None | LinkKind::Gone, MatchKind::Several) => {
            Situation::Ambiguous
        }
        (StandingKind::Qualifies, LinkKind::None | LinkKind::Gone, MatchKind::LinkedElsewhere) => {
            Situation::TakenElsewhere
        }
        (StandingKind::Qualifies, LinkKind::None | LinkKind::Gone, MatchKind::LinkedToGone) => {
            Situation::Successor
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_table_is_the_documented_one() {
        use LinkKind as L;
        use MatchKind as M;
        use StandingKind as S;
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
            (S::HeldBack, L::Active, M::None, Situation::HeldBack),
        ];
        for (standing, link, hits, expected) in table {
            assert_eq!(situation(standing, link, hits), expected, "{standing:?} {link:?} {hits:?}");
        }
    }

    #[test]
    fn nobody_who_does_not_qualify_is_ever_created_adopted_or_reactivated() {
        use StandingKind::{HeldBack, Leaver, OutOfScope, Pending, Suspended};
        for standing in [Pending, Suspended, Leaver, OutOfScope, HeldBack] {
            for link in [LinkKind::None, LinkKind::Active, LinkKind::Inactive, LinkKind::Gone] {
                for hits in [MatchKind::None, MatchKind::One, MatchKind::Several] {
                    let found = situation(standing, link, hits);
                    let gives =
                        [Situation::Absent, Situation::Found, Situation::Returning, Situation::Relink];
                    assert!(!gives.contains(&found), "{standing:?} {link:?} {hits:?}");
                }
            }
        }
    }
}
