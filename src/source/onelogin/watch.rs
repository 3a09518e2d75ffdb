//! OneLogin's event log as it grows: whom to look at next.
//!
//! What lives here: polling by time with an overlap, which kinds of events are followed, and what each points at.
//! What must not: the question about one person's deletion (`events`), and what is done about a hint.
//!
//! The log has no cursor that lasts, so each poll starts two minutes before the last one, and what was seen in that
//! time is passed over. Nobody is told "assigned to the app": that follows from roles and logins, so those events point
//! at people of whatever app. Source: developers.onelogin.com, "Get Events"; the numbers of kinds are a third party's.

use std::collections::HashSet;

use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;

use super::OneLogin;
use super::event_types::EventTypes;
use super::wire::{Event, V1, VENDOR};
use crate::http::Answer;
use crate::model::id::SourceId;
use crate::model::owed::EventMeaning::{self, Joins, Leaves, Other};
use crate::model::time::Millis;
use crate::source::fault::Place;
use crate::source::watch::{Hint, LOOK_BACK_MILLISECONDS, Poll, PollError, Subject};

/// Pages of 50 that one poll reads; the next one goes on there.
const MOST_PAGES: u32 = 20;
/// Ids that a cursor keeps at most. Beyond it an event may be told twice, which costs one look.
const MOST_SEEN: usize = 50_000;

/// What a kind of event is about.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum About {
    /// A person's roles or login at an app.
    Membership(EventMeaning),
    /// A person's lifecycle or profile.
    Person(EventMeaning),
    /// An app that a role was given.
    AppGiven,
    /// An app that a role was taken from.
    AppTaken,
}

/// The numbers, for where the account's list lacks a kind. A number that it uses for something else is not taken.
const NUMBERS: [(u32, About); 20] = [
    (1, About::AppGiven),
    (2, About::AppTaken),
    (4, About::Membership(Joins)),
    (12, About::Person(Other)),
    (13, About::Person(Other)),
    (14, About::Person(Other)),
    (15, About::Person(Leaves)),
    (16, About::Person(Joins)),
    (17, About::Person(Leaves)),
    (19, About::Person(Other)),
    (21, About::Person(Leaves)),
    (32, About::Person(Joins)),
    (33, About::Person(Other)),
    (48, About::Person(Other)),
    (147, About::Membership(Joins)),
    (148, About::Membership(Leaves)),
    (149, About::Membership(Joins)),
    (150, About::Membership(Leaves)),
    (206, About::Membership(Joins)),
    (207, About::Membership(Leaves)),
];

/// Whom an event points at, and what it lets expect.
type Told = Option<(Subject, EventMeaning)>;

fn everybody(reason: String) -> (Subject, EventMeaning) {
    (Subject::Everybody(reason), Other)
}

/// What a poll leaves to the next one.
#[derive(Debug, Serialize, Deserialize)]
struct Kept {
    /// When the last chain of pages was begun, by OneLogin's clock.
    since: Millis,
    /// The events that it saw and that the next one will see again.
    seen: Vec<String>,
    /// A chain of pages that was not read to its end.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    rest: Option<Rest>,
}

/// Where a chain of pages goes on.
#[derive(Debug, Serialize, Deserialize)]
struct Rest {
    after: String,
    begun: Millis,
    seen: Vec<String>,
}

/// One chain of pages as far as it was read.
struct Walk {
    /// When it was begun.
    begun: Millis,
    /// Nobody told when it was begun: the newest event has to do.
    by_events: bool,
    /// Events of this chain that earlier polls read and the next chain will see again.
    seen_before: Vec<String>,
    /// What was told already.
    told: HashSet<String>,
    /// The events of this poll.
    events: Vec<(String, Millis)>,
    hints: Vec<Hint>,
}

