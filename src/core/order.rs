//! Order of renames: a login is released before it is taken; people who swap logins are blocked.

use std::collections::{HashMap, HashSet};

use crate::model::folding::fold_address;

/// A planned change of login.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Rename {
    /// Login now.
    pub from: String,
    /// Login to be.
    pub to: String,
}

/// The outcome of ordering.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Ordered {
    /// Indices in chains: within a chain one after the other, the one that frees a name first.
    pub chains: Vec<Vec<usize>>,
    /// Indices that form a cycle, or that follow one.
    pub blocked: Vec<usize>,
}

/// Orders renames.
pub fn order_renames(renames: &[Rename]) -> Ordered {
    let holder: HashMap<String, usize> =
        renames.iter().enumerate().map(|(index, rename)| (fold_address(&rename.from), index)).collect();
    // `waits_for[i]` holds the name that i wants.
    let waits_for: Vec<Option<usize>> = renames
        .iter()
        .enumerate()
        .map(|(index, rename)| holder.get(&fold_address(&rename.to)).copied().filter(|other| *other != index))
        .collect();
    let mut followers: HashMap<usize, Vec<usize>> = HashMap::new();
    for (index, awaited) in waits_for.iter().enumerate() {
        if let Some(awaited) = awaited {
            followers.entry(*awaited).or_default().push(index);
        }
    }
    let mut ordered = Ordered::default();
    let mut placed: HashSet<usize> = HashSet::new();
    for root in (0..renames.len()).filter(|index| waits_for[*index].is_none()) {
        let mut chain = Vec::new();
        let mut open = vec![root];
        while let Some(index) = open.pop() {
            if placed.insert(index) {
                chain.push(index);
                open.extend(followers.get(&index).into_iter().flatten().rev());
            }
        }
        ordered.chains.push(chain);
    }
    ordered.blocked = (0..renames.len()).filter(|index| !placed.contains(index)).collect();
    ordered
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rename(from: &str, to: &str) -> Rename {
        Rename { from: from.into(), to: to.into() }
    }

    #[test]
    fn a_name_is_released_before_it_is_taken() {
        let ordered = order_renames(&[rename("c", "d"), rename("a", "b"), rename("B", "C")]);
        assert_eq!(ordered.chains, vec![vec![0, 2, 1]]);
        assert!(ordered.blocked.is_empty());
    }

    #[test]
    fn two_people_who_swap_are_blocked_and_nobody_else_is() {
        let ordered =
            order_renames(&[rename("a", "b"), rename("b", "a"), rename("x", "y"), rename("z", "a")]);
        assert_eq!(ordered.blocked, vec![0, 1, 3]);
        assert_eq!(ordered.chains, vec![vec![2]]);
    }

    #[test]
    fn a_change_of_spelling_waits_for_nobody() {
        assert_eq!(order_renames(&[rename("Ann@x", "ann@X")]).chains, vec![vec![0]]);
    }
}
