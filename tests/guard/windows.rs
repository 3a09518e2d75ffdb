//! The budgets as an invariant: whatever is wanted and whenever, no hour and no day sees more removals than allowed,
//! on the real store, through restarts and a clock that jumps both ways.

use std::path::Path;
use std::sync::Arc;

use proptest::prelude::*;
use rosterd::config;
use rosterd::core::guard::{Budget, GuardReport, Intent, judge};
use rosterd::model::attributes::Attributes;
use rosterd::model::id::{SourceId, TargetId};
use rosterd::model::link::{AttributeMemory, Link, LinkState};
use rosterd::model::order::{Observation, OrderNumber};
use rosterd::model::plan::{Disposition, PlannedAction, Situation, Verb};
use rosterd::model::report::Trigger;
use rosterd::model::time::Millis;
use rosterd::store::{Binding, DoorTerms, IntentOutcome, IntentSettlement, LinkWrite, Store};

const MINUTE: i64 = 60_000;
const PEOPLE: u64 = 60;

/// One step: the clock moves by so many minutes (backwards too), so many people are to be removed, and the
/// process may have been restarted before.
#[derive(Debug, Clone)]
struct Step {
    minutes: i64,
    wanted: u64,
    restart: bool,
    delete: bool,
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let minutes = prop_oneof![4 => 0..90i64, 1 => -300..0i64, 1 => 60..2000i64];
    let step = (minutes, 0..12u64, any::<bool>(), any::<bool>())
        .prop_map(|(minutes, wanted, restart, delete)| Step { minutes, wanted, restart, delete });
    prop::collection::vec(step, 1..24)
}

fn action(person: u64, verb: Verb) -> PlannedAction {
    PlannedAction {
        verb,
        situation: Situation::Leaver,
        reason: String::new(),
        user: format!("person{person}"),
        source_id: SourceId::new(person.to_string()),
        target_id: Some(TargetId::new(person.to_string())),
        changes: Vec::new(),
        desired: None,
        found: None,
        cause: None,
        activate: false,
        disposition: Disposition::Send,
        observation: Observation::now(),
        assigned_at: None,
        billable: true,
        source_digest: None,
        kept_from: None,
        predecessor: None,
        deletion_owed: None,
    }
}

fn link(person: u64, state: LinkState) -> Link {
    Link {
        source_id: SourceId::new(person.to_string()),
        target_id: TargetId::new(person.to_string()),
        user_name: format!("person{person}"),
        acknowledged: Attributes::new(),
        state,
        digest: None,
        memory: AttributeMemory::default(),
        absent_since: None,
        billable: true,
        last_listed_at: None,
        removal_seen: true,
        cause: None,
        // Looks are not what is tried here.
        observation: Observation::before_numbers(Millis(i64::MIN / 2)),
    }
}

async fn write(store: &Store, action: PlannedAction, link: Link, at: Millis) {
    let tenure = store.seize("default").await.unwrap();
    let run = store.begin_run(&tenure, Trigger::Schedule, false, true, at).await.unwrap();
    let permit = GuardReport::default().release(action, false).unwrap().approved;
    let budget = Budget {
        limits: config::Guard::default(),
        unattended: true,
        as_of: i64::MAX,
        as_of_number: OrderNumber::next(),
    };
    let terms = DoorTerms { run, at, budget, protection: Arc::default(), needs_approval: false };
    let intent = store.pass_door(&tenure, permit, terms).await.unwrap().unwrap().intent();
    let settlement = IntentSettlement {
        intent,
        settled: IntentOutcome::Applied,
        status: Some(200),
        detail: None,
        attempts: 1,
        link: LinkWrite::Put(Box::new(link)),
        at,
    };
    store.settle(&tenure, settlement).await.unwrap();
}

async fn populated(directory: &Path, at: Millis) -> Store {
    let store = Store::open(directory, false).await.unwrap();
    let tenure = store.seize("default").await.unwrap();
    let binding = Binding {
        source_kind: "okta".into(),
        source_origin: "https://acme.okta.com".into(),
        source_app: "0oa".into(),
        target_url: "https://scim.example".into(),
    };
    store.bind(&tenure, binding).await.unwrap();
    for person in 0..PEOPLE {
        write(&store, action(person, Verb::Create), link(person, LinkState::Active), at).await;
    }
    store
}

/// The times of every removal that the guards let through.
async fn removals(steps: Vec<Step>) -> Vec<i64> {
    let directory = tempfile::tempdir().unwrap();
    let state = directory.path().join("state");
    let limits = config::Guard::default();
    let mut now = Millis(1_700_000_000_000);
    let mut store = populated(&state, now).await;
    let (mut next, mut sent) = (0, Vec::new());
    for step in steps {
        now = Millis(now.0 + step.minutes * MINUTE);
        if step.restart {
            store.close().await.unwrap();
            store = Store::open(&state, false).await.unwrap();
        }
        let verb = if step.delete { Verb::Delete } else { Verb::Deactivate };
        let wanted = step.wanted.min(PEOPLE - next);
        let mut intent = Intent::default();
        (0..wanted).for_each(|offset| intent.add(&action(next + offset, verb)));
        let ledger = store.snapshot().ledger("default", now).await.unwrap();
        let guard_report = judge(&intent, &ledger, &limits);
        for _ in 0..wanted {
            let Ok(released) = guard_report.release(action(next, verb), false) else { break };
            let gone = link(next, LinkState::Deactivated(now));
            write(&store, released.approved.into_action(), gone, now).await;
            sent.push(now.0);
            next += 1;
        }
    }
    store.close().await.unwrap();
    sent
}

fn most_within(times: &[i64], span: i64) -> usize {
    times
        .iter()
        .map(|start| times.iter().filter(|at| (*start..start + span).contains(*at)).count())
        .max()
        .unwrap_or(0)
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 24, ..ProptestConfig::default() })]

    #[test]
    fn no_hour_and_no_day_sees_more_removals_than_the_limits_allow(steps in steps()) {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        let times = runtime.block_on(removals(steps));
        // 10 % and 20 % of 60 people.
        prop_assert!(most_within(&times, 60 * MINUTE) <= 6, "in an hour: {times:?}");
        prop_assert!(most_within(&times, 24 * 60 * MINUTE) <= 12, "in a day: {times:?}");
    }
}
