//! The answers: each from stored data, each read afresh.

use axum::extract::rejection::{PathRejection, QueryRejection};
use axum::extract::{Path, Query, State};
use axum::http::StatusCode;
use axum::http::header::CONTENT_TYPE;
use axum::response::{IntoResponse, Response};
use serde::Deserialize;
use serde_json::json;

use super::{HttpState, Shared};
use crate::core::status::status as judged;
use crate::model::status::Status;
use crate::model::time::Millis;
use crate::report::{self, Format, History, visible};
use crate::store::{Past, StoreError};
use crate::telemetry::metrics::CONTENT_TYPE as OPEN_METRICS;

/// People of a run that is shown whole; a larger one is for a file.
pub(super) const LARGEST_RUN: u64 = 100_000;

/// Runs that are listed unless somebody asks for another number.
const FEW_RUNS: u32 = 30;
const MOST_RUNS: u32 = 1000;

const JSON: &str = "application/json";

/// 200 while the loop turns.
pub(super) async fn health(State(shared): State<Shared>) -> Response {
    let heartbeat = &shared.state.heartbeat;
    if heartbeat.is_alive() {
        return (StatusCode::OK, "ok\n").into_response();
    }
    let text = format!("the loop has not turned for {} s\n", heartbeat.age().as_secs());
    (StatusCode::SERVICE_UNAVAILABLE, text).into_response()
}

/// 200 once every sync had a success and none is in quarantine.
pub(super) async fn readiness(State(shared): State<Shared>) -> Response {
    let status = match gathered(&shared.state).await {
        Ok(status) => status,
        Err(error) => return failed(&error),
    };
    let mut reasons = Vec::new();
    for sync in &status.syncs {
        if sync.last_success_at.is_none() {
            reasons.push(format!("sync \"{}\": no full run has succeeded yet", sync.name));
        }
        if let Some(quarantine) = &sync.quarantine {
            let reason = quarantine.reason.lines().next().unwrap_or_default();
            let until = quarantine.until.rfc3339();
            reasons.push(format!("sync \"{}\": in quarantine until {until}: {reason}", sync.name));
        }
    }
    if reasons.is_empty() {
        return (StatusCode::OK, "ready\n").into_response();
    }
    let text: String = reasons.iter().map(|reason| format!("{}\n", visible(reason))).collect();
    (StatusCode::SERVICE_UNAVAILABLE, text).into_response()
}

/// The metrics, their gauges as the state is now.
pub(super) async fn metrics(State(shared): State<Shared>) -> Response {
    // A scrape that fails is seen; gauges of yesterday would not be.
    let status = match gathered(&shared.state).await {
        Ok(status) => status,
        Err(error) => return failed(&error),
    };
    let metrics = &shared.state.metrics;
    status.syncs.iter().for_each(|sync| metrics.set_status(sync));
    metrics.keep_only(&status.syncs.iter().map(|sync| sync.name.as_str()).collect::<Vec<_>>());
    ([(CONTENT_TYPE, OPEN_METRICS)], metrics.render()).into_response()
}

/// The document of `rosterd status --format json`.
pub(super) async fn status(State(shared): State<Shared>) -> Response {
    match gathered(&shared.state).await {
        Ok(status) => written(|out| report::write_status_json(&status, out)),
        Err(error) => failed(&error),
    }
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Wanted {
    sync: Option<String>,
    limit: Option<u32>,
}

/// The document of `rosterd history --format json`.
pub(super) async fn runs(
    State(shared): State<Shared>,
    wanted: Result<Query<Wanted>, QueryRejection>,
) -> Response {
    let Ok(Query(Wanted { sync, limit })) = wanted else {
        return refused(
            StatusCode::BAD_REQUEST,
            "write /api/runs?sync=NAME&limit=NUMBER, or leave either out",
        );
    };
    let limit = limit.unwrap_or(FEW_RUNS).clamp(1, MOST_RUNS);
    let past = Past { syncs: sync.into_iter().collect(), since: None, failed: false, limit };
    match shared.state.snapshot.runs_and_events(past).await {
        Ok((runs, events)) => {
            let history = History::Runs { runs, events };
            written(|out| report::write_history_json(&history, Millis::now(), out))
        }
        Err(error) => failed(&error),
    }
}

/// The document of `rosterd history --run NUMBER --format json`.
pub(super) async fn run(State(shared): State<Shared>, number: Result<Path<i64>, PathRejection>) -> Response {
    let nothing = || refused(StatusCode::NOT_FOUND, "there is no such run; /api/runs lists them");
    let Ok(Path(number)) = number else { return nothing() };
    match shared.state.snapshot.run_again(number).await {
        Ok(Some(run)) if run.records.len() > LARGEST_RUN => refused(
            StatusCode::PAYLOAD_TOO_LARGE,
            &format!(
                "too many people for one answer; `rosterd history --run {number} --format json` has them all"
            ),
        ),
        Ok(Some(run)) => {
            let document = tokio::task::spawn_blocking(move || {
                written(|out| report::write(Format::Json, &mut [report::again(run)], out))
            });
            document.await.unwrap_or_else(|_| StatusCode::INTERNAL_SERVER_ERROR.into_response())
        }
        Ok(None) => nothing(),
        Err(error) => failed(&error),
    }
}

/// There is nothing else.
pub(super) fn nowhere() -> Response {
    refused(StatusCode::NOT_FOUND, "there is nothing here; / lists what there is")
}

async fn gathered(state: &HttpState) -> Result<Status, StoreError> {
    let config = state.config.borrow().clone();
    let now = Millis::now();
    let names: Vec<String> = config.syncs.iter().map(|sync| sync.name.clone()).collect();
    let recorded = state.snapshot.recorded(names.clone(), now).await?;
    let unconfigured = state.snapshot.unconfigured(names).await?;
    Ok(judged(config.syncs.iter().zip(recorded), unconfigured, now))
}

fn written(write: impl FnOnce(&mut dyn std::io::Write) -> std::io::Result<()>) -> Response {
    let mut body = Vec::new();
    match write(&mut body) {
        Ok(()) => ([(CONTENT_TYPE, JSON)], body).into_response(),
        Err(error) => {
            tracing::warn!(%error, "an answer could not be written");
            refused(StatusCode::INTERNAL_SERVER_ERROR, "the answer could not be written")
        }
    }
}

fn failed(error: &StoreError) -> Response {
    tracing::warn!(%error, "the state could not be read for the status page");
    refused(StatusCode::INTERNAL_SERVER_ERROR, "the state could not be read; the log says more")
}

fn refused(status: StatusCode, message: &str) -> Response {
    let body = json!({"error": message}).to_string();
    (status, [(CONTENT_TYPE, JSON)], body).into_response()
}
