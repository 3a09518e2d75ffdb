//! What the template of a person's page is given: an explanation from stored data. Texts are visible already; no markup
//! lives here.

use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};
use serde::Serialize;

use super::{shown, words};
use crate::model::explain::{
    Explanation, Fate, Guards, Judged, LastRead, LinkExplained, MappingStep, Nobody, OwedExplained,
    PersonExplained, PersonHold, Remembered, ScopeStep, SyncExplained,
};
use crate::model::history::{Attempt, AttemptOutcome};
use crate::model::report::ActionRecord;
use crate::model::status::FailingPerson;
use crate::model::time::Millis;
use crate::report::history::outcome_words;
use crate::report::status::{next_try, span, times};
use crate::report::text::{change_line, count, detail_label, sign, value};

/// The page about one person, or the one that asks who.
#[derive(Debug, Serialize)]
pub struct PersonPage {
    asked: bool,
    who: String,
    known: bool,
    syncs: Vec<Part>,
}

impl PersonPage {
    /// Nobody was asked for.
    pub fn nobody() -> PersonPage {
        PersonPage { asked: false, who: String::new(), known: false, syncs: Vec::new() }
    }

    /// What is stored; `problems` are syncs that cannot tell anything, and why.
    pub fn new(explanation: &Explanation, problems: &[(String, String)]) -> PersonPage {
        let Explanation { schema: _, rosterd: _, generated_at, who, known, syncs } = explanation;
        let mut parts: Vec<Part> =
            syncs.iter().enumerate().map(|(index, sync)| Part::new(index, sync, *generated_at)).collect();
        parts.extend(problems.iter().enumerate().map(|(index, (name, problem))| Part {
            index: syncs.len() + index,
            name: shown(name),
            problem: shown(problem),
            ..Part::default()
        }));
        // Where it cannot be told, it cannot be said that nobody knows.
        PersonPage { asked: true, who: shown(who), known: *known || !problems.is_empty(), syncs: parts }
    }

    pub(super) fn who(&self) -> &str {
        &self.who
    }
}

#[derive(Debug, Default, Serialize)]
struct Part {
    index: usize,
    name: String,
    problem: String,
    read: Option<Read>,
    troubles: Vec<String>,
    nobody: Option<NobodyCard>,
    people: Vec<PersonCard>,
}

#[derive(Debug, Serialize)]
struct Read {
    run: i64,
    ago: String,
    people: String,
}

#[derive(Debug, Serialize)]
struct NobodyCard {
    why: Vec<String>,
    similar: Vec<Similar>,
    next: Vec<Sentence>,
}

#[derive(Debug, Serialize)]
struct Similar {
    name: String,
    link: String,
}

fn all_shown(texts: &[String]) -> Vec<String> {
    texts.iter().map(|text| shown(text)).collect()
}

/// A sentence with its commands apart: they stand between backticks.
type Sentence = Vec<Words>;

#[derive(Debug, PartialEq, Eq, Serialize)]
struct Words {
    code: bool,
    text: String,
}

fn sentence(text: &str) -> Sentence {
    let pieces = text.split('`').enumerate().filter(|(_, piece)| !piece.is_empty());
    pieces.map(|(index, piece)| Words { code: index % 2 == 1, text: shown(piece) }).collect()
}

impl Part {
    fn new(index: usize, sync: &SyncExplained, now: Millis) -> Part {
        let read = sync.last_read.as_ref().map(|LastRead { run, started_at, people }| Read {
            run: *run,
            ago: span(now.since(*started_at)),
            people: count(*people, "person", "people"),
        });
        let similar = |name: &String| Similar {
            name: shown(name),
            link: utf8_percent_encode(name, NON_ALPHANUMERIC).to_string(),
        };
        // From stored data nobody has looked for accounts.
        let nobody =
            sync.nobody.as_ref().map(|Nobody { why, similar: names, next, accounts: _ }| NobodyCard {
                why: all_shown(why),
                similar: names.iter().map(similar).collect(),
                next: next.iter().map(|text| sentence(text)).collect(),
            });
        Part {
            index,
            name: shown(&sync.name),
            problem: String::new(),
            read,
            troubles: all_shown(&sync.troubles),
            nobody,
            people: sync.people.iter().map(|person| PersonCard::new(person, now)).collect(),
        }
    }
}

/// Somebody whom the name means.
#[derive(Debug, Serialize)]
struct PersonCard {
    user: String,
    id: String,
    answer: String,
    next: Vec<Sentence>,
    holds: Vec<Hold>,
    groups: Vec<Group>,
    mappings: Vec<Step>,
    attempts: Vec<Try>,
}

/// Lines under a heading.
#[derive(Debug, Serialize)]
struct Group {
    heading: &'static str,
    lines: Vec<Line>,
}

