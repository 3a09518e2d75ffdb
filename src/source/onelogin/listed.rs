//! The two lists of OneLogin held against each other: whom the app lists, and who of them came with details.
//!
//! What lives here: a compact set of ids with a mark each. What must not: requests.

use std::collections::HashSet;

/// The app's own list, eight bytes a person, and a bit for each whose details came.
#[derive(Debug)]
pub(super) struct Listed {
    ids: Vec<u64>,
    seen: Vec<bool>,
    /// People with details whom the app does not list; in practice a handful.
    strangers: HashSet<u64>,
    details: u64,
}

/// What one entry with details is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum SeenAccount {
    /// The app lists this person too.
    InBoth,
    /// Only the users' list has this person.
    OnlyHere,
    /// This entry came before.
    Twice,
}

impl Listed {
    /// From the app's list in any order; the error is an id that came twice.
    pub(super) fn new(mut ids: Vec<u64>) -> Result<Listed, u64> {
        ids.sort_unstable();
        if let Some(pair) = ids.windows(2).find(|pair| pair[0] == pair[1]) {
            return Err(pair[0]);
        }
        let seen = vec![false; ids.len()];
        Ok(Listed { ids, seen, strangers: HashSet::new(), details: 0 })
    }

    /// Notes an entry with details.
    pub(super) fn sight(&mut self, id: u64) -> SeenAccount {
        let sighted = match self.ids.binary_search(&id) {
            Ok(place) if self.seen[place] => SeenAccount::Twice,
            Ok(place) => {
                self.seen[place] = true;
                SeenAccount::InBoth
            }
            Err(_) if self.strangers.insert(id) => SeenAccount::OnlyHere,
            Err(_) => SeenAccount::Twice,
        };
        self.details += u64::from(sighted != SeenAccount::Twice);
        sighted
    }

    /// Entries with details so far.
    pub(super) fn details(&self) -> u64 {
        self.details
    }

    /// People in either list.
    pub(super) fn people(&self) -> u64 {
        (self.ids.len() + self.strangers.len()) as u64
    }

    /// Whom only the app lists.
    pub(super) fn without_details(&self) -> Vec<u64> {
        self.ids.iter().zip(&self.seen).filter(|(_, seen)| !**seen).map(|(id, _)| *id).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_person_is_in_both_lists_or_in_one_and_never_twice() {
        assert_eq!(Listed::new(vec![3, 1, 3]).unwrap_err(), 3);
        let mut listed = Listed::new(vec![3, 1, 2]).unwrap();
        let sightings = [
            (1, SeenAccount::InBoth),
            (9, SeenAccount::OnlyHere),
            (1, SeenAccount::Twice),
            (9, SeenAccount::Twice),
        ];
        for (id, expected) in sightings {
            assert_eq!(listed.sight(id), expected, "{id}");
        }
        assert_eq!((listed.details(), listed.people()), (2, 4));
        assert_eq!(listed.without_details(), [2, 3]);
    }
}
