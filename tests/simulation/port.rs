//! The workspace behind the program's traits, and what its client would make of an answer. Where these traits change, this
//! file and `engine` change, and no other.

use rosterd::core::guard::Approved;
use rosterd::core::proof::{PROOF_VALID_MILLIS, Proven};
use rosterd::http::Lane;
use rosterd::http::clock::ClockWitness;
use rosterd::http::counters::Counters;
use rosterd::model::account::Account as ScimAccount;
use rosterd::model::attributes::AttributePath;
use rosterd::model::id::TargetId;
use rosterd::model::order::Observation;
use rosterd::model::plan::Change;
use rosterd::model::time::Millis;
use rosterd::scim::target::{
    AccountPage, Acknowledgement, Criterion, ListCursor, Lookup, Observe, Provision, Refusal, RefusalClass,
    TargetError, WriteOutcome,
};
use rosterd::store::Recorded;

use super::rules::Rules;
use super::world::Account;
use crate::target::{ReadError, Refused, Reply, Sought, TargetFake, Write};

/// The workspace behind the program's traits.
pub struct Port {
    pub workspace: TargetFake,
    rules: Rules,
    /// Whose writes go through it.
    sync: usize,
}

impl Port {
    pub fn new(workspace: TargetFake, rules: Rules, sync: usize) -> Port {
        Port { workspace, rules, sync }
    }

    fn blank_write(&self) -> Write {
        Write { sync: self.sync, ..Write::default() }
    }

    fn scim(&self, account: Account) -> ScimAccount {
        let resource = account.resource(!self.rules.hides_active);
        ScimAccount { id: TargetId::new(account.id.as_str()), resource }
    }

    fn all(&self, accounts: Vec<Account>) -> Vec<ScimAccount> {
        accounts.into_iter().map(|account| self.scim(account)).collect()
    }
}

fn failed(what: &str, error: ReadError) -> TargetError {
    match error {
        ReadError::Unavailable => TargetError::Unavailable(format!("{what}: HTTP 503")),
        ReadError::Credentials => TargetError::Credentials(format!("{what}: HTTP 403")),
        ReadError::Unanswerable => TargetError::Unanswerable(format!("{what}: HTTP 400")),
    }
}

fn sought(criterion: &Criterion) -> Sought {
    match criterion {
        Criterion::ExternalId(text) => Sought::Mark(text.clone()),
        Criterion::UserName(text) => Sought::Login(text.clone()),
        Criterion::Email(text) => Sought::Email(text.clone()),
    }
}

impl Observe for Port {
    async fn get(&self, id: &TargetId, _lane: Lane) -> Result<Option<ScimAccount>, TargetError> {
        let account = self.workspace.get(id.as_str()).await;
        account
            .map(|account| account.map(|account| self.scim(account)))
            .map_err(|error| failed("GET /Users/id", error))
    }

    async fn find(&self, criterion: &Criterion) -> Result<Lookup, TargetError> {
        let observation = Observation::now();
        let found = self.workspace.find(&sought(criterion)).await;
        let accounts = found.map_err(|error| failed("GET /Users?filter", error))?;
        Ok(Lookup { accounts: self.all(accounts), observation })
    }

    fn finds_external_id(&self) -> bool {
        self.rules.finds_external_id
    }

    fn lookups_are_cheap(&self) -> bool {
        self.rules.lookups_are_cheap
    }

    async fn tells_case_apart(&self, _known_login: Option<&str>) -> Result<bool, TargetError> {
        Ok(self.rules.case_exact)
    }

    async fn find_by_listing(&self, criterion: &Criterion) -> Result<Lookup, TargetError> {
        let observation = Observation::now();
        let found = self.workspace.find_by_listing(&sought(criterion)).await;
        let accounts = found.map_err(|error| failed("GET /Users", error))?;
        Ok(Lookup { accounts: self.all(accounts), observation })
    }

