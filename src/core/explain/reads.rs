//! Which reads of everybody an explanation from stored data rests on, in words.
//!
//! What lives here: how far "not listed" may be said. What must not: finding the runs (`store`).

use crate::model::explain::LastRead;
use crate::model::time::Millis;

/// A complete read by a run that did not come to say where everybody stands.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct UntoldRead {
    /// The run.
    pub run: i64,
    /// When it began.
    pub started_at: Millis,
    /// It was about some people only: a saved plan or a repair.
    pub of_some: bool,
    /// What was in its way, as far as it is on record.
    pub problem: Option<String>,
}

impl UntoldRead {
    /// What it means for whatever is explained from stored data.
    pub(super) fn trouble(&self) -> String {
        let UntoldRead { run, started_at, of_some, problem } = self;
        let problem = problem.as_deref().and_then(|problem| problem.lines().next());
        let what = match (of_some, problem) {
            (true, _) => "was to tell of some people only".to_owned(),
            (false, Some(problem)) => format!("could not be finished: {problem}"),
            (false, None) => "could not be finished, or what it told is not on record".to_owned(),
        };
        format!("run {run} read everybody at {} and {what}", started_at.rfc3339())
    }
}

/// Why nothing on record is about somebody, as far as the reads on record can say.
pub(super) fn not_listed(
    told: Option<&LastRead>,
    untold: Option<&UntoldRead>,
    app: &str,
    vendor: &str,
) -> String {
    let read = if untold.is_some() { "complete read that told of everybody" } else { "complete read" };
    let told = told.map(|LastRead { run, started_at, people }| {
        format!(
            "the last {read} (run {run} at {}, {people} listed) did not list this person",
            started_at.rfc3339()
        )
    });
    match (told, untold) {
        (Some(told), None) => {
            format!("{told}: not assigned to app {app} in {vendor}, or the login is spelled otherwise")
        }
        (Some(told), Some(UntoldRead { run, .. })) => {
            format!("{told}; run {run} read everybody after it, and whom it found is not on record")
        }
        (None, Some(UntoldRead { run, .. })) => format!(
            "run {run} read everybody, and whom it found is not on record: nothing can be said of who is not assigned \
             to app {app} in {vendor}"
        ),
        (None, None) => {
            "no complete read of the app's people is on record yet, so nothing can be said of who is not \
                         in it"
                .to_owned()
        }
    }
}
