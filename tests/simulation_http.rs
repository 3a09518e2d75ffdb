//! Random worlds, random changes, random servers: after each round of changes one run makes the workspace what the
//! reference model below says, the next run has nothing to do, and nothing that is not ours was touched.
//!
//! The model is written from the documentation and shares no code with the program's own decisions. Runs are
//! repeatable: the cases follow from a fixed seed.
#![allow(clippy::unwrap_used)]

#[path = "support/mod.rs"]
mod support;

use std::collections::BTreeMap;
use std::time::Duration;

use proptest::prelude::*;
use proptest::test_runner::{Config, RngAlgorithm, TestCaseError, TestRng, TestRunner};
use rosterd::exit;
use rosterd::model::id::Vendor;
use rosterd::sim::{
    DuplicateHabit, FilterHabit, GroupId, PagingHabit, PatchHabit, PersonId, ScimQuirks, SimOptions,
};
use serde_json::{Map, Value, json};
use support::Bench;

const ENTERPRISE: &str = "urn:ietf:params:scim:schemas:extension:enterprise:2.0:User";
/// People who never leave: somebody must be there to compare with, the workspace never empties, and it is not so small
/// that half of it counts as too many.
const STAYERS: usize = 10;
/// At each vendor.
const CASES: u32 = 32;
const SEED: [u8; 32] = *b"rosterd: worlds, changes, habits";

/// Something that happens at the identity provider. The number chooses a person.
#[derive(Debug, Clone)]
enum Change {
    Hire { assigned: bool },
    Assign(usize),
    Unassign(usize),
    Suspend(usize),
    Activate(usize),
    Deactivate(usize),
    Delete(usize),
    Rename(usize),
    Title(usize, Option<u8>),
    Phone(usize, Option<u8>),
    Department(usize, u8),
    Join(usize, Team),
    Quit(usize, Team),
}

/// Groups: one that has the app, one that is out of scope, one whose members are guests.
#[derive(Debug, Clone, Copy, PartialEq)]
enum Team {
    Users,
    Bots,
    Guests,
}

const TEAMS: [Team; 3] = [Team::Users, Team::Bots, Team::Guests];

/// How source, workspace and configuration are set up.
#[derive(Debug, Clone)]
struct Setting {
    vendor: Vendor,
    patch: usize,
    paging: usize,
    filter: usize,
    duplicates: usize,
    quiet_patch: bool,
    closes: bool,
    deletes_leavers: bool,
    keeps_suspended: bool,
    with_scope: bool,
    with_user_type: bool,
    /// For the first people: an account by hand, and whether it is active.
    by_hand: Vec<Option<bool>>,
}

fn changes() -> impl Strategy<Value = Change> {
    let who = 0..24usize;
    let team = prop_oneof![Just(Team::Users), Just(Team::Bots), Just(Team::Guests)];
    prop_oneof![
        3 => any::<bool>().prop_map(|assigned| Change::Hire { assigned }),
        2 => who.clone().prop_map(Change::Assign),
        2 => who.clone().prop_map(Change::Unassign),
        2 => who.clone().prop_map(Change::Suspend),
        3 => who.clone().prop_map(Change::Activate),
        1 => who.clone().prop_map(Change::Deactivate),
        1 => who.clone().prop_map(Change::Delete),
        2 => who.clone().prop_map(Change::Rename),
        2 => (who.clone(), proptest::option::of(0..4u8)).prop_map(|(who, title)| Change::Title(who, title)),
        1 => (who.clone(), proptest::option::of(0..4u8)).prop_map(|(who, phone)| Change::Phone(who, phone)),
        1 => (who.clone(), 0..3u8).prop_map(|(who, department)| Change::Department(who, department)),
        3 => (who.clone(), team.clone()).prop_map(|(who, team)| Change::Join(who, team)),
        2 => (who, team).prop_map(|(who, team)| Change::Quit(who, team)),
    ]
}

fn settings(vendor: Vendor) -> impl Strategy<Value = Setting> {
    let habits =
        (0..PATCH.len(), 0..PAGING.len(), 0..FILTER.len(), 0..DUPLICATES.len(), any::<bool>(), any::<bool>());
    let policy = (any::<bool>(), any::<bool>(), any::<bool>(), any::<bool>());
    let by_hand = prop::collection::vec(proptest::option::of(any::<bool>()), STAYERS + 3);
    (habits, policy, by_hand).prop_map(move |(habits, policy, by_hand)| {
        let (patch, paging, filter, duplicates, quiet_patch, closes) = habits;
        let (deletes_leavers, keeps_suspended, with_scope, with_user_type) = policy;
        Setting {
            vendor,
            patch,
            paging,
            filter,
            duplicates,
            quiet_patch,
            closes,
            deletes_leavers,
            keeps_suspended,
            with_scope,
            with_user_type,
            by_hand,
        }
    })
}

