//! Faults: rules that say which requests go wrong, and how. A rule names what it matches (server, method, path,
//! which occurrence) and a list of effects. Vendor-shaped error bodies live in [`super::refusal`].

use super::World;
use super::call::{Call, Peer, Reply};
use axum::http::Method;
use serde_json::Value;
use std::ops::RangeInclusive;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

/// A hook that may change the world in the middle of a read.
pub type Hook = Arc<dyn Fn(&World) + Send + Sync>;
type Predicate = Arc<dyn Fn(&str, &[(String, String)]) -> bool + Send + Sync>;
type Edit = Arc<dyn Fn(&mut Reply) + Send + Sync>;

/// How the connection ends when a fault cuts it.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Cut {
    /// Before the request is processed and before any byte of a reply.
    BeforeProcessing,
    /// The request is processed, the reply is lost.
    LostReply,
    /// So many body bytes of a reply that announces its whole `Content-Length`.
    InBody(usize),
    /// So many body bytes of a chunked reply, whose last chunk never comes.
    InChunkedBody(usize),
}

/// One thing that goes wrong. The reply effects work on rows wherever they are: a bare array (Okta, OneLogin v2),
/// `data` (OneLogin v1) or `Resources` (SCIM).
#[derive(Clone)]
pub enum Effect {
    /// Answers this instead of processing the request.
    Answer(Reply),
    /// Answers what the closure makes at that moment (for headers that hold a time).
    AnswerWith(Arc<dyn Fn(&World) -> Reply + Send + Sync>),
    /// Waits before anything else.
    Delay(Duration),
    /// Ends the connection.
    Cut(Cut),
    /// Runs before the request is processed.
    Before(Hook),
    /// Runs after the request was processed, before the reply is sent.
    After(Hook),
    /// Overrides a query parameter, as a server does that ignores what it was asked.
    Query(String, String),
    /// The next link leads to another origin, such as `http://evil.example`.
    ForeignNext(String),
    /// The next page is this page again.
    RepeatCursor,
    /// The last page is said to be reached: what follows is lost.
    DropNext,
    /// The first so many rows come twice.
    DuplicateRows(usize),
    /// The last so many rows are left out.
    DropRows(usize),
    /// `Total-Count` or `totalResults` is off by so much.
    ShiftTotal(i64),
    /// White space is added to the body until it has so many bytes more.
    Pad(usize),
    /// Anything else.
    Edit(Edit),
}

impl Effect {
    /// An [`Effect::Edit`] from a closure.
    pub fn edit(edit: impl Fn(&mut Reply) + Send + Sync + 'static) -> Self {
        Self::Edit(Arc::new(edit))
    }

    /// An [`Effect::Before`] from a closure.
    pub fn before(hook: impl Fn(&World) + Send + Sync + 'static) -> Self {
        Self::Before(Arc::new(hook))
    }

    /// An [`Effect::After`] from a closure.
    pub fn after(hook: impl Fn(&World) + Send + Sync + 'static) -> Self {
        Self::After(Arc::new(hook))
    }

    /// A reply of this status with a text body, such as a proxy's HTML page.
    pub fn answer(status: u16, content_type: &str, body: &str) -> Self {
        Self::Answer(Reply::empty(status).with("content-type", content_type).with_body(body))
    }
}

#[derive(Clone)]
enum Occurrence {
    Every,
    Numbers(RangeInclusive<u64>),
    Chance { probability: f64, dice: fastrand::Rng },
}

/// A rule: what it matches, and what then happens.
#[derive(Clone)]
pub struct Fault {
    peer: Peer,
    method: Option<Method>,
    path_parts: Vec<String>,
    predicate: Option<Predicate>,
    occurrence: Occurrence,
    effects: Vec<Effect>,
    matched: u64,
    fired: u64,
}