impl OneLogin {
    /// What the log tells since `cursor`, or of the last two minutes.
    pub(in crate::source) async fn poll_events(&self, cursor: Option<&str>) -> Result<Poll, PollError> {
        let kept = match cursor {
            None => Kept { since: Millis::now(), seen: Vec::new(), rest: None },
            Some(cursor) => serde_json::from_str(cursor).map_err(|_| {
                PollError::CursorLost(format!(
                    "{VENDOR}: the event log: the stored place in it cannot be read"
                ))
            })?,
        };
        let types = self.event_types().await?;
        let followed = followed(&types);
        let kinds = followed.iter().map(|(kind, _)| kind.as_str()).collect::<Vec<_>>().join(",");
        // The vendor writes milliseconds; whole seconds are a little earlier, which does no harm.
        let since = Millis(kept.since.0 - LOOK_BACK_MILLISECONDS).rfc3339().replace('Z', ".000Z");
        let mut after = kept.rest.as_ref().map(|rest| rest.after.clone());
        let mut walk = Walk::new(&kept);
        let mut pages = 0;
        loop {
            pages += 1;
            let mut query = vec![("event_type_id", kinds.as_str()), ("since", since.as_str())];
            query.extend(after.as_deref().map(|after| ("after_cursor", after)));
            let (answer, place) = self.ask_log(&["1", "events"], &query, cursor.is_some()).await?;
            if after.is_none() {
                walk.begin(&answer);
            }
            let page: V1<'_> =
                serde_json::from_slice(&answer.body).map_err(|error| place.malformed(&answer, &error))?;
            for raw in &page.data {
                match serde_json::from_str::<Event<'_>>(raw.get()) {
                    Ok(event) => {
                        walk.take(&event, raw, answer.observation.at, self.subject(&event, &followed))
                    }
                    Err(_) => walk.unreadable(raw, answer.observation.at),
                }
            }
            match page.next_cursor() {
                None => return walk.ended(&place),
                Some(next) if after.as_deref() == Some(next) => {
                    return Err(place.incomplete("its next cursor leads to the same page again").into());
                }
                Some(next) if pages == MOST_PAGES => return walk.interrupted(kept, next.to_owned(), &place),
                Some(next) => after = Some(next.to_owned()),
            }
        }
    }

    fn subject(&self, event: &Event<'_>, followed: &[(String, About)]) -> Told {
        let kind = event.event_type_id.get()?;
        let (_, about) = *followed.iter().find(|(known, _)| known == kind)?;
        // Not every event names the app; one that does not may mean ours.
        let of_other_app = event.app_id.get().is_some_and(|app| app != &*self.app_id && app != "0");
        let person = event.user_id.get().filter(|id| *id != "0").map(SourceId::new);
        let role = event.role_name.get().unwrap_or("of an unknown name");
        match about {
            About::Person(meaning) => person.map(|person| (Subject::Person(person), meaning)),
            About::Membership(_) | About::AppGiven | About::AppTaken if of_other_app => None,
            About::Membership(meaning) => Some(match person {
                Some(person) => (Subject::Membership(person), meaning),
                None => everybody("an event about roles or logins does not say about whom it is".to_owned()),
            }),
            About::AppGiven => Some(everybody(format!("the app was added to the role {role}"))),
            About::AppTaken => Some(everybody(format!("the app was removed from the role {role}"))),
        }
    }
}

impl Walk {
    fn new(kept: &Kept) -> Walk {
        let rest = kept.rest.as_ref();
        let seen_before = rest.map(|rest| rest.seen.clone()).unwrap_or_default();
        Walk {
            begun: rest.map_or(kept.since, |rest| rest.begun),
            by_events: false,
            told: kept.seen.iter().chain(&seen_before).cloned().collect(),
            seen_before,
            events: Vec::new(),
            hints: Vec::new(),
        }
    }

    /// The time at OneLogin, told by the answer (RFC 9110, 6.6.1): our clock may differ from the events'.
    fn begin(&mut self, answer: &Answer) {
        let date = answer.header("date").and_then(|text| httpdate::parse_http_date(text).ok());
        let since_epoch = date.and_then(|date| date.duration_since(std::time::UNIX_EPOCH).ok());
        match since_epoch.and_then(|time| i64::try_from(time.as_millis()).ok()) {
            Some(now) => self.begun = Millis(now),
            None => self.by_events = true,
        }
    }

    fn take(&mut self, event: &Event<'_>, raw: &RawValue, sent_at: Millis, told: Told) {
        let event_id = event.id.owned().unwrap_or_else(|| digest(raw));
        let at = event.created_at.get().and_then(Millis::parse);
        if let (true, Some(at)) = (self.by_events, at) {
            self.begun = self.begun.max(at);
        }
        self.note(event_id, at, sent_at, told);
    }