#[derive(Debug, Serialize)]
struct Line {
    label: String,
    text: String,
}

fn line(label: &str, text: impl AsRef<str>) -> Line {
    Line { label: shown(label), text: shown(text.as_ref()) }
}

impl PersonCard {
    fn new(person: &PersonExplained, now: Millis) -> PersonCard {
        let groups = [
            Group { heading: "At the source", lines: at_the_source(person) },
            Group { heading: "Linked account", lines: linked(person.link.as_ref()) },
            Group { heading: "What a run does", lines: planned(person, now) },
            Group { heading: "Guards", lines: guarded(&person.guards) },
            Group { heading: "Owed", lines: owed(&person.owed) },
            Group { heading: "Failing", lines: failing(person.failing.as_ref()) },
        ];
        PersonCard {
            user: shown(&person.user),
            id: shown(person.source_id.as_str()),
            answer: shown(&person.answer),
            next: person.next.iter().map(|text| sentence(text)).collect(),
            holds: person.guards.holds.iter().map(Hold::new).collect(),
            groups: groups.into_iter().filter(|group| !group.lines.is_empty()).collect(),
            mappings: person.mappings.iter().map(Step::new).collect(),
            attempts: person.attempts.iter().map(Try::new).collect(),
        }
    }
}

fn at_the_source(person: &PersonExplained) -> Vec<Line> {
    let mut lines = Vec::new();
    for (label, judged) in [("Lifecycle", &person.lifecycle), ("Assignment", &person.assignment)] {
        lines.extend(judged.as_ref().map(|Judged { value, why }| line(label, format!("{value}: {why}"))));
    }
    if let Some(ScopeStep { filter, names, domains, value, why }) = &person.scope {
        lines.push(line("Scope", format!("{value}: {why}")));
        lines.extend(filter.as_ref().map(|filter| line("scope.filter", filter)));
        for (name, held) in names {
            lines
                .push(line(name, held.as_deref().map_or("missing".to_owned(), |held| format!("\"{held}\""))));
        }
        if !domains.is_empty() {
            lines.push(line("scope.domains", domains.join(", ")));
        }
    }
    lines
}

fn linked(link: Option<&LinkExplained>) -> Vec<Line> {
    let Some(link) = link else { return vec![line("Account", "none is linked to this person")] };
    let since = link.since.map(|since| format!(" since {}", words(since))).unwrap_or_default();
    let seat = if link.billable { "takes a seat" } else { "takes no seat" };
    let mut lines = vec![
        line("Account", format!("{} ({})", link.target_id, link.user_name)),
        line("State", format!("{}{since}, {seat}", link.state)),
    ];
    if let Some(since) = link.absent_since {
        lines.push(line("Not listed", format!("by complete reads since {}", words(since))));
    }
    for Remembered { path, kind, sent, returned, detail, at } in &link.remembered {
        let sent = sent.as_ref().map(|sent| format!(": sent {}", value(sent))).unwrap_or_default();
        let returned = returned.as_ref().map(|shown| format!(", shows {}", value(shown))).unwrap_or_default();
        let at = at.map(|at| format!(" on {}", words(at))).unwrap_or_default();
        let detail = detail.as_ref().map(|detail| format!(" ({detail})")).unwrap_or_default();
        lines.push(line("Remembered", format!("{path} {kind}{at}{sent}{returned}{detail}")));
    }
    lines
}

fn planned(person: &PersonExplained, now: Millis) -> Vec<Line> {
    let mut lines = Vec::new();
    if let (Some(run), Some(at)) = (person.told_by_run, person.as_of) {
        lines.push(line("Told by", format!("run {run}, still true {} ago", span(now.since(at)))));
    }
    let Some(record) = &person.action else {
        lines.push(line("Action", if person.link.is_some() { "none: unchanged" } else { "none" }));
        return lines;
    };
    let ActionRecord { action, situation, reason, changes, outcome, detail, .. } = record;
    lines.push(line("Situation", situation.as_str()));
    lines.push(line("Action", format!("{}: {reason}", action.as_str())));
    if action.is_write() {
        lines.push(line("Outcome", outcome.as_str()));
        lines.extend(changes.iter().map(|change| line("Change", change_line(change))));
    }
    lines.extend(detail.as_ref().map(|detail| line(detail_label(*outcome), detail)));
    lines
}

