//! Reports of made-up runs, through the program's own writer. No expectation lives here.

use rosterd::model::attributes::{AttributePath, Scalar};
use rosterd::model::id::{SourceId, TargetId};
use rosterd::model::plan::{Change, Situation, Verb};
use rosterd::model::report::{
    ActionRecord, GuardFact, HoldFact, Mode, Outcome, RunFacts, RunResult, Seats, SourceFacts, Summary,
    TargetFacts, Trigger,
};
use rosterd::model::time::Millis;
use rosterd::report::{Format, Length, Screen, SyncReport, Wrapped, write};
use rosterd::spool::Spool;
use std::io::Write;

/// 2026-11-22T10:00:00Z
const START: Millis = Millis(1_795_341_600_000);

/// One sync's run, before it is spooled, so that it can be written more than once.
#[derive(Debug, Clone)]
pub(crate) struct Made {
    pub(crate) facts: RunFacts,
    pub(crate) records: Vec<ActionRecord>,
}

impl Made {
    /// A run that wrote.
    pub(crate) fn run(sync: &str, records: Vec<ActionRecord>) -> Made {
        let mut summary = Summary { unchanged: 16, ..Summary::default() };
        records.iter().for_each(|record| summary.count(record.action, record.outcome));
        let facts = RunFacts {
            sync: sync.to_owned(),
            run: Some(17),
            mode: Mode::Apply,
            trigger: Trigger::Manual,
            result: RunResult::Ok,
            started_at: START,
            finished_at: Millis(START.0 + 4000),
            passes: 1,
            first_contact: false,
            source: SourceFacts {
                kind: "okta".to_owned(),
                users: 20,
                pages: 1,
                requests: 3,
                complete: true,
                problem: None,
            },
            target: TargetFacts { dialect: "wrike".to_owned(), requests: 5, rate_limited: 0, problem: None },
            summary,
            seats: Seats { before: 19, after: 20, limit: None },
            guards: vec![
                guard("max_removals", Some(50.0), 1.0, false),
                guard("max_removals_percent", Some(10.0), 5.26, false),
                guard("everybody_would_go", None, 1.0, false),
            ],
            holds: Vec::new(),
            notes: Vec::new(),
        };
        Made { facts, records }
    }

    /// The same as a dry run.
    pub(crate) fn dry(mut self) -> Made {
        (self.facts.mode, self.facts.run) = (Mode::DryRun, None);
        self
    }

    /// The same with another end.
    pub(crate) fn ends(mut self, result: RunResult) -> Made {
        self.facts.result = result;
        self
    }

    pub(crate) fn report(&self) -> SyncReport {
        let mut records = Spool::default();
        self.records.iter().for_each(|record| {
            records.push(record).unwrap();
        });
        SyncReport { facts: self.facts.clone(), records }
    }
}

/// The report as the program writes it.
pub(crate) fn written(format: Format, runs: &[Made]) -> String {
    let mut reports: Vec<SyncReport> = runs.iter().map(Made::report).collect();
    let mut bytes = Vec::new();
    write(format, &mut reports, &mut bytes).unwrap();
    String::from_utf8(bytes).unwrap()
}

/// The text report as a file or a pipe gets it.
pub(crate) fn plain(runs: &[Made]) -> String {
    anstream::adapter::strip_str(&written(Format::Text(Length::Full), runs)).to_string()
}

/// The text report as a terminal shows it.
pub(crate) fn on_a_terminal(runs: &[Made], columns: usize) -> String {
    let text = written(Format::Text(Length::Full).on_screen(), runs);
    let mut bytes = Vec::new();
    let mut wrapped = Wrapped::new(&mut bytes, Screen::Terminal(Some(columns)));
    wrapped.write_all(text.as_bytes()).unwrap();
    wrapped.flush().unwrap();
    anstream::adapter::strip_str(&String::from_utf8(bytes).unwrap()).to_string()
}

pub(crate) fn guard(name: &str, limit: Option<f64>, value: f64, tripped: bool) -> GuardFact {
    GuardFact { guard: name.to_owned(), limit, value, tripped }
}

pub(crate) fn hold(class: Verb, count: u64, reason: &str) -> HoldFact {
    HoldFact {
        id: "h7".to_owned(),
        revision: 2,
        class,
        reason: reason.to_owned(),
        count,
        digest: "5c1f".to_owned(),
        expires_at: "2026-11-25T10:00:00Z".to_owned(),
        decided: None,
    }
}

pub(crate) fn change(path: &str, from: Option<&str>, to: Option<&str>) -> Change {
    let scalar = |text: &str| match text {
        "true" | "false" => Scalar::Flag(text == "true"),
        other => Scalar::from(other),
    };
    Change { path: AttributePath::parse(path).unwrap(), from: from.map(scalar), to: to.map(scalar) }
}

/// A person whose action went as planned.
pub(crate) fn person(user: &str, action: Verb, reason: &str, changes: Vec<Change>) -> ActionRecord {
    let situation = match action {
        Verb::Create => Situation::Absent,
        Verb::Adopt => Situation::Found,
        Verb::Update => Situation::Confirmed,
        Verb::Reactivate => Situation::Returning,
        Verb::Deactivate | Verb::Delete => Situation::Leaver,
        Verb::Block => Situation::Blocked,
        Verb::Skip => Situation::Waiting,
    };
    let outcome = if action.is_write() { Outcome::Applied } else { Outcome::Skipped };
    ActionRecord {
        action,
        user: user.to_owned(),
        source_id: Some(SourceId::new(format!("00u{}", user.chars().count()))),
        target_id: (action != Verb::Block).then(|| TargetId::new(format!("KUA{}", user.chars().count()))),
        situation,
        reason: reason.to_owned(),
        changes,
        outcome,
        status: action.is_write().then_some(200),
        detail: None,
        attempts: u32::from(action.is_write()),
        cause: None,
        waits_for: None,
        owed_since: None,
    }
}

/// The same with another end and the words that go with it.
pub(crate) fn ended(
    record: ActionRecord,
    outcome: Outcome,
    status: Option<u16>,
    detail: &str,
) -> ActionRecord {
    ActionRecord { outcome, status, detail: Some(detail.to_owned()), ..record }
}

pub(crate) fn joiner(user: &str, given: &str, family: &str, title: &str) -> ActionRecord {
    let changes = vec![
        change("emails[primary eq true].value", None, Some(user)),
        change("name.familyName", None, Some(family)),
        change("name.givenName", None, Some(given)),
        change("title", None, Some(title)),
        change("userName", None, Some(user)),
    ];
    person(user, Verb::Create, "assigned and has no account", changes)
}

pub(crate) fn mover(user: &str, from: &str, to: &str) -> ActionRecord {
    person(user, Verb::Update, "title differs", vec![change("title", Some(from), Some(to))])
}

pub(crate) fn leaver(user: &str) -> ActionRecord {
    let changes = vec![change("active", Some("true"), Some("false"))];
    person(user, Verb::Deactivate, "no longer assigned to the app", changes)
}
