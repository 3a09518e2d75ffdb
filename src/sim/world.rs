//! The one simulated world: people, groups, the app, both event logs and the workspace's accounts. Methods are
//! synchronous and short; the lock is never held over anything that waits. No HTTP here.

mod accounts;
mod bulk;
mod changes;
mod events;
pub(crate) mod ids;
mod person;

pub use accounts::Account;
pub(crate) use accounts::Accounts;
pub(crate) use events::Logged;
pub use person::{App, Group, GroupId, Person, PersonId, Visibility};

use chrono::{DateTime, Duration, SubsecRound, Utc};
use ids::okta_id;
use std::collections::{BTreeMap, HashMap};
use std::sync::{Arc, Mutex, PoisonError};

/// A handle on the world; clones share it.
#[derive(Clone)]
pub struct World(Arc<Mutex<State>>);

/// Everything there is. Handlers see it through [`World::with`].
pub(crate) struct State {
    pub(crate) seed: u64,
    pub(crate) people: BTreeMap<PersonId, Person>,
    pub(crate) groups: BTreeMap<GroupId, Group>,
    pub(crate) app: App,
    pub(crate) okta_log: Vec<Logged>,
    pub(crate) onelogin_log: Vec<Logged>,
    /// Events that either log ever got, and that Okta's ever showed: numbers are not used twice.
    okta_events: u64,
    okta_shown: u64,
    onelogin_events: u64,
    pub(crate) accounts: Accounts,
    /// How long an event takes until the log shows it.
    pub(crate) event_delay: Duration,
    by_okta: HashMap<String, PersonId>,
    by_onelogin: HashMap<u64, PersonId>,
    by_login: HashMap<String, PersonId>,
    next_key: u64,
    clock_shift: Duration,
    okta_skew: Duration,
}

impl World {
    pub(crate) fn new(seed: u64) -> Self {
        let now = Utc::now().trunc_subsecs(3);
        let long_ago = now - Duration::days(400);
        let app = App {
            okta_id: okta_id("0oa", seed, 1),
            onelogin_id: 500_000 + seed % 100_000,
            label: "Wrike".to_owned(),
            active: true,
            removed: false,
            features: Vec::new(),
            onelogin_provisioning: false,
            visible: true,
            created: long_ago,
            updated: long_ago,
        };
        Self(Arc::new(Mutex::new(State {
            seed,
            people: BTreeMap::new(),
            groups: BTreeMap::new(),
            app,
            okta_log: Vec::new(),
            onelogin_log: Vec::new(),
            okta_events: 0,
            okta_shown: 0,
            onelogin_events: 0,
            accounts: Accounts::new(seed),
            event_delay: Duration::zero(),
            by_okta: HashMap::new(),
            by_onelogin: HashMap::new(),
            by_login: HashMap::new(),
            next_key: 1,
            clock_shift: Duration::zero(),
            okta_skew: Duration::zero(),
        })))
    }

    /// Runs a closure under the lock. It must not wait for anything.
    pub(crate) fn with<R>(&self, work: impl FnOnce(&mut State) -> R) -> R {
        work(&mut self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// The world's time: the machine's, moved by [`World::advance`].
    pub fn now(&self) -> DateTime<Utc> {
        self.with(|state| state.now())
    }

    /// Okta's clock: the world's time and the skew of [`World::skew_okta_clock`].
    pub fn okta_time(&self) -> DateTime<Utc> {
        self.with(|state| state.okta_time())
    }

    /// Lets time pass at once: tokens age, rate windows end, delayed events appear.
    pub fn advance(&self, by: std::time::Duration) {
        self.with(|state| state.clock_shift += Duration::from_std(by).unwrap_or_default());
    }

    /// Okta's clock runs ahead of ours by so many seconds (behind, if negative).
    pub fn skew_okta_clock(&self, seconds: i64) {
        self.with(|state| state.okta_skew = Duration::seconds(seconds));
    }

    /// Events appear in both vendors' logs only after so long.
    pub fn delay_events(&self, by: std::time::Duration) {
        self.with(|state| state.event_delay = Duration::from_std(by).unwrap_or_default());
    }

    /// A copy of a person.
    ///
    /// # Panics
    /// Where there is no such person (any more).
    pub fn person(&self, id: PersonId) -> Person {
        self.with(|state| state.people.get(&id).cloned())
            .expect("a test asks for a person who was hired and not deleted")
    }

    /// Everybody, in order of hiring.
    pub fn people(&self) -> Vec<Person> {
        self.with(|state| state.people.values().cloned().collect())
    }

    /// The people who are assigned to the app in Okta's eyes, in order of hiring.
    pub fn assigned(&self) -> Vec<Person> {
        self.with(|state| {
            state.people.values().filter(|person| state.okta_scope(person).is_some()).cloned().collect()
        })
    }

    /// The person with this login, in any case.
    pub fn find(&self, login: &str) -> Option<PersonId> {
        self.with(|state| state.by_login.get(&login.to_lowercase()).copied())
    }

    /// A copy of the app.
    pub fn app(&self) -> App {
        self.with(|state| state.app.clone())
    }

    /// A copy of a group.
    ///
    /// # Panics
    /// Where there is no such group.
    pub fn group(&self, id: GroupId) -> Group {
        self.with(|state| state.groups.get(&id).cloned()).expect("a test asks for a group that was added")
    }
}

impl State {
    pub(crate) fn now(&self) -> DateTime<Utc> {
        (Utc::now() + self.clock_shift).trunc_subsecs(3)
    }

    pub(crate) fn okta_time(&self) -> DateTime<Utc> {
        self.now() + self.okta_skew
    }

    fn next_key(&mut self) -> u64 {
        let key = self.next_key;
        self.next_key += 1;
        key
    }

    /// How the person got the app in Okta: `USER`, `GROUP`, or not at all.
    pub(crate) fn okta_scope(&self, person: &Person) -> Option<&'static str> {
        if person.deprovisioned() { None } else { self.assignment(person) }
    }

    /// How the person got the app, whatever their status.
    pub(crate) fn assignment(&self, person: &Person) -> Option<&'static str> {
        let by_group =
            || person.groups.iter().any(|group| self.groups.get(group).is_some_and(|group| group.has_app));
        if person.direct {
            Some("USER")
        } else if by_group() {
            Some("GROUP")
        } else {
            None
        }
    }

    pub(crate) fn by_okta_id(&self, id: &str) -> Option<&Person> {
        self.people.get(self.by_okta.get(id)?)
    }

    pub(crate) fn by_login(&self, login: &str) -> Option<&Person> {
        self.people.get(self.by_login.get(&login.to_lowercase())?)
    }

    pub(crate) fn by_onelogin_id(&self, id: u64) -> Option<&Person> {
        self.people.get(self.by_onelogin.get(&id)?)
    }

    fn index(&mut self, person: &Person) {
        self.by_okta.insert(person.okta_id.clone(), person.key);
        self.by_onelogin.insert(person.onelogin_id, person.key);
        self.by_login.insert(person.login.to_lowercase(), person.key);
    }

    fn unindex(&mut self, person: &Person) {
        self.by_okta.remove(&person.okta_id);
        self.by_onelogin.remove(&person.onelogin_id);
        self.by_login.remove(&person.login.to_lowercase());
    }
}
