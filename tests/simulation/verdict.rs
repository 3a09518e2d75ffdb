//! The judge's word on whole runs, and on the world once faults have stopped.

use std::collections::{BTreeMap, BTreeSet};

use super::engine::{RunEnd, StoredLink};
use super::history::plays;
use super::judge::removal_of;
use super::rules::{Removal, Verb};
use super::weather::Weather;
use super::world::{Account, Eligibility, MINUTE, Ms, Person, World};

/// A clock further off than this is wrong.
const CLOCK_LIMIT: Ms = 5 * MINUTE;

/// What is known of a run that ended.
pub struct RunFacts {
    pub full: bool,
    pub started: Ms,
    /// Nothing else happened meanwhile.
    pub alone: bool,
    pub was_paused: bool,
    /// Who waits in an open hold.
    pub held: BTreeSet<String>,
    /// Leavers with access, as `status` shows them, where it does.
    pub in_status: Option<BTreeSet<String>>,
    /// Of the sync that ran.
    pub sync: usize,
    pub links: BTreeMap<String, StoredLink>,
    /// Of all syncs.
    pub all_links: BTreeMap<String, StoredLink>,
}

impl World {
    fn is_clock_off(&self) -> bool {
        (self.wall() - self.now()).abs() > CLOCK_LIMIT
    }

    pub fn is_paused(&self) -> bool {
        self.judge.paused_until.is_some_and(|until| self.wall() < until)
    }

    /// Somebody decided about a person: it binds for where the person stands, or stood when a run last looked.
    pub fn decided_about(&mut self, person: &str) {
        let since = self.last_full_run;
        let causes = self.person(person).map(|person| person.standings_since(since)).unwrap_or_default();
        let causes = causes.into_iter().map(Eligibility::cause).collect();
        self.judge.decided.insert(person.to_owned(), causes);
    }

    pub fn forget(&mut self, person: &str) {
        self.decided_about(person);
        let now = self.now();
        self.judge.forgotten(person, now);
        for account in self.accounts.values_mut() {
            if account.owner.as_deref() == Some(person) {
                account.owner = None;
                account.forgotten = true;
            }
        }
    }

    fn is_decided(&self, person: &Person) -> bool {
        let causes = self.judge.decided.get(&person.id);
        causes.is_some_and(|causes| causes.contains(&person.eligibility().cause()) || !plays("pinned cause"))
    }

    /// Leavers whose access ought to be gone, as seen by a run that began then.
    fn leavers_with_access(&self, since: Ms) -> Vec<(Person, Account)> {
        let mut all = Vec::new();
        for person in &self.people {
            let stood = person.standings_since(since);
            let left = stood.iter().all(|eligibility| removal_of(&self.rules, *eligibility) != Removal::Keep);
            if !left || self.is_decided(person) {
                continue;
            }
            let open = |account: &&&Account| {
                account.active && account.by_hand.is_none() && !self.rules.protects(account.login())
            };
            all.extend(
                self.accounts_of(&person.id)
                    .iter()
                    .filter(open)
                    .map(|account| (person.clone(), (*account).clone())),
            );
        }
        all
    }

    /// Whether a run may say that it could not read the source: a side as a whole, or a list that shows nobody although
    /// somebody is there.
    fn excuses_source(&self) -> bool {
        let mut assigned = self.people.iter().filter(|person| person.exists && person.assigned);
        self.weather.excuses_source() || assigned.all(|person| self.weather.points.contains_key(&person.id))
    }

    /// A run ended.
    pub fn judge_run(&mut self, end: &RunEnd, facts: &RunFacts) {
        if end.panicked {
            self.judge.accuse("panic", "a run panicked");
        }
        match end.result.as_str() {
            // Two witnesses agree that the program's clock is wrong: nothing is written.
            "error" if self.is_clock_off() => {}
            "error" => self.judge.accuse("run failed", &end.problem),
            "source_incomplete" | "source_unavailable" if !self.excuses_source() => {
                self.judge.accuse("one stopped all at the source", &end.problem);
            }
            "target_unavailable" if !self.weather.excuses_target() => {
                self.judge.accuse("one stopped all at the target", &end.problem);
            }
            _ => {}
        }
        self.judge_memory(facts);
        self.learn_links(facts);
        if !facts.full || !end.went_through {
            return;
        }
        self.last_full_run = facts.started;
        if self.judge.runs.is_empty() {
            self.judge.unanswered.clear();
        }
        if facts.was_paused || self.is_paused() {
            return;
        }
        self.judge_leavers(end, facts);
    }