const PATCH: [PatchHabit; 7] = [
    PatchHabit::Full,
    PatchHabit::Missing,
    PatchHabit::NotImplemented,
    PatchHabit::OnlyWithPath,
    PatchHabit::OnlyWithoutPath,
    PatchHabit::NoValueFilter,
    PatchHabit::Ignored,
];
const PAGING: [PagingHabit; 6] = [
    PagingHabit::Full,
    PagingHabit::FirstPageBeyondEnd,
    PagingHabit::Ignored,
    PagingHabit::TotalIsPageSize,
    PagingHabit::CountFails,
    PagingHabit::OnlyWhenAsked,
];
const FILTER: [FilterHabit; 5] = [
    FilterHabit::Full,
    FilterHabit::CaseSensitive,
    FilterHabit::Ignored,
    FilterHabit::UserNameOnly,
    FilterHabit::NoEscapes,
];
const DUPLICATES: [DuplicateHabit; 4] = [
    DuplicateHabit::Conflict,
    DuplicateHabit::BareConflict,
    DuplicateHabit::Accepted,
    DuplicateHabit::ServerError,
];

impl Setting {
    fn habits(&self, habits: &mut ScimQuirks) {
        habits.patch = PATCH[self.patch];
        habits.paging = PAGING[self.paging];
        habits.filter = FILTER[self.filter];
        habits.duplicates = DUPLICATES[self.duplicates];
        // "Accepted and ignored" is only to be told apart where the reply shows the account.
        habits.patch_without_content = self.quiet_patch && habits.patch != PatchHabit::Ignored;
        habits.closes_connections = self.closes;
        habits.page_cap = Some(10);
    }

    fn tables(&self) -> String {
        let mut tables = format!(
            "[sync.lifecycle]\non_unassigned = \"{}\"\non_suspended = \"{}\"\n",
            if self.deletes_leavers { "delete" } else { "deactivate" },
            if self.keeps_suspended { "keep" } else { "deactivate" },
        );
        tables.push_str(support::NO_LIMITS);
        if self.with_scope {
            tables.push_str("[sync.scope]\nfilter = \"'Bots' not in user.groups\"\n");
        }
        if self.with_user_type {
            tables.push_str(
                "[sync.user_type]\npath = \"userType\"\ngroups = [{ group = \"Guests\", value = \"External\" }]\n",
            );
        }
        tables
    }
}

/// Where somebody stands at the source, in the words of the documentation.
#[derive(Debug, Clone, Copy, PartialEq)]
enum Status {
    Active,
    Suspended,
    Deactivated,
    Deleted,
}

/// A person as the reference model knows them.
#[derive(Debug, Clone)]
struct Person {
    key: PersonId,
    external_id: String,
    login: String,
    first: String,
    title: Option<String>,
    phone: Option<String>,
    department: String,
    status: Status,
    direct: bool,
    teams: Vec<Team>,
}

/// An account as it should be, and whose it is.
#[derive(Debug, Clone)]
struct Account {
    resource: Map<String, Value>,
    owner: Option<PersonId>,
}

/// What the documentation says the workspace holds.
struct Model {
    setting: Setting,
    people: Vec<Person>,
    accounts: Vec<Account>,
}

impl Model {
    fn is_assigned(&self, person: &Person) -> bool {
        person.direct || person.teams.contains(&Team::Users)
    }

    /// Assigned, active, in scope.
    fn qualifies(&self, person: &Person) -> bool {
        let out = self.setting.with_scope && person.teams.contains(&Team::Bots);
        person.status == Status::Active && self.is_assigned(person) && !out
    }

    /// One run, as the decision table has it.
    fn run(&mut self) {
        for index in 0..self.people.len() {
            let person = self.people[index].clone();
            let qualifies = self.qualifies(&person);
            let own = self.accounts.iter().position(|account| account.owner == Some(person.key));
            match own {
                Some(at) if qualifies => self.update(at, &person),
                Some(at) => self.leave(at, &person),
                None if qualifies => self.join(&person),
                None => {}
            }
        }
    }

