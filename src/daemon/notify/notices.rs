//! What is worth telling: a pure function of what was told before and of the run that ended.
//!
//! What lives here: when a state is news, and the words for it. What must not: the network, the clock, a queue.

use std::collections::{BTreeMap, BTreeSet};

use serde::Serialize;

use crate::config::NotifyOn;
use crate::model::drift::VerifyFacts;
use crate::model::id::SourceId;
use crate::model::owed::{OwedChange, WaitMeaning};
use crate::model::plan::Verb;
use crate::model::report::{HoldFact, RunFacts, RunResult, Summary, Trigger};
use crate::model::time::Millis;
use crate::report::summary_line;

/// Characters of somebody else's sentence that are repeated; the report has all of them.
const LONGEST_PROBLEM: usize = 400;
/// Somebody who left and has access for longer, while no person is waited for, is news.
const LATE_MILLIS: i64 = 15 * 60_000;

/// What a notice is about; the words of `daemon.notify.on`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Event {
    /// Something waits for approval.
    Held,
    /// Somebody who left still has access, and it waits for no person.
    Leaver,
    /// A sync backs off.
    Quarantine,
    /// A sync is healthy again.
    Recovered,
    /// A run failed, or people in it.
    Failed,
}

impl Event {
    /// The word in notices and logs.
    pub fn as_str(self) -> &'static str {
        match self {
            Event::Held => "held",
            Event::Leaver => "leaver",
            Event::Quarantine => "quarantine",
            Event::Recovered => "recovered",
            Event::Failed => "failed",
        }
    }

    fn is_wanted(self, on: &[NotifyOn]) -> bool {
        on.contains(&match self {
            Event::Held => NotifyOn::Held,
            Event::Leaver => NotifyOn::Leaver,
            Event::Quarantine => NotifyOn::Quarantine,
            Event::Recovered => NotifyOn::Recovered,
            Event::Failed => NotifyOn::Failed,
        })
    }
}

/// One message, `rosterd.notice/1`. Slack-compatible hooks show `text`; the rest is for scripts.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Notice {
    /// `rosterd.notice/1`
    pub schema: &'static str,
    /// One short paragraph, without markup that somebody else's words could have brought in.
    pub text: String,
    /// What it is about.
    pub event: Event,
    /// The sync.
    pub sync: String,
    /// The run's number.
    pub run: Option<i64>,
    /// How the run ended.
    pub result: RunResult,
    /// When, RFC 3339.
    pub finished_at: String,
    /// What was wrong, in the words of the report.
    pub problem: Option<String>,
    /// The run's counts.
    pub summary: Summary,
    /// The holds that it is about.
    pub holds: Vec<HoldFact>,
}

/// What was told, by sync.
#[derive(Debug, Default)]
pub struct Told {
    syncs: BTreeMap<String, ToldOfSync>,
}

#[derive(Debug, Default)]
struct ToldOfSync {
    trouble: Trouble,
    /// Leavers with access who were told.
    leavers: BTreeSet<SourceId>,
    /// Revision by id.
    holds: BTreeMap<String, u32>,
    /// The last scheduled verification failed.
    verification_failed: bool,
}

/// How unwell a sync is, the worst last.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Trouble {
    #[default]
    None,
    /// Runs end, some people fail.
    Partial,
    /// Runs fail.
    Failed,
    /// So many of them that they were slowed down.
    Quarantined,
}

/// What of a sync lasts beyond the run that ended.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
pub struct Lasting {
    /// It is in quarantine.
    pub quarantined: bool,
    /// Something that was tried is still owed, whether this run tried it or not.
    pub failing: bool,
}

/// What is to be told of a run that was no dry run, and takes note that it was told. A trouble is told when it begins
/// and when it grows, then not again before it has ended; a hold when it opens, grows, or is reminded of.
pub fn decide(told: &mut Told, facts: &RunFacts, lasting: Lasting, on: &[NotifyOn]) -> Vec<Notice> {
    let told = told.syncs.entry(facts.sync.clone()).or_default();
    let was = told.trouble;
    let is = trouble(facts, lasting, was);
    told.trouble = is;
    let event = if is > was {
        match is {
            // Whoever asked for failures alone hears of one that led into quarantine at once.
            Trouble::Quarantined if was < Trouble::Failed && !Event::Quarantine.is_wanted(on) => {
                Some(Event::Failed)
            }
            Trouble::Quarantined => Some(Event::Quarantine),
            Trouble::Failed | Trouble::Partial => Some(Event::Failed),
            Trouble::None => None,
        }
    } else {
        (is < was).then_some(Event::Recovered)
    };
    let holds = news_of_holds(&mut told.holds, facts);
    let mut notices = Vec::new();
    if let Some(event) = event.filter(|event| event.is_wanted(on)) {
        notices.push(notice(event, trouble_text(event, is, facts), facts, facts.holds.clone()));
    }
    if !holds.is_empty() && Event::Held.is_wanted(on) {
        notices.push(notice(Event::Held, held_text(facts, &holds), facts, holds));
    }
    notices
}

