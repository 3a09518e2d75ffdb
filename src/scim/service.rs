//! One request to the service provider and what came of it.
//!
//! What lives here: URLs, headers, the border between transport and meaning. What must not: any sequence of
//! requests that belongs to one verb (those are `create`, `update`, `removal`, `observe`, `listing`).

use std::sync::{Mutex, PoisonError};

use bytes::Bytes;
use reqwest::Method;
use reqwest::header::{ACCEPT, CONTENT_TYPE, HeaderMap, HeaderValue};
use serde_json::Value;
use tokio::time::Instant;
use url::Url;

use crate::config::Dialect;
use crate::http::client::Client;
use crate::http::{Answer, HttpError, Lane, Replay, Request};
use crate::model::account::Account;
use crate::model::id::TargetId;
use crate::scim::control::{Control, Unread};
use crate::scim::dialect::Profile;
use crate::scim::fault::{Fault, WriteKind};
use crate::scim::target::unavailable;
use crate::scim::target::{Refusal, RefusalClass, TargetError, WriteOutcome};
use crate::scim::{filter, wire};

/// The service provider behind both of the adapter's types.
#[derive(Debug)]
pub(crate) struct Service {
    pub client: Client,
    pub base: Url,
    pub dialect: Dialect,
    pub profile: Mutex<Profile>,
    pub control: Control,
}

/// How a request goes.
#[derive(Debug, Clone, Copy)]
struct Way {
    lane: Lane,
    not_after: Option<Instant>,
}

/// What to do about a 401, to a read or to a write.
const TOKEN_HELP: &str =
    "help: the token is unknown or expired, make a new one and put it where target.token points";

/// What became of one write request.
#[derive(Debug)]
pub(crate) enum Sent {
    /// A 2xx.
    Granted(Granted),
    /// Any other answer, or an error dressed as a 2xx.
    Denied(Fault),
    /// No answer came, and the server may have acted.
    Lost(String),
    /// The server certainly did not act.
    Unsent(RefusalClass, String),
}

/// A 2xx to a write.
#[derive(Debug)]
pub(crate) struct Granted {
    /// Status.
    pub status: u16,
    /// The User in the answer, where there was one with an `id`.
    pub account: Option<Account>,
}

