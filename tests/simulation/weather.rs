//! What goes wrong between the program and both sides, for as long as one step lasts.

use std::collections::{BTreeMap, BTreeSet};

/// A whole side.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Side {
    Down,
    RefusesCredentials,
}

/// The source's list.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ListFault {
    /// A page that fails.
    Breaks,
    /// The chain ends without its end mark.
    Incomplete,
    /// 200 with nobody.
    Empty,
}

/// One person asked for alone at the source.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum PointFault {
    ServerError,
    Forbidden,
    Inconclusive,
    /// The credentials' role does not show this person, neither in the list nor alone.
    Hidden,
    /// The list leaves this person out, alone they are shown.
    LeftOut,
    /// The record comes without the person's state.
    StateMissing,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Log {
    #[default]
    Readable,
    NotAllowed,
    Fails,
}

/// Reading the workspace.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LookupFault {
    Refused,
    Forbidden,
    ServerError,
}

/// One write.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum WriteFault {
    Forbidden,
    Permanent,
    NoSeat,
    Invalid,
    ServerError,
    RateLimited,
    Unauthorized,
    Unreachable,
    TimeoutWithoutEffect,
    TimeoutWithEffect,
    /// 504 at once.
    GatewayWithEffect,
    /// An optional value is refused by name.
    TitleRefused,
    /// Acknowledged without showing the account.
    NoBody,
    /// It waits for its turn in the rate for two and a half minutes.
    Queued,
    /// Given up after its time, and acted on minutes later.
    TimeoutWithLateEffect,
}

#[derive(Debug, Clone, Default)]
pub struct Weather {
    pub source: Option<Side>,
    pub target: Option<Side>,
    pub list: Option<ListFault>,
    /// By person.
    pub points: BTreeMap<String, PointFault>,
    pub log: Log,
    /// Who shares a login cannot be asked.
    pub login_lookups_fail: bool,
    /// The workspace's listing.
    pub listing: Option<LookupFault>,
    /// Accounts that the workspace's listing leaves out.
    pub unlisted: BTreeSet<String>,
    pub lookups: Option<LookupFault>,
    /// Logins (and marks) whose lookup is refused.
    pub lookups_of: BTreeMap<String, LookupFault>,
    /// By account: a GET fails.
    pub gets: BTreeSet<String>,
    /// Whose writes (`*` = everybody's), and how often.
    pub writes: Vec<(String, WriteFault, u32)>,
    /// Per cent of all replies to writes that are lost after they had their effect.
    pub lost_replies: u64,
    /// New accounts are found only after so long.
    pub index_delay_ms: i64,
    /// Everything takes so many times as long.
    pub slow: i64,
}

impl Weather {
    pub fn clear() -> Weather {
        Weather { slow: 1, ..Weather::default() }
    }

    /// Whether a run may say that it could not read the source at all.
    pub fn excuses_source(&self) -> bool {
        self.source.is_some() || self.list.is_some()
    }

    /// Whether a run may say that the workspace does not answer.
    pub fn excuses_target(&self) -> bool {
        self.target.is_some()
            || self
                .writes
                .iter()
                .any(|(_, fault, _)| matches!(fault, WriteFault::Unauthorized | WriteFault::Unreachable))
    }

    /// With what else is wrong.
    pub fn and(mut self, other: &Weather) -> Weather {
        self.points.extend(other.points.clone());
        self.gets.extend(other.gets.clone());
        self.writes.extend(other.writes.clone());
        self
    }

    /// Whether something is wrong that may keep a run from removing this person. What is wrong with other people, with
    /// lookups and with listings is none of it.
    pub fn keeps(&self, person: &str, account: &str) -> bool {
        self.source.is_some()
            || self.target.is_some()
            || self.list.is_some()
            || self.log != Log::Readable
            || self.points.contains_key(person)
            // The control read asks up to three people.
            || self.points.len() > 2
            || self.gets.contains(account)
            || self.writes.iter().any(|(who, _, _)| who == "*" || who == person)
    }

    #[expect(dead_code, reason = "asked when a rule is about everybody")]
    pub fn is_clear(&self) -> bool {
        let Weather {
            source,
            target,
            list,
            points,
            log,
            login_lookups_fail,
            listing,
            unlisted,
            lookups,
            lookups_of,
            gets,
            writes,
            lost_replies,
            index_delay_ms,
            slow: _,
        } = self;
        source.is_none()
            && target.is_none()
            && list.is_none()
            && points.is_empty()
            && *log == Log::Readable
            && !login_lookups_fail
            && listing.is_none()
            && unlisted.is_empty()
            && lookups.is_none()
            && lookups_of.is_empty()
            && gets.is_empty()
            && writes.is_empty()
            && *lost_replies == 0
            && *index_delay_ms == 0
    }
}
