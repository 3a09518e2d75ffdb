//! What the template of the list of runs is given. Texts are visible already; no markup lives here.

use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};
use serde::Serialize;

use super::overview::{look, result_words};
use super::{shown, words};
use crate::model::history::RunLine;
use crate::model::report::Mode;
use crate::report::status::span;
use crate::report::text::summary_text;

/// Part of the list of runs.
#[derive(Debug, Serialize)]
pub struct RunsPage {
    syncs: Vec<Choice>,
    failed: bool,
    runs: Vec<Row>,
    newest: Option<String>,
    older: Option<String>,
}

#[derive(Debug, Serialize)]
struct Choice {
    name: String,
    shown: String,
    chosen: bool,
}

#[derive(Debug, Serialize)]
struct Row {
    run: i64,
    sync: String,
    trigger: &'static str,
    started_at: String,
    started_words: String,
    took: String,
    class: &'static str,
    sign: char,
    result: &'static str,
    counts: String,
    problem: String,
}

impl RunsPage {
    /// These runs, the newest first. `syncs` are all there are, `chosen` and `failed` what was asked for; `is_first`:
    /// nothing newer was left out; `has_more`: something older was.
    pub fn new(
        syncs: &[String],
        (chosen, failed): (Option<&str>, bool),
        runs: &[RunLine],
        (is_first, has_more): (bool, bool),
    ) -> RunsPage {
        let address = |before: Option<i64>| {
            let mut parts = Vec::new();
            parts.extend(chosen.map(|name| format!("sync={}", utf8_percent_encode(name, NON_ALPHANUMERIC))));
            parts.extend(failed.then(|| "failed=true".to_owned()));
            parts.extend(before.map(|run| format!("before={run}")));
            if parts.is_empty() { "/runs".to_owned() } else { format!("/runs?{}", parts.join("&")) }
        };
        let choice = |name: &String| Choice {
            name: name.clone(),
            shown: shown(name),
            chosen: chosen == Some(name.as_str()),
        };
        RunsPage {
            syncs: syncs.iter().map(choice).collect(),
            failed,
            runs: runs.iter().map(Row::new).collect(),
            newest: (!is_first).then(|| address(None)),
            older: runs.last().filter(|_| has_more).map(|last| address(Some(last.run))),
        }
    }
}

impl Row {
    fn new(line: &RunLine) -> Row {
        let (class, sign) = look(line.result);
        Row {
            run: line.run,
            sync: shown(&line.sync),
            trigger: line.trigger.as_str(),
            started_at: line.started_at.rfc3339(),
            started_words: words(line.started_at),
            took: line.finished_at.map(|at| span(at.since(line.started_at))).unwrap_or_default(),
            class,
            sign,
            result: line.result.map_or("not ended", result_words),
            counts: line
                .summary
                .as_ref()
                .map(|summary| summary_text(summary, Mode::Apply))
                .unwrap_or_default(),
            problem: shown(line.problem.as_deref().and_then(|text| text.lines().next()).unwrap_or_default()),
        }
    }
}
