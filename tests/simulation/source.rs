//! The identity provider as the program sees it, behind the trait [`SimulatedSource`].

use std::sync::{Arc, Mutex, MutexGuard};
use std::time::Duration;

use futures_util::future::BoxFuture;
use rosterd::http::Lane;
use rosterd::http::clock::ClockWitness;
use rosterd::model::id::{SourceId, Vendor};
use rosterd::model::identity::{
    Finding, Identity, OneLoginStatus, PointRead, Profile, RawProfiles, VendorStatus,
};
use rosterd::model::order::Observation;
use rosterd::model::time::Millis;
use rosterd::source::simulated::SimulatedSource;
use rosterd::source::{DeletionEvidence, OwnRecord, OwnState, Page, SourceError};
use url::Url;

use super::dice::Dice;
use super::fate::Fate;
use super::weather::{ListFault, Log, PointFault, Side};
use super::world::{Person, Status, World};

const PAGE_PEOPLE: usize = 4;
const LOG_RETENTION: Duration = Duration::from_secs(90 * 86400);

pub struct SourceFake {
    pub world: Arc<Mutex<World>>,
    pub fate: Arc<Fate>,
    pub origin: Url,
    pub okta: bool,
}

impl SourceFake {
    fn world(&self) -> MutexGuard<'_, World> {
        self.world.lock().expect("nobody panicked")
    }

    /// Half of the time that a request takes.
    fn latency(&self) -> Duration {
        let mut world = self.world();
        world.calls += 1;
        let mut dice = Dice::new(world.seed, 1000 + world.calls);
        Duration::from_millis((dice.between(5, 400) * world.weather.slow) as u64)
    }

    /// The request goes out, and the side as a whole answers or does not.
    async fn ask(&self, what: &str) -> Result<(Observation, Duration), SourceError> {
        self.fate.request().await;
        let observation = Observation::now();
        let half = self.latency();
        tokio::time::sleep(half).await;
        let side = self.world().weather.source;
        match side {
            None => {
                self.fate.source_told.hear(self.fate.witness());
                Ok((observation, half))
            }
            Some(Side::Down) => Err(SourceError::Unavailable(format!("{what}: HTTP 503"))),
            Some(Side::RefusesCredentials) => Err(SourceError::Credentials(format!("{what}: HTTP 401"))),
        }
    }
}

/// A person as the vendor shows them.
fn shown(person: &Person, okta: bool, observation: Observation, stateless: bool) -> Identity {
    let words = match person.status {
        Status::Active => ("ACTIVE", 1, 1),
        Status::LockedOut => ("LOCKED_OUT", 3, 1),
        Status::Pending => ("STAGED", 0, 1),
        Status::Suspended => ("SUSPENDED", 2, 1),
        Status::Disabled => ("DEPROVISIONED", 1, 2),
    };
    let status = match okta {
        true => VendorStatus::Okta((!stateless).then(|| words.0.into())),
        false => {
            VendorStatus::OneLogin((!stateless).then_some(OneLoginStatus { status: words.1, state: words.2 }))
        }
    };
    Identity {
        id: SourceId::new(person.id.as_str()),
        assigned: person.assigned,
        status,
        profile: Profile {
            user_name: Some(person.login.clone()),
            email: Some(person.email.clone()),
            given_name: Some(person.given.clone()),
            family_name: Some(person.family.clone()),
            title: person.title.clone(),
            phone: person.phone.clone(),
            department: person.department.clone(),
            ..Profile::default()
        },
        raw: RawProfiles::default(),
        groups: Vec::new(),
        assigned_at: Some(Millis(person.assigned_at)),
        observation,
    }
}

impl SourceFake {
    async fn read_page(&self, read: u64, page: u64) -> Result<Option<Page>, SourceError> {
        let (observation, half) = self.ask("GET /apps/users").await?;
        let answer = {
            let world = self.world();
            match world.weather.list {
                Some(ListFault::Breaks) if page > 0 => {
                    Err(SourceError::Unavailable(format!("GET /apps/users page {page}: HTTP 500")))
                }
                Some(ListFault::Incomplete) if page > 0 => {
                    Err(SourceError::Incomplete(format!("GET /apps/users page {page}: no end mark")))
                }
                Some(ListFault::Empty) => Ok(None),
                Some(ListFault::Breaks | ListFault::Incomplete) | None => {
                    let ids = world.reads.get(read as usize).cloned().unwrap_or_default();
                    let of_page = ids.chunks(PAGE_PEOPLE).nth(page as usize);
                    Ok(of_page.map(|ids| people_of(&world, ids, observation)))
                }
            }
        };
        tokio::time::sleep(half).await;
        answer.map(|people| people.map(|identities| Page { identities, observation }))
    }

    async fn read_one(&self, id: &SourceId) -> Result<PointRead, SourceError> {
        let (observation, half) = self.ask("GET /users").await?;
        let answer = {
            let world = self.world();
            let fault = world.weather.points.get(id.as_str()).copied();
            match (fault, world.person(id.as_str())) {
                // Others are answered: it concerns this person alone.
                (Some(PointFault::ServerError), _) => {
                    Ok(Finding::Inconclusive(format!("GET /users/{id}: HTTP 500")))
                }
                (Some(PointFault::Forbidden), _) => {
                    Ok(Finding::Inconclusive(format!("GET /users/{id}: HTTP 403")))
                }
                (Some(PointFault::Inconclusive), _) => {
                    Ok(Finding::Inconclusive("404 in another shape".to_owned()))
                }
                (Some(PointFault::Hidden), _) => Ok(Finding::UserGone),
                (fault @ (Some(PointFault::StateMissing | PointFault::LeftOut) | None), Some(person))
                    if person.exists =>
                {
                    let stateless = fault == Some(PointFault::StateMissing);
                    let identity = Box::new(shown(person, self.okta, observation, stateless));
                    Ok(if person.assigned {
                        Finding::Assigned(identity)
                    } else {
                        Finding::NotAssigned(identity)
                    })
                }
                (Some(PointFault::StateMissing | PointFault::LeftOut) | None, _) => Ok(Finding::UserGone),
            }
        };
        tokio::time::sleep(half).await;
        answer.map(|finding| PointRead { observation, finding })
    }

