//! The judge: what must hold after each write and each run, written from the documentation. It shares no code with the
//! program, and believes nothing that the program says of itself.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::sync::atomic::Ordering;

use super::fate::Fate;
use super::rules::{Removal, Rules, Verb};
use super::world::{Account, DAY, Eligibility, HOUR, MINUTE, Ms, Person, SECOND, World};
use crate::target::{Reply, Write};

/// The longest time between the look that proves a removal and its request, and a little for the look itself.
const PROOF_WINDOW: Ms = 125 * SECOND;
/// By how much a stored time may be ahead of the clock that reads it.
const CLOCKS_DIFFER: Ms = 5 * MINUTE;
/// How long an approval lasts.
const APPROVAL: Ms = 24 * HOUR;

#[derive(Debug, Clone)]
pub struct Approval {
    pub person: String,
    pub verb: Verb,
    pub at: Ms,
    /// By the program's clock.
    pub wall: Ms,
    pub used: bool,
}

#[derive(Debug, Clone)]
struct Effect {
    at: Ms,
    person: String,
    sync: usize,
    verb: Verb,
    /// Approved, or consented to by whoever started the run.
    excepted: bool,
}

/// What the workspace acknowledged last for a person.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Acknowledged {
    pub account: Option<String>,
    /// Where the write was about access.
    pub active: Option<bool>,
    pub at: Ms,
}

#[derive(Debug, Clone)]
pub struct ActiveRun {
    pub number: u64,
    pub started: Ms,
    pub attended: bool,
}

pub struct Judge {
    fate: Arc<Fate>,
    pub violations: Vec<String>,
    pub approvals: Vec<Approval>,
    /// By the program's clock.
    pub paused_until: Option<Ms>,
    /// Whom a person decided about, and for which cause.
    pub decided: BTreeMap<String, BTreeSet<Eligibility>>,
    /// For whom a run is or was taken back.
    pub undone: BTreeSet<String>,
    pub runs: Vec<ActiveRun>,
    /// Whose write was sent since the last full run that went through: the program may not know its outcome yet.
    pub unanswered: BTreeSet<String>,
    /// Writes that had an effect.
    pub writes: u64,
    effects: Vec<Effect>,
    /// People with an active account of ours, as it was last made by us, and whose: each sync has its own limits.
    active: BTreeMap<String, usize>,
    /// By sync.
    active_counts: [Vec<(Ms, usize)>; 2],
    pub acknowledged: BTreeMap<String, Acknowledged>,
    /// What has its effect now was sent, and judged, long ago.
    pub is_late: bool,
}

impl Judge {
    pub fn new(fate: Arc<Fate>) -> Judge {
        Judge {
            fate,
            violations: Vec::new(),
            approvals: Vec::new(),
            paused_until: None,
            decided: BTreeMap::new(),
            undone: BTreeSet::new(),
            runs: Vec::new(),
            unanswered: BTreeSet::new(),
            writes: 0,
            effects: Vec::new(),
            active: BTreeMap::new(),
            active_counts: Default::default(),
            acknowledged: BTreeMap::new(),
            is_late: false,
        }
    }

    pub fn accuse(&mut self, kind: &str, sentence: impl std::fmt::Display) {
        self.violations.push(format!("{kind}: {sentence}"));
    }

    /// The highest number of active accounts of the last day.
    fn peak(&self, sync: usize, now: Ms) -> usize {
        let Some(counts) = self.active_counts.get(sync) else { return 0 };
        let before = counts.iter().rev().find(|(at, _)| *at <= now - DAY);
        let within = counts.iter().filter(|(at, _)| *at > now - DAY);
        within.chain(before).map(|(_, count)| *count).max().unwrap_or(0)
    }

    fn count(&mut self, now: Ms) {
        for (sync, counts) in self.active_counts.iter_mut().enumerate() {
            counts.push((now, self.active.values().filter(|of| **of == sync).count()));
        }
    }

