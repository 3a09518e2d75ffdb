//! What the template of the first page is given: how each sync is doing, its last runs, how long leavers kept their
//! access. Texts are visible already; no markup lives here.

use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};
use serde::Serialize;

use super::{shown, words};
use crate::model::history::RunLine;
use crate::model::owed::WaitMeaning;
use crate::model::report::{Mode, RunResult, Summary};
use crate::model::revocation::{Revocations, Share};
use crate::model::status::{
    DriftStatus, FailingPerson, HoldStatus, LastRun, LeaverWithAccess, OpenRun, QuarantineStatus, SeatCount,
    SyncStatus, UnconfiguredSync,
};
use crate::model::time::Millis;
use crate::report::html::result_class;
use crate::report::status::{attributes_text, drift_text, next_try, owed_text, span, times};
use crate::report::text::{count, summary_text};

/// Height of a run's column, in its own units.
const COLUMN: f64 = 40.0;
/// Changes that fill the column; the scale is logarithmic, so that one change is seen beside a thousand.
const FULL_COLUMN: f64 = 1000.0;

/// Leavers who are rows of the page.
const LEAVERS_SHOWN: usize = 25;

/// The first page.
#[derive(Debug, Serialize)]
pub struct StatusPage {
    healthy: bool,
    headline: String,
    syncs: Vec<Card>,
    unconfigured: Vec<String>,
}

impl StatusPage {
    /// Each sync as `status` judges it, with its runs (the newest first) and what leavers' access took.
    pub fn new(
        syncs: Vec<(SyncStatus, Vec<RunLine>, Revocations)>,
        unconfigured: &[UnconfiguredSync],
        now: Millis,
    ) -> StatusPage {
        let all = syncs.len() as u64;
        let unwell = syncs.iter().filter(|(status, _, _)| !status.healthy).count();
        let headline = match (unwell, all) {
            (0, 1) => "The sync is healthy".to_owned(),
            (0, _) => format!("All {all} syncs are healthy"),
            (_, 1) => "The sync needs attention".to_owned(),
            (unwell, _) => {
                format!("{unwell} of {all} syncs {} attention", if unwell == 1 { "needs" } else { "need" })
            }
        };
        let card =
            |(index, (status, runs, revocations)): (usize, (SyncStatus, Vec<RunLine>, Revocations))| {
                Card::new(index, &status, &runs, &revocations, now)
            };
        StatusPage {
            healthy: unwell == 0,
            headline,
            syncs: syncs.into_iter().enumerate().map(card).collect(),
            unconfigured: unconfigured.iter().map(|sync| shown(&sync.describe())).collect(),
        }
    }

    pub(super) fn headline(&self) -> &str {
        &self.headline
    }

    pub(super) fn is_healthy(&self) -> bool {
        self.healthy
    }
}

/// One sync.
#[derive(Debug, Serialize)]
struct Card {
    index: usize,
    name: String,
    /// The part of an address that means this sync.
    query: String,
    healthy: bool,
    leavers: Vec<LeaverRow>,
    leavers_all: u64,
    leavers_more: u64,
    problems: Vec<String>,
    notices: Vec<String>,
    source: String,
    target: String,
    tiles: Vec<Tile>,
    facts: Vec<Fact>,
    holds: Vec<HoldCard>,
    failing: Vec<FailingRow>,
    failing_more: u64,
    runs: Vec<Tick>,
    revoked: Option<Spread>,
}

impl Card {
    fn new(
        index: usize,
        status: &SyncStatus,
        runs: &[RunLine],
        revocations: &Revocations,
        now: Millis,
    ) -> Card {
        let (source, target) = (&status.source, &status.target);
        Card {
            index,
            name: shown(&status.name),
            query: format!("?sync={}", utf8_percent_encode(&status.name, NON_ALPHANUMERIC)),
            healthy: status.healthy,
            leavers: status
                .leavers_with_access
                .iter()
                .take(LEAVERS_SHOWN)
                .map(|leaver| LeaverRow::new(leaver, now))
                .collect(),
            leavers_all: status.leavers_with_access.len() as u64,
            leavers_more: status.leavers_with_access.len().saturating_sub(LEAVERS_SHOWN) as u64,
            problems: status.problems.iter().map(|problem| shown(problem)).collect(),
            notices: status.notices.iter().map(|notice| shown(notice)).collect(),
            source: shown(&format!("{} app {} at {}", source.kind, source.app_id, source.url)),
            target: shown(&format!("{} at {}", target.dialect, target.url)),
            tiles: tiles(status),
            facts: facts(status, now),
            holds: status.holds.iter().map(|hold| HoldCard::new(hold, now)).collect(),
            failing: status.failing.first.iter().map(FailingRow::new).collect(),
            failing_more: status.failing.count.saturating_sub(status.failing.first.len() as u64),
            runs: runs.iter().rev().map(Tick::new).collect(),
            revoked: Spread::new(revocations),
        }
    }
}

