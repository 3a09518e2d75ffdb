//! The names that a configuration file may use, section by section.
//!
//! What lives here: one list per table, and the nearest known name for an unknown one. What must not: what the
//! keys mean (see `check`).

/// A table of the file: how people write its name, and the keys it may have.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Schema {
    /// As in a message: `[sync.source]`.
    pub name: &'static str,
    /// Every key, in the order of the documentation.
    pub keys: &'static [&'static str],
}

pub(super) const ROOT: Schema =
    Schema { name: "the top level", keys: &["state_dir", "keep_history", "daemon", "sync"] };
pub(super) const DAEMON: Schema =
    Schema { name: "[daemon]", keys: &["listen", "listen_public", "socket", "notify", "dead_man"] };
pub(super) const NOTIFY: Schema = Schema { name: "daemon.notify", keys: &["url", "on"] };
pub(super) const SYNC: Schema = Schema {
    name: "[[sync]]",
    keys: &[
        "name",
        "schedule",
        "timezone",
        "jitter",
        "watch",
        "max_apply",
        "max_read",
        "source",
        "target",
        "scope",
        "lifecycle",
        "guard",
        "adopt",
        "drift",
        "user_type",
        "attributes",
    ],
};
pub(super) const SOURCE: Schema = Schema {
    name: "[sync.source]",
    keys: &[
        "kind",
        "url",
        "app_id",
        "api_token",
        "oauth",
        "client_id",
        "client_secret",
        "groups",
        "rate_share_percent",
        "proxy",
        "ca_file",
    ],
};
pub(super) const OAUTH: Schema =
    Schema { name: "sync.source.oauth", keys: &["client_id", "private_key", "key_id", "dpop"] };
pub(super) const TARGET: Schema = Schema {
    name: "[sync.target]",
    keys: &[
        "url",
        "token",
        "dialect",
        "requests_per_minute",
        "concurrency",
        "reserve_for_removals_percent",
        "timeout",
        "proxy",
        "ca_file",
    ],
};
pub(super) const SCOPE: Schema = Schema { name: "[sync.scope]", keys: &["domains", "filter"] };
pub(super) const LIFECYCLE: Schema = Schema {
    name: "[sync.lifecycle]",
    keys: &[
        "create",
        "update",
        "deactivate",
        "reactivate",
        "on_unassigned",
        "on_deleted",
        "on_suspended",
        "on_pending",
        "delete_after",
        "recreate",
    ],
};
pub(super) const GUARD: Schema = Schema {
    name: "[sync.guard]",
    keys: &[
        "max_removals",
        "max_removals_percent",
        "max_removals_percent_per_day",
        "max_updates_percent",
        "max_reactivations",
        "max_creates",
        "max_seats",
        "protected",
        "approval",
    ],
};
pub(super) const ADOPT: Schema = Schema { name: "[sync.adopt]", keys: &["match", "mode"] };
pub(super) const DRIFT: Schema =
    Schema { name: "[sync.drift]", keys: &["schedule", "access", "reactivate", "attributes"] };
pub(super) const USER_TYPE: Schema =
    Schema { name: "[sync.user_type]", keys: &["path", "from", "default", "values", "billable", "groups"] };
pub(super) const GROUP_RULE: Schema = Schema { name: "sync.user_type.groups", keys: &["group", "value"] };
pub(super) const ATTRIBUTE: Schema = Schema { name: "an attribute rule", keys: &["from", "on_missing"] };
pub(super) const SECRET: Schema = Schema { name: "a secret", keys: &["credential", "file", "env"] };

const ALL: &[Schema] = &[
    ROOT, DAEMON, NOTIFY, SYNC, SOURCE, OAUTH, TARGET, SCOPE, LIFECYCLE, GUARD, ADOPT, DRIFT, USER_TYPE,
    GROUP_RULE, ATTRIBUTE, SECRET,
];

/// Whether any table has such a key.
pub(super) fn is_known(key: &str) -> bool {
    ALL.iter().any(|schema| schema.keys.contains(&key))
}

impl Schema {
    /// What to write instead of a key that this table does not have.
    pub(super) fn help_for(&self, key: &str) -> String {
        // Only whole tables are worth pointing at: `url` or `from` elsewhere would be a guess.
        let elsewhere = ALL.iter().find(|schema| schema.name.starts_with('[') && schema.keys.contains(&key));
        if let Some(nearest) = nearest(key, self.keys.iter().copied()) {
            return format!("the nearest key is `{nearest}`");
        }
        if let Some(schema) = elsewhere {
            return format!("`{key}` belongs in {}", schema.name);
        }
        format!("{} has these keys: {}", self.name, self.keys.join(", "))
    }
}

/// The candidate that `word` is probably a misspelling of.
pub(super) fn nearest<'c>(word: &str, candidates: impl IntoIterator<Item = &'c str>) -> Option<&'c str> {
    // Longer words than any name are no misspellings, and comparing them costs time.
    if word.is_empty() || word.len() > 64 {
        return None;
    }
    let folded = word.to_lowercase().replace('-', "_");
    let distance = |candidate: &str| {
        let candidate = candidate.to_lowercase().replace('-', "_");
        strsim::damerau_levenshtein(&folded, &candidate)
    };
    let allowed = (word.chars().count() / 3).max(1);
    let close = candidates.into_iter().map(|candidate| (distance(candidate), candidate));
    close
        .filter(|(distance, _)| *distance <= allowed)
        .min_by_key(|(distance, _)| *distance)
        .map(|(_, name)| name)
}