    /// Different people for whom this was sent without an exception.
    fn people(&self, sync: usize, verbs: &[Verb], since: Ms) -> usize {
        let counted = self.effects.iter().filter(|effect| !effect.excepted && effect.at > since);
        let counted = counted.filter(|effect| effect.sync == sync);
        counted
            .filter(|effect| verbs.contains(&effect.verb))
            .map(|effect| &effect.person)
            .collect::<BTreeSet<_>>()
            .len()
    }

    /// Uses an approval up, if there is one.
    pub fn take_approval(&mut self, person: &str, verb: Verb, now: Ms) -> bool {
        let covers = |approved: Verb| match verb {
            Verb::Deactivate | Verb::Delete => {
                approved == verb || (approved == Verb::Delete && verb == Verb::Deactivate)
            }
            Verb::Create => approved == Verb::Create,
            Verb::Adopt | Verb::Update | Verb::Reactivate => {
                matches!(approved, Verb::Adopt | Verb::Update | Verb::Reactivate)
            }
        };
        let approval = self.approvals.iter_mut().find(|approval| {
            !approval.used
                && approval.person == person
                && covers(approval.verb)
                && now - approval.at <= APPROVAL
        });
        approval.map(|approval| approval.used = true).is_some()
    }

    /// Who has an account now without any write.
    pub fn linked(&mut self, person: &str, sync: usize, active: bool, now: Ms) {
        if active {
            self.active.insert(person.to_owned(), sync);
        }
        self.count(now);
    }

    /// The person's link was dropped by a decision.
    pub fn forgotten(&mut self, person: &str, now: Ms) {
        self.acknowledged.remove(person);
        self.active.remove(person);
        self.count(now);
    }
}

/// What the configuration does with somebody who stands there.
pub fn removal_of(rules: &Rules, eligibility: Eligibility) -> Removal {
    match eligibility {
        Eligibility::Entitled | Eligibility::Waiting => Removal::Keep,
        Eligibility::Suspended => rules.on_suspended,
        Eligibility::OutOfScope | Eligibility::Unassigned | Eligibility::Disabled => rules.on_unassigned,
        Eligibility::Deleted => rules.on_deleted,
    }
}

fn named(person: &Person) -> String {
    format!("{} ({})", person.login, person.id)
}

impl World {
    /// The program's clock.
    pub fn wall(&self) -> Ms {
        self.now() + self.judge.fate.clock_offset.load(Ordering::Relaxed)
    }

    /// What happened at a time that lies in the future, because the clock was ahead then, counts from when a full run first
    /// notices it.
    pub fn notice_approvals_of_the_future(&mut self) {
        let (now, wall) = (self.now(), self.wall());
        for approval in self.judge.approvals.iter_mut().filter(|one| one.wall > wall + CLOCKS_DIFFER) {
            (approval.at, approval.wall) = (now, wall);
        }
    }

    /// A write's request goes out.
    pub fn judge_start(&mut self, write: &Write, person: Option<&str>) {
        let now = self.now();
        let line = describe(self, write, person);
        self.note(format!("  -> {line}"));
        if self.judge.paused_until.is_some_and(|until| self.wall() < until) {
            self.judge.accuse("paused", format!("{line} although the sync is paused"));
        }
        let account = write.account.as_ref().and_then(|id| self.accounts.get(id)).cloned();
        let login = account.as_ref().map(|account| account.login().to_owned()).unwrap_or_default();
        if self.rules.protects(&login) {
            self.judge.accuse("protected", format!("{line} although {login} is protected"));
        }
        let removes = write.deletes || write.active == Some(false);
        let Some(person) = person.and_then(|id| self.person(id)).cloned() else {
            if account.is_some() {
                self.judge.accuse("stranger", format!("{line}: it is nobody's account"));
            }
            return;
        };
        self.judge.unanswered.insert(person.id.clone());
        if removes && !self.judge.undone.contains(&person.id) {
            let since = person.standings_since(now - PROOF_WINDOW);
            let allowed = since.iter().any(|eligibility| match removal_of(&self.rules, *eligibility) {
                Removal::Keep => false,
                Removal::Deactivate => !write.deletes,
                Removal::Delete => true,
            });
            if !allowed {
                let stood = format!("{} stood {since:?} in the two minutes before", named(&person));
                self.judge.accuse("lost access", format!("{line}, but {stood}"));
            }
        }
    }

