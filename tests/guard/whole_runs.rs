//! The budgets as an invariant of whole runs: whatever the source does and however rosterd is started, no hour and no
//! day sees more removals than allowed, without an approval. Every step opens the state anew, as a restart does.

use proptest::prelude::*;
use rosterd::model::plan::Verb;
use rosterd::model::report::{ActionRecord, Outcome};
use rosterd::sim::{Effect, Fault, Peer, PersonId};

use crate::support::{Bench, Ended, mail};

const MINUTE: i64 = 60_000;
const PEOPLE: usize = 40;

/// What happens at the source, or to rosterd.
#[derive(Debug, Clone)]
enum Step {
    /// So many leave, in one of four ways, from this person on.
    Leave {
        from: usize,
        people: usize,
        way: u8,
    },
    /// So many come back.
    Return {
        from: usize,
        people: usize,
    },
    /// Everybody gets another login.
    RenameAll,
    /// A list that looks complete leaves out the last so many people.
    Hide {
        people: usize,
    },
    /// Everybody is shown again.
    ShowAll,
    /// The second page of the list is lost.
    LosePage,
    /// The clock moves, backwards too.
    Clock {
        minutes: i64,
    },
    /// A full run by hand, or by the timer.
    Run {
        unattended: bool,
    },
    /// A run of these named people.
    RunNamed {
        from: usize,
        people: usize,
    },
    /// A plan saved now and applied later.
    SavePlan,
    ApplyPlan,
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let place = 0..PEOPLE;
    let step = prop_oneof![
        4 => (place.clone(), 1..9usize, 0..4u8).prop_map(|(from, people, way)| Step::Leave { from, people, way }),
        2 => (place.clone(), 1..9usize).prop_map(|(from, people)| Step::Return { from, people }),
        1 => Just(Step::RenameAll),
        1 => (1..20usize).prop_map(|people| Step::Hide { people }),
        1 => Just(Step::ShowAll),
        1 => Just(Step::LosePage),
        3 => prop_oneof![3 => 1..70i64, 1 => -200..0i64, 1 => 200..1500i64].prop_map(|minutes| Step::Clock { minutes }),
        6 => any::<bool>().prop_map(|unattended| Step::Run { unattended }),
        3 => (place, 1..6usize).prop_map(|(from, people)| Step::RunNamed { from, people }),
        1 => Just(Step::SavePlan),
        1 => Just(Step::ApplyPlan),
    ];
    prop::collection::vec(step, 6..20)
}

/// A world with what is needed to take steps in it.
struct Story {
    bench: Bench,
    crowd: Vec<PersonId>,
    plan: Vec<ActionRecord>,
    renames: u32,
    now: i64,
    removals: Vec<i64>,
}

impl Story {
    async fn begin() -> Story {
        let mut bench = Bench::okta().await;
        let crowd = bench.crowd(PEOPLE);
        bench.begin().await;
        // Small pages, so that one can be lost.
        bench.source = String::new();
        Story { bench, crowd, plan: Vec::new(), renames: 0, now: 0, removals: Vec::new() }
    }

    fn some(&self, from: usize, people: usize) -> Vec<PersonId> {
        (from..from + people).map(|place| self.crowd[place % PEOPLE]).collect()
    }

    async fn step(&mut self, step: &Step) {
        let world = self.bench.world();
        match step {
            Step::Leave { from, people, way } => {
                for person in self.some(*from, *people) {
                    match way {
                        0 => world.unassign(person),
                        1 => world.deactivate(person),
                        2 => world.suspend(person),
                        _ => world.hide(person),
                    }
                }
            }
            Step::Return { from, people } => {
                for person in self.some(*from, *people) {
                    world.set_status(person, "ACTIVE", 1, 1);
                    world.assign(person);
                }
            }
            Step::RenameAll => {
                self.renames += 1;
                for (place, person) in self.crowd.iter().enumerate() {
                    world.rename(*person, &mail(&format!("new{}-{place}@acme.example", self.renames)));
                }
            }
            Step::Hide { people } => {
                self.crowd.iter().rev().take(*people).for_each(|person| world.hide(*person))
            }
            Step::ShowAll => {
                self.crowd.iter().for_each(|person| world.show(*person, rosterd::sim::Visibility::Shown));
            }
            Step::LosePage => {
                let list = Fault::on(Peer::Okta).path("/users").nth(1).then(Effect::DropRows(15));
                self.bench.sim.faults().add(list);
            }
            Step::Clock { minutes } => {
                self.now += minutes * MINUTE;
                self.bench.shift(minutes * MINUTE);
            }
            Step::Run { unattended } => {
                self.bench.unattended = *unattended;
                let ended = self.bench.run().await;
                self.bench.unattended = false;
                self.note(&ended);
            }
            Step::RunNamed { from, people } => {
                let ids: Vec<String> = self
                    .some(*from, *people)
                    .into_iter()
                    .map(|id| self.bench.source_id(id).to_string())
                    .collect();
                let ids: Vec<&str> = ids.iter().map(String::as_str).collect();
                let ended = self.bench.run_for(&ids).await;
                self.note(&ended);
            }
            Step::SavePlan => {
                let ended = self.bench.dry().await;
                self.plan =
                    ended.records.into_iter().filter(|line| line.outcome == Outcome::Planned).collect();
            }
            Step::ApplyPlan => {
                let ended = self.bench.run_only(&self.plan).await;
                self.note(&ended);
            }
        }
        self.bench.sim.faults().clear();
    }

    fn note(&mut self, ended: &Ended) {
        let removed = |line: &&ActionRecord| {
            matches!(line.action, Verb::Deactivate | Verb::Delete) && line.outcome == Outcome::Applied
        };
        self.removals.extend(ended.records.iter().filter(removed).map(|_| self.now));
    }
}

fn most_within(times: &[i64], span: i64) -> usize {
    times
        .iter()
        .map(|start| times.iter().filter(|at| (*start..start + span).contains(*at)).count())
        .max()
        .unwrap_or(0)
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 24, max_shrink_iters: 64, ..ProptestConfig::default() })]

    #[test]
    fn no_sequence_of_runs_removes_more_than_the_limits_allow(steps in steps()) {
        let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
        let (removals, inactive) = runtime.block_on(async {
            let mut story = Story::begin().await;
            for step in &steps {
                story.step(step).await;
            }
            let inactive = story.bench.world().accounts().iter().filter(|account| !account.active()).count();
            (story.removals, inactive)
        });
        // 10 % and 20 % of forty people.
        prop_assert!(most_within(&removals, 60 * MINUTE) <= 4, "in an hour: {removals:?}");
        prop_assert!(most_within(&removals, 24 * 60 * MINUTE) <= 8, "in a day: {removals:?}");
        prop_assert!(inactive <= removals.len(), "{inactive} inactive, {} told", removals.len());
    }
}
