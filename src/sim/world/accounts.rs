//! The workspace's accounts: SCIM Users as they are stored, and what the workspace knows about them beyond SCIM
//! (owner, seats, approved domains).

use super::World;
use super::ids::account_id;
use chrono::{DateTime, Utc};
use serde_json::{Map, Value};
use std::collections::{BTreeMap, BTreeSet, HashMap};

/// An account of the workspace.
#[derive(Clone, Debug)]
pub struct Account {
    /// The service provider's id.
    pub id: String,
    /// The stored attributes, without `id` and `meta`.
    pub resource: Map<String, Value>,
    /// The account owner, whom nobody can deactivate.
    pub owner: bool,
    /// A member of several workspaces, whom nobody can deactivate here.
    pub several_workspaces: bool,
    /// Deleted by a server that keeps what it deletes.
    pub soft_deleted: bool,
    /// When it was made.
    pub created: DateTime<Utc>,
    /// When it last changed.
    pub modified: DateTime<Utc>,
    /// Counts the changes, from 1.
    pub version: u64,
}

impl Account {
    /// `userName`, as stored.
    pub fn user_name(&self) -> &str {
        self.resource.get("userName").and_then(Value::as_str).unwrap_or_default()
    }

    /// `active`; an account without it is active (RFC 7643 section 4.1.1 leaves that to the service provider).
    pub fn active(&self) -> bool {
        self.resource.get("active").and_then(Value::as_bool).unwrap_or(true)
    }

    /// The attribute at a JSON pointer, such as `/name/givenName`; `Null` where it is missing.
    pub fn at(&self, pointer: &str) -> Value {
        Value::Object(self.resource.clone()).pointer(pointer).cloned().unwrap_or_default()
    }
}

/// The store of accounts, with the indexes that keep lookups quick in a large workspace.
pub(crate) struct Accounts {
    seed: u64,
    accounts: BTreeMap<u64, Account>,
    by_id: HashMap<String, u64>,
    by_user_name: HashMap<String, BTreeSet<u64>>,
    by_external_id: HashMap<String, BTreeSet<u64>>,
    next: u64,
    pub(crate) seat_limit: Option<usize>,
    /// Empty: every domain is approved.
    pub(crate) approved_domains: Vec<String>,
}

impl Accounts {
    pub(super) fn new(seed: u64) -> Self {
        Self {
            seed,
            accounts: BTreeMap::new(),
            by_id: HashMap::new(),
            by_user_name: HashMap::new(),
            by_external_id: HashMap::new(),
            next: 1,
            seat_limit: None,
            approved_domains: Vec::new(),
        }
    }

    pub(crate) fn iter(&self) -> impl Iterator<Item = &Account> {
        self.accounts.values()
    }

    /// Accounts that still exist for the workspace.
    pub(crate) fn seats(&self) -> usize {
        self.accounts.values().filter(|account| !account.soft_deleted).count()
    }

    pub(crate) fn get(&self, id: &str) -> Option<&Account> {
        self.accounts.get(self.by_id.get(id)?)
    }