/// Somebody who left and still has access.
#[derive(Debug, Serialize)]
struct LeaverRow {
    user: String,
    link: String,
    class: &'static str,
    cause: &'static str,
    since: String,
    since_words: String,
    kept: String,
    waits_for: &'static str,
    next: String,
    detail: String,
}

impl LeaverRow {
    fn new(leaver: &LeaverWithAccess, now: Millis) -> LeaverRow {
        let LeaverWithAccess { user, source_id, since, cause, waits_for, next_try, detail } = leaver;
        let next = match (waits_for.meaning(), next_try) {
            (WaitMeaning::Undone | WaitMeaning::Wanted, Some(at)) => words(*at),
            (WaitMeaning::Undone, None) => "the next run".to_owned(),
            (WaitMeaning::Held, _) => "once it is approved".to_owned(),
            (WaitMeaning::Wanted, None) => "once that has ended".to_owned(),
        };
        LeaverRow {
            user: shown(user),
            link: utf8_percent_encode(source_id.as_str(), NON_ALPHANUMERIC).to_string(),
            class: if waits_for.needs_attention() { "t-failed" } else { "t-held" },
            cause,
            since: since.rfc3339(),
            since_words: words(*since),
            kept: span(now.since(*since)),
            waits_for: waits_for.describe(),
            next,
            detail: shown(detail),
        }
    }
}

/// A number.
#[derive(Debug, Serialize)]
struct Tile {
    label: &'static str,
    value: String,
    note: String,
    class: &'static str,
}

fn tiles(status: &SyncStatus) -> Vec<Tile> {
    let tile = |label, value: u64| Tile { label, value: value.to_string(), note: String::new(), class: "" };
    let striking =
        |label, value: u64, class| Tile { class: if value > 0 { class } else { "" }, ..tile(label, value) };
    let SeatCount { billable, limit } = status.seats;
    let full = limit.is_some_and(|limit| billable >= limit);
    let people = match status.people {
        Some(people) => tile("People at the source", people),
        None => {
            Tile {
                value: "–".to_owned(), note: "not read yet".to_owned(), ..tile("People at the source", 0)
            }
        }
    };
    let accounts = &status.accounts;
    vec![
        people,
        tile("Active accounts", accounts.active),
        tile("Deactivated", accounts.deactivated),
        tile("Adopted inactive", accounts.inactive),
        tile("Gone", accounts.gone),
        Tile {
            note: limit.map(|limit| format!("of {limit}")).unwrap_or_default(),
            class: if full { "failed" } else { "" },
            ..tile("Billable seats", billable)
        },
        striking("Leavers with access", status.leavers_with_access.len() as u64, "failed"),
        striking("Waiting for approval", status.held, "held"),
        striking("Failing", status.failing.count, "failed"),
    ]
}

/// A line about a sync, with its point in time.
#[derive(Debug, Serialize)]
struct Fact {
    label: &'static str,
    run: Option<i64>,
    text: String,
    at: Option<String>,
    at_words: String,
}

impl Fact {
    fn new(label: &'static str, text: String, at: Option<Millis>) -> Fact {
        let at_words = at.map(words).unwrap_or_default();
        Fact { label, run: None, text: shown(&text), at: at.map(Millis::rfc3339), at_words }
    }
}

