//! Groups by name: each resolved to exactly one, and read as completely as people.
//!
//! What lives here: names to ids, and who is in them. What must not: what a group means (expressions and rules).

use std::sync::Arc;

use super::Okta;
use super::membership::{GroupIds, Membership};
use super::pages::{Chain, ChainPage};
use super::wire::{Group, VENDOR, WithId};
use crate::http::Lane;
use crate::source::SourceError;
use crate::source::fault::{Failure, Place};
use crate::source::ids::IdSet;

/// Largest page of group members (OpenAPI: `/api/v1/groups/{groupId}/users`).
const MEMBERS_PAGE_SIZE: &str = "1000";
const GROUPS_PAGE_SIZE: &str = "200";

/// The groups of one person, declared or not, by id and name.
#[derive(Debug, Default)]
struct OwnGroups(Vec<(String, Option<String>)>);

impl OwnGroups {
    fn take(&mut self, id: &str, name: Option<&str>) {
        self.0.push((id.to_owned(), name.map(str::to_owned)));
    }

    fn has(&self, id: &str) -> bool {
        self.0.iter().any(|(own, _)| own == id)
    }

    /// The declared groups among them, in configured order.
    fn of(&self, ids: &GroupIds) -> Vec<Arc<str>> {
        ids.0.iter().filter(|(_, id)| self.has(id)).map(|(name, _)| Arc::clone(name)).collect()
    }

    /// A declared name that one of them bears under another id than the resolved one: the group was made anew, and
    /// the old id would make its members look like strangers.
    fn made_anew<'i>(&self, ids: &'i GroupIds) -> Option<&'i str> {
        let is_other = |name: &str, id: &str| {
            self.0.iter().any(|(own, called)| called.as_deref() == Some(name) && own != id)
        };
        ids.0.iter().find(|(name, id)| is_other(name, id)).map(|(name, _)| &**name)
    }
}

impl Okta {
    /// Reads every configured group to its end.
    pub(super) async fn membership(&self) -> Result<Membership, SourceError> {
        if self.group_names.is_empty() {
            return Ok(Membership::default());
        }
        let ids = self.resolve_groups(Lane::General).await?;
        self.group_ids.keep(&ids);
        let mut membership = Membership::default();
        for (name, id) in &ids.0 {
            membership.0.push((Arc::clone(name), self.members(name, id).await?));
        }
        Ok(membership)
    }

    async fn members(&self, name: &str, id: &str) -> Result<IdSet, SourceError> {
        let first = self.url(&["groups", id, "users"], &[("limit", MEMBERS_PAGE_SIZE)]);
        let mut chain =
            Chain::new(&self.client, format!("the members of group `{name}`"), first, Lane::General);
        let mut members = IdSet::default();
        while let Some(ChainPage { answer, place }) = chain.next().await? {
            let entries: Vec<WithId<'_>> =
                serde_json::from_slice(&answer.body).map_err(|error| place.malformed(&answer, &error))?;
            for entry in entries {
                let id = entry.id.get().ok_or_else(|| place.incomplete("an entry has no id"))?;
                if !members.insert(id) {
                    return Err(
                        place.incomplete(format_args!("{id} was on an earlier page; help: run again"))
                    );
                }
            }
        }
        Ok(members)
    }

    /// The configured groups of one person, by a point read.
    pub(super) async fn groups_of(&self, id: &str, lane: Lane) -> Result<Vec<Arc<str>>, Failure> {
        if self.group_names.is_empty() {
            return Ok(Vec::new());
        }
        let mut ids = self.known_groups(lane).await?;
        let first = self.url(&["users", id, "groups"], &[]);
        let place = Place::new(VENDOR, format!("the groups of {id}"), &first);
        let mut chain = Chain::new(&self.client, format!("the groups of {id}"), first, lane);
        let mut own = OwnGroups::default();
        while let Some(ChainPage { answer, place }) = chain.next().await? {
            let entries: Vec<Group<'_>> =
                serde_json::from_slice(&answer.body).map_err(|error| place.malformed(&answer, &error))?;
            for entry in entries {
                let id = entry.id.get().ok_or_else(|| place.incomplete("an entry has no id"))?;
                own.take(id, entry.profile.as_ref().and_then(|profile| profile.name.get()));
            }
        }
        if own.made_anew(&ids).is_some() {
            ids = self.resolve_groups(lane).await?;
            self.group_ids.keep(&ids);
        }
        match own.made_anew(&ids) {
            Some(name) => Err(place
                .incomplete(format_args!(
                    "one is called `{name}` and is not the group that is found by this name"
                ))
                .into()),
            None => Ok(own.of(&ids)),
        }
    }

    /// The configured groups as last resolved in this pass.
    pub(super) async fn known_groups(&self, lane: Lane) -> Result<Arc<GroupIds>, Failure> {
        if let Some(ids) = self.group_ids.known() {
            return Ok(ids);
        }
        let ids = self.resolve_groups(lane).await?;
        self.group_ids.keep(&ids);
        Ok(ids)
    }

    /// Each configured name to exactly one group.
    pub(super) async fn resolve_groups(&self, lane: Lane) -> Result<Arc<GroupIds>, Failure> {
        let mut resolved = Vec::new();
        for name in self.group_names.iter() {
            resolved.push((Arc::from(name.as_str()), self.resolve_group(name, lane).await?));
        }
        Ok(Arc::new(GroupIds(resolved)))
    }

    async fn resolve_group(&self, name: &str, lane: Lane) -> Result<String, Failure> {
        // `q` finds names that begin with it; only an equal one counts.
        let first = self.url(&["groups"], &[("q", name), ("limit", GROUPS_PAGE_SIZE)]);
        let place = Place::new(VENDOR, format!("the group `{name}`"), &first);
        let mut chain = Chain::new(&self.client, format!("the groups named `{name}`"), first, lane);
        let (mut ids, mut similar) = (Vec::new(), Vec::new());
        while let Some(ChainPage { answer, place }) = chain.next().await? {
            let groups: Vec<Group<'_>> =
                serde_json::from_slice(&answer.body).map_err(|error| place.malformed(&answer, &error))?;
            for group in groups {
                let Some(found) = group.profile.as_ref().and_then(|profile| profile.name.get()) else {
                    continue;
                };
                match group.id.get() {
                    Some(id) if found == name => ids.push(id.to_owned()),
                    Some(_) | None => similar.push(format!("`{found}`")),
                }
            }
        }
        match ids.as_slice() {
            [id] => Ok(id.clone()),
            [] => {
                similar.truncate(5);
                let hint = if similar.is_empty() {
                    "help: check the name in `groups`, and that the credentials may read groups".to_owned()
                } else {
                    format!("help: did you mean {}?", similar.join(", "))
                };
                Err(place.incomplete(format_args!("there is no group of this name; {hint}")).into())
            }
            several => Err(place
                .incomplete(format_args!(
                    "{} groups have this name ({}), so it is not clear whose members are meant; help: rename one",
                    several.len(),
                    several.join(", ")
                ))
                .into()),
        }
    }
}