    /// It is of a kind that is followed, so something happened; what, only a full run can tell.
    fn unreadable(&mut self, raw: &RawValue, sent_at: Millis) {
        let told = everybody("an event of the log cannot be read".to_owned());
        self.note(digest(raw), None, sent_at, Some(told));
    }

    fn note(&mut self, event_id: String, at: Option<Millis>, sent_at: Millis, told: Told) {
        // An event without a time comes again for as long as the vendor pleases.
        self.events.push((event_id.clone(), at.unwrap_or(self.begun)));
        if self.told.insert(event_id.clone()) {
            let at = at.unwrap_or(sent_at);
            self.hints.extend(told.map(|(subject, meaning)| Hint { event_id, at, subject, meaning }));
        }
    }

    /// The events that the next chain will see again.
    fn seen(&mut self) -> Vec<String> {
        // The request names whole seconds.
        let start = self.begun.0 - LOOK_BACK_MILLISECONDS - 1000;
        let events = std::mem::take(&mut self.events);
        let again = events.into_iter().filter(|(_, at)| at.0 >= start).map(|(id, _)| id);
        let mut seen: Vec<String> = std::mem::take(&mut self.seen_before).into_iter().chain(again).collect();
        let surplus = seen.len().saturating_sub(MOST_SEEN);
        seen.drain(..surplus);
        seen
    }

    /// The chain came to its end.
    fn ended(mut self, place: &Place) -> Result<Poll, PollError> {
        let kept = Kept { since: self.begun, seen: self.seen(), rest: None };
        self.poll(&kept, place)
    }

    /// There are more pages than one poll reads.
    fn interrupted(mut self, kept: Kept, after: String, place: &Place) -> Result<Poll, PollError> {
        let rest = Rest { after, begun: self.begun, seen: self.seen() };
        self.poll(&Kept { rest: Some(rest), ..kept }, place)
    }

    fn poll(self, kept: &Kept, place: &Place) -> Result<Poll, PollError> {
        let cursor = serde_json::to_string(kept).map_err(|error| place.incomplete(error))?;
        Ok(Poll { hints: self.hints, cursor, more: kept.rest.is_some() })
    }
}

/// The kinds of events to ask for, by number.
fn followed(types: &EventTypes) -> Vec<(String, About)> {
    let named = types.iter().filter_map(|(number, name)| Some((number.clone(), about(name)?)));
    let is_listed = |number: &String| types.iter().any(|(listed, _)| listed == number);
    let numbered = NUMBERS.into_iter().map(|(number, about)| (number.to_string(), about));
    named.chain(numbered.filter(|(number, _)| !is_listed(number))).collect()
}

/// What a kind of event is about, by its name. Only some names are documented, so it is the words that count:
/// `USER_MANUALLY_ADDED_ROLE` and `USER_AUTOMATICALLY_REMOVED_FROM_ROLE` are both about somebody's role.
fn about(name: &str) -> Option<About> {
    let name = name.to_ascii_uppercase();
    let words: Vec<&str> = name.split(|c: char| !c.is_ascii_alphanumeric()).collect();
    let has = |word: &str| words.contains(&word);
    let (given, taken) = (has("ADDED") || has("ASSIGNED"), has("REMOVED") || has("UNASSIGNED"));
    match words.as_slice() {
        _ if has("FAILED") => None,
        ["APP", ..] if has("ROLE") && given => Some(About::AppGiven),
        ["APP", ..] if has("ROLE") && taken => Some(About::AppTaken),
        _ if (has("ROLE") || has("LOGIN")) && given => Some(About::Membership(Joins)),
        _ if (has("ROLE") || has("LOGIN")) && taken => Some(About::Membership(Leaves)),
        ["USER", "ACTIVATED" | "UNSUSPENDED" | "REACTIVATED"] => Some(About::Person(Joins)),
        ["USER", "DEACTIVATED" | "SUSPENDED" | "DELETED"] => Some(About::Person(Leaves)),
        ["USER", "CREATED" | "UPDATED" | "LOCKED" | "UNLOCKED" | "LICENSED" | "UNLICENSED"] => {
            Some(About::Person(Other))
        }
        ["USER", "IMPORTED", ..] => Some(About::Person(Other)),
        _ => None,
    }
}

/// Stands in for the id of an event that has none.
fn digest(raw: &RawValue) -> String {
    blake3::hash(raw.get().as_bytes()).to_hex()[..32].to_owned()
}
