//! Answers that say no: error bodies of any shape, read into one [`Fault`], and what kind of refusal it is.
//!
//! What lives here: recognition. What must not: what is done about it (`provision`, `update`, `removal`).
//! The shapes: RFC 7644 section 3.12, Wrike's REST errors (<https://developers.wrike.com/errors>), problem
//! details (RFC 9457), HTML, plain text, nothing.

use serde_json::{Map, Value};

use crate::model::attributes::member;
use crate::scim::target::RefusalClass;
use crate::scim::wire::{self, ERROR_SCHEMA, one_line};

/// The largest body that is read as an error.
const ERROR_BYTES_MAXIMUM: usize = 64 * 1024;

/// What a write does, as far as a refusal of it reads differently.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum WriteKind {
    /// A new account: takes a seat.
    Create,
    /// Attributes alone.
    Update,
    /// `active: true`, with or without attributes: takes a seat.
    Activation,
    /// `active: false`.
    Deactivation,
    /// DELETE.
    Deletion,
}

impl WriteKind {
    fn takes_a_seat(self) -> bool {
        match self {
            WriteKind::Create | WriteKind::Activation => true,
            WriteKind::Update | WriteKind::Deactivation | WriteKind::Deletion => false,
        }
    }
}

/// One refusal as the server worded it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Fault {
    /// HTTP status; the body's own where HTTP says 200 and the body is an error.
    pub status: u16,
    /// `scimType` (RFC 7644 table 9).
    pub scim_type: Option<String>,
    /// Wrike's `error`.
    pub code: Option<String>,
    /// The server's words, one line, bounded.
    pub detail: String,
    /// Whether the body is an error as SCIM or Wrike writes one, so that a SCIM server and no proxy wrote it.
    pub from_service: bool,
}

impl Fault {
    /// Reads the answer to a request that was not granted.
    pub(super) fn read(status: u16, body: &[u8]) -> Fault {
        // Nobody reads further, and a page of a megabyte is no message.
        let body = &body[..body.len().min(ERROR_BYTES_MAXIMUM)];
        let mut fault = match wire::json(body) {
            Ok(Value::Object(object)) => Fault::of_object(status, &object),
            Ok(other) => Fault::plain(status, one_line(&text_of(&other).unwrap_or_default())),
            Err(_) => Fault::plain(status, one_line(&visible_text(&String::from_utf8_lossy(body)))),
        };
        if fault.detail.is_empty() {
            let reason = reqwest::StatusCode::from_u16(status).ok().and_then(|s| s.canonical_reason());
            fault.detail = format!("no details ({})", reason.unwrap_or("unknown status"));
        }
        fault
    }

    /// The error that hides in an answer with a 2xx status, where one does.
    pub(super) fn hidden_in_success(body: &[u8]) -> Option<Fault> {
        // A page of people is large and no error; it is not worth parsing twice.
        if body.len() > ERROR_BYTES_MAXIMUM {
            return None;
        }
        let Ok(Value::Object(object)) = wire::json(body) else { return None };
        let schemas = member(&object, "schemas").and_then(Value::as_array)?;
        if !schemas.iter().any(|schema| schema.as_str() == Some(ERROR_SCHEMA)) {
            return None;
        }
        let status = member(&object, "status").and_then(wire::number).unwrap_or(500);
        Some(Fault::of_object(u16::try_from(status).unwrap_or(500), &object))
    }

    fn plain(status: u16, detail: String) -> Fault {
        Fault { status, scim_type: None, code: None, detail, from_service: false }
    }

    fn of_object(status: u16, object: &Map<String, Value>) -> Fault {
        let text = |name: &str| member(object, name).and_then(Value::as_str).map(str::to_owned);
        let names_schema = member(object, "schemas")
            .and_then(Value::as_array)
            .is_some_and(|schemas| schemas.iter().any(|schema| schema.as_str() == Some(ERROR_SCHEMA)));
        let code = text("error").filter(|code| !code.contains(char::is_whitespace));
        let is_wrike = member(object, "errorDescription").is_some() && code.is_some();
        Fault {
            status,
            scim_type: text("scimType").filter(|kind| !kind.is_empty()),
            from_service: names_schema || is_wrike,
            detail: one_line(&words(object).unwrap_or_else(|| Value::Object(object.clone()).to_string())),
            code,
        }
    }