impl Fault {
    /// A rule for every request to this server, to be narrowed.
    pub fn on(peer: Peer) -> Self {
        Self {
            peer,
            method: None,
            path_parts: Vec::new(),
            predicate: None,
            occurrence: Occurrence::Every,
            effects: Vec::new(),
            matched: 0,
            fired: 0,
        }
    }

    /// Only requests with this method (`"GET"`).
    ///
    /// # Panics
    /// Where the text is no HTTP method.
    #[must_use]
    pub fn method(mut self, method: &str) -> Self {
        self.method = Some(method.parse().expect("a test names a valid HTTP method"));
        self
    }

    /// Only paths that contain this text; given twice, both.
    #[must_use]
    pub fn path(mut self, part: &str) -> Self {
        self.path_parts.push(part.to_owned());
        self
    }

    /// Only requests for which the closure, given path and query, says yes.
    #[must_use]
    pub fn when(
        mut self,
        predicate: impl Fn(&str, &[(String, String)]) -> bool + Send + Sync + 'static,
    ) -> Self {
        self.predicate = Some(Arc::new(predicate));
        self
    }

    /// Only the `n`th matching request, counted from 1 from the moment the rule is added.
    #[must_use]
    pub fn nth(self, n: u64) -> Self {
        self.numbers(n..=n)
    }

    /// The first so many matching requests.
    #[must_use]
    pub fn first(self, n: u64) -> Self {
        self.numbers(1..=n)
    }

    /// The matching requests with these numbers, counted from 1.
    #[must_use]
    pub fn numbers(mut self, numbers: RangeInclusive<u64>) -> Self {
        self.occurrence = Occurrence::Numbers(numbers);
        self
    }

    /// Each matching request with this probability (0 to 1), from a seed.
    #[must_use]
    pub fn chance(mut self, probability: f64, seed: u64) -> Self {
        self.occurrence = Occurrence::Chance { probability, dice: fastrand::Rng::with_seed(seed) };
        self
    }

    /// Adds an effect; effects happen in the order they were added.
    #[must_use]
    pub fn then(mut self, effect: Effect) -> Self {
        self.effects.push(effect);
        self
    }

    fn matches(&self, peer: Peer, call: &Call) -> bool {
        self.peer == peer
            && self.method.as_ref().is_none_or(|method| *method == call.method)
            && self.path_parts.iter().all(|part| call.path.contains(part.as_str()))
            && self.predicate.as_ref().is_none_or(|predicate| predicate(&call.path, &call.query))
    }

    fn fires(&mut self) -> bool {
        self.matched += 1;
        let fires = match &mut self.occurrence {
            Occurrence::Every => true,
            Occurrence::Numbers(numbers) => numbers.contains(&self.matched),
            Occurrence::Chance { probability, dice } => dice.f64() < *probability,
        };
        self.fired += u64::from(fires);
        fires
    }
}

/// The rules in force; cheap to clone, shared with the servers.
#[derive(Clone, Default)]
pub struct Faults(Arc<Mutex<Vec<Fault>>>);

impl Faults {
    /// Adds a rule and returns its number for [`Faults::fired`].
    pub fn add(&self, fault: Fault) -> usize {
        let mut faults = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        faults.push(fault);
        faults.len() - 1
    }

    /// Ends all faults.
    pub fn clear(&self) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).clear();
    }

    /// How often the rule with this number has acted. A test that waits for a fault should check it did happen.
    pub fn fired(&self, number: usize) -> u64 {
        let faults = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        faults.get(number).map_or(0, |fault| fault.fired)
    }

    /// The effects for this request, in order.
    pub(crate) fn effects(&self, peer: Peer, call: &Call) -> Vec<Effect> {
        let mut faults = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let mut effects = Vec::new();
        for fault in faults.iter_mut().filter(|fault| fault.matches(peer, call)) {
            if fault.fires() {
                effects.extend(fault.effects.iter().cloned());
            }
        }
        effects
    }
}

