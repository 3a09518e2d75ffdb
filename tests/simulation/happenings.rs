//! What happens at both sides without the program: people join, move and leave, and somebody works by hand at the
//! workspace.

use super::history::{Change, Fault, JournaledWrite, Whom, plays};
use super::weather::Weather;
use super::world::{Person, Status, World};

impl World {
    fn index(&self, whom: Whom) -> usize {
        (whom % self.people.len().max(1) as u64) as usize
    }

    /// A person's id.
    pub fn whom(&self, whom: Whom) -> Option<String> {
        self.people.get(self.index(whom)).map(|person| person.id.clone())
    }

    fn join(&mut self, login: Option<String>) {
        self.next_person += 1;
        let number = self.next_person;
        let id = if self.rules.okta { format!("00u{number:017}") } else { format!("{}", 1000 + number) };
        let login = login.unwrap_or_else(|| format!("p{number}@acme.com"));
        // Some have a mailbox of another name.
        let email = if number.is_multiple_of(5) { format!("mail{number}@acme.com") } else { login.clone() };
        let person = Person {
            id,
            email,
            login,
            given: format!("Given{number}"),
            family: format!("Family{number}"),
            title: (number.is_multiple_of(2)).then(|| "Engineer".to_owned()),
            phone: (number.is_multiple_of(3)).then(|| format!("+49 30 {number}")),
            department: Some(if number.is_multiple_of(7) { "Contractors" } else { "Research" }.to_owned()),
            status: Status::Active,
            assigned: true,
            exists: true,
            deletion_logged: false,
            assigned_at: self.now(),
            standings: Vec::new(),
        };
        self.people.push(person);
        self.restand();
    }

    /// One change at the identity provider.
    pub fn happen(&mut self, change: &Change) {
        let now = self.now();
        match change {
            Change::Join => self.join(None),
            Change::JoinWithAddressOf(whom) => {
                let login = self.people.get(self.index(*whom)).map(|person| person.login.clone());
                self.join(login);
            }
            Change::Leave(whom) => self.change(self.index(*whom), |person| person.assigned = false),
            Change::Return(whom) => self.change(self.index(*whom), |person| {
                person.assigned = person.exists;
                person.assigned_at = now;
                if person.status != Status::LockedOut {
                    person.status = Status::Active;
                }
            }),
            Change::Set(whom, status) => self.change(self.index(*whom), |person| {
                person.status = *status;
                // Who is deactivated loses what was assigned.
                person.assigned &= *status != Status::Disabled;
            }),
            Change::Delete(whom, logged) => self.change(self.index(*whom), |person| delete(person, *logged)),
            Change::Rename(whom) => self.change(self.index(*whom), |person| {
                let (name, domain) = person.login.split_once('@').unwrap_or((&person.login, "acme.com"));
                let login = format!("{name}x@{domain}");
                rename(person, login);
            }),
            Change::TakeAddress(whom, of) => {
                let Some(login) = self.people.get(self.index(*of)).map(|person| person.login.clone()) else {
                    return;
                };
                self.change(self.index(*whom), |person| rename(person, login));
            }
            Change::Title(whom, some) => self.change(self.index(*whom), |person| {
                let next = person.title.as_ref().map_or(1, |title| title.len() % 7 + 1);
                person.title = some.then(|| format!("Head{}", "s".repeat(next)));
            }),
            Change::Move(whom, inside) => self.change(self.index(*whom), |person| {
                person.department = Some(if *inside { "Sales" } else { "Contractors" }.to_owned());
            }),
            Change::Rehire(whom) => {
                let index = self.index(*whom);
                let login = self.people.get(index).map(|person| person.login.clone());
                self.change(index, |person| delete(person, true));
                self.join(login);
            }
        }
        self.note(format!("source: {change:?} {}", self.told_of(change)));
    }

    fn told_of(&self, change: &Change) -> String {
        let whom = match change {
            Change::Join | Change::JoinWithAddressOf(_) | Change::Rehire(_) => self.people.len() as u64 - 1,
            Change::Leave(whom)
            | Change::Return(whom)
            | Change::Set(whom, _)
            | Change::Delete(whom, _)
            | Change::Rename(whom)
            | Change::TakeAddress(whom, _)
            | Change::Title(whom, _)
            | Change::Move(whom, _) => *whom,
        };
        let person = self.people.get(self.index(whom));
        person.map_or_else(String::new, |person| {
            format!("({} {}, {:?})", person.id, person.login, person.eligibility())
        })
    }