    /// A write has its effect.
    pub fn judge_effect(
        &mut self,
        verb: Verb,
        person: Option<&str>,
        before: Option<&Account>,
        after: &Account,
    ) {
        // What is inactive already loses nothing.
        let is_idle = verb == Verb::Deactivate && before.is_some_and(|before| !before.active);
        if self.judge.is_late || is_idle {
            return;
        }
        self.judge.writes += 1;
        let now = self.now();
        let Some(person) = person.and_then(|id| self.person(id)).cloned() else { return };
        let approved = self.judge.take_approval(&person.id, verb, now);
        self.judge_approval(verb, &person, before, after, approved);
        self.judge_ownership(verb, &person, before, after, approved);
        let gives = !verb.removes() && after.active && !before.is_some_and(|before| before.active);
        if gives && !self.judge.undone.contains(&person.id) {
            let began = self.judge.runs.iter().map(|run| run.started).min().unwrap_or(now);
            let stood = person.standings_since(began);
            if !stood.contains(&Eligibility::Entitled) && !stood.contains(&Eligibility::Waiting) {
                let sentence =
                    format!("{} of {} gives access, who stood {stood:?}", verb.word(), named(&person));
                self.judge.accuse("gained access", sentence);
            }
        }
        self.judge_guards(verb, &person, before, after, approved);
    }

    fn judge_approval(
        &mut self,
        verb: Verb,
        person: &Person,
        before: Option<&Account>,
        after: &Account,
        approved: bool,
    ) {
        if approved {
            return;
        }
        // The values that go back before a deactivation are part of it.
        let is_part_of_a_return = verb == Verb::Update && self.judge.undone.contains(&person.id);
        if self.rules.approval.contains(&verb) && !is_part_of_a_return {
            let sentence = format!("{} of {} was sent without approval", verb.word(), named(person));
            self.judge.accuse("not approved", sentence);
        }
        if verb != Verb::Adopt {
            return;
        }
        if self.rules.adopt_hold {
            let sentence =
                format!("adoption of {} for {} was sent without approval", after.id, named(person));
            self.judge.accuse("not approved", sentence);
        }
        let Some(before) = before else { return };
        let marked = before.values.get("externalId") == Some(&person.mark(self.rules.okta));
        let email = "emails[primary eq true].value";
        let changes = before.login() != after.login() || before.values.get(email) != after.values.get(email);
        if !marked && !before.has_login(&person.login) && changes {
            let sentence =
                format!("{} was adopted for {} by e-mail, and its login changed", after.id, named(person));
            self.judge.accuse("not approved", sentence);
        }
    }

    /// One person, one account.
    fn judge_ownership(
        &mut self,
        verb: Verb,
        person: &Person,
        before: Option<&Account>,
        after: &Account,
        approved: bool,
    ) {
        if let Some(owner) =
            before.and_then(|account| self.owner_of(account)).filter(|owner| *owner != person.id)
        {
            // Gone at any moment of the time that a proof lasts is gone.
            let living = self.person(&owner).is_some_and(|owner| {
                let stood = owner.standings_since(self.now() - PROOF_WINDOW);
                stood.iter().all(|eligibility| eligibility.cause() != Eligibility::Disabled)
            });
            let sentence =
                format!("{} for {} goes to {}, which is {owner}'s", verb.word(), named(person), after.id);
            if living {
                self.judge.accuse("two people", sentence);
            } else if !approved {
                self.judge.accuse("two people", format!("{sentence}, who is gone, and nobody approved it"));
            }
        }
        if !matches!(verb, Verb::Create | Verb::Adopt) {
            return;
        }
        let began = self.judge.runs.iter().map(|run| run.started).min().unwrap_or_default();
        let others: Vec<&Account> = self
            .accounts
            .values()
            .filter(|account| account.id != after.id && account.made_at < began)
            .filter(|account| {
                // What no lookup shows yet, nobody can know who did not make it.
                let is_shown = account.indexed_at < began;
                (account.owner.as_deref() == Some(&person.id) && !self.is_out_of_sight(person, account))
                    || (verb == Verb::Create && is_shown && account.has_login(after.login()))
            })
            .collect();
        if let Some(other) = others.first() {
            let sentence = format!(
                "{} of {} for {}, and there is {} with the login {} already",
                verb.word(),
                after.id,
                named(person),
                other.id,
                other.login()
            );
            self.judge.accuse("two accounts", sentence);
        }
    }