    /// What kind of refusal this is, to such a write.
    pub(super) fn class(&self, kind: WriteKind) -> RefusalClass {
        match self.status {
            401 => RefusalClass::Credentials,
            429 => RefusalClass::RateLimited,
            _ if self.is_permanent() => RefusalClass::Permanent,
            400..500 if self.names_foreign_domain() => RefusalClass::Forbidden,
            _ if kind.takes_a_seat() && self.says_no_seat() => RefusalClass::NoSeat,
            409 => RefusalClass::Conflict,
            _ if self.says_exists() => RefusalClass::Conflict,
            404 | 410 => RefusalClass::NotFound,
            403 => RefusalClass::Forbidden,
            405 => RefusalClass::Server,
            // A redirect is never followed, so every request to this address ends here.
            300..400 => RefusalClass::Unreachable,
            500.. => RefusalClass::Server,
            _ => RefusalClass::Invalid,
        }
    }

    /// Whether the server may have acted although it answered: any 5xx but 501, and the time-out 408.
    pub(super) fn leaves_doubt(&self) -> bool {
        (self.status >= 500 && self.status != 501 && !self.says_exists()) || self.status == 408
    }

    /// Whether the request itself was found not acceptable, so that another one may be.
    pub(super) fn is_invalid(&self, kind: WriteKind) -> bool {
        self.class(kind) == RefusalClass::Invalid && !self.leaves_doubt()
    }

    /// Whether the account or login exists already: 409, `scimType: uniqueness`, or words to that effect under
    /// another status (django-scim2-server and okta-sample answer 500).
    pub(super) fn says_exists(&self) -> bool {
        if self.has_scim_type("uniqueness") {
            return true;
        }
        matches!(self.status, 400 | 409 | 422 | 500)
            && self.mentions_any(&[
                "already exist",
                "already in use",
                "already used",
                "already taken",
                "already been taken",
                "already registered",
                "is taken",
                "duplicate",
                "must be unique",
                "not unique",
                "unique constraint",
                "uniqueness",
            ])
    }

    /// Whether no licence is left: Wrike's 403 `not_allowed` that names it ("not allowed due to license/quota
    /// limitations"), or words to that effect. Wrike says `not_allowed` of much else, too.
    pub(super) fn says_no_seat(&self) -> bool {
        let names_seats = self
            .has_word(&["license", "licenses", "licence", "licences", "seat", "seats", "quota", "quotas"])
            || self.mentions_any(&["user limit", "member limit"]);
        let words = names_seats
            && self.mentions_any(&[
                "limit",
                "exceed",
                "no more",
                "not enough",
                "insufficient",
                "available",
                "left",
                "reached",
                "maximum",
            ]);
        (self.status == 403 && self.has_code("not_allowed") && names_seats)
            || (matches!(self.status, 400 | 402 | 403 | 422) && words)
    }

    /// Whether this account can never be changed this way: account owners and members of several Wrike
    /// accounts cannot be deactivated (help.wrike.com 115004530005), a person of another data centre cannot be
    /// invited (210324345).
    pub(super) fn is_permanent(&self) -> bool {
        (400..500).contains(&self.status)
            && self.mentions_any(&[
                "account owner",
                "owner of the account",
                "owner of this account",
                "owners cannot",
                "owner cannot",
                "owner can not",
                "several accounts",
                "multiple accounts",
                "more than one account",
                "member of another account",
                "member of other accounts",
                "another data cent",
                "different data cent",
            ])
    }

    /// Whether the person's domain is not approved (Wrike provisions approved domains only). Not permanent: an
    /// administrator may approve the domain.
    pub(super) fn names_foreign_domain(&self) -> bool {
        self.mentions_any(&["domain"])
            && self.mentions_any(&[
                "approved",
                "not allowed",
                "allowed domain",
                "not verified",
                "unverified",
                "not permitted",
                "whitelist",
                "restricted",
            ])
    }

    /// Whether the method is not there at all.
    pub(super) fn refuses_method(&self) -> bool {
        matches!(self.status, 405 | 501)
            || self.has_code("method_not_found")
            || (matches!(self.status, 400 | 404 | 415 | 422)
                && self.has_word(&["patch", "put", "method"])
                && self.mentions_any(&["not supported", "unsupported", "not implemented", "not allowed"]))
    }

    /// Whether the path of a PATCH operation was not understood or found nothing.
    pub(super) fn refuses_path(&self) -> bool {
        ["noTarget", "invalidPath", "invalidFilter"].iter().any(|kind| self.has_scim_type(kind))
            || self.mentions_any(&["\"path\"", "'path'", "patch path", "no target", "invalid path"])
    }

