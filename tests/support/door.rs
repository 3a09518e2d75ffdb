//! Writes through the real door: a state of its own for each, with a link where the write needs one. No expectation lives
//! here.

use std::sync::Arc;

use rosterd::config::Guard;
use rosterd::core::guard::{Approved, Budget, GuardReport};
use rosterd::core::proof::Proven;
use rosterd::model::id::{SourceId, TargetId};
use rosterd::model::link::{Link, LinkState};
use rosterd::model::order::{Observation, OrderNumber};
use rosterd::model::plan::{Change, DesiredAccount, PlannedAction, Verb};
use rosterd::model::report::Trigger;
use rosterd::model::time::Millis;
use rosterd::scim::target::{Provision, WriteOutcome};
use rosterd::store::{Binding, DoorTerms, Permit, Recorded, Store};

/// Provisioning as the engine does it, for tests that are about the requests.
pub trait ThroughTheDoor: Provision {
    async fn create(&self, desired: &DesiredAccount) -> WriteOutcome {
        let mut action = PlannedAction::blank(person(), desired.user_name().to_owned(), Observation::now());
        action.verb = Verb::Create;
        action.desired = Some(desired.clone());
        Provision::create(self, &recorded(approved(action)).await).await
    }

    async fn update(&self, id: &TargetId, changes: &[Change], activate: bool) -> WriteOutcome {
        let mut action = PlannedAction::blank(person(), "somebody".to_owned(), Observation::now());
        action.verb = Verb::Update;
        action.target_id = Some(id.clone());
        action.changes = changes.to_vec();
        action.activate = activate;
        Provision::update(self, &recorded(approved(action)).await).await
    }

    async fn deactivate(&self, removal: Proven) -> WriteOutcome {
        Provision::deactivate(self, &recorded(removal).await).await
    }

    async fn delete(&self, removal: Proven) -> WriteOutcome {
        Provision::delete(self, &recorded(removal).await).await
    }
}

impl<P: Provision> ThroughTheDoor for P {}

fn person() -> SourceId {
    SourceId::new("00u1")
}

fn approved(action: PlannedAction) -> Approved {
    GuardReport::default().release(action, false).unwrap().approved
}

async fn recorded<T: Permit>(permit: T) -> Recorded<T> {
    let directory = tempfile::tempdir_in("/dev/shm").or_else(|_| tempfile::tempdir()).unwrap();
    let store = Store::open(directory.path(), false).await.unwrap();
    let tenure = store.tenure("default").await.unwrap();
    let binding = Binding {
        source_kind: "okta".to_owned(),
        source_origin: "https://acme.okta.com".to_owned(),
        source_app: "0oa1".to_owned(),
        target_url: "https://scim.example/v2".to_owned(),
    };
    store.bind(&tenure, binding).await.unwrap();
    if let Some(account) = permit.action().target_id.clone() {
        let link = link(permit.action().source_id.clone(), account);
        store.restore_links(&tenure, vec![(link, None)]).await.unwrap();
    }
    let run = store.begin_run(&tenure, Trigger::Manual, false, false, Millis::now()).await.unwrap();
    let terms = DoorTerms {
        run,
        at: Millis::now(),
        budget: Budget {
            limits: Guard::default(),
            unattended: false,
            as_of: i64::MAX,
            as_of_number: OrderNumber::next(),
        },
        protection: Arc::default(),
        needs_approval: false,
    };
    store.pass_door(&tenure, permit, terms).await.unwrap().unwrap()
}

fn link(source_id: SourceId, target_id: TargetId) -> Link {
    Link {
        source_id,
        target_id,
        user_name: "somebody".to_owned(),
        acknowledged: Default::default(),
        state: LinkState::Active,
        digest: None,
        memory: Default::default(),
        absent_since: None,
        billable: true,
        observation: Observation::before_numbers(Millis(0)),
        last_listed_at: None,
        removal_seen: true,
        cause: None,
    }
}