    fn join(&mut self, person: &Person) {
        let same = |account: &Account| {
            let login = account.resource["userName"].as_str().unwrap_or_default();
            account.owner.is_none() && login.eq_ignore_ascii_case(&person.login)
        };
        let at = self.accounts.iter().position(same).unwrap_or_else(|| {
            self.accounts.push(Account { resource: Map::new(), owner: None });
            self.accounts.len() - 1
        });
        self.accounts[at].owner = Some(person.key);
        self.update(at, person);
    }

    /// Every value that the source has, in its place; the rest of the account stays.
    fn update(&mut self, at: usize, person: &Person) {
        let guest = person.teams.contains(&Team::Guests);
        let user_type = self.setting.with_user_type.then_some(if guest { "External" } else { "Regular" });
        let resource = &mut self.accounts[at].resource;
        resource.insert("active".to_owned(), json!(true));
        resource.insert("externalId".to_owned(), json!(person.external_id));
        let before = resource.get("userName").and_then(Value::as_str).unwrap_or_default();
        if !before.eq_ignore_ascii_case(&person.login) {
            resource.insert("userName".to_owned(), json!(person.login));
        }
        set_element(resource, "emails", &person.login);
        if let Some(phone) = &person.phone {
            set_element(resource, "phoneNumbers", phone);
        }
        if let Some(title) = &person.title {
            resource.insert("title".to_owned(), json!(title));
        }
        if let Some(user_type) = user_type {
            resource.insert("userType".to_owned(), json!(user_type));
        }
        set_member(resource, "name", "givenName", &person.first);
        set_member(resource, "name", "familyName", "Archer");
        set_member(resource, ENTERPRISE, "department", &person.department);
        set_member(resource, ENTERPRISE, "organization", "Acme");
    }

    fn leave(&mut self, at: usize, person: &Person) {
        if self.accounts[at].resource["active"] == json!(false) {
            return;
        }
        let suspended = person.status == Status::Suspended && self.is_assigned(person);
        match (suspended, self.setting.keeps_suspended, self.setting.deletes_leavers) {
            (true, true, _) => {}
            (false, _, true) => drop(self.accounts.remove(at)),
            (true, false, _) | (false, _, false) => {
                self.accounts[at].resource.insert("active".to_owned(), json!(false));
            }
        }
    }

    /// Every account by its login, for a comparison in any order.
    fn expected(&self) -> BTreeMap<String, Value> {
        by_login(self.accounts.iter().map(|account| Value::Object(account.resource.clone())))
    }
}

/// The element of a list that is ours: the primary one. Addresses and numbers of other kinds stay.
fn set_element(resource: &mut Map<String, Value>, list: &str, value: &str) {
    let elements = resource.entry(list.to_owned()).or_insert_with(|| json!([]));
    let elements = elements.as_array_mut().expect("a list");
    match elements.iter_mut().find(|element| element["primary"] == json!(true)) {
        Some(own) if own["value"].as_str().is_some_and(|own| own.eq_ignore_ascii_case(value)) => {}
        Some(own) => own["value"] = json!(value),
        None => elements.push(json!({"value": value, "type": "work", "primary": true})),
    }
}

fn set_member(resource: &mut Map<String, Value>, object: &str, member: &str, value: &str) {
    resource.entry(object.to_owned()).or_insert_with(|| json!({}))[member] = json!(value);
}

fn by_login(accounts: impl Iterator<Item = Value>) -> BTreeMap<String, Value> {
    let mut all = BTreeMap::new();
    for account in accounts {
        let login = account["userName"].as_str().unwrap_or_default().to_lowercase();
        let twice = all.insert(login, account);
        assert!(twice.is_none(), "two accounts with one login: {twice:?}");
    }
    all
}

/// World and model side by side.
struct Twin {
    bench: Bench,
    model: Model,
    groups: [GroupId; 3],
    names: usize,
}

impl Twin {
    async fn new(setting: &Setting) -> Twin {
        let mut options = SimOptions { seed: 5, ..SimOptions::default() };
        options.okta.page_cap = Some(3);
        options.onelogin.page_cap = 3;
        options.onelogin.users_page_cap = 3;
        let bench = Bench::with_options(setting.vendor, options)
            .await
            .habits(|habits| setting.habits(habits))
            .source("groups = [\"Bots\", \"Guests\"]")
            .tables(&setting.tables());
        let groups = ["Users", "Bots", "Guests"].map(|name| bench.world().add_group(name));
        bench.world().assign_group(groups[0]);
        let model = Model { setting: setting.clone(), people: Vec::new(), accounts: Vec::new() };
        let mut twin = Twin { bench, model, groups, names: 0 };
        for by_hand in &setting.by_hand {
            twin.hire(true);
            let login = twin.model.people.last().expect("somebody was hired").login.clone();
            if let Some(active) = by_hand {
                twin.add_account(&login.to_uppercase(), *active);
            }
        }
        twin.add_account("contractor@elsewhere.example", true);
        twin.add_account("former@elsewhere.example", false);
        twin
    }

