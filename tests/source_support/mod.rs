//! What the tests of both sources share: a configuration for the simulation, secrets by name, and a whole read.
#![allow(dead_code)]

use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use rosterd::config::secret::SecretRef;
use rosterd::config::{self, Dpop, SourceKind};
use rosterd::http::pacer::{Pacers, RetryPolicy};
use rosterd::model::identity::Identity;
use rosterd::sim::{Effect, Fault, KeyKind, Peer, Sim, SimOptions};
use rosterd::source::{CompleteRead, ResolveSecret, Source, SourceError};
use secrecy::SecretString;
use url::Url;

/// Secrets by the name of their environment variable; a test may change them.
#[derive(Clone, Default)]
pub struct Secrets(Arc<Mutex<BTreeMap<String, String>>>);

impl Secrets {
    pub fn set(&self, name: &str, value: impl Into<String>) {
        self.0.lock().unwrap().insert(name.to_owned(), value.into());
    }

    pub fn resolve(&self) -> ResolveSecret {
        let secrets = self.clone();
        Arc::new(move |reference: &SecretRef| match reference {
            SecretRef::Env(name) => {
                let value = secrets.0.lock().unwrap().get(name).cloned();
                value.map(SecretString::from).ok_or_else(|| format!("no secret `{name}`"))
            }
            other => Err(format!("{other:?} is not used here")),
        })
    }
}

pub async fn sim() -> Sim {
    Sim::start(SimOptions::default()).await.unwrap()
}

fn source(url: &str, app_id: String, kind: SourceKind) -> config::Source {
    config::Source {
        kind,
        url: Url::parse(url).unwrap(),
        app_id,
        groups: Vec::new(),
        rate_share_percent: 100,
        proxy: None,
        ca_file: None::<PathBuf>,
    }
}

pub fn okta_config(sim: &Sim) -> config::Source {
    let kind = SourceKind::OktaToken { api_token: SecretRef::Env("OKTA_TOKEN".to_owned()) };
    source(sim.okta_url(), sim.okta_app_id(), kind)
}

pub fn okta_oauth_config(sim: &Sim, key_id: Option<String>, dpop: Dpop) -> config::Source {
    let kind = SourceKind::OktaOauth {
        client_id: sim.okta_client_id(),
        private_key: SecretRef::Env("OKTA_KEY".to_owned()),
        key_id,
        dpop,
    };
    source(sim.okta_url(), sim.okta_app_id(), kind)
}

pub fn onelogin_config(sim: &Sim) -> config::Source {
    let kind = SourceKind::OneLogin {
        client_id: sim.onelogin_client_id(),
        client_secret: SecretRef::Env("ONELOGIN_SECRET".to_owned()),
    };
    source(sim.onelogin_url(), sim.onelogin_app_id(), kind)
}

pub fn secrets(sim: &Sim) -> Secrets {
    let secrets = Secrets::default();
    secrets.set("OKTA_TOKEN", sim.okta_token());
    secrets.set("OKTA_KEY", sim.okta_private_key_pem(KeyKind::Es256));
    secrets.set("ONELOGIN_SECRET", sim.onelogin_client_secret());
    secrets
}

/// The usual number of attempts, without the usual waiting.
pub fn pacers() -> Pacers {
    Pacers::with_retry(RetryPolicy {
        attempts: 3,
        attempts_when_limited: 2,
        first_delay: Duration::from_millis(1),
        longest_delay: Duration::from_millis(2),
    })
}

pub fn connect(sim: &Sim, config: &config::Source) -> Source {
    Source::new(config, &pacers(), secrets(sim).resolve()).unwrap()
}

/// A read that was complete.
pub struct Whole {
    pub people: BTreeMap<String, Identity>,
    pub complete: CompleteRead,
}

/// Short: people may be many.
impl std::fmt::Debug for Whole {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "a complete read of {} people", self.people.len())
    }
}

impl Whole {
    pub fn ids(&self) -> BTreeSet<&str> {
        self.people.keys().map(String::as_str).collect()
    }
}

pub async fn read(source: &Source) -> Result<Whole, SourceError> {
    let mut reader = source.open().await?;
    let mut people = BTreeMap::new();
    while let Some(page) = reader.next().await? {
        for identity in page.identities {
            let twice = people.insert(identity.id.as_str().to_owned(), identity);
            assert!(twice.is_none(), "nobody is handed over twice: {twice:?}");
        }
    }
    let complete = reader.finish()?;
    assert_eq!(complete.users(), people.len() as u64);
    Ok(Whole { people, complete })
}

/// What kind of end a fault leads to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum End {
    Incomplete,
    Unavailable,
    Credentials,
}

pub fn end_of(error: &SourceError) -> End {
    match error {
        SourceError::Incomplete(_) => End::Incomplete,
        SourceError::Unavailable(_) => End::Unavailable,
        SourceError::Credentials(_) => End::Credentials,
    }
}

/// A fault, what it is to end as, what the message has to name, and the pain (`facts` of the project) it covers.
pub struct Case {
    pub pain: u16,
    pub what: &'static str,
    pub fault: Fault,
    pub end: End,
    pub names: &'static [&'static str],
}

impl Case {
    pub fn new(
        pain: u16,
        what: &'static str,
        fault: Fault,
        end: End,
        names: &'static [&'static str],
    ) -> Case {
        Case { pain, what, fault, end, names }
    }
}

/// Reads with each fault in force: none of them may end as a complete read, and each message says where and why.
pub async fn no_fault_ends_as_a_complete_read(
    cases: Vec<Case>,
    prepare: impl AsyncFn() -> (Sim, config::Source),
) {
    for Case { pain, what, fault, end, names } in cases {
        let (sim, config) = prepare().await;
        let number = sim.faults().add(fault);
        let source = connect(&sim, &config);
        let error = match read(&source).await {
            Ok(whole) => panic!("pain {pain}, {what}: a complete read of {}", whole.people.len()),
            Err(error) => error,
        };
        assert!(sim.faults().fired(number) > 0, "pain {pain}, {what}: the fault did not happen");
        assert_eq!(end_of(&error), end, "pain {pain}, {what}: {error}");
        for name in names {
            assert!(error.to_string().contains(name), "pain {pain}, {what}: `{name}` is not in: {error}");
        }
        assert!(sim.writes().is_empty(), "a source never writes");
    }
}

/// A 200 with any body.
pub fn body(text: &str) -> Effect {
    Effect::answer(200, "application/json", text)
}

pub fn on(peer: Peer, path: &str) -> Fault {
    Fault::on(peer).path(path)
}