    /// One deed at the workspace.
    pub fn deed(&mut self, deed: &JournaledWrite) {
        match deed {
            JournaledWrite::Make { login_of, marked_for, active, upper } => {
                let Some(person) = self.people.get(self.index(*login_of)).cloned() else { return };
                if self.judge.unanswered.contains(&person.id) && !plays("made meanwhile") {
                    return;
                }
                let marked = marked_for.and_then(|whom| self.people.get(self.index(whom)));
                let mark = marked.map(|person| person.mark(self.rules.okta));
                let mut account = self.blank_account(None);
                // Where access is not shown, nobody could know.
                account.active = *active || self.rules.hides_active;
                let login = match upper {
                    true if self.rules.match_email => format!("old-{}", person.login),
                    true => person.login.replacen('p', "P", 1),
                    false => person.login.clone(),
                };
                if self.accounts.values().any(|other| other.has_login(&login)) {
                    return;
                }
                account.values.insert("userName".to_owned(), login);
                account.values.insert("emails[primary eq true].value".to_owned(), person.email.clone());
                account.values.extend(mark.map(|mark| ("externalId".to_owned(), mark)));
                self.note(format!(
                    "workspace: by hand {} {} {:?}",
                    account.id,
                    account.login(),
                    account.values.get("externalId")
                ));
                self.accounts.insert(account.id.clone(), account);
            }
            JournaledWrite::SwitchOff(whom) => self.touch(*whom, "switched off", |account, now| {
                account.active = false;
                account.by_hand = Some(now);
                true
            }),
            JournaledWrite::Delete(whom) => self.touch(*whom, "deleted", |_, _| false),
            JournaledWrite::Remake(whom) => {
                let Some(id) = self.account_id(*whom) else { return };
                let Some(old) = self.accounts.remove(&id) else { return };
                // Ours is whose link it was; a mark that somebody set by hand makes no account ours.
                let mut account = self.blank_account(old.owner.clone());
                account.sync = old.sync;
                account.made_anew = true;
                account.values.clone_from(&old.values);
                // Who makes an account anew whose access we have taken gives it back by hand; only `verify` sees that.
                account.by_hand = (!old.active).then(|| self.now());
                self.note(format!("workspace: {id} was deleted and made anew as {}", account.id));
                self.accounts.insert(account.id.clone(), account);
            }
        }
        self.restand();
    }

    fn account_id(&self, whom: Whom) -> Option<String> {
        let ids: Vec<&String> = self.accounts.keys().collect();
        ids.get((whom % ids.len().max(1) as u64) as usize).map(|id| (*id).clone())
    }

    /// Changes an account by hand; it stays where `act` says so.
    fn touch(&mut self, whom: Whom, what: &str, act: impl FnOnce(&mut super::world::Account, i64) -> bool) {
        let (now, Some(id)) = (self.now(), self.account_id(whom)) else { return };
        let Some(mut account) = self.accounts.remove(&id) else { return };
        self.note(format!("workspace: {id} {} was {what} by hand", account.login()));
        if act(&mut account, now) {
            self.accounts.insert(id, account);
        } else if let Some(owner) = account.owner {
            self.vanished.insert(owner);
        }
    }

    /// The weather of a step is over.
    pub fn clear_up(&mut self) {
        self.weather = self.lasting.clone();
    }

    /// The weather that faults make.
    pub fn weather_of(&self, faults: &[Fault]) -> Weather {
        let mut weather = Weather::clear();
        for fault in faults {
            self.worsen(&mut weather, fault);
        }
        weather
    }

    fn worsen(&self, weather: &mut Weather, fault: &Fault) {
        let login = |whom: &Whom| {
            self.people.get(self.index(*whom)).map(|person| person.login.to_lowercase()).unwrap_or_default()
        };
        match fault {
            Fault::Source(side) => weather.source = Some(*side),
            Fault::Target(side) => weather.target = Some(*side),
            Fault::List(list) => weather.list = Some(*list),
            Fault::Point(whom, point) => {
                weather.points.extend(self.whom(*whom).map(|id| (id, *point)));
            }
            Fault::Log(log) => weather.log = *log,
            Fault::LoginLookups => weather.login_lookups_fail = true,
            Fault::Listing(listing) => weather.listing = Some(*listing),
            Fault::Unlisted(whom) => weather.unlisted.extend(self.account_id(*whom)),
            Fault::Lookups(lookups) => weather.lookups = Some(*lookups),
            Fault::LookupOf(whom, lookup) => {
                weather.lookups_of.insert(login(whom), *lookup);
            }
            Fault::Get(whom) => weather.gets.extend(self.account_id(*whom)),
            Fault::Write(Some(whom), write, times) => {
                weather.writes.extend(self.whom(*whom).map(|id| (id, *write, *times)));
            }
            Fault::Write(None, write, times) => weather.writes.push(("*".to_owned(), *write, *times)),
            Fault::LostReplies(percent) => weather.lost_replies = *percent,
            Fault::IndexDelay(delay) => weather.index_delay_ms = *delay,
            Fault::Slow(times) => weather.slow = *times,
        }
    }
}

fn delete(person: &mut Person, logged: bool) {
    if person.exists {
        person.exists = false;
        person.assigned = false;
        person.deletion_logged = logged;
    }
}

fn rename(person: &mut Person, login: String) {
    if person.email == person.login {
        person.email.clone_from(&login);
    }
    person.login = login;
}
