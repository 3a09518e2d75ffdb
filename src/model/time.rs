//! Points in time as the store and the reports carry them.

use serde::{Deserialize, Serialize, Serializer};

/// Milliseconds since the Unix epoch, UTC.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, Default)]
#[serde(transparent)]
pub struct Millis(pub i64);

impl Millis {
    /// Until somebody says otherwise.
    pub const FOR_GOOD: Millis = Millis(i64::MAX);

    /// The wall clock. The only clock of the program that may jump; durations within a run use tokio's.
    pub fn now() -> Millis {
        #[cfg(feature = "sim")]
        if let Some(process) = super::simulated::simulated_process() {
            return Millis(process.now_millis());
        }
        Millis(chrono::Utc::now().timestamp_millis())
    }

    /// RFC 3339 with seconds, UTC: the form that reports show.
    pub fn rfc3339(self) -> String {
        chrono::DateTime::from_timestamp_millis(self.0)
            .map(|time| time.to_rfc3339_opts(chrono::SecondsFormat::Secs, true))
            .unwrap_or_else(|| format!("{} ms", self.0))
    }

    /// Parses RFC 3339, as Okta, OneLogin and SCIM write times.
    pub fn parse(text: &str) -> Option<Millis> {
        chrono::DateTime::parse_from_rfc3339(text).ok().map(|time| Millis(time.timestamp_millis()))
    }

    /// Milliseconds from `earlier` to here; negative where the clock went back.
    pub fn since(self, earlier: Millis) -> i64 {
        self.0 - earlier.0
    }
}

/// Serializes a time as reports show it; for `serialize_with`.
pub(super) fn rfc3339<S: Serializer>(at: &Millis, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_str(&at.rfc3339())
}

/// [`rfc3339`], or null.
pub(super) fn maybe_rfc3339<S: Serializer>(at: &Option<Millis>, serializer: S) -> Result<S::Ok, S::Error> {
    match at {
        Some(at) => rfc3339(at, serializer),
        None => serializer.serialize_none(),
    }
}