    async fn list(&self, cursor: &mut ListCursor) -> Result<Option<AccountPage>, TargetError> {
        if cursor.pages() > 0 {
            return Ok(None);
        }
        let observation = Observation::now();
        let listed = self.workspace.list().await.map_err(|error| failed("GET /Users", error))?;
        let accounts = self.all(listed);
        let total = Some(self.workspace.total());
        cursor.note_page(&accounts, total, true);
        Ok(Some(AccountPage { accounts, total, observation }))
    }

    async fn own_account(&self) -> Option<TargetId> {
        None
    }

    fn counters(&self) -> Counters {
        Counters::default()
    }

    fn clock_witness(&self) -> Option<ClockWitness> {
        self.workspace.fate.workspace_told.witness()
    }

    fn forget_clock_witness(&self) {
        self.workspace.fate.workspace_told.forget();
    }
}

fn values(changes: &[Change]) -> Vec<(String, Option<String>)> {
    let text = |change: &Change| change.to.as_ref().map(|to| to.as_text().into_owned());
    changes.iter().map(|change| (change.path.as_str().to_owned(), text(change))).collect()
}

impl Port {
    async fn send(&self, write: Write) -> WriteOutcome {
        self.outcome(self.workspace.write(write).await)
    }

    fn outcome(&self, reply: Reply) -> WriteOutcome {
        let title = || vec![(AttributePath::known("title"), "not acceptable".to_owned())];
        match reply {
            Reply::Applied { account, status, title_refused } => WriteOutcome::Applied(Acknowledgement {
                status,
                account: account.map(|account| self.scim(account)),
                refused: if title_refused { title() } else { Vec::new() },
                attempts: 1,
                seen: true,
            }),
            Reply::Refused { fault, status } => WriteOutcome::Refused(Refusal {
                class: class(fault),
                status,
                detail: format!("HTTP {status} {fault:?}"),
                attempts: 1,
                attributes: if fault == Refused::Title { title() } else { Vec::new() },
            }),
            Reply::Unknown { status } => {
                WriteOutcome::Unknown { message: "no reply".to_owned(), status, attempts: 1 }
            }
            Reply::NotSent => WriteOutcome::Refused(Refusal {
                class: RefusalClass::Expired,
                status: 0,
                detail: "the proof ended before its turn came".to_owned(),
                attempts: 0,
                attributes: Vec::new(),
            }),
        }
    }
}

fn class(fault: Refused) -> RefusalClass {
    match fault {
        Refused::Credentials => RefusalClass::Credentials,
        Refused::Forbidden => RefusalClass::Forbidden,
        Refused::NoSeat => RefusalClass::NoSeat,
        Refused::Permanent => RefusalClass::Permanent,
        Refused::NotFound => RefusalClass::NotFound,
        Refused::Conflict => RefusalClass::Conflict,
        Refused::Invalid | Refused::Title => RefusalClass::Invalid,
        Refused::RateLimited => RefusalClass::RateLimited,
        Refused::Server => RefusalClass::Server,
        Refused::NotOffered => RefusalClass::NotOffered,
        Refused::Unreachable => RefusalClass::Unreachable,
    }
}

/// How much longer the proof of a removal is good for.
fn left_of(removal: &Proven) -> i64 {
    let passed = Millis::now().since(removal.observation().at);
    if passed < 0 { 0 } else { (PROOF_VALID_MILLIS - passed).max(0) }
}

fn applied_without_account(outcome: &WriteOutcome) -> WriteOutcome {
    let status = match outcome {
        WriteOutcome::Applied(acknowledged) => acknowledged.status,
        WriteOutcome::Refused(refusal) => refusal.status,
        WriteOutcome::Unknown { status, .. } => status.unwrap_or(0),
    };
    WriteOutcome::Applied(Acknowledgement {
        status,
        account: None,
        refused: Vec::new(),
        attempts: 1,
        seen: true,
    })
}