fn guarded(guards: &Guards) -> Vec<Line> {
    // The holds stand above, with their commands; limits belong to a plan, and none is made here.
    let Guards { protected, holds: _, pin, paused, paused_until, quarantine, seats, limits: _ } = guards;
    let mut lines = Vec::new();
    lines.extend(protected.as_ref().map(|why| line("Protected", why)));
    if let Some(pin) = pin {
        let verb = pin.verb.map(|verb| format!(" ({})", verb.as_str())).unwrap_or_default();
        lines.push(line("Pinned", format!("{}{verb}", pin.reason)));
        lines.push(line("Lift it with", &pin.lift));
    }
    if *paused {
        let until =
            paused_until.map_or("until resumed".to_owned(), |until| format!("until {}", words(until)));
        lines.push(line("Paused", until));
    }
    if let Some(quarantine) = quarantine {
        lines.push(line("Quarantine", format!("until {}: {}", words(quarantine.until), quarantine.reason)));
    }
    let limit = seats.limit.map(|limit| format!(", limit {limit}")).unwrap_or_default();
    lines.push(line("Seats", format!("{} billable{limit}", seats.billable)));
    lines
}

fn owed(owed: &[OwedExplained]) -> Vec<Line> {
    let mut lines = Vec::new();
    for change in owed {
        lines.push(line("Owed", change.describe()));
        if !change.detail.is_empty() {
            lines.push(line("Why", &change.detail));
        }
        lines.extend(change.command.as_ref().map(|command| line("Change it with", command)));
    }
    lines
}

fn failing(failing: Option<&FailingPerson>) -> Vec<Line> {
    let Some(FailingPerson { user: _, source_id: _, failures, since, wait_runs, detail }) = failing else {
        return Vec::new();
    };
    vec![
        line("Refused", format!("{} since {}; {}", times(*failures), words(*since), next_try(*wait_runs))),
        line("The target says", detail),
    ]
}

/// An open hold with this person in it.
#[derive(Debug, Serialize)]
struct Hold {
    id: String,
    state: String,
    reason: String,
    since: String,
    since_words: String,
    until: String,
    until_words: String,
    approve: String,
    reject: String,
}

impl Hold {
    fn new(hold: &PersonHold) -> Hold {
        let state = if hold.approved { "is approved and not sent yet" } else { "waits for approval" };
        Hold {
            id: shown(&hold.id),
            state: format!("{} {state}", hold.class.as_str()),
            reason: shown(&hold.reason),
            since: hold.since.rfc3339(),
            since_words: words(hold.since),
            until: hold.expires_at.rfc3339(),
            until_words: words(hold.expires_at),
            approve: shown(&hold.approve),
            reject: shown(&hold.reject),
        }
    }
}

/// One attribute.
#[derive(Debug, Serialize)]
struct Step {
    path: String,
    expression: String,
    value: String,
    fate: &'static str,
    class: &'static str,
    why: String,
}

impl Step {
    fn new(step: &MappingStep) -> Step {
        let MappingStep { path, expression, value: given, at_target: _, fate, why } = step;
        Step {
            path: shown(path.as_str()),
            expression: shown(expression),
            value: given.as_ref().map_or("nothing".to_owned(), value),
            fate: fate.as_str(),
            class: match fate {
                Fate::Sent | Fate::Cleared => "good",
                Fate::Waits | Fate::Ignored | Fate::Withheld => "middling",
                Fate::Refused | Fate::Failed => "bad",
                Fate::Kept | Fate::Omitted | Fate::Dropped | Fate::NotSent => "",
            },
            why: shown(why),
        }
    }
}

/// One attempt.
#[derive(Debug, Serialize)]
struct Try {
    at: String,
    at_words: String,
    run: i64,
    verb: &'static str,
    sign: char,
    outcome: &'static str,
    class: &'static str,
    detail: String,
    reason: String,
    approved_by: String,
    changes: Vec<String>,
}

impl Try {
    fn new(attempt: &Attempt) -> Try {
        let status = attempt.status.map(|status| format!("{status}: ")).unwrap_or_default();
        Try {
            at: attempt.at.rfc3339(),
            at_words: words(attempt.at),
            run: attempt.run,
            verb: attempt.action.as_str(),
            sign: sign(attempt.action),
            outcome: outcome_words(attempt.outcome),
            class: match attempt.outcome {
                AttemptOutcome::Applied => "good",
                AttemptOutcome::Refused => "bad",
                AttemptOutcome::NotSent | AttemptOutcome::Unknown => "middling",
            },
            detail: attempt
                .detail
                .as_ref()
                .map(|detail| format!("{status}{}", shown(detail)))
                .unwrap_or_default(),
            reason: shown(&attempt.reason),
            approved_by: shown(attempt.approved_by.as_deref().unwrap_or_default()),
            changes: attempt.changes.iter().map(change_line).collect(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn commands_stand_apart_in_a_sentence_and_keep_their_order() {
        let pieces: Vec<(bool, String)> = sentence("`a b` releases it; `c`\u{202e}")
            .into_iter()
            .map(|words| (words.code, words.text))
            .collect();
        let expected = [(true, "a b"), (false, " releases it; "), (true, "c"), (false, "\\u{202e}")];
        assert_eq!(pieces, expected.map(|(code, text)| (code, text.to_owned())));
    }
}