    async fn read_own(&self, id: &SourceId) -> Result<OwnRecord, SourceError> {
        let read = self.read_one(id).await?;
        let state = match read.finding {
            Finding::Assigned(person) | Finding::NotAssigned(person) => OwnState::Status(person.status),
            Finding::UserGone => OwnState::UserGone,
            Finding::Inconclusive(why) => OwnState::Inconclusive(why),
        };
        Ok(OwnRecord { observation: read.observation, state })
    }

    async fn those_called(&self, who: &str, fails: bool) -> Result<Vec<SourceId>, SourceError> {
        let (_, half) = self.ask("GET /users?search").await?;
        let answer = {
            let world = self.world();
            let named = |person: &&Person| {
                person.exists
                    && (person.id == who
                        || person.login.eq_ignore_ascii_case(who)
                        || person.email.eq_ignore_ascii_case(who))
            };
            if fails && world.weather.login_lookups_fail {
                Err(SourceError::Incomplete("GET /users?search: HTTP 500".to_owned()))
            } else {
                Ok(world
                    .people
                    .iter()
                    .filter(named)
                    .map(|person| SourceId::new(person.id.as_str()))
                    .collect())
            }
        };
        tokio::time::sleep(half).await;
        answer
    }
}

fn people_of(world: &World, ids: &[String], observation: Observation) -> Vec<Identity> {
    let faults = &world.weather.points;
    let listed = |person: &&Person| {
        person.exists
            && person.assigned
            && !matches!(faults.get(&person.id), Some(PointFault::Hidden | PointFault::LeftOut))
    };
    ids.iter()
        .filter_map(|id| world.person(id))
        .filter(listed)
        .map(|person| {
            let stateless = faults.get(&person.id) == Some(&PointFault::StateMissing);
            shown(person, world.rules.okta, observation, stateless)
        })
        .collect()
}

impl SimulatedSource for SourceFake {
    fn vendor(&self) -> Vendor {
        if self.okta { Vendor::Okta } else { Vendor::OneLogin }
    }

    fn origin(&self) -> &Url {
        &self.origin
    }

    fn open(&self) -> BoxFuture<'_, Result<u64, SourceError>> {
        Box::pin(async move {
            let (_, half) = self.ask("GET /apps").await?;
            tokio::time::sleep(half).await;
            let mut world = self.world();
            let ids =
                world.people.iter().filter(|person| person.exists).map(|person| person.id.clone()).collect();
            world.reads.push(ids);
            Ok(world.reads.len() as u64 - 1)
        })
    }

    fn page(&self, read: u64, page: u64) -> BoxFuture<'_, Result<Option<Page>, SourceError>> {
        Box::pin(self.read_page(read, page))
    }

    fn point_read<'a>(
        &'a self,
        id: &'a SourceId,
        _lane: Lane,
    ) -> BoxFuture<'a, Result<PointRead, SourceError>> {
        Box::pin(self.read_one(id))
    }

    fn find<'a>(&'a self, who: &'a str) -> BoxFuture<'a, Result<Vec<SourceId>, SourceError>> {
        Box::pin(self.those_called(who, false))
    }

    fn with_login<'a>(&'a self, login: &'a str) -> BoxFuture<'a, Result<Vec<SourceId>, SourceError>> {
        Box::pin(self.those_called(login, true))
    }

    fn deletion_event<'a>(
        &'a self,
        id: &'a SourceId,
    ) -> BoxFuture<'a, Result<DeletionEvidence, SourceError>> {
        Box::pin(async move {
            let (_, half) = self.ask("GET /logs").await?;
            tokio::time::sleep(half).await;
            let world = self.world();
            match world.weather.log {
                Log::Readable => {
                    let is_logged = |person: &Person| !person.exists && person.deletion_logged;
                    Ok(match world.person(id.as_str()).is_some_and(is_logged) {
                        true => DeletionEvidence::Event,
                        false => DeletionEvidence::NoEvent,
                    })
                }
                Log::NotAllowed => Ok(DeletionEvidence::LogNotReadable("GET /logs: HTTP 403".to_owned())),
                Log::Fails => Err(SourceError::Unavailable("GET /logs: HTTP 500".to_owned())),
            }
        })
    }

    fn own_record<'a>(
        &'a self,
        id: &'a SourceId,
        _lane: Lane,
    ) -> BoxFuture<'a, Result<OwnRecord, SourceError>> {
        Box::pin(self.read_own(id))
    }

    fn log_retention(&self) -> Option<Duration> {
        // Okta's; OneLogin documents no span.
        self.okta.then_some(LOG_RETENTION)
    }

    fn clock_witness(&self) -> Option<ClockWitness> {
        self.fate.source_told.witness()
    }

    fn forget_clock_witness(&self) {
        self.fate.source_told.forget();
    }
}