    /// An account that the workspace's own people made, with attributes that are not ours.
    fn add_account(&mut self, login: &str, active: bool) {
        let mut account = support::account_by_hand(login, active);
        account["nickName"] = json!("Boss");
        account["addresses"] = json!([{"type": "home", "locality": "Ulm"}]);
        account["emails"] = json!([
            {"value": "private@home.example", "type": "home"},
            {"value": login, "type": "work", "primary": true},
        ]);
        account["name"]["honorificPrefix"] = json!("Dr.");
        account[ENTERPRISE] = json!({"costCenter": "4711"});
        let mut resource = account.as_object().cloned().expect("an object");
        // A workspace shows `schemas` and does not store it.
        resource.remove("schemas");
        self.bench.world().add_account(&Value::Object(resource.clone()));
        self.model.accounts.push(Account { resource, owner: None });
    }

    fn hire(&mut self, assigned: bool) {
        self.names += 1;
        let first = format!("person{}", self.names);
        let login = support::mail(&first);
        let key = self.bench.world().hire(&login, |person| {
            person.first_name = Some(first.clone());
            person.last_name = Some("Archer".to_owned());
            person.department = Some("Research".to_owned());
            person.organization = Some("Acme".to_owned());
        });
        if assigned {
            self.bench.world().assign(key);
        }
        self.model.people.push(Person {
            key,
            external_id: self.bench.external_id(key),
            login,
            first,
            title: None,
            phone: None,
            department: "Research".to_owned(),
            status: Status::Active,
            direct: assigned,
            teams: Vec::new(),
        });
    }

    /// Lets it happen in both, where it can happen.
    fn change(&mut self, change: &Change) {
        if let Change::Hire { assigned } = change {
            return self.hire(*assigned);
        }
        let (who, may_leave) = match change {
            Change::Hire { .. } => return,
            Change::Assign(who) | Change::Activate(who) | Change::Rename(who) => (who, true),
            Change::Title(who, _) | Change::Phone(who, _) | Change::Department(who, _) => (who, true),
            Change::Join(who, team) => (who, *team != Team::Bots),
            Change::Quit(who, _) => (who, true),
            Change::Unassign(who) | Change::Suspend(who) | Change::Deactivate(who) | Change::Delete(who) => {
                (who, false)
            }
        };
        let index = who % self.model.people.len();
        if index < STAYERS && !may_leave || self.model.people[index].status == Status::Deleted {
            return;
        }
        let fresh = format!("renamed{}@{}", self.names, support::DOMAIN);
        let world = self.bench.world();
        let person = &mut self.model.people[index];
        let key = person.key;
        match change {
            Change::Hire { .. } => {}
            // A deactivated person cannot be assigned anything.
            Change::Assign(_) if person.status == Status::Deactivated => {}
            Change::Assign(_) => {
                world.assign(key);
                person.direct = true;
            }
            Change::Unassign(_) => {
                world.unassign(key);
                person.direct = false;
            }
            Change::Suspend(_) if person.status == Status::Active => {
                world.suspend(key);
                person.status = Status::Suspended;
            }
            Change::Suspend(_) => {}
            Change::Activate(_) => {
                match person.status {
                    Status::Suspended => world.unsuspend(key),
                    Status::Deactivated => world.reactivate(key),
                    Status::Active | Status::Deleted => {}
                }
                person.status = Status::Active;
            }
            Change::Deactivate(_) => {
                world.deactivate(key);
                (person.status, person.direct) = (Status::Deactivated, false);
            }
            Change::Delete(_) => {
                world.delete(key);
                person.status = Status::Deleted;
            }
            Change::Rename(_) => {
                self.names += 1;
                world.rename(key, &fresh);
                person.login = fresh;
            }
            Change::Title(..)
            | Change::Phone(..)
            | Change::Department(..)
            | Change::Join(..)
            | Change::Quit(..) => {
                self.move_within(index, change);
            }
        }
    }