    /// Whoever left and still has access is seen in the exit code, and is removed where nothing is in the way.
    fn judge_leavers(&mut self, end: &RunEnd, facts: &RunFacts) {
        for (person, account) in self.leavers_with_access(facts.started) {
            // Another sync's account is another sync's.
            if self.rules.two_syncs && !facts.links.contains_key(&person.id) {
                continue;
            }
            let who = format!(
                "{} ({}, {:?}) has access by {}",
                person.login,
                person.id,
                person.eligibility(),
                account.id
            );
            // Held is 4, anything else that is owed is 3 and comes first.
            let is_held = facts.held.contains(&person.id);
            if end.exit != 3 && !(is_held && end.exit == 4) {
                self.judge.accuse("exit code", format!("exit {}, and {who}; held: {is_held}", end.exit));
            }
            if facts.in_status.as_ref().is_some_and(|shown| !shown.contains(&person.id)) {
                self.judge.accuse("status", format!("status does not show that {who}"));
            }
            let provable = person.exists || person.deletion_logged;
            let witnesses = self.people.iter().filter(|other| {
                other.eligibility() == Eligibility::Entitled && !self.weather.points.contains_key(&other.id)
            });
            let in_the_way = self.weather.keeps(&person.id, &account.id) || witnesses.count() == 0;
            if facts.alone && !is_held && provable && !in_the_way {
                self.judge.accuse("leaver left", format!("nothing was in the way, and {who}"));
            }
        }
    }

    /// An account that is linked without any write: because it holds everything already, or because its owner is gone and
    /// somebody approved who is to have it, whatever became of the write.
    fn learn_links(&mut self, facts: &RunFacts) {
        for (person, link) in &facts.all_links {
            let Some(account) = self.accounts.get(&link.account) else { continue };
            if account.owner.as_ref() == Some(person) {
                continue;
            }
            let owner = self.owner_of(account).filter(|owner| owner != person);
            let was_linked = account.owner.is_some();
            let living = owner
                .and_then(|owner| self.person(&owner))
                .filter(|owner| owner.eligibility().cause() != Eligibility::Disabled);
            if let Some(owner) = living {
                let sentence =
                    format!("{} is linked to {person} and bears the mark of {}", link.account, owner.id);
                self.judge.accuse("two people", sentence);
            }
            let now = self.now();
            if was_linked && !self.judge.take_approval(person, Verb::Adopt, now) {
                let sentence =
                    format!("{} of somebody who is gone went to {person}, unapproved", link.account);
                self.judge.accuse("two people", sentence);
            }
            let of_this_sync = facts.links.get(person).is_some_and(|own| own.account == link.account);
            let sync = if of_this_sync { facts.sync } else { 1 - facts.sync };
            self.judge.linked(person, sync, link.active, now);
            if let Some(account) = self.accounts.get_mut(&link.account) {
                account.owner = Some(person.clone());
                account.sync = Some(sync);
                account.forgotten = false;
                account.made_anew = false;
            }
        }
        self.restand();
    }

    /// What the workspace acknowledged is remembered.
    fn judge_memory(&mut self, facts: &RunFacts) {
        if !self.judge.runs.is_empty() {
            return;
        }
        let mut wrong = Vec::new();
        for (person, acknowledged) in &self.judge.acknowledged {
            if acknowledged.at < facts.started {
                continue;
            }
            // A deactivation counts when it is seen, and nobody can look.
            let cannot_be_seen = |account: &String| self.weather.gets.contains(account);
            if acknowledged.active == Some(false) && acknowledged.account.as_ref().is_some_and(cannot_be_seen)
            {
                continue;
            }
            let stored = facts.all_links.get(person);
            let fits = match (&acknowledged.account, stored) {
                (None, _) => stored.is_none_or(|link| link.gone || !link.active),
                (Some(account), Some(link)) => {
                    link.account == *account && acknowledged.active.is_none_or(|active| active == link.active)
                }
                (Some(_), None) => false,
            };
            if !fits {
                wrong.push(format!("{person}: acknowledged {acknowledged:?}, stored {stored:?}"));
            }
        }
        wrong.into_iter().for_each(|sentence| self.judge.accuse("forgot", sentence));
    }

    /// Nothing is wrong from here on; the vendor's log shows at last what it kept back.
    pub fn faults_stop(&mut self) {
        for person in &mut self.people {
            person.deletion_logged = !person.exists;
        }
        self.lasting = Weather::clear();
        self.clear_up();
        self.note("-- faults have stopped --");
    }

    /// Whether somebody cannot have what they should have, and a run may say so for ever.
    pub fn somebody_is_excused(&self) -> bool {
        let entitled = self.people.iter().filter(|person| person.eligibility() == Eligibility::Entitled);
        let mut excused = entitled.filter(|person| self.is_excused(person) || self.is_in_the_way_of(person));
        excused.next().is_some()
    }