    pub(crate) fn named<'a>(&'a self, user_name: &str) -> impl Iterator<Item = &'a Account> + use<'a> {
        self.listed(&self.by_user_name, &user_name.to_lowercase())
    }

    pub(crate) fn with_external_id<'a>(
        &'a self,
        external_id: &str,
    ) -> impl Iterator<Item = &'a Account> + use<'a> {
        self.listed(&self.by_external_id, external_id)
    }

    fn listed<'a>(
        &'a self,
        index: &'a HashMap<String, BTreeSet<u64>>,
        key: &str,
    ) -> impl Iterator<Item = &'a Account> + use<'a> {
        index.get(key).into_iter().flatten().filter_map(|number| self.accounts.get(number))
    }

    /// Stores a new account and returns its id. `id` takes the place of a generated one.
    pub(crate) fn insert(
        &mut self,
        resource: Map<String, Value>,
        id: Option<String>,
        now: DateTime<Utc>,
    ) -> String {
        let number = self.next;
        self.next += 1;
        let id = id.unwrap_or_else(|| account_id(self.seed, number));
        let account = Account {
            id: id.clone(),
            resource,
            owner: false,
            several_workspaces: false,
            soft_deleted: false,
            created: now,
            modified: now,
            version: 1,
        };
        self.by_id.insert(id.clone(), number);
        self.index(number, &account, true);
        self.accounts.insert(number, account);
        id
    }

    /// Changes an account; counts as a change only where something differs.
    pub(crate) fn change<R>(
        &mut self,
        id: &str,
        now: DateTime<Utc>,
        edit: impl FnOnce(&mut Account) -> R,
    ) -> Option<R> {
        let number = *self.by_id.get(id)?;
        let mut account = self.accounts.remove(&number)?;
        self.index(number, &account, false);
        let before = account.resource.clone();
        let result = edit(&mut account);
        if account.resource != before {
            account.version += 1;
            account.modified = now;
        }
        self.index(number, &account, true);
        self.accounts.insert(number, account);
        Some(result)
    }

    pub(crate) fn remove(&mut self, id: &str) -> bool {
        let Some(number) = self.by_id.remove(id) else { return false };
        let Some(account) = self.accounts.remove(&number) else { return false };
        self.index(number, &account, false);
        true
    }

    fn index(&mut self, number: u64, account: &Account, add: bool) {
        let external_id = account.resource.get("externalId").and_then(Value::as_str).map(str::to_owned);
        let keys = [
            (&mut self.by_user_name, Some(account.user_name().to_lowercase())),
            (&mut self.by_external_id, external_id),
        ];
        for (index, key) in keys {
            let Some(key) = key else { continue };
            let numbers = index.entry(key.clone()).or_default();
            if add {
                numbers.insert(number)
            } else {
                numbers.remove(&number)
            };
            if numbers.is_empty() {
                index.remove(&key);
            }
        }
    }
}

impl World {
    /// All accounts, oldest first.
    pub fn accounts(&self) -> Vec<Account> {
        self.with(|state| state.accounts.iter().cloned().collect())
    }

    /// The first account with this userName, in any case.
    pub fn account(&self, user_name: &str) -> Option<Account> {
        self.with(|state| state.accounts.named(user_name).next().cloned())
    }

    /// The account with this id.
    pub fn account_by_id(&self, id: &str) -> Option<Account> {
        self.with(|state| state.accounts.get(id).cloned())
    }

    /// Adds an account as somebody in the workspace would, past all rules. Returns its id.
    ///
    /// # Panics
    /// Where the resource is no JSON object.
    pub fn add_account(&self, resource: &Value) -> String {
        let resource = resource.as_object().cloned().expect("a test gives the account as a JSON object");
        self.with(|state| {
            let now = state.now();
            state.accounts.insert(resource, None, now)
        })
    }

    /// Changes an account by hand: drift.
    ///
    /// # Panics
    /// Where there is no such account.
    pub fn edit_account(&self, id: &str, edit: impl FnOnce(&mut Account)) {
        self.with(|state| {
            let now = state.now();
            state.accounts.change(id, now, edit)
        })
        .expect("a test edits an account that is there");
    }

    /// Deletes an account by hand. True where it was there.
    pub fn delete_account(&self, id: &str) -> bool {
        self.with(|state| state.accounts.remove(id))
    }

    /// Limits the number of accounts; a deactivated one keeps its seat.
    pub fn set_seat_limit(&self, seats: Option<usize>) {
        self.with(|state| state.accounts.seat_limit = seats);
    }

    /// Only addresses in these domains are provisioned; empty: all.
    pub fn set_approved_domains(&self, domains: &[&str]) {
        self.with(|state| {
            state.accounts.approved_domains = domains.iter().map(|domain| domain.to_lowercase()).collect();
        });
    }
}