impl Service {
    /// Reads the profile.
    pub(super) fn known<R>(&self, read: impl FnOnce(&Profile) -> R) -> R {
        read(&self.profile.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// Changes the profile.
    pub(super) fn learn(&self, change: impl FnOnce(&mut Profile)) {
        change(&mut self.profile.lock().unwrap_or_else(PoisonError::into_inner));
    }

    /// The base URL with these path segments, each encoded, and this query. The base keeps its own path and
    /// query.
    pub(super) fn url(&self, segments: &[&str], query: &[(&str, &str)]) -> Result<Url, String> {
        let mut url = self.base.clone();
        let mut path = url.path().trim_end_matches('/').to_owned();
        for segment in segments {
            // Both would be taken for a step in the path, encoded or not, and lead to another resource.
            if matches!(*segment, "" | "." | "..") {
                return Err(format!("the account id {segment:?} cannot be part of a URL"));
            }
            path.push('/');
            path.push_str(&filter::encode(segment));
        }
        url.set_path(&path);
        let own = self.base.query().filter(|query| !query.is_empty()).map(str::to_owned);
        let ours = query.iter().map(|(name, value)| format!("{name}={}", filter::encode(value)));
        let query: Vec<String> = own.into_iter().chain(ours).collect();
        url.set_query((!query.is_empty()).then(|| query.join("&")).as_deref());
        url.set_fragment(None);
        Ok(url)
    }

    /// `/Users/{id}`
    pub(super) fn account_url(&self, id: &TargetId) -> Result<Url, String> {
        self.url(&["Users", id.as_str()], &[])
    }

    /// A GET. The outer error: no answer; the inner one: an answer that is no 2xx.
    pub(super) async fn read(&self, url: Url, lane: Lane) -> Result<Result<Answer, Fault>, Unread> {
        self.read_before(url, lane, None).await
    }

    /// A GET that is not sent after `not_after`.
    pub(super) async fn read_before(
        &self,
        url: Url,
        lane: Lane,
        not_after: Option<Instant>,
    ) -> Result<Result<Answer, Fault>, Unread> {
        let request = Request {
            method: Method::GET,
            url,
            headers: headers(),
            body: None,
            lane,
            replay: Replay::Safe,
            not_after,
        };
        let answer = self.client.send(request).await.map_err(unread)?;
        Ok(match fault_of(&answer) {
            Some(fault) => Err(fault),
            None => Ok(answer),
        })
    }

    /// A write. Sent again only where the server certainly did not act: by the client, and here where the server
    /// takes JSON by its common name only. Not sent after `not_after`.
    pub(super) async fn write(
        &self,
        method: Method,
        url: Url,
        body: Option<&Value>,
        lane: Lane,
        not_after: Option<Instant>,
    ) -> Sent {
        let way = Way { lane, not_after };
        let plain = self.known(|profile| profile.plain_json);
        let sent = self.write_as(method.clone(), url.clone(), body, way, plain).await;
        if plain || body.is_none() || !matches!(&sent, Sent::Denied(fault) if fault.status == 415) {
            return sent;
        }
        let again = self.write_as(method, url, body, way, true).await;
        if !matches!(&again, Sent::Denied(fault) if fault.status == 415) {
            self.learn(|profile| profile.plain_json = true);
        }
        again
    }

    async fn write_as(&self, method: Method, url: Url, body: Option<&Value>, way: Way, plain: bool) -> Sent {
        let mut headers = headers();
        if body.is_some() {
            let kind = if plain { "application/json" } else { "application/scim+json" };
            headers.insert(CONTENT_TYPE, HeaderValue::from_static(kind));
        }
        let request = Request {
            method,
            url,
            headers,
            body: body.map(|body| Bytes::from(body.to_string())),
            lane: way.lane,
            replay: Replay::OnlyIfNotProcessed,
            not_after: way.not_after,
        };
        match self.client.send(request).await {
            Ok(answer) => match fault_of(&answer) {
                Some(fault) => Sent::Denied(fault),
                None => {
                    Sent::Granted(Granted { status: answer.status, account: wire::account(&answer.body) })
                }
            },
            Err(
                HttpError::NotSent { message }
                | HttpError::Distrusted { message }
                | HttpError::ForeignOrigin { message },
            ) => Sent::Unsent(RefusalClass::Unreachable, message),
            Err(HttpError::TakenBack { message }) => Sent::Unsent(RefusalClass::TakenBack, message),
            Err(HttpError::Expired { message }) => Sent::Unsent(RefusalClass::Expired, proof_over(&message)),
            Err(HttpError::Credentials { message }) => Sent::Unsent(RefusalClass::Credentials, message),
            Err(HttpError::Unanswered { message } | HttpError::TooLarge { message }) => Sent::Lost(message),
        }
    }

    /// A 200 that holds no list.
    pub(super) fn no_list(&self, reason: &str) -> TargetError {
        TargetError::Unavailable(format!(
            "reading accounts at {} failed: {reason}; help: copy the SCIM base URL exactly as the workspace shows \
             it into target.url",
            self.place()
        ))
    }

    /// Whether a 404 is the service's own word on one account.
    pub(super) async fn confirm_absence(&self, fault: &Fault, lane: Lane) -> Result<(), TargetError> {
        if fault.from_service { Ok(()) } else { self.answers(lane).await }
    }

    /// What a refused read means, with what to do.
    pub(super) fn read_error(&self, fault: &Fault) -> TargetError {
        let what = format!("reading accounts at {} failed: {} {}", self.place(), fault.status, fault.detail);
        match fault.status {
            401 => TargetError::Credentials(format!("{what}; {TOKEN_HELP}")),
            403 => TargetError::Credentials(format!(
                "{what}; help: the token's owner may not read users; use the token of an administrator"
            )),
            300 => TargetError::Unavailable(format!(
                "{what}; help: the workspace lives in another data centre; copy the SCIM base URL again from the \
                 workspace's SCIM settings into target.url"
            )),
            301..=399 => TargetError::Unavailable(format!(
                "{what}; help: redirects are never followed, because the token would travel along; write the \
                 final address into target.url"
            )),
            404 => TargetError::Unavailable(format!(
                "{what}; help: there is no SCIM service at this address; copy the base URL exactly as the \
                 workspace shows it, without /Users at the end"
            )),
            429 => TargetError::Unavailable(format!(
                "{what}; help: lower target.requests_per_minute, or wait until others use less of the limit"
            )),
            500.. => TargetError::Unavailable(format!("{what}; help: run again later")),
            _ => TargetError::Unanswerable(what),
        }
    }

    /// The base URL for messages, without a query.
    pub(super) fn place(&self) -> String {
        let mut url = self.base.clone();
        url.set_query(None);
        url.to_string()
    }
}

impl Fault {
    /// The refusal that goes to the caller.
    pub(super) fn refusal(&self, kind: WriteKind, attempts: u32) -> Refusal {
        let class = self.class(kind);
        let detail = match class {
            RefusalClass::Unreachable if self.status == 300 => format!(
                "{}; help: the workspace lives in another data centre; copy its SCIM base URL again into target.url",
                self.detail
            ),
            RefusalClass::Unreachable => {
                format!("{}; help: redirects are never followed; correct target.url", self.detail)
            }
            RefusalClass::Credentials => format!("{}; {TOKEN_HELP}", self.detail),
            RefusalClass::Forbidden
            | RefusalClass::NoSeat
            | RefusalClass::Permanent
            | RefusalClass::NotFound
            | RefusalClass::Conflict
            | RefusalClass::Invalid
            | RefusalClass::RateLimited
            | RefusalClass::Expired
            | RefusalClass::TakenBack
            | RefusalClass::StillActive
            | RefusalClass::NotOffered
            | RefusalClass::Server => self.detail.clone(),
        };
        Refusal { class, status: self.status, detail, attempts, attributes: Vec::new() }
    }

    /// A write that ended in this answer: refused, or in doubt.
    pub(super) fn outcome(&self, kind: WriteKind, attempts: u32) -> WriteOutcome {
        if self.leaves_doubt() {
            WriteOutcome::Unknown { message: self.detail.clone(), status: Some(self.status), attempts }
        } else {
            WriteOutcome::Refused(self.refusal(kind, attempts))
        }
    }
}

/// A refusal without an answer of its own.
pub(crate) fn refused(class: RefusalClass, status: u16, detail: String, attempts: u32) -> WriteOutcome {
    WriteOutcome::Refused(Refusal { class, status, detail, attempts, attributes: Vec::new() })
}

/// A write that could not be sent because a read that it needs failed.
pub(crate) fn not_read(error: TargetError, attempts: u32) -> WriteOutcome {
    match error {
        TargetError::Unavailable(message) => refused(RefusalClass::Unreachable, 0, message, attempts),
        TargetError::Credentials(message) => refused(RefusalClass::Credentials, 0, message, attempts),
        TargetError::Unanswerable(message) => refused(RefusalClass::Server, 0, message, attempts),
    }
}

/// What the caller is told of a removal that was not sent any more.
pub(crate) fn proof_over(message: &str) -> String {
    format!("the proof's time was over before it could be sent ({message})")
}

/// Whose fault it is that a read got no answer.
fn unread(error: HttpError) -> Unread {
    match error {
        HttpError::Expired { message } => Unread::Expired(message),
        error @ (HttpError::Unanswered { .. } | HttpError::TooLarge { .. }) => {
            Unread::Lost(unavailable(error))
        }
        error @ (HttpError::NotSent { .. }
        | HttpError::TakenBack { .. }
        | HttpError::Distrusted { .. }
        | HttpError::Credentials { .. }
        | HttpError::ForeignOrigin { .. }) => Unread::Everybody(unavailable(error)),
    }
}

fn fault_of(answer: &Answer) -> Option<Fault> {
    if answer.is_success() {
        Fault::hidden_in_success(&answer.body)
    } else {
        Some(Fault::read(answer.status, &answer.body))
    }
}

fn headers() -> HeaderMap {
    let accept = HeaderValue::from_static("application/scim+json, application/json");
    HeaderMap::from_iter([(ACCEPT, accept)])
}
