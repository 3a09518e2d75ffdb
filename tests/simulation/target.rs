//! The workspace: accounts, and what becomes of a write or a lookup. Knows nothing of the program's types; `engine` puts
//! it behind the program's traits.

use std::sync::{Arc, Mutex, MutexGuard};
use std::time::Duration;

use super::dice::Dice;
use super::fate::Fate;
use super::rules::Verb;
use super::weather::{Side, WriteFault};
use super::world::{Account, Ms, SECOND, World};

/// A wait for a turn in the rate.
const QUEUED: Ms = 150 * SECOND;

/// A write, in the simulation's own words.
#[derive(Debug, Clone, Default)]
pub struct Write {
    /// Which sync sends it.
    pub sync: usize,
    /// Whom it is for, where the program says so.
    pub person: Option<String>,
    pub account: Option<String>,
    /// What it does to access.
    pub active: Option<bool>,
    pub deletes: bool,
    /// How much longer what it rests on is good for.
    pub good_for: Option<Ms>,
    /// By path; `None` clears.
    pub values: Vec<(String, Option<String>)>,
}

#[derive(Debug, Clone)]
pub enum Reply {
    Applied {
        account: Option<Account>,
        status: u16,
        title_refused: bool,
    },
    Refused {
        fault: Refused,
        status: u16,
    },
    Unknown {
        status: Option<u16>,
    },
    /// Its proof ended while it waited for its turn.
    NotSent,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Refused {
    Credentials,
    Forbidden,
    NoSeat,
    Permanent,
    NotFound,
    Conflict,
    Invalid,
    RateLimited,
    Server,
    Unreachable,
    /// DELETE is not offered.
    NotOffered,
    /// The title, which is optional.
    Title,
}

/// Why something could not be read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ReadError {
    Unavailable,
    Credentials,
    Unanswerable,
}

/// What is looked for.
#[derive(Debug, Clone)]
pub enum Sought {
    Mark(String),
    Login(String),
    Email(String),
}

impl Sought {
    pub fn text(&self) -> &str {
        match self {
            Sought::Mark(text) | Sought::Login(text) | Sought::Email(text) => text,
        }
    }
}

#[derive(Clone)]
pub struct TargetFake {
    pub world: Arc<Mutex<World>>,
    pub fate: Arc<Fate>,
}

