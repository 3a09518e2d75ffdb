//! The dialect of one target: what it was seen to understand, ignore and refuse.
//!
//! What lives here: the [`Profile`], kept by the caller from run to run, and the rules by which outcomes change
//! it. What must not: requests, or anything about one person.
//!
//! A profile is an optimisation, never a permission: with an empty one every write still arrives, after a few
//! more requests.

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};

use crate::model::attributes::AttributePath;
use crate::model::link::REFUSAL_REST_MILLIS;
use crate::model::time::Millis;

/// How a change travels.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum WriteStyle {
    /// PATCH, each operation with a path.
    PatchPath,
    /// PATCH, one operation with a value object and no path.
    PatchValue,
    /// GET, merge, PUT.
    Put,
}

impl WriteStyle {
    /// In words, for `check`.
    pub fn as_str(self) -> &'static str {
        match self {
            WriteStyle::PatchPath => "PATCH with a path",
            WriteStyle::PatchValue => "PATCH without a path",
            WriteStyle::Put => "PUT of the whole account",
        }
    }
}

/// An attribute that the target's schema does not know.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct UnknownAttribute {
    /// The target's words.
    pub detail: String,
    /// When it said so; asked again after seven days.
    pub at: Millis,
}

/// What is known of one target. Serialized by the caller; unknown fields of a later version are ignored.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Profile {
    /// How attributes travel.
    pub attributes: WriteStyle,
    /// How `active` travels.
    pub active: WriteStyle,
    /// Whether an account has to be read before its multi-valued attributes can be patched.
    pub reads_before_patch: bool,
    /// Whether `externalId` can be searched; `None` = not yet tried.
    pub external_id_searchable: Option<bool>,
    /// Whether a `userName` filter narrows the answer; `None` = not yet tried.
    pub filter_trusted: Option<bool>,
    /// Whether a `userName` filter finds another spelling in case; `None` = not yet seen.
    pub filter_ignores_case: Option<bool>,
    /// Whether the server fails on `count`.
    pub count_refused: bool,
    /// `/Me` was refused or is not known: the token's own account cannot be told.
    pub no_me: bool,
    /// The most accounts that were got on one page although more were asked for and more were there.
    pub page_cap: Option<u64>,
    /// Whether `startIndex` counts from 0; `None` = not yet tried.
    pub counts_from_zero: Option<bool>,
    /// Whether the server refuses `application/scim+json` and takes `application/json`.
    pub plain_json: bool,
    /// Whether a create must not say `active`.
    pub create_without_active: bool,
    /// Whether the target never shows that an account is inactive.
    pub deactivation_unshown: bool,
    /// Whether a deactivation was ever seen to take: then one that is not seen tells of its account alone.
    pub deactivation_seen: bool,
    /// Attributes that were seen to be stored in the present style.
    pub stored: BTreeSet<AttributePath>,
    /// Attributes that no style changes.
    pub ignored: BTreeSet<AttributePath>,
    /// Attributes that the schema does not know.
    pub unknown: BTreeMap<AttributePath, UnknownAttribute>,
    /// PATCH requests in a row that ended as 500 while PUT then worked.
    pub patch_failures: u32,
}

impl Default for Profile {
    fn default() -> Profile {
        Profile {
            attributes: WriteStyle::PatchPath,
            active: WriteStyle::PatchValue,
            reads_before_patch: false,
            external_id_searchable: None,
            filter_trusted: None,
            filter_ignores_case: None,
            count_refused: false,
            no_me: false,
            page_cap: None,
            counts_from_zero: None,
            plain_json: false,
            create_without_active: false,
            deactivation_unshown: false,
            deactivation_seen: false,
            stored: BTreeSet::new(),
            ignored: BTreeSet::new(),
            unknown: BTreeMap::new(),
            patch_failures: 0,
        }
    }
}

/// A 500 to a PATCH may be a bad moment; after this many in a row that PUT then carried, PUT it is.
const PATCH_FAILURES_BEFORE_PUT: u32 = 2;

impl Profile {
    /// The style for a write of attributes (`with_attributes`), of `active`, or of both at once.
    pub fn style(&self, with_attributes: bool, with_active: bool) -> WriteStyle {
        match (with_attributes, with_active) {
            (true, true) if self.active == WriteStyle::Put => WriteStyle::Put,
            (true, _) => self.attributes,
            (false, _) => self.active,
        }
    }