fn facts(status: &SyncStatus, now: Millis) -> Vec<Fact> {
    let ago = |at: Millis| format!("{} ago", span(now.since(at)));
    let mut facts = vec![match status.last_success_at {
        Some(at) => Fact::new("Last success", ago(at), Some(at)),
        None => Fact::new("Last success", "none yet".to_owned(), None),
    }];
    facts.push(match status.target_answered_at {
        Some(at) => Fact::new("Workspace answered", ago(at), Some(at)),
        None => Fact::new("Workspace answered", "no run yet".to_owned(), None),
    });
    facts.push(match &status.last_run {
        Some(LastRun { run, result, trigger, started_at: _, finished_at }) => {
            let text =
                format!("{} (by {}), ended {}", result_words(*result), trigger.as_str(), ago(*finished_at));
            Fact { run: Some(*run), ..Fact::new("Last run", text, Some(*finished_at)) }
        }
        None => Fact::new("Last run", "none yet".to_owned(), None),
    });
    if let Some(OpenRun { run, trigger, started_at }) = &status.open_run {
        let text =
            format!("began {} by {}; it is going on, or was cut off", ago(*started_at), trigger.as_str());
        facts.push(Fact { run: Some(*run), ..Fact::new("Open run", text, Some(*started_at)) });
    }
    facts.push(match status.next_run_at {
        Some(at) => Fact::new("Next run", format!("in {}", span(at.since(now))), Some(at)),
        None => Fact::new("Next run", "never: the schedule has no further date".to_owned(), None),
    });
    if let Some(QuarantineStatus { until, reason }) = &status.quarantine {
        let reason = reason.lines().next().unwrap_or_default();
        facts.push(Fact::new("In quarantine until", reason.to_owned(), Some(*until)));
    }
    if status.paused {
        let text = status.paused_until.map_or("until `rosterd resume`", |_| "nothing is written until");
        facts.push(Fact::new("Paused", text.to_owned(), status.paused_until));
    }
    facts.push(match &status.drift {
        Some(DriftStatus { verified_at, drift, counts }) => {
            let text = format!("{}; verified {}", drift_text(*drift, counts), ago(*verified_at));
            Fact::new("Drift", text, Some(*verified_at))
        }
        None => Fact::new("Drift", "not verified yet".to_owned(), None),
    });
    facts.push(Fact::new("Else owed", owed_text(&status.owed), None));
    for (label, number, what) in [
        ("Pinned", status.pins, "by decision; `rosterd forget --lift WHO` ends one"),
        ("Kept by configuration", status.kept_by_configuration, "of people who left"),
    ] {
        if number > 0 {
            facts.push(Fact::new(label, format!("{number} {what}"), None));
        }
    }
    for (label, attributes) in [
        ("Not kept by the workspace", &status.ignored_attributes),
        ("Values refused by the workspace", &status.refused_attributes),
    ] {
        if !attributes.is_empty() {
            facts.push(Fact::new(label, attributes_text(attributes), None));
        }
    }
    facts
}

/// An open hold.
#[derive(Debug, Serialize)]
struct HoldCard {
    id: String,
    class: &'static str,
    people: String,
    reason: String,
    opened_at: String,
    opened_words: String,
    expires_at: String,
    expires_words: String,
    left: String,
    approve: String,
    reject: String,
}

impl HoldCard {
    fn new(hold: &HoldStatus, now: Millis) -> HoldCard {
        HoldCard {
            id: shown(&hold.id),
            class: hold.class.as_str(),
            people: count(hold.count, "person", "people"),
            reason: shown(&hold.reason),
            opened_at: hold.opened_at.rfc3339(),
            opened_words: words(hold.opened_at),
            expires_at: hold.expires_at.rfc3339(),
            expires_words: words(hold.expires_at),
            left: span(hold.expires_at.since(now)),
            approve: shown(&hold.approve),
            reject: shown(&hold.reject),
        }
    }
}

/// Somebody whose last write was refused.
#[derive(Debug, Serialize)]
struct FailingRow {
    user: String,
    link: String,
    times: String,
    since: String,
    since_words: String,
    next: String,
    detail: String,
}

impl FailingRow {
    fn new(person: &FailingPerson) -> FailingRow {
        let FailingPerson { user, source_id, failures, since, wait_runs, detail } = person;
        FailingRow {
            user: shown(user),
            link: utf8_percent_encode(source_id.as_str(), NON_ALPHANUMERIC).to_string(),
            times: times(*failures),
            since: since.rfc3339(),
            since_words: words(*since),
            next: next_try(*wait_runs),
            detail: shown(detail),
        }
    }
}

/// One run in the row of runs.
#[derive(Debug, Serialize)]
struct Tick {
    run: i64,
    class: &'static str,
    sign: char,
    top: String,
    height: String,
    words: String,
}

impl Tick {
    fn new(line: &RunLine) -> Tick {
        let (class, sign) = look(line.result);
        let summary = line.summary.unwrap_or_default();
        let height = COLUMN * share(&summary);
        Tick {
            run: line.run,
            class,
            sign,
            top: format!("{:.1}", COLUMN - height),
            height: format!("{height:.1}"),
            words: tick_words(line),
        }
    }
}

/// How much of its column a run fills.
fn share(summary: &Summary) -> f64 {
    let changes = summary.writes() + summary.held + summary.failed + summary.deferred;
    (((changes + 1) as f64).ln() / (FULL_COLUMN + 1.0).ln()).clamp(0.04, 1.0)
}

fn tick_words(line: &RunLine) -> String {
    let result = line.result.map_or("not ended", result_words);
    let mut text =
        format!("Run {}: {result}, by {}. {}", line.run, line.trigger.as_str(), words(line.started_at));
    if let Some(ended) = line.finished_at {
        text.push_str(&format!(", took {}", span(ended.since(line.started_at))));
    }
    text.push_str(". ");
    if let Some(summary) = &line.summary {
        text.push_str(&summary_text(summary, Mode::Apply));
    }
    text
}