/// What is to be told of those who left and still have access, and takes note that it was told: each person once who has
/// had it for too long while it waits for no person, and once that it is over for all of them.
pub fn decide_leavers(
    told: &mut Told,
    sync: &str,
    owed: &[OwedChange],
    now: Millis,
    on: &[NotifyOn],
) -> Option<Notice> {
    let told = told.syncs.entry(sync.to_owned()).or_default();
    let undone: Vec<&OwedChange> = owed
        .iter()
        .filter(|change| change.is_removal() && change.waits_for.meaning() == WaitMeaning::Undone)
        .collect();
    let were = !told.leavers.is_empty();
    told.leavers.retain(|id| undone.iter().any(|change| change.source_id == *id));
    let late: Vec<&OwedChange> =
        undone.into_iter().filter(|change| now.since(change.since) >= LATE_MILLIS).collect();
    let news = late.iter().filter(|change| told.leavers.insert(change.source_id.clone())).count();
    let (text, result) = match late.iter().min_by_key(|change| change.since) {
        Some(longest) if news > 0 => (leaver_text(sync, late.len(), longest), RunResult::Partial),
        Some(_) => return None,
        None if were && told.leavers.is_empty() => {
            (format!("rosterd {sync}: nobody who left has access for that long any more."), RunResult::Ok)
        }
        None => return None,
    };
    Event::Leaver.is_wanted(on).then(|| Notice {
        schema: "rosterd.notice/1",
        text,
        event: Event::Leaver,
        sync: sync.to_owned(),
        run: None,
        result,
        finished_at: now.rfc3339(),
        problem: None,
        summary: Summary::default(),
        holds: Vec::new(),
    })
}

/// Nobody is named: a notice goes to whoever reads the channel.
fn leaver_text(sync: &str, people: usize, longest: &OwedChange) -> String {
    let (who, has) = if people == 1 {
        ("1 person who left".to_owned(), "has")
    } else {
        (format!("{people} people who left"), "have")
    };
    format!(
        "rosterd {sync}: {who} still {has} access, the longest since {}; that waits for {}. `rosterd status` says who and \
         why.",
        longest.since.rfc3339(),
        longest.waits_for.describe()
    )
}

/// What is to be told of a scheduled verification, and takes note that it was told: the first of a row that failed,
/// and the one that ends the row.
pub fn decide_verification(told: &mut Told, facts: &VerifyFacts, on: &[NotifyOn]) -> Option<Notice> {
    if facts.trigger != Trigger::Schedule || facts.result == RunResult::Interrupted {
        return None;
    }
    let told = told.syncs.entry(facts.sync.clone()).or_default();
    let failed = facts.result != RunResult::Ok;
    let was = std::mem::replace(&mut told.verification_failed, failed);
    let event = match (was, failed) {
        (false, true) => Event::Failed,
        (true, false) => Event::Recovered,
        (false, false) | (true, true) => return None,
    };
    let sync = &facts.sync;
    let problem = facts.problem().map(str::to_owned).filter(|_| failed);
    let text = match &problem {
        None if failed => {
            format!("rosterd {sync}: the scheduled verification failed ({}).", facts.result.as_str())
        }
        None => format!("rosterd {sync}: the workspace could be verified again."),
        Some(problem) => format!(
            "rosterd {sync}: the scheduled verification failed ({}): {}. The next one tries again; `rosterd verify` tries \
             at once.",
            facts.result.as_str(),
            plain(problem)
        ),
    };
    event.is_wanted(on).then(|| Notice {
        schema: "rosterd.notice/1",
        text,
        event,
        sync: sync.clone(),
        run: None,
        result: facts.result,
        finished_at: facts.finished_at.rfc3339(),
        problem,
        summary: Summary::default(),
        holds: Vec::new(),
    })
}

/// How the sync is after this run. A run of named people proves nothing about everybody: it can begin a trouble, not
/// end one.
fn trouble(facts: &RunFacts, lasting: Lasting, was: Trouble) -> Trouble {
    if lasting.quarantined {
        return Trouble::Quarantined;
    }
    match facts.result {
        // Who fails steadily is not tried in every run: that one tried nothing ends nothing.
        RunResult::Ok | RunResult::Held if facts.source.complete && lasting.failing => {
            was.clamp(Trouble::None, Trouble::Partial)
        }
        RunResult::Ok | RunResult::Held if facts.source.complete => Trouble::None,
        RunResult::Partial if facts.source.complete => Trouble::Partial,
        RunResult::Partial => was.max(Trouble::Partial),
        RunResult::SourceIncomplete
        | RunResult::SourceUnavailable
        | RunResult::TargetUnavailable
        | RunResult::Error => was.max(Trouble::Failed),
        RunResult::Ok | RunResult::Held | RunResult::Interrupted => was,
    }
}

