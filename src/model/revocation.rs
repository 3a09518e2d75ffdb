//! How long leavers kept their access: from the change at the source (its event, else the last complete read that
//! still showed the person) to the account confirmed inactive.

use super::time::Millis;

/// What was measured for one sync, the newest first.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Revocations {
    /// When the oldest of them was measured.
    pub since: Option<Millis>,
    /// Milliseconds each.
    pub millis: Vec<i64>,
}

/// Up to so many milliseconds, and how many there are. The last one has no bound.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Share {
    /// `None` = whatever is longer than the bound before.
    pub within_millis: Option<i64>,
    /// People.
    pub people: u64,
}

/// The bounds between which people are counted, in seconds: those of `rosterd_revoke_seconds`, fewer of them.
const BOUNDS_SECONDS: [i64; 8] = [15, 30, 60, 300, 900, 3_600, 14_400, 86_400];

impl Revocations {
    /// People by how long it took, from the shortest bound to "longer".
    pub fn spread(&self) -> Vec<Share> {
        let bounds = BOUNDS_SECONDS.map(|seconds| Some(seconds * 1000));
        let mut least = i64::MIN;
        bounds
            .into_iter()
            .chain([None])
            .map(|within_millis| {
                let most = within_millis.unwrap_or(i64::MAX);
                let people = self.millis.iter().filter(|millis| **millis > least && **millis <= most).count();
                least = most;
                Share { within_millis, people: people as u64 }
            })
            .collect()
    }

    /// The time within which so many hundredths of them were gone (nearest rank); `None` without any.
    pub fn within(&self, percent: usize) -> Option<i64> {
        let mut sorted = self.millis.clone();
        sorted.sort_unstable();
        let rank = (sorted.len() * percent).div_ceil(100).max(1);
        sorted.get(rank - 1).copied()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn everybody_is_counted_once_and_a_bound_belongs_to_what_is_below_it() {
        let millis = vec![0, 15_000, 15_001, 86_400_000, 86_400_001, i64::MAX];
        let spread = Revocations { since: None, millis }.spread();
        let people: Vec<u64> = spread.iter().map(|share| share.people).collect();
        assert_eq!(people, [2, 1, 0, 0, 0, 0, 0, 1, 2]);
        assert_eq!((spread[0].within_millis, spread[8].within_millis), (Some(15_000), None));
    }

    #[test]
    fn the_rank_is_the_nearest_one_that_holds_so_many() {
        let some = Revocations { since: None, millis: vec![40, 10, 30, 20] };
        assert_eq!(
            [0, 25, 50, 51, 95, 100].map(|percent| some.within(percent)),
            [10, 10, 20, 30, 40, 40].map(Some)
        );
        assert_eq!(Revocations::default().within(50), None);
    }
}
