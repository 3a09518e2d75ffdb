//! What `check` says about one right, one secret or one capability: a line with what to do.

use serde::{Deserialize, Serialize};

/// How a check ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum CheckLevel {
    /// Works.
    Ok,
    /// Works, with something to know or to decide.
    Warn,
    /// Does not work.
    Fail,
}

impl CheckLevel {
    /// The word at the start of the line.
    pub fn as_str(self) -> &'static str {
        match self {
            CheckLevel::Ok => "ok",
            CheckLevel::Warn => "warn",
            CheckLevel::Fail => "fail",
        }
    }
}

/// One line of `check`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct RightCheck {
    /// How it ended.
    pub level: CheckLevel,
    /// What was checked, in a few words: "target read".
    pub right: String,
    /// What was found, one line.
    pub detail: String,
    /// What to do, where there is something to do.
    pub help: Option<String>,
}

impl RightCheck {
    /// It works.
    pub fn ok(right: &str, detail: impl Into<String>) -> RightCheck {
        RightCheck { level: CheckLevel::Ok, right: right.to_owned(), detail: detail.into(), help: None }
    }

    /// It works, with something to know.
    pub fn warn(right: &str, detail: impl Into<String>, help: impl Into<String>) -> RightCheck {
        RightCheck {
            level: CheckLevel::Warn,
            right: right.to_owned(),
            detail: detail.into(),
            help: Some(help.into()),
        }
    }

    /// It does not work.
    pub fn fail(right: &str, detail: impl Into<String>, help: impl Into<String>) -> RightCheck {
        RightCheck {
            level: CheckLevel::Fail,
            right: right.to_owned(),
            detail: detail.into(),
            help: Some(help.into()),
        }
    }
}