    /// Faults have stopped, everything was approved, every wait is over.
    pub fn judge_end(&mut self) {
        let mut wrong = Vec::new();
        for person in &self.people {
            let removal = removal_of(&self.rules, person.eligibility());
            match person.eligibility() {
                Eligibility::Waiting => {}
                Eligibility::Entitled => wrong.extend(self.what_is_wrong_with(person)),
                Eligibility::Suspended
                | Eligibility::OutOfScope
                | Eligibility::Unassigned
                | Eligibility::Disabled
                | Eligibility::Deleted => {
                    let open = self.accounts_of(&person.id).into_iter().find(|account| {
                        account.active && account.by_hand.is_none() && !self.rules.protects(account.login())
                    });
                    if let (Some(account), true) = (open, removal != Removal::Keep) {
                        wrong.push(format!(
                            "{} ({}, {:?}) still has access by {}",
                            person.login,
                            person.id,
                            person.eligibility(),
                            account.id
                        ));
                    }
                }
            }
        }
        wrong.into_iter().for_each(|sentence| self.judge.accuse("no convergence", sentence));
    }

    /// Why this person cannot have what they should have, as the documentation says.
    fn is_excused(&self, person: &Person) -> bool {
        let others_want_it = self.people.iter().any(|other| {
            other.id != person.id
                && other.eligibility() == Eligibility::Entitled
                && other.login.eq_ignore_ascii_case(&person.login)
        });
        let bearers: Vec<&Account> =
            self.accounts.values().filter(|account| account.has_login(&person.login)).collect();
        let is_anothers = |account: &Account| {
            let owner = self.owner_of(account).filter(|owner| *owner != person.id);
            owner
                .and_then(|owner| self.person(&owner))
                .is_some_and(|owner| owner.eligibility().cause() != Eligibility::Disabled)
        };
        let taken = bearers.iter().any(|account| is_anothers(account));
        let theirs = |account: &&Account| self.owner_of(account).as_deref() == Some(&person.id);
        let marked = self.accounts.values().filter(theirs).count();
        // The last rung of the ladder, where it is configured and nothing is found before.
        let by_email = |account: &Account| {
            let email = account.values.get("emails[primary eq true].value");
            email.is_some_and(|email| email.eq_ignore_ascii_case(&person.email))
        };
        let taken_by_email = self.rules.match_email
            && marked == 0
            && bearers.is_empty()
            && self.accounts.values().any(|account| by_email(account) && is_anothers(account));
        let several_by_email = self.rules.match_email
            && marked == 0
            && bearers.is_empty()
            && self.accounts.values().filter(|account| by_email(account)).count() > 1;
        others_want_it
            || taken
            || taken_by_email
            || several_by_email
            || bearers.len() > 1
            || marked > 1
            // Theirs wants a login that another account bears.
            || (marked == 1 && self.is_in_the_way_of(person))
            || self.rules.protects(&person.login)
            || self.accounts.values().filter(theirs).any(|account| self.rules.protects(account.login()))
            || self.vanished.contains(&person.id)
            || self.accounts.values().filter(theirs).any(|account| self.is_out_of_sight(person, account))
            || self.rules.max_seats.is_some_and(|seats| self.seats_taken() + self.vanished.len() as u64 >= seats)
    }

    /// Whether this account was made anew in the place of one of theirs, and neither a mark nor what they are called now
    /// leads to it. One that bears their mark is found: by the mark, or by the login which the other one had.
    pub fn is_out_of_sight(&self, person: &Person, account: &Account) -> bool {
        let marked = account.values.get("externalId") == Some(&person.mark(self.rules.okta));
        let email = account.values.get("emails[primary eq true].value");
        let by_email = self.rules.match_email && email.is_some_and(|email| *email == person.email);
        account.made_anew && !marked && !by_email && !account.has_login(&person.login)
    }

    /// Whether another account bears the login that this person's account should have.
    fn is_in_the_way_of(&self, person: &Person) -> bool {
        let mut others =
            self.accounts.values().filter(|other| self.owner_of(other).as_deref() != Some(&person.id));
        others.any(|other| other.has_login(&person.login))
    }

    fn what_is_wrong_with(&self, person: &Person) -> Option<String> {
        if self.is_excused(person) {
            return None;
        }
        let accounts = self.accounts_of(&person.id);
        let who = format!("{} ({}, entitled)", person.login, person.id);
        let [account] = accounts.as_slice() else {
            return Some(format!("{who} has {} accounts", accounts.len()));
        };
        if self.rules.protects(account.login()) {
            return None;
        }
        if !account.active && account.by_hand.is_none() {
            return Some(format!("{who} has no access by {}", account.id));
        }
        if self.is_in_the_way_of(person) {
            return None;
        }
        let wanted = person.wanted(self.rules.okta);
        let differs = wanted.iter().find(|(path, value)| {
            account.values.get(*path).is_none_or(|has| !has.eq_ignore_ascii_case(value))
        });
        differs.map(|(path, value)| {
            format!("{who}: {} has {path} {:?}, not {value}", account.id, account.values.get(path))
        })
    }
}