/// The rows of a list reply, wherever the vendor puts them.
fn rows(body: &mut Value) -> Option<&mut Vec<Value>> {
    if body.is_array() {
        return body.as_array_mut();
    }
    let key = ["Resources", "data"].into_iter().find(|key| body.get(key).is_some())?;
    body.get_mut(key)?.as_array_mut()
}

/// Applies an effect that changes a reply; the others have been dealt with by the server.
pub(crate) fn change_reply(effect: &Effect, call: &Call, reply: &mut Reply) {
    match effect {
        Effect::ForeignNext(origin) => edit_next_link(reply, |link| replace_origin(link, origin)),
        Effect::RepeatCursor => repeat_cursor(call, reply),
        Effect::DropNext => drop_next(reply),
        Effect::DuplicateRows(count) => reply.edit_json(|body| {
            if let Some(rows) = rows(body) {
                let again: Vec<_> = rows.iter().take(*count).cloned().collect();
                rows.extend(again);
            }
        }),
        Effect::DropRows(count) => reply.edit_json(|body| {
            if let Some(rows) = rows(body) {
                rows.truncate(rows.len().saturating_sub(*count));
            }
        }),
        Effect::ShiftTotal(by) => shift_total(reply, *by),
        // JSON allows white space before the first token, so a padded body is still the same document.
        Effect::Pad(bytes) => {
            reply.body.splice(0..0, std::iter::repeat_n(b' ', *bytes));
        }
        Effect::Edit(edit) => edit(reply),
        Effect::Answer(_)
        | Effect::AnswerWith(_)
        | Effect::Delay(_)
        | Effect::Cut(_)
        | Effect::Before(_)
        | Effect::After(_)
        | Effect::Query(..) => {}
    }
}

fn is_next(name: &str, value: &str) -> bool {
    name.eq_ignore_ascii_case("link") && value.contains("rel=\"next\"")
}

fn edit_next_link(reply: &mut Reply, edit: impl Fn(&str) -> String) {
    for (name, value) in &mut reply.headers {
        if is_next(name, value) {
            *value = edit(value);
        }
    }
}

fn replace_origin(link: &str, origin: &str) -> String {
    let Some(scheme_end) = link.find("://") else { return link.to_owned() };
    let path_start = link[scheme_end + 3..].find('/').map_or(link.len(), |offset| scheme_end + 3 + offset);
    format!("<{origin}{}", &link[path_start..])
}

fn repeat_cursor(call: &Call, reply: &mut Reply) {
    let own = |name: &str| call.query(name).unwrap_or_default().to_owned();
    let after = own("after");
    edit_next_link(reply, |link| {
        // The cursor that led here is handed out again; a first page has none and leads to itself.
        let Some(start) = link.find("after=") else { return link.to_owned() };
        let end = link[start..].find(['&', '>']).map_or(link.len(), |offset| start + offset);
        format!("{}after={after}{}", &link[..start], &link[end..])
    });
    if reply.header("after-cursor").is_some() {
        reply.set_header("After-Cursor", own("cursor"));
    }
    reply.edit_json(|body| {
        if let Some(cursor) = body.pointer_mut("/pagination/after_cursor") {
            *cursor = Value::String(own("after_cursor"));
        }
    });
}

fn drop_next(reply: &mut Reply) {
    reply.headers.retain(|(name, value)| !is_next(name, value));
    reply.remove_header("after-cursor");
    reply.edit_json(|body| {
        if let Some(cursor) = body.pointer_mut("/pagination/after_cursor") {
            *cursor = Value::Null;
        }
    });
}

fn shift_total(reply: &mut Reply, by: i64) {
    if let Some(total) = reply.header("total-count").and_then(|text| text.parse::<i64>().ok()) {
        reply.set_header("Total-Count", (total + by).to_string());
    }
    reply.edit_json(|body| {
        if let Some(total) = body.get("totalResults").and_then(Value::as_i64) {
            body["totalResults"] = (total + by).into();
        }
    });
}