    /// Whether a list request may have failed for its `count` alone (canaille answers 500 to any).
    pub(super) fn may_blame_count(&self) -> bool {
        matches!(self.status, 500 | 501)
            || ((400..500).contains(&self.status) && !matches!(self.status, 401 | 403 | 404 | 408 | 429))
    }

    /// Whether the element that a path selects is not there.
    pub(super) fn finds_no_target(&self) -> bool {
        self.has_scim_type("noTarget")
    }

    /// Whether the server's schema does not know something, so that it will refuse the same for everybody.
    pub(super) fn says_unknown_attribute(&self) -> bool {
        self.has_scim_type("invalidPath")
            || self.mentions_any(&[
                "unknown attribute",
                "unknown schema",
                "unrecognized",
                "unrecognised",
                "extra inputs",
                "not an attribute",
                "not defined",
                "unsupported attribute",
                "unsupported schema",
                "attribute is not supported",
                "additional propert",
                "does not exist in schema",
                "not declared",
            ])
    }

    fn has_scim_type(&self, name: &str) -> bool {
        self.scim_type.as_deref().is_some_and(|kind| kind.eq_ignore_ascii_case(name))
    }

    fn has_code(&self, name: &str) -> bool {
        self.code.as_deref().is_some_and(|code| code.eq_ignore_ascii_case(name))
    }

    /// Whole words only: Seattle is no seat, and an input is no PUT.
    fn has_word(&self, words: &[&str]) -> bool {
        let detail = self.detail.to_lowercase();
        detail.split(|c: char| !c.is_alphanumeric()).any(|word| words.contains(&word))
    }

    fn mentions_any(&self, phrases: &[&str]) -> bool {
        let detail = self.detail.to_lowercase();
        phrases.iter().any(|phrase| detail.contains(phrase))
    }
}

/// The sentence for people in an error object, whatever its key.
fn words(object: &Map<String, Value>) -> Option<String> {
    let keys = ["detail", "errorDescription", "error_description", "message", "error", "errors", "title"];
    let found = keys.iter().filter_map(|key| member(object, key)).find_map(text_of);
    // Vendor envelopes: {"status": {"message": …}}.
    found.or_else(|| member(object, "status").filter(|status| status.is_object()).and_then(text_of))
}

fn text_of(value: &Value) -> Option<String> {
    match value {
        Value::String(text) => Some(text.clone()).filter(|text| !text.trim().is_empty()),
        Value::Object(object) => words(object).or_else(|| {
            ["description", "errorSummary", "msg", "reason"]
                .iter()
                .find_map(|key| member(object, key).and_then(text_of))
        }),
        Value::Array(items) => {
            let texts: Vec<String> = items.iter().take(3).filter_map(text_of).collect();
            (!texts.is_empty()).then(|| texts.join("; "))
        }
        Value::Null | Value::Bool(_) | Value::Number(_) => None,
    }
}

/// The words of a page: of HTML its title and its body without markup, of anything else everything.
fn visible_text(text: &str) -> String {
    let start = text.trim_start();
    let is_html = start.starts_with('<') && start.contains('>');
    if !is_html {
        return text.chars().take(4 * wire::DETAIL_CHARACTERS).collect();
    }
    let lower = start.to_ascii_lowercase();
    let between = |open: &str, close: &str| {
        let from = lower.find(open)? + open.len();
        let to = lower[from..].find(close)? + from;
        Some(without_markup(&start[from..to])).filter(|text| !text.trim().is_empty())
    };
    let title = between("<title>", "</title>");
    let heading = between("<h1>", "</h1>").or_else(|| between("<pre>", "</pre>"));
    match (title, heading) {
        (Some(title), Some(heading)) if title.trim() != heading.trim() => format!("{title}: {heading}"),
        (Some(text), Some(_) | None) | (None, Some(text)) => text,
        (None, None) => without_markup(start),
    }
}

fn without_markup(html: &str) -> String {
    let mut text = String::new();
    let mut in_tag = false;
    for character in html.chars().take(16 * wire::DETAIL_CHARACTERS) {
        match character {
            '<' => in_tag = true,
            '>' if in_tag => {
                in_tag = false;
                text.push(' ');
            }
            _ if in_tag => {}
            other => text.push(other),
        }
    }
    let entities =
        [("&nbsp;", " "), ("&quot;", "\""), ("&#39;", "'"), ("&lt;", "<"), ("&gt;", ">"), ("&amp;", "&")];
    entities.iter().fold(text, |text, (entity, plain)| text.replace(entity, plain))
}

#[cfg(test)]
mod tests;