impl Port {
    /// "A deactivation counts when it is seen": the reply shows it, else one GET does. After a 4xx one GET decides
    /// whether what was wanted is there already.
    async fn look_again(&self, id: &str, outcome: WriteOutcome) -> WriteOutcome {
        let shown = match &outcome {
            WriteOutcome::Applied(acknowledged) => acknowledged.account.clone(),
            WriteOutcome::Refused(refusal) if !(400..500).contains(&refusal.status) => return outcome,
            WriteOutcome::Refused(refusal) if matches!(refusal.status, 401 | 404 | 429) => return outcome,
            WriteOutcome::Refused(_) => None,
            WriteOutcome::Unknown { .. } => return outcome,
        };
        let shown = match shown {
            Some(account) => Some(account),
            None => match self.workspace.get(id).await {
                Ok(Some(account)) => Some(self.scim(account)),
                // Gone is as good as inactive.
                Ok(None) => return applied_without_account(&outcome),
                Err(_) if matches!(outcome, WriteOutcome::Applied(_)) => {
                    let message = "accepted, but the account cannot be read back".to_owned();
                    return WriteOutcome::Unknown { message, status: Some(200), attempts: 1 };
                }
                Err(_) => None,
            },
        };
        let active = shown.as_ref().and_then(|account| account.active());
        match (outcome, active) {
            (WriteOutcome::Applied(acknowledged), Some(false)) => {
                WriteOutcome::Applied(Acknowledgement { seen: true, account: shown, ..acknowledged })
            }
            (WriteOutcome::Applied(acknowledged), None) => {
                WriteOutcome::Applied(Acknowledgement { seen: false, ..acknowledged })
            }
            (WriteOutcome::Applied(acknowledged), Some(true)) => WriteOutcome::Refused(Refusal {
                class: RefusalClass::StillActive,
                status: acknowledged.status,
                detail: "accepted, and still shown active".to_owned(),
                attempts: 1,
                attributes: Vec::new(),
            }),
            (WriteOutcome::Refused(refusal), Some(false)) => WriteOutcome::Applied(Acknowledgement {
                status: refusal.status,
                account: shown,
                refused: Vec::new(),
                attempts: 1,
                seen: true,
            }),
            (other, _) => other,
        }
    }
}

impl Provision for Port {
    async fn create(&self, write: &Recorded<Approved>) -> WriteOutcome {
        let action = write.action();
        let desired = action.desired.as_ref().expect("a creation has values");
        let set = desired.set.iter();
        let values = set.map(|(path, value)| (path.as_str().to_owned(), Some(value.as_text().into_owned())));
        let write = Write {
            person: Some(action.source_id.to_string()),
            values: values.collect(),
            active: Some(true),
            ..self.blank_write()
        };
        self.send(write).await
    }

    async fn update(&self, write: &Recorded<Approved>) -> WriteOutcome {
        let action = write.action();
        let active = AttributePath::active();
        let changes: Vec<Change> =
            action.changes.iter().filter(|change| change.path != active).cloned().collect();
        let write = Write {
            person: Some(action.source_id.to_string()),
            account: action.target_id.as_ref().map(ToString::to_string),
            active: action.activate.then_some(true),
            values: values(&changes),
            ..self.blank_write()
        };
        self.send(write).await
    }

    async fn deactivate(&self, removal: &Recorded<Proven>) -> WriteOutcome {
        let account = removal.permit().target_id().to_string();
        let write = Write {
            person: Some(removal.action().source_id.to_string()),
            account: Some(account.clone()),
            active: Some(false),
            good_for: Some(left_of(removal.permit())),
            ..self.blank_write()
        };
        let sent = self.send(write).await;
        self.look_again(&account, sent).await
    }

    async fn delete(&self, removal: &Recorded<Proven>) -> WriteOutcome {
        let write = Write {
            person: Some(removal.action().source_id.to_string()),
            account: Some(removal.permit().target_id().to_string()),
            deletes: true,
            good_for: Some(left_of(removal.permit())),
            ..self.blank_write()
        };
        self.send(write).await
    }
}