    /// Learns that a write of attributes took in `style`.
    pub fn attributes_took<'a>(
        &mut self,
        style: WriteStyle,
        paths: impl IntoIterator<Item = &'a AttributePath>,
    ) {
        if self.attributes != style {
            self.attributes = style;
            self.stored.clear();
        }
        if style != WriteStyle::Put {
            self.patch_failures = 0;
        }
        for path in paths {
            self.ignored.remove(path);
            self.unknown.remove(path);
            self.stored.insert(path.clone());
        }
    }

    /// Learns that PUT carried a write at which PATCH ended as 500. Not believed at the first time.
    pub fn put_helped_after_failure<'a>(&mut self, paths: impl IntoIterator<Item = &'a AttributePath>) {
        self.patch_failures += 1;
        if self.patch_failures >= PATCH_FAILURES_BEFORE_PUT {
            self.attributes_took(WriteStyle::Put, paths);
        }
    }

    /// Learns that no style changes these attributes.
    pub fn attributes_ignored(&mut self, paths: impl IntoIterator<Item = AttributePath>) {
        for path in paths {
            self.stored.remove(&path);
            self.ignored.insert(path);
        }
    }

    /// Learns that the schema does not know these attributes.
    pub fn attribute_unknown(&mut self, path: &AttributePath, detail: &str, now: Millis) {
        self.unknown.insert(path.clone(), UnknownAttribute { detail: detail.to_owned(), at: now });
    }

    /// The target's words on an attribute that it does not know, while they are fresh.
    pub fn refuses(&self, path: &AttributePath, now: Millis) -> Option<&str> {
        let unknown = self.unknown.get(path)?;
        (0..REFUSAL_REST_MILLIS).contains(&now.since(unknown.at)).then_some(unknown.detail.as_str())
    }

    /// The first `startIndex` of a listing.
    pub fn first_index(&self) -> u64 {
        if self.counts_from_zero == Some(true) { 0 } else { 1 }
    }

    /// Learns from a page that held fewer accounts than asked for although more were there.
    pub fn page_was_capped(&mut self, received: u64) {
        self.page_cap = Some(self.page_cap.map_or(received, |known| known.max(received)));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_profile_survives_its_own_json_and_that_of_other_versions() {
        let mut profile = Profile::default();
        profile.attributes_took(WriteStyle::Put, [&AttributePath::known("title")]);
        profile.attribute_unknown(&AttributePath::known("nickName"), "unknown", Millis(5));
        profile.page_was_capped(100);
        let text = serde_json::to_string(&profile).unwrap();
        assert_eq!(serde_json::from_str::<Profile>(&text).unwrap(), profile);
        let other: Profile = serde_json::from_str(r#"{"active":"put","of_a_later_version":1}"#).unwrap();
        assert_eq!(other, Profile { active: WriteStyle::Put, ..Profile::default() });
    }

    #[test]
    fn one_bad_moment_does_not_change_the_style_and_two_in_a_row_do() {
        let title = AttributePath::known("title");
        let mut profile = Profile::default();
        profile.put_helped_after_failure([&title]);
        assert_eq!(profile.attributes, WriteStyle::PatchPath);
        profile.attributes_took(WriteStyle::PatchPath, [&title]);
        profile.put_helped_after_failure([&title]);
        assert_eq!(profile.attributes, WriteStyle::PatchPath, "a PATCH that worked starts the count anew");
        profile.put_helped_after_failure([&title]);
        assert_eq!(profile.attributes, WriteStyle::Put);
    }

    #[test]
    fn an_unknown_attribute_is_asked_again_after_seven_days() {
        let title = AttributePath::known("title");
        let mut profile = Profile::default();
        profile.attribute_unknown(&title, "no such attribute", Millis(0));
        assert_eq!(profile.refuses(&title, Millis(REFUSAL_REST_MILLIS - 1)), Some("no such attribute"));
        assert_eq!(profile.refuses(&title, Millis(REFUSAL_REST_MILLIS)), None);
    }

    #[test]
    fn one_write_of_both_takes_the_style_that_can_carry_both() {
        let mut profile = Profile::default();
        assert_eq!(profile.style(true, true), WriteStyle::PatchPath);
        assert_eq!(profile.style(false, true), WriteStyle::PatchValue);
        profile.active = WriteStyle::Put;
        assert_eq!(profile.style(true, true), WriteStyle::Put);
        assert_eq!(profile.style(true, false), WriteStyle::PatchPath);
    }
}