/// The holds that opened or grew, or whose daily reminder is in this run's notes.
fn news_of_holds(told: &mut BTreeMap<String, u32>, facts: &RunFacts) -> Vec<HoldFact> {
    let mut news = Vec::new();
    for hold in &facts.holds {
        let command = format!("`rosterd approve {}`", hold.id);
        let reminded = facts.notes.iter().any(|note| note.contains(&command));
        let before = told.insert(hold.id.clone(), hold.revision);
        if reminded || before.is_none_or(|revision| revision < hold.revision) {
            news.push(hold.clone());
        }
    }
    let everything_is_listed = facts.result.reached_both_sides();
    if everything_is_listed {
        // Ids are never used again, so that a hold that is gone can be forgotten.
        told.retain(|id, _| facts.holds.iter().any(|hold| hold.id == *id));
    }
    news
}

fn notice(event: Event, text: String, facts: &RunFacts, holds: Vec<HoldFact>) -> Notice {
    Notice {
        schema: "rosterd.notice/1",
        text,
        event,
        sync: facts.sync.clone(),
        run: facts.run,
        result: facts.result,
        finished_at: facts.finished_at.rfc3339(),
        problem: facts.problem().map(str::to_owned),
        summary: facts.summary,
        holds,
    }
}

fn trouble_text(event: Event, is: Trouble, facts: &RunFacts) -> String {
    let (sync, run) = (&facts.sync, run_name(facts));
    let problem = facts.problem().map(|problem| format!(": {}", plain(problem))).unwrap_or_default();
    let summary = plain(&summary_line(facts));
    let more = facts.run.map_or_else(
        || "`rosterd status`".to_owned(),
        |run| format!("`rosterd history --run {run} --failed`"),
    );
    match (event, is) {
        (Event::Quarantine, _) => format!(
            "rosterd {sync} is in quarantine since {run}{problem}. It is tried at each firing of its schedule and at least \
             once an hour until a run succeeds. `rosterd check` tries both sides; a new secret is read on `systemctl reload rosterd`."
        ),
        (Event::Failed, Trouble::Partial) => format!(
            "rosterd {sync}: {run} could not do everything. {summary} {more} says who and why; each is tried again."
        ),
        (Event::Failed, _) => format!(
            "rosterd {sync}: {run} failed ({}){problem}. The next run tries again; `rosterd check` tries both sides.",
            facts.result.as_str()
        ),
        (Event::Recovered, Trouble::None) => format!("rosterd {sync} has recovered with {run}. {summary}"),
        (Event::Recovered, _) => {
            format!(
                "rosterd {sync} runs again since {run}, but not everything could be done. {summary} {more} says who and why."
            )
        }
        // Told by `held_text` and `leaver_text`.
        (Event::Held | Event::Leaver, _) => summary,
    }
}

fn held_text(facts: &RunFacts, holds: &[HoldFact]) -> String {
    let mut text = format!("rosterd {}: {} leaves something to decide.", facts.sync, run_name(facts));
    for hold in holds {
        let people = if hold.count == 1 { "1 person waits" } else { &format!("{} people wait", hold.count) };
        let (what, id, revision) = (participle(hold.class), &hold.id, hold.revision);
        text.push_str(&format!(
            " {people} to be {what}: {}. `rosterd approve {id}@{revision}` releases, `rosterd reject {id}` drops; open \
             until {}.",
            plain(&hold.reason).trim_end_matches('.'),
            hold.expires_at
        ));
    }
    text
}

fn run_name(facts: &RunFacts) -> String {
    facts.run.map_or_else(|| "a run".to_owned(), |run| format!("run {run}"))
}

fn participle(verb: Verb) -> &'static str {
    match verb {
        Verb::Deactivate => "deactivated",
        Verb::Delete => "deleted",
        Verb::Update => "updated",
        Verb::Reactivate => "reactivated",
        Verb::Adopt => "adopted",
        Verb::Create => "created",
        Verb::Block | Verb::Skip => "looked at",
    }
}

/// One line of bounded length that no chat takes for markup: `<!channel>` and its like call everybody.
fn plain(words: &str) -> String {
    let mut line: String = words
        .split(|character: char| character.is_control())
        .map(str::trim)
        .filter(|part| !part.is_empty())
        .collect::<Vec<_>>()
        .join("; ")
        .replace('<', "‹")
        .replace('>', "›");
    if let Some((end, _)) = line.char_indices().nth(LONGEST_PROBLEM) {
        line.truncate(end);
        line.push('…');
    }
    line
}

#[cfg(test)]
pub(crate) mod tests;