impl TargetFake {
    pub fn world(&self) -> MutexGuard<'_, World> {
        self.world.lock().expect("nobody panicked")
    }

    fn draw(&self) -> (Dice, Duration) {
        let mut world = self.world();
        world.calls += 1;
        let mut dice = Dice::new(world.seed, 5000 + world.calls);
        let half = Duration::from_millis((dice.between(5, 600) * world.weather.slow) as u64);
        (dice, half)
    }

    async fn ask(&self) -> Result<Duration, ReadError> {
        self.fate.request().await;
        let (_, half) = self.draw();
        tokio::time::sleep(half).await;
        let side = {
            let mut world = self.world();
            world.late_effects();
            world.weather.target
        };
        match side {
            None => {
                self.fate.workspace_told.hear(self.fate.witness());
                Ok(half)
            }
            Some(Side::Down) => Err(ReadError::Unavailable),
            Some(Side::RefusesCredentials) => Err(ReadError::Credentials),
        }
    }

    pub async fn get(&self, id: &str) -> Result<Option<Account>, ReadError> {
        let half = self.ask().await?;
        let answer = {
            let world = self.world();
            match world.weather.gets.contains(id) {
                // Others are answered: it concerns this account alone.
                true => Err(ReadError::Unanswerable),
                false => Ok(world.accounts.get(id).cloned()),
            }
        };
        tokio::time::sleep(half).await;
        answer
    }

    pub async fn find(&self, sought: &Sought) -> Result<Vec<Account>, ReadError> {
        let half = self.ask().await?;
        let answer = {
            let world = self.world();
            let weather = &world.weather;
            let fault =
                weather.lookups.or_else(|| weather.lookups_of.get(&sought.text().to_lowercase()).copied());
            match fault {
                // Accounts are answered by id, whatever a filter or a listing says.
                Some(_) => Err(ReadError::Unanswerable),
                None => Ok(hits(&world, sought, world.rules.case_exact)),
            }
        };
        tokio::time::sleep(half).await;
        answer
    }

    /// The whole listing.
    pub async fn list(&self) -> Result<Vec<Account>, ReadError> {
        let half = self.ask().await?;
        let answer = {
            let world = self.world();
            match world.weather.listing {
                // Accounts are answered by id, whatever a filter or a listing says.
                Some(_) => Err(ReadError::Unanswerable),
                None => Ok(indexed(&world).cloned().collect()),
            }
        };
        tokio::time::sleep(half).await;
        answer
    }

    /// What the listing would give, compared by us.
    pub async fn find_by_listing(&self, sought: &Sought) -> Result<Vec<Account>, ReadError> {
        let all = self.list().await?;
        Ok(all.into_iter().filter(|account| is_hit(account, sought, false)).collect())
    }

    /// How many accounts the listing says there are.
    pub fn total(&self) -> u64 {
        self.world().accounts.len() as u64
    }

    pub async fn write(&self, write: Write) -> Reply {
        self.fate.request().await;
        let (mut dice, half) = self.draw();
        let fault = {
            let mut world = self.world();
            world.late_effects();
            let person = world.person_of(&write);
            world.fault_of(person.as_deref())
        };
        if fault == Some(WriteFault::Queued) {
            // Whoever waits so long must not be sent on an old proof: the program's own rate gate tells it.
            tokio::time::sleep(Duration::from_millis(QUEUED as u64)).await;
            if write.good_for.is_some_and(|left| left < QUEUED) {
                return Reply::NotSent;
            }
        }
        {
            let mut world = self.world();
            let person = world.person_of(&write);
            world.judge_start(&write, person.as_deref());
        }
        tokio::time::sleep(half).await;
        if let Some(reply) = self.refusal(fault, &write).await {
            return self.told(&write, reply);
        }
        let reply = self.world().act(&write, fault == Some(WriteFault::TitleRefused));
        self.fate.effect().await;
        let lost = fault != Some(WriteFault::TitleRefused) && dice.chance(self.world().weather.lost_replies);
        match (fault, &reply) {
            (_, Reply::Refused { .. }) => {}
            (Some(WriteFault::TimeoutWithEffect), _) => {
                tokio::time::sleep(Duration::from_secs(30)).await;
                return self.told(&write, Reply::Unknown { status: None });
            }
            (Some(WriteFault::GatewayWithEffect), _) => {
                return self.told(&write, Reply::Unknown { status: Some(504) });
            }
            (Some(WriteFault::NoBody), Reply::Applied { .. }) => {
                return self
                    .told(&write, Reply::Applied { account: None, status: 204, title_refused: false });
            }
            _ if lost => {
                tokio::time::sleep(Duration::from_secs(30)).await;
                return self.told(&write, Reply::Unknown { status: None });
            }
            _ => {}
        }
        tokio::time::sleep(half).await;
        self.told(&write, reply)
    }

    /// What a fault answers in place of the effect.
    async fn refusal(&self, fault: Option<WriteFault>, write: &Write) -> Option<Reply> {
        let side = self.world().weather.target;
        let refused = |fault, status| Some(Reply::Refused { fault, status });
        match (side, fault) {
            (Some(Side::Down), _) => {
                tokio::time::sleep(Duration::from_secs(30)).await;
                Some(Reply::Unknown { status: None })
            }
            (Some(Side::RefusesCredentials), _) | (None, Some(WriteFault::Unauthorized)) => {
                refused(Refused::Credentials, 401)
            }
            (None, Some(WriteFault::Forbidden)) => refused(Refused::Forbidden, 403),
            (None, Some(WriteFault::Permanent)) => refused(Refused::Permanent, 403),
            (None, Some(WriteFault::NoSeat)) => refused(Refused::NoSeat, 403),
            (None, Some(WriteFault::Invalid)) => refused(Refused::Invalid, 400),
            (None, Some(WriteFault::ServerError)) => refused(Refused::Server, 500),
            (None, Some(WriteFault::RateLimited)) => {
                tokio::time::sleep(Duration::from_secs(20)).await;
                refused(Refused::RateLimited, 429)
            }
            (None, Some(WriteFault::Unreachable)) => refused(Refused::Unreachable, 0),
            (None, Some(WriteFault::TimeoutWithLateEffect)) => {
                {
                    let mut world = self.world();
                    let mut dice = Dice::new(world.seed, 9000 + world.calls);
                    let at = world.now() + dice.between(31, 540) * SECOND;
                    world.on_their_way.push((at, write.clone()));
                }
                tokio::time::sleep(Duration::from_secs(30)).await;
                Some(Reply::Unknown { status: None })
            }
            (None, Some(WriteFault::TimeoutWithoutEffect)) => {
                tokio::time::sleep(Duration::from_secs(30)).await;
                Some(Reply::Unknown { status: None })
            }
            (
                None,
                None
                | Some(
                    WriteFault::TimeoutWithEffect
                    | WriteFault::GatewayWithEffect
                    | WriteFault::TitleRefused
                    | WriteFault::NoBody
                    | WriteFault::Queued,
                ),
            ) => None,
        }
    }

    /// The reply is heard.
    fn told(&self, write: &Write, reply: Reply) -> Reply {
        let mut world = self.world();
        let person = world.person_of(write);
        world.judge_reply(write, person.as_deref(), &reply);
        reply
    }
}