    /// What changes about somebody who stays.
    fn move_within(&mut self, index: usize, change: &Change) {
        let world = self.bench.world();
        let group_of = |team: &Team| self.groups[TEAMS.iter().position(|known| known == team).unwrap_or(0)];
        let person = &mut self.model.people[index];
        let key = person.key;
        match change {
            Change::Title(_, number) => {
                let title = number.map(|number| format!("Title {number}"));
                world.edit(key, |person| person.title.clone_from(&title));
                person.title = title;
            }
            Change::Phone(_, number) => {
                let phone = number.map(|number| format!("+1555010{number}"));
                world.edit(key, |person| person.primary_phone.clone_from(&phone));
                person.phone = phone;
            }
            Change::Department(_, number) => {
                let department = format!("Department {number}");
                world.edit(key, |person| person.department = Some(department.clone()));
                person.department = department;
            }
            Change::Join(_, team) => {
                world.add_member(group_of(team), key);
                if !person.teams.contains(team) {
                    person.teams.push(*team);
                }
            }
            Change::Quit(_, team) => {
                world.remove_member(group_of(team), key);
                person.teams.retain(|known| known != team);
            }
            Change::Hire { .. }
            | Change::Assign(_)
            | Change::Unassign(_)
            | Change::Suspend(_)
            | Change::Activate(_)
            | Change::Deactivate(_)
            | Change::Delete(_)
            | Change::Rename(_) => {}
        }
    }

    /// One round's end: a dry run, a run that makes it so, and a run that has nothing to do.
    async fn check(&mut self) {
        let before = self.bench.accounts();
        let dry = self.bench.dry().await;
        assert_eq!(dry.code, exit::OK, "{dry:?}");
        assert_eq!(self.bench.accounts(), before, "a dry run changed something: {dry:?}");
        let ended = self.bench.run().await;
        assert_eq!(ended.code, exit::OK, "{ended:?}");
        let planned: Vec<_> = dry.lines().iter().map(|line| line.replace("planned", "applied")).collect();
        assert_eq!(planned, ended.lines(), "the dry run told something else: {dry:?}\n{ended:?}");
        self.model.run();
        let actual = self.bench.world().accounts();
        let actual = by_login(actual.into_iter().map(|account| Value::Object(account.resource)));
        let expected = self.model.expected();
        for (login, account) in &expected {
            assert_eq!(actual.get(login), Some(account), "{login}: {ended:?}");
        }
        assert_eq!(actual.len(), expected.len(), "{:?} / {:?}", actual.keys(), expected.keys());
        // What belongs to nobody has never been written to.
        for account in self.model.accounts.iter().filter(|account| account.owner.is_none()) {
            let login = account.resource["userName"].as_str().unwrap_or_default();
            assert_eq!(self.bench.world().account(login).map(|account| account.version), Some(1), "{login}");
        }
        self.bench.sim.clear_requests();
        let again = self.bench.run().await;
        assert_eq!((again.code, again.facts.summary.writes()), (exit::OK, 0), "{again:?}");
        assert!(self.bench.sim.writes().is_empty(), "{:?}", self.bench.writes());
        self.bench.pass(Duration::from_secs(25 * 3600));
    }
}

/// Plays random stories out at one vendor. `SIMULATION_CASES` asks for more of them than a usual test run does, and
/// with another `SIMULATION_SEED` (up to 32 characters) they are others.
fn play(vendor: Vendor) {
    let wanted = std::env::var("SIMULATION_CASES").ok().and_then(|text| text.parse().ok());
    let mut seed = SEED;
    for (slot, byte) in seed.iter_mut().zip(std::env::var("SIMULATION_SEED").unwrap_or_default().bytes()) {
        *slot = byte;
    }
    let config = Config {
        cases: wanted.unwrap_or(CASES),
        failure_persistence: None,
        max_shrink_iters: 200,
        ..Config::default()
    };
    let mut runner = TestRunner::new_with_rng(config, TestRng::from_seed(RngAlgorithm::ChaCha, &seed));
    let rounds = prop::collection::vec(prop::collection::vec(changes(), 0..7), 1..4);
    let outcome = runner.run(&(settings(vendor), rounds), |(setting, rounds)| {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(async {
            let mut twin = Twin::new(&setting).await;
            twin.check().await;
            for changes in &rounds {
                changes.iter().for_each(|change| twin.change(change));
                twin.check().await;
            }
        });
        Ok::<(), TestCaseError>(())
    });
    if let Err(error) = outcome {
        panic!("{error}");
    }
}

#[test]
fn after_each_round_of_changes_at_okta_the_workspace_is_what_the_model_says_and_the_next_run_is_quiet() {
    play(Vendor::Okta);
}

#[test]
fn after_each_round_of_changes_at_onelogin_the_workspace_is_what_the_model_says_and_the_next_run_is_quiet() {
    play(Vendor::OneLogin);
}