    fn judge_guards(
        &mut self,
        verb: Verb,
        person: &Person,
        before: Option<&Account>,
        after: &Account,
        approved: bool,
    ) {
        let now = self.now();
        let consented = verb == Verb::Create && self.judge.runs.iter().any(|run| run.attended);
        let excepted = approved || consented;
        let sync = after.sync.unwrap_or_default();
        let mut classes = vec![verb];
        if let (Verb::Adopt, Some(before)) = (verb, before) {
            let ours = |values: &BTreeMap<String, String>| {
                values
                    .iter()
                    .filter(|(path, _)| *path != "externalId")
                    .map(|(a, b)| (a.clone(), b.clone()))
                    .collect::<Vec<_>>()
            };
            classes = Vec::new();
            classes.extend((ours(&before.values) != ours(&after.values)).then_some(Verb::Update));
            classes.extend((!before.active && after.active).then_some(Verb::Reactivate));
        }
        for verb in &classes {
            let person = person.id.clone();
            self.judge.effects.push(Effect { at: now, person, sync, verb: *verb, excepted });
        }
        // Before the account counts as gone: the limit is a share of those who were there.
        if !excepted {
            self.judge_limits(&classes, sync, now);
        }
        match verb {
            Verb::Deactivate | Verb::Delete => {
                self.judge.active.remove(&person.id);
            }
            Verb::Create | Verb::Adopt | Verb::Reactivate if after.active => {
                self.judge.active.insert(person.id.clone(), sync);
            }
            // Whoever switched it off at the workspace: it counts as it was last made by us.
            Verb::Create | Verb::Adopt | Verb::Reactivate | Verb::Update => {}
        }
        self.judge.count(now);
    }

    fn judge_limits(&mut self, classes: &[Verb], sync: usize, now: Ms) {
        let mut broken = Vec::new();
        if classes.iter().any(|verb| verb.removes()) {
            self.broken_by_removals(sync, now, &mut broken);
        }
        self.broken_by_others(classes, sync, now, &mut broken);
        for text in broken {
            self.judge.accuse("guard", text);
        }
    }

    fn broken_by_removals(&self, sync: usize, now: Ms, broken: &mut Vec<String>) {
        let (judge, rules) = (&self.judge, &self.rules);
        let peak = judge.peak(sync, now) as u64;
        let verbs = [Verb::Deactivate, Verb::Delete];
        let hour = judge.people(sync, &verbs, now - HOUR) as u64;
        let day = judge.people(sync, &verbs, now - DAY) as u64;
        let share = |people: u64, percent: u64| match peak < 10 {
            true => peak >= 2 && 2 * people > peak,
            false => people > 3 && 100 * people > percent * peak,
        };
        let mut check = |broke: bool, text: String| {
            if broke {
                broken.push(text)
            }
        };
        check(
            hour > rules.max_removals,
            format!("{hour} removals in an hour, max_removals is {}", rules.max_removals),
        );
        check(
            share(hour, rules.max_removals_percent),
            format!(
                "{hour} removals in an hour of {peak}, max_removals_percent is {}",
                rules.max_removals_percent
            ),
        );
        check(
            share(day, rules.max_removals_percent_per_day),
            format!(
                "{day} removals in a day of {peak}, max per day is {} %",
                rules.max_removals_percent_per_day
            ),
        );
        check(peak >= 2 && hour >= peak, format!("{hour} removals in an hour: everybody of {peak}"));
    }