/// Accounts that the workspace's index knows already.
fn indexed(world: &World) -> impl Iterator<Item = &Account> {
    let now = world.now();
    world
        .accounts
        .values()
        .filter(move |account| account.indexed_at <= now && !world.weather.unlisted.contains(&account.id))
}

fn hits(world: &World, sought: &Sought, exact: bool) -> Vec<Account> {
    let now = world.now();
    let all = world.accounts.values().filter(|account| account.indexed_at <= now);
    all.filter(|account| is_hit(account, sought, exact)).cloned().collect()
}

fn is_hit(account: &Account, sought: &Sought, exact: bool) -> bool {
    match sought {
        Sought::Mark(mark) => account.values.get("externalId") == Some(mark),
        Sought::Login(login) if exact => account.login() == login,
        Sought::Login(login) => account.has_login(login),
        Sought::Email(email) => account
            .values
            .get("emails[primary eq true].value")
            .is_some_and(|value| value.eq_ignore_ascii_case(email)),
    }
}

impl World {
    /// Whom a write is for: as the program says, else by the mark it sets, else by the account it goes to.
    pub fn person_of(&self, write: &Write) -> Option<String> {
        let mark = write
            .values
            .iter()
            .find(|(path, _)| path == "externalId")
            .and_then(|(_, value)| value.as_deref());
        let by_mark = || mark.and_then(|mark| self.marked(mark)).map(|person| person.id.clone());
        let by_account = || {
            write
                .account
                .as_ref()
                .and_then(|id| self.accounts.get(id))
                .and_then(|account| self.owner_of(account))
        };
        write.person.clone().or_else(by_mark).or_else(by_account)
    }

    fn fault_of(&mut self, person: Option<&str>) -> Option<WriteFault> {
        let fault = self
            .weather
            .writes
            .iter_mut()
            .find(|(who, _, left)| *left > 0 && (who == "*" || Some(who.as_str()) == person));
        fault.map(|(_, fault, left)| {
            *left -= 1;
            *fault
        })
    }

