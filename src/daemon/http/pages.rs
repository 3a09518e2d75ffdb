//! The pages for people: each from stored data, each made afresh.

use std::io;

use axum::body::Body;
use axum::extract::rejection::{PathRejection, QueryRejection};
use axum::extract::{Path, Query, State};
use axum::http::header::{CACHE_CONTROL, CONTENT_SECURITY_POLICY, CONTENT_TYPE, ETAG};
use axum::http::{StatusCode, Uri};
use axum::response::{IntoResponse, Response};
use serde::Deserialize;

use super::Shared;
use super::answers::{self, LARGEST_RUN};
use crate::core::status::sync_status;
use crate::model::explain::Explanation;
use crate::model::time::Millis;
use crate::operations::explain::{self, OfflineError};
use crate::report::again;
use crate::report::site::{self, PersonPage, RunsPage, StatusPage};
use crate::store::{Past, StoreError};

/// Runs of each sync on the first page.
const LAST_RUNS: u32 = 30;
/// Runs on one page of their list.
const RUNS_OF_A_PAGE: usize = 50;

/// How every sync is doing.
pub(super) async fn status(State(shared): State<Shared>) -> Response {
    let now = Millis::now();
    let config = shared.state.config.borrow().clone();
    let names: Vec<String> = config.syncs.iter().map(|sync| sync.name.clone()).collect();
    let snapshot = &shared.state.snapshot;
    let overviews = match snapshot.overviews(names.clone(), LAST_RUNS, now).await {
        Ok(overviews) => overviews,
        Err(error) => return failed(&error),
    };
    let unconfigured = match snapshot.unconfigured(names).await {
        Ok(unconfigured) => unconfigured,
        Err(error) => return failed(&error),
    };
    let syncs = config.syncs.iter().zip(overviews).map(|(sync, overview)| {
        (sync_status(sync, overview.recorded, now), overview.runs, overview.revocations)
    });
    let page = StatusPage::new(syncs.collect(), &unconfigured, now);
    written(StatusCode::OK, |out| site::write_status_page(&page, now, out))
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Wanted {
    /// Empty = all, as a form sends it.
    sync: Option<String>,
    failed: Option<bool>,
    before: Option<i64>,
}

/// The list of runs.
pub(super) async fn runs(
    State(shared): State<Shared>,
    wanted: Result<Query<Wanted>, QueryRejection>,
) -> Response {
    let Ok(Query(Wanted { sync, failed: only_failed, before })) = wanted else {
        let text = "The address may say sync=NAME, failed=true and before=NUMBER, each of them once.";
        return notice(StatusCode::BAD_REQUEST, "Not understood", text);
    };
    let (chosen, only_failed) = (sync.filter(|name| !name.is_empty()), only_failed.unwrap_or(false));
    let past = Past {
        syncs: chosen.iter().cloned().collect(),
        since: None,
        failed: only_failed,
        // One more, to know whether there are any.
        limit: RUNS_OF_A_PAGE as u32 + 1,
    };
    let mut runs = match shared.state.snapshot.runs_before(past, before).await {
        Ok(runs) => runs,
        Err(error) => return failed(&error),
    };
    let has_more = runs.len() > RUNS_OF_A_PAGE;
    runs.truncate(RUNS_OF_A_PAGE);
    let mut names: Vec<String> =
        shared.state.config.borrow().syncs.iter().map(|sync| sync.name.clone()).collect();
    if let Some(name) = chosen.as_ref().filter(|name| !names.contains(name)) {
        if runs.is_empty() {
            let text = format!("No sync is called \"{name}\", and no run of one is on record.");
            return notice(StatusCode::NOT_FOUND, "There is no such sync", &text);
        }
        // One that is configured no more still has its runs.
        names.push(name.clone());
    }
    let page = RunsPage::new(&names, (chosen.as_deref(), only_failed), &runs, (before.is_none(), has_more));
    written(StatusCode::OK, |out| site::write_runs_page(&page, Millis::now(), out))
}

/// One run.
pub(super) async fn run(State(shared): State<Shared>, number: Result<Path<i64>, PathRejection>) -> Response {
    let nothing = || {
        let text =
            "No run with this number is on record. It may be too old to be kept, or have been a dry run.";
        notice(StatusCode::NOT_FOUND, "There is no such run", text)
    };
    let Ok(Path(number)) = number else { return nothing() };
    match shared.state.snapshot.run_again(number).await {
        Ok(Some(run)) if run.records.len() > LARGEST_RUN => {
            let text = format!(
                "Run {number} is about {} people, which is too much for a page. `rosterd history --run {number} --format \
                 html --output run.html` writes it into a file.",
                run.records.len()
            );
            notice(StatusCode::PAYLOAD_TOO_LARGE, "Too large for a page", &text)
        }
        Ok(Some(run)) => {
            // A hundred thousand people take a while, and runs share the threads that would wait.
            let page = tokio::task::spawn_blocking(move || {
                let mut report = again(run);
                written(StatusCode::OK, |out| site::write_run_page(&mut report, Millis::now(), out))
            });
            page.await.unwrap_or_else(|_| StatusCode::INTERNAL_SERVER_ERROR.into_response())
        }
        Ok(None) => nothing(),
        Err(error) => failed(&error),
    }
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Asked {
    who: Option<String>,
}

/// What is stored about one person. Neither side is asked.
pub(super) async fn person(
    State(shared): State<Shared>,
    asked: Result<Query<Asked>, QueryRejection>,
) -> Response {
    let Ok(Query(Asked { who })) = asked else {
        return notice(StatusCode::BAD_REQUEST, "Not understood", "Write /person?who=NAME, once.");
    };
    let who = who.unwrap_or_default();
    let who = who.trim();
    let now = Millis::now();
    let mut page = PersonPage::nobody();
    if !who.is_empty() {
        let config = shared.state.config.borrow().clone();
        let (mut parts, mut problems) = (Vec::new(), Vec::new());
        for sync in &config.syncs {
            match explain::offline(sync, &shared.state.snapshot, who, now).await {
                Ok(part) => parts.push(part),
                Err(OfflineError::Store(error)) => return failed(&error),
                Err(OfflineError::Mapping(error)) => problems.push((sync.name.clone(), error.to_string())),
            }
        }
        page = PersonPage::new(&Explanation::new(who, now, parts), &problems);
    }
    written(StatusCode::OK, |out| site::write_person_page(&page, now, out))
}

/// A file of the pages. Its address holds its digest, so that a browser need never ask again.
pub(super) async fn asset(path: Result<Path<(String, String)>, PathRejection>) -> Response {
    let found = path.ok().and_then(|Path((version, name))| Some((site::asset(&version, &name)?, version)));
    let Some((asset, version)) = found else { return answers::nowhere() };
    let headers = [
        (CONTENT_TYPE, asset.content_type.to_owned()),
        (CACHE_CONTROL, "public, max-age=31536000, immutable".to_owned()),
        (ETAG, format!("\"{version}\"")),
    ];
    (headers, asset.pieces.concat()).into_response()
}

/// There is nothing else: in a page for people, as JSON for programs.
pub(super) async fn nowhere(uri: Uri) -> Response {
    if uri.path() == "/api" || uri.path().starts_with("/api/") {
        return answers::nowhere();
    }
    notice(StatusCode::NOT_FOUND, "There is nothing here", "The address may be misspelled.")
}

fn failed(error: &StoreError) -> Response {
    tracing::warn!(%error, "the state could not be read for the status page");
    let text = "The state could not be read; the daemon's log says more.";
    notice(StatusCode::INTERNAL_SERVER_ERROR, "No answer", text)
}

fn notice(status: StatusCode, heading: &str, text: &str) -> Response {
    written(status, |out| site::write_notice_page(heading, text, Millis::now(), out))
}

fn written(status: StatusCode, write: impl FnOnce(&mut dyn io::Write) -> io::Result<()>) -> Response {
    let mut body = Vec::new();
    if let Err(error) = write(&mut body) {
        tracing::warn!(%error, "a page could not be written");
        return (StatusCode::INTERNAL_SERVER_ERROR, "the page could not be written\n").into_response();
    }
    let headers = [(CONTENT_TYPE, "text/html; charset=utf-8"), (CONTENT_SECURITY_POLICY, site::POLICY)];
    (status, headers, Body::from(body)).into_response()
}
