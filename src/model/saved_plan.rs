//! A saved plan: what `rosterd plan --out` writes and `rosterd apply` carries out, exactly or not at all.

use serde::{Deserialize, Serialize};

use super::report::ActionRecord;
use super::time::Millis;

/// The format's name and version.
pub const SCHEMA: &str = "rosterd.plan/1";
/// How long a plan may be applied.
pub const VALID_MILLIS: i64 = 24 * 3600 * 1000;

/// A whole plan file.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct SavedPlan {
    /// [`SCHEMA`].
    pub schema: String,
    /// The program's version.
    pub rosterd: String,
    /// When it was made.
    pub created_at: Millis,
    /// Digest of the configuration file it was made with.
    pub config: String,
    /// One per sync.
    pub syncs: Vec<SavedSync>,
    /// Over everything above.
    pub digest: String,
}

/// One sync's part.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct SavedSync {
    /// The sync.
    pub sync: String,
    /// What its links are bound to: source, app and workspace.
    pub bound_to: String,
    /// The actions, with the values they rest on: old, new, account.
    pub actions: Vec<ActionRecord>,
}

impl SavedPlan {
    /// Seals a plan.
    pub fn new(created_at: Millis, config: String, syncs: Vec<SavedSync>) -> SavedPlan {
        let rosterd = env!("CARGO_PKG_VERSION").to_owned();
        let mut plan = SavedPlan {
            schema: SCHEMA.to_owned(),
            rosterd,
            created_at,
            config,
            syncs,
            digest: String::new(),
        };
        plan.digest = plan.reckoned_digest();
        plan
    }

    /// Why the plan must not be applied, as far as the file alone tells.
    pub fn problem(&self, config: &str, now: Millis) -> Option<String> {
        if self.schema != SCHEMA {
            return Some(format!("it is a {}, this rosterd applies {SCHEMA}", self.schema));
        }
        let ours = env!("CARGO_PKG_VERSION");
        if self.rosterd != ours {
            return Some(format!("rosterd {} made it, and this is {ours}", self.rosterd));
        }
        if self.digest != self.reckoned_digest() {
            return Some("it was edited after it was made".to_owned());
        }
        if self.config != config {
            return Some("the configuration has changed since it was made".to_owned());
        }
        if !(0..VALID_MILLIS).contains(&now.since(self.created_at)) {
            return Some(format!(
                "it was made on {} and a plan holds for 24 hours",
                self.created_at.rfc3339()
            ));
        }
        None
    }

    fn reckoned_digest(&self) -> String {
        let unsealed = SavedPlan { digest: String::new(), ..self.clone() };
        // Field order is fixed by the types, so equal plans have equal bytes.
        let bytes = serde_json::to_vec(&unsealed).unwrap_or_default();
        blake3::hash(&bytes).to_hex().to_string()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn plan() -> SavedPlan {
        let sync = SavedSync { sync: "default".into(), bound_to: "okta".into(), actions: Vec::new() };
        SavedPlan::new(Millis(1000), "c".into(), vec![sync])
    }

    #[test]
    fn an_untouched_plan_can_be_applied_for_a_day() {
        assert_eq!(plan().problem("c", Millis(1000 + VALID_MILLIS - 1)), None);
        assert!(plan().problem("c", Millis(1000 + VALID_MILLIS)).unwrap().contains("24 hours"));
        assert!(plan().problem("c", Millis(0)).is_some());
    }

    #[test]
    fn a_plan_of_before_an_upgrade_is_refused() {
        let mut older = plan();
        older.rosterd = "0.0.9".into();
        older.digest = older.reckoned_digest();
        assert!(older.problem("c", Millis(1000)).unwrap().contains("0.0.9 made it"));
    }

    #[test]
    fn an_edited_or_foreign_plan_is_refused() {
        let mut edited = plan();
        edited.syncs[0].bound_to = "elsewhere".into();
        assert!(edited.problem("c", Millis(1000)).unwrap().contains("edited"));
        assert!(plan().problem("other", Millis(1000)).unwrap().contains("configuration"));
    }
}
