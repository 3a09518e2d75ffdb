//! Our clock, held against both sides before the first write.
//!
//! What lives here: hearing the witnesses, and what a clock that is wrong keeps from being done. What must not: the
//! comparison (`core::clock`).

use crate::core::clock::{ClockTrust, Witness, judge_clock};
use crate::engine::context::RunContext;
use crate::engine::error::RunError;
use crate::engine::heartbeat::beat;
use crate::http::clock::ClockWitness;
use crate::model::time::Millis;
use crate::scim::target::Observe;

/// What the witnesses say now. `ask`: the workspace is asked once where it has not been heard in the last hour. Any answer
/// tells the time; that there is none keeps no leaver in, since what is sent next meets the same.
pub(crate) async fn trust_in_clock<O: Observe>(
    context: &RunContext<'_, O>,
    ask: bool,
) -> Result<ClockTrust, RunError> {
    if ask && context.target.clock_witness().is_none() {
        match beat(context, None).await {
            Ok(()) | Err(RunError::Target(_)) => {}
            Err(error) => return Err(error),
        }
    }
    let witness = |name, heard: Option<ClockWitness>| {
        heard.map(|heard| Witness { name, offset_millis: heard.offset_now_millis() })
    };
    let witnesses: Vec<Witness> = [
        witness("identity provider", context.source.clock_witness()),
        witness("workspace", context.target.clock_witness()),
    ]
    .into_iter()
    .flatten()
    .collect();
    let now = Millis::now();
    Ok(judge_clock(&witnesses, |offset| Millis(now.0.saturating_add(offset)).rfc3339()))
}