    /// Requests that were given up are acted on.
    pub fn late_effects(&mut self) {
        let now = self.now();
        let (due, later) = std::mem::take(&mut self.on_their_way).into_iter().partition(|(at, _)| *at <= now);
        self.on_their_way = later;
        for (_, write) in due {
            let person = self.person_of(&write);
            let has_one = person.as_ref().is_some_and(|person| !self.accounts_of(person).is_empty());
            if write.account.is_none() && has_one {
                self.judge
                    .accuse("two accounts", format!("a creation for {person:?} that was given up came late"));
            }
            self.note(format!("workspace: acts late on what was sent for {person:?}"));
            if let Some(person) = person {
                self.judge.acknowledged.remove(&person);
            }
            self.judge.is_late = true;
            self.act(&write, false);
            self.judge.is_late = false;
        }
    }

    /// The effect.
    fn act(&mut self, write: &Write, title_refused: bool) -> Reply {
        let reply = self.act_unjudged(write, title_refused);
        self.restand();
        reply
    }

    fn act_unjudged(&mut self, write: &Write, title_refused: bool) -> Reply {
        let refused = |fault, status| Reply::Refused { fault, status };
        let login =
            write.values.iter().find(|(path, _)| path == "userName").and_then(|(_, value)| value.clone());
        let taken = login.as_ref().is_some_and(|login| {
            let another =
                |account: &Account| account.has_login(login) && Some(&account.id) != write.account.as_ref();
            self.accounts.values().any(another)
        });
        if taken && !(self.rules.takes_twins && write.account.is_none()) {
            return refused(Refused::Conflict, 409);
        }
        let titled = write.values.iter().any(|(path, _)| path == "title");
        let person = self.person_of(write);
        let Some(id) = write.account.clone() else {
            let mut account = self.blank_account(person.clone());
            apply(&mut account, write, title_refused);
            account.active = true;
            account.sync = Some(write.sync);
            self.judge_effect(Verb::Create, person.as_deref(), None, &account);
            self.accounts.insert(account.id.clone(), account.clone());
            let account = (!account.login().is_empty()).then_some(account);
            return Reply::Applied { account, status: 201, title_refused: title_refused && titled };
        };
        let Some(before) = self.accounts.get(&id).cloned() else { return refused(Refused::NotFound, 404) };
        if write.deletes && self.rules.no_delete {
            return refused(Refused::NotOffered, 405);
        }
        if write.deletes {
            self.judge_effect(Verb::Delete, person.as_deref(), Some(&before), &before);
            self.accounts.remove(&id);
            return Reply::Applied { account: None, status: 204, title_refused: false };
        }
        let only_title = write.active.is_none() && write.values.len() == 1 && titled;
        if title_refused && only_title {
            return refused(Refused::Title, 400);
        }
        let mut account = before.clone();
        apply(&mut account, write, title_refused);
        let verb = match write.active {
            Some(false) => Verb::Deactivate,
            _ if self.owner_of(&before) != person || before.owner.is_none() => Verb::Adopt,
            _ if !before.active && account.active => Verb::Reactivate,
            _ => Verb::Update,
        };
        account.owner.clone_from(&person);
        account.sync = Some(write.sync);
        account.made_anew = false;
        if write.active.is_some() {
            account.by_hand = None;
        }
        self.judge_effect(verb, person.as_deref(), Some(&before), &account);
        self.accounts.insert(id, account.clone());
        let shown = (!self.rules.quiet).then_some(account);
        let status = if shown.is_some() { 200 } else { 204 };
        Reply::Applied { status, account: shown, title_refused: title_refused && titled }
    }

    pub fn blank_account(&mut self, owner: Option<String>) -> Account {
        self.next_account += 1;
        let id = format!("a{}", self.next_account);
        Account {
            id,
            values: Default::default(),
            active: true,
            owner,
            sync: None,
            made_at: self.now(),
            indexed_at: self.now() + self.weather.index_delay_ms,
            by_hand: None,
            forgotten: false,
            made_anew: false,
        }
    }
}

fn apply(account: &mut Account, write: &Write, title_refused: bool) {
    for (path, value) in &write.values {
        match value {
            _ if title_refused && path == "title" => {}
            Some(value) => {
                account.values.insert(path.clone(), value.clone());
            }
            None => {
                account.values.remove(path);
            }
        }
    }
    account.active = write.active.unwrap_or(account.active);
}