    fn broken_by_others(&self, classes: &[Verb], sync: usize, now: Ms, broken: &mut Vec<String>) {
        let (judge, rules) = (&self.judge, &self.rules);
        if classes.contains(&Verb::Reactivate) {
            let hour = judge.people(sync, &[Verb::Reactivate], now - HOUR) as u64;
            if hour > rules.max_reactivations {
                broken.push(format!(
                    "{hour} reactivations in an hour, the limit is {}",
                    rules.max_reactivations
                ));
            }
        }
        if classes.contains(&Verb::Create) {
            let hour = judge.people(sync, &[Verb::Create], now - HOUR) as u64;
            if hour > rules.max_creates {
                broken.push(format!("{hour} creations in an hour, the limit is {}", rules.max_creates));
            }
        }
        if classes.contains(&Verb::Update) {
            let hour = judge.people(sync, &[Verb::Update], now - HOUR) as u64;
            let of_this_sync = |account: &&Account| account.owner.is_some() && account.sync == Some(sync);
            let links = self.accounts.values().filter(of_this_sync).count() as u64;
            if links >= 10 && 100 * hour > rules.max_updates_percent * (links + 1) {
                broken.push(format!(
                    "{hour} updates in an hour of {links}, the limit is {} %",
                    rules.max_updates_percent
                ));
            }
        }
        if let (true, Some(seats)) = (classes.contains(&Verb::Create), rules.max_seats) {
            let of_this_sync = |account: &&Account| account.takes_a_seat() && account.sync == Some(sync);
            let taken = self.accounts.values().filter(of_this_sync).count() as u64;
            if taken >= seats {
                broken.push(format!("a creation, and {taken} seats of {seats} are taken"));
            }
        }
    }

    /// A reply is on its way to the program.
    pub fn judge_reply(&mut self, write: &Write, person: Option<&str>, reply: &Reply) {
        let text = match reply {
            Reply::Applied { account: None, status, .. } => format!("{status} without a body"),
            Reply::Applied { status, .. } => format!("{status}"),
            Reply::Refused { fault, status } => format!("{status} {fault:?}"),
            Reply::Unknown { status } => format!("no reply ({status:?})"),
            Reply::NotSent => "not sent".to_owned(),
        };
        self.note(format!("  <- {text}"));
        let Some(person) = person else { return };
        // What was acknowledged before may be over, and nobody knows.
        self.judge.acknowledged.remove(person);
        let Reply::Applied { account, .. } = reply else { return };
        let id = write.account.clone().or_else(|| account.as_ref().map(|account| account.id.clone()));
        let Some(id) = id else { return };
        // Whoever had the account before has it no more, and nothing is remembered of it for them.
        self.judge
            .acknowledged
            .retain(|who, known| who == person || known.account.as_deref() != Some(id.as_str()));
        let at = self.now();
        let known = self.accounts.get(&id);
        if known.is_none() && !write.deletes {
            // Somebody deleted it while the reply was on its way.
            return;
        }
        let acknowledged =
            Acknowledged { active: write.active, account: known.map(|account| account.id.clone()), at };
        self.judge.acknowledged.insert(person.to_owned(), acknowledged);
    }
}

fn describe(world: &World, write: &Write, person: Option<&str>) -> String {
    let who = person.and_then(|id| world.person(id)).map_or_else(|| "nobody".to_owned(), named);
    let values: Vec<String> = write
        .values
        .iter()
        .map(|(path, value)| format!("{path}={}", value.as_deref().unwrap_or("nothing")))
        .collect();
    let verb = match (&write.account, write.active, write.deletes) {
        (None, _, _) => "POST".to_owned(),
        (Some(id), _, true) => format!("DELETE {id}"),
        (Some(id), Some(active), false) => format!("PATCH {id} active={active}"),
        (Some(id), None, false) => format!("PATCH {id}"),
    };
    format!("{verb} for {who} {}", values.join(" "))
}