/// The colour's name and the sign that says the same.
pub(super) fn look(result: Option<RunResult>) -> (&'static str, char) {
    let Some(result) = result else { return ("open", '…') };
    let sign = match result {
        RunResult::Ok => '✓',
        RunResult::Partial => '~',
        RunResult::Held => 'H',
        RunResult::SourceIncomplete
        | RunResult::SourceUnavailable
        | RunResult::TargetUnavailable
        | RunResult::Interrupted
        | RunResult::Error => '!',
    };
    (result_class(result), sign)
}

/// The result as people say it.
pub(super) fn result_words(result: RunResult) -> &'static str {
    match result {
        RunResult::Ok => "ok",
        RunResult::Partial => "partial",
        RunResult::Held => "held",
        RunResult::SourceIncomplete => "source incomplete",
        RunResult::SourceUnavailable => "source unavailable",
        RunResult::TargetUnavailable => "target unavailable",
        RunResult::Interrupted => "interrupted",
        RunResult::Error => "error",
    }
}

/// How long leavers kept their access: a table whose cells are bars.
#[derive(Debug, Serialize)]
struct Spread {
    caption: String,
    note: String,
    rows: Vec<SpreadRow>,
}

#[derive(Debug, Serialize)]
struct SpreadRow {
    label: String,
    count: u64,
    width: String,
}

impl Spread {
    fn new(revocations: &Revocations) -> Option<Spread> {
        let since = revocations.since?;
        let [half, most, all] =
            [50, 95, 100].map(|percent| span(revocations.within(percent).unwrap_or_default()));
        let people = revocations.millis.len() as u64;
        let spread = revocations.spread();
        let largest = spread.iter().map(|share| share.people).max().unwrap_or_default().max(1);
        // What nobody took so long for need not be shown; the shorter times need, because zero there is news.
        let last = spread.iter().rposition(|share| share.people > 0).unwrap_or_default();
        let mut before = 0;
        let mut rows = Vec::new();
        for (index, Share { within_millis, people }) in spread.into_iter().enumerate() {
            if index <= last.max(3) {
                let label = within_millis.map_or_else(|| format!("more than {}", bound(before)), bound);
                let width = format!("{:.1}", 100.0 * people as f64 / largest as f64);
                rows.push(SpreadRow { label, count: people, width });
            }
            before = within_millis.unwrap_or(before);
        }
        Some(Spread {
            caption: format!(
                "Half of {} lost access within {half}, 95% within {most}, everybody within {all}.",
                if people == 1 { "1 leaver".to_owned() } else { format!("{people} leavers") }
            ),
            note: format!(
                "From the change at the source (its event, else the last complete read that still showed the person) \
                 to the account confirmed inactive; measured by the daemon since {}.",
                words(since)
            ),
            rows,
        })
    }
}

/// A bound in its largest unit that is whole.
fn bound(millis: i64) -> String {
    let seconds = millis / 1000;
    let (number, unit) = match seconds {
        0..60 => (seconds, "s"),
        60..3_600 => (seconds / 60, "min"),
        3_600..86_400 => (seconds / 3_600, "h"),
        _ => (seconds / 86_400, "day"),
    };
    format!("{number} {unit}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_spread_says_in_words_what_its_bars_show() {
        let millis = vec![4_000, 9_000, 20_000, 400_000];
        let spread = Spread::new(&Revocations { since: Some(Millis(0)), millis }).unwrap();
        assert_eq!(
            spread.caption,
            "Half of 4 leavers lost access within 9 seconds, 95% within 6 minutes, everybody within 6 minutes."
        );
        let rows: Vec<(&str, u64, &str)> =
            spread.rows.iter().map(|row| (row.label.as_str(), row.count, row.width.as_str())).collect();
        assert_eq!(
            rows,
            [
                ("15 s", 2, "100.0"),
                ("30 s", 1, "50.0"),
                ("1 min", 0, "0.0"),
                ("5 min", 0, "0.0"),
                ("15 min", 1, "50.0")
            ]
        );
        assert!(Spread::new(&Revocations::default()).is_none(), "nobody left, nothing is claimed");
    }

    #[test]
    fn the_longest_time_of_all_has_a_row_without_a_bound() {
        let spread = Spread::new(&Revocations { since: Some(Millis(0)), millis: vec![90_000_000] }).unwrap();
        assert_eq!(spread.rows.last().unwrap().label, "more than 1 day");
        assert_eq!(spread.rows.len(), 9);
    }

    #[test]
    fn one_change_is_seen_and_a_thousand_fill_the_column() {
        let of = |create| share(&Summary { create, ..Summary::default() });
        assert!(of(0) < of(1) && of(1) < of(10) && of(10) < of(1000));
        assert_eq!((of(0), of(1000), of(100_000)), (0.04, 1.0, 1.0));
    }
}
