//! What a failed request means for a read: incomplete, unavailable, or refused credentials.
//!
//! What lives here: the place of a request in a message, the judgement of status codes, the same for every vendor,
//! and how far a failure reaches. What must not: vendor error bodies (each vendor hands in the sentence it found).

use std::fmt;

use url::Url;

use super::SourceError;
use crate::http::{Answer, HttpError};

/// A request that failed, and how far that reaches.
#[derive(Debug)]
pub(super) struct Failure {
    /// What it means where it concerns everybody.
    pub(super) error: SourceError,
    /// Whether it can be about one object only.
    pub(super) reach: Reach,
}

/// How far a failure reaches.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Reach {
    /// Perhaps no further than what was asked for: a control read decides.
    Object,
    /// Every request: refused credentials, a rate limit, a peer that is not trusted.
    Everything,
}

impl From<Failure> for SourceError {
    fn from(failure: Failure) -> SourceError {
        failure.error
    }
}

/// An answer that cannot be used is about what was asked for; anything else that nobody said more about is not.
impl From<SourceError> for Failure {
    fn from(error: SourceError) -> Failure {
        let reach = match &error {
            SourceError::Incomplete(_) => Reach::Object,
            SourceError::Unavailable(_) | SourceError::Credentials(_) => Reach::Everything,
        };
        Failure { error, reach }
    }
}

/// Where a read stands: `okta: page 3 of the app's users (GET /api/v1/apps/0oa1/users)`.
#[derive(Debug, Clone)]
pub(super) struct Place {
    /// The vendor's word for messages.
    pub(super) vendor: &'static str,
    /// What was being read.
    pub(super) what: String,
    /// The URL; only its path is shown.
    pub(super) url: Url,
}

impl Place {
    pub(super) fn new(vendor: &'static str, what: impl Into<String>, url: &Url) -> Place {
        Place { vendor, what: what.into(), url: url.clone() }
    }

    pub(super) fn incomplete(&self, why: impl fmt::Display) -> SourceError {
        SourceError::Incomplete(format!("{self}: {why}"))
    }

    pub(super) fn unavailable(&self, why: impl fmt::Display) -> SourceError {
        SourceError::Unavailable(format!("{self}: {why}"))
    }

    pub(super) fn credentials(&self, why: impl fmt::Display) -> SourceError {
        SourceError::Credentials(format!("{self}: {why}"))
    }

    /// A request without any complete answer.
    pub(super) fn no_answer(&self, error: HttpError) -> Failure {
        let (error, reach) = match error {
            HttpError::NotSent { message }
            | HttpError::Expired { message }
            | HttpError::TakenBack { message }
            | HttpError::Unanswered { message } => (self.unavailable(message), Reach::Object),
            HttpError::Distrusted { message } => (self.unavailable(message), Reach::Everything),
            HttpError::TooLarge { message } | HttpError::ForeignOrigin { message } => {
                (self.incomplete(message), Reach::Object)
            }
            HttpError::Credentials { message } => (self.credentials(message), Reach::Everything),
        };
        Failure { error, reach }
    }

    /// An answer with a status that is not the wanted one; `words` are the vendor's.
    pub(super) fn refused(&self, answer: &Answer, words: &str, help: &str) -> Failure {
        let told = format!("HTTP {}{}{words}", answer.status, if words.is_empty() { "" } else { ": " });
        let error = match answer.status {
            401 | 403 => self.credentials(format_args!("{told}; help: {help}")),
            429 => self.unavailable(format_args!(
                "{told}; help: other tools use up this rate limit; run again later, or lower rate_share_percent"
            )),
            500..=599 => self.unavailable(told),
            300..=399 => self.incomplete(format_args!(
                "{told}; redirects are never followed; help: check `url` in [sync.source]"
            )),
            _ => self.incomplete(told),
        };
        // A 403 or a 5xx may be about one record; nobody is known to somebody who says 401.
        let reach = if matches!(answer.status, 401 | 429) { Reach::Everything } else { Reach::Object };
        Failure { error, reach }
    }

    /// A body that is not what was asked for.
    pub(super) fn malformed(&self, answer: &Answer, error: &serde_json::Error) -> SourceError {
        let start = answer.body.iter().find(|byte| !byte.is_ascii_whitespace());
        if matches!(start, Some(b'<')) {
            return self.incomplete(
                "the answer is a web page, not JSON; help: is a proxy or login page in between, and is `url` \
                 the API's address?",
            );
        }
        if error.is_eof() {
            return self.incomplete(format_args!("the answer is cut off: {error}"));
        }
        self.incomplete(format_args!("the answer cannot be read: {error}"))
    }
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {} (GET {})", self.vendor, self.what, self.url.path())
    }
}

/// A vendor's words, on one line and bounded, for messages.
pub(super) fn one_line(text: &str) -> String {
    const LONGEST: usize = 300;
    let mut line = String::new();
    for word in text.split_whitespace() {
        if line.len() + word.len() > LONGEST {
            line.push('…');
            break;
        }
        if !line.is_empty() {
            line.push(' ');
        }
        line.extend(word.chars().filter(|c| !c.is_control()));
    }
    line
}
