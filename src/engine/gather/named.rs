//! People who are read one by one: by name, or by id.
//!
//! What must not live here: complete reads (`read`).

use std::collections::{HashMap, HashSet};

use crate::core::eligibility::{Eligibility, ScopeNames, eligibility};
use crate::engine::context::RunContext;
use crate::engine::error::RunError;
use crate::engine::gather::read_set::ReadSet;
use crate::engine::gather::read_set::{Candidate, candidate};
use crate::model::folding::fold_address;
use crate::model::id::SourceId;
use crate::model::identity::{Finding, PointRead};
use crate::model::link::Link;
use crate::model::order::Observation;
use crate::model::plan::RemovalCause;
use crate::scim::target::Observe;
use crate::source::SourceError;
use crate::spool::Spool;

/// So many people in a row whom the source cannot tell of, and nobody else yet: it tells of nobody.
const MOST_UNREAD: usize = 5;
/// Other people who may serve as a positive control for a run of named people.
const OTHER_WITNESSES: u32 = 3;

/// Reads named people one by one. `who` may be a login, an e-mail, a source id or a target id.
pub async fn named<O: Observe>(context: &RunContext<'_, O>, who: &[String]) -> Result<ReadSet, RunError> {
    let mut ids: Vec<SourceId> = Vec::new();
    let mut unknown = Vec::new();
    for name in who {
        let found = ids_of(context, name).await?;
        if found.is_empty() {
            unknown.push(name.clone());
        }
        for id in found {
            if !ids.contains(&id) {
                ids.push(id);
            }
        }
    }
    if !unknown.is_empty() {
        return Err(RunError::NobodyNamed(format!(
            "{} knows nobody called {}, and no link does either\nhelp: give a login, an e-mail, a source id or an \
             account id",
            context.source.vendor().display_name(),
            unknown.join(", ")
        )));
    }
    by_id(context, ids).await
}

/// Reads people by their ids. Whom the source cannot tell of while it tells of others is that person's trouble alone.
pub async fn by_id<O: Observe>(context: &RunContext<'_, O>, ids: Vec<SourceId>) -> Result<ReadSet, RunError> {
    let mut seen = Vec::with_capacity(ids.len());
    let (mut anybody, mut unread) = (false, Vec::new());
    for id in ids {
        let link = context.snapshot.link(context.sync_name(), &id).await?;
        let candidate = match one(context, &id, link.as_ref()).await {
            Ok(candidate) => {
                anybody = true;
                candidate
            }
            Err(RunError::Source(error @ (SourceError::Unavailable(_) | SourceError::Incomplete(_)))) => {
                let candidate = unreadable(&id, link.as_ref(), &error);
                unread.push(error);
                if !anybody && unread.len() == MOST_UNREAD {
                    break;
                }
                Some(candidate)
            }
            Err(error) => return Err(error),
        };
        seen.push((id, candidate));
    }
    match unread.into_iter().next() {
        Some(error) if !anybody => Err(error.into()),
        Some(_) | None => gather(context, seen).await,
    }
}

/// Somebody whom the source could not tell of: nobody can judge, and nothing is written.
fn unreadable(id: &SourceId, link: Option<&Link>, error: &SourceError) -> Candidate {
    Candidate {
        id: id.clone(),
        user: link.map_or_else(|| id.to_string(), |link| link.user_name.clone()),
        eligibility: Eligibility::Unknown(error.to_string()),
        linked: link.is_some(),
        observation: Observation::now(),
        assigned_at: None,
        lacks: Vec::new(),
    }
}

/// The people of a run who were read one by one; `None` = nothing is known of them that would need a look.
pub async fn gather<O: Observe>(
    context: &RunContext<'_, O>,
    seen: Vec<(SourceId, Option<Candidate>)>,
) -> Result<ReadSet, RunError> {
    let mut candidates = Spool::default();
    let mut living = HashSet::new();
    let mut unchanged = 0;
    let mut looks = Vec::new();
    let (mut shared_logins, mut untold_logins) = (HashSet::new(), HashMap::new());
    let ids: Vec<SourceId> = seen.iter().map(|(id, _)| id.clone()).collect();
    for (id, candidate) in seen {
        match candidate {
            Some(candidate) => {
                // A look that could not decide is no observation: it makes no older one stale.
                if !matches!(candidate.eligibility, Eligibility::Unknown(_)) {
                    looks.push((id.clone(), candidate.observation));
                }
                if !candidate.linked {
                    match shares_its_login(context, &candidate).await? {
                        Ok(true) => {
                            shared_logins.insert(id.clone());
                        }
                        Ok(false) => {}
                        Err(why) => {
                            untold_logins.insert(id.clone(), why);
                        }
                    }
                }
                if !matches!(candidate.eligibility, Eligibility::Leaver(_)) {
                    living.insert(id.clone());
                }
                candidates.push(&candidate)?;
            }
            None => unchanged += 1,
        }
    }
    let others =
        context.snapshot.some_assigned(context.sync_name(), OTHER_WITNESSES + ids.len() as u32).await?;
    let witnesses = others
        .into_iter()
        .map(|link| link.source_id)
        .filter(|id| !ids.contains(id))
        .take(OTHER_WITNESSES as usize)
        .collect();
    Ok(ReadSet {
        users: ids.len() as u64,
        candidates,
        unchanged,
        living,
        shared_logins,
        untold_logins,
        named: ids.into_iter().collect(),
        witnesses,
        looks,
        ..ReadSet::default()
    })
}

/// Whether the source knows somebody else who qualifies and maps to the same login. A full read sees that for itself. The
/// inner error is why the source cannot answer for this login, which is this person's matter.
async fn shares_its_login<O: Observe>(
    context: &RunContext<'_, O>,
    candidate: &Candidate,
) -> Result<Result<bool, String>, RunError> {
    let Eligibility::Qualifies(mapped) = &candidate.eligibility else { return Ok(Ok(false)) };
    let login = fold_address(mapped.desired.user_name());
    let others = match context.source.with_login(mapped.desired.user_name()).await {
        Ok(others) => others,
        Err(SourceError::Incomplete(why)) => return Ok(Err(why)),
        Err(error) => return Err(error.into()),
    };
    for other in others {
        if other == candidate.id {
            continue;
        }
        let link = context.snapshot.link(context.sync_name(), &other).await?;
        if let Some(Candidate { eligibility: Eligibility::Qualifies(theirs), .. }) =
            one(context, &other, link.as_ref()).await?
            && fold_address(theirs.desired.user_name()) == login
        {
            return Ok(Ok(true));
        }
    }
    Ok(Ok(false))
}

/// Everybody whom a login, an e-mail, a source id or a target id means, by links and by the source.
pub async fn ids_of<O: Observe>(context: &RunContext<'_, O>, who: &str) -> Result<Vec<SourceId>, RunError> {
    let sync = context.sync_name();
    let mut ids = Vec::new();
    let by_link = [
        context.snapshot.link(sync, &SourceId::new(who)).await?,
        context.snapshot.link_by_login(sync, who).await?,
        context.snapshot.link_by_account(sync, who).await?,
    ];
    ids.extend(by_link.into_iter().flatten().map(|link| link.source_id));
    match context.source.find(who).await {
        Ok(found) => ids.extend(found),
        // The source cannot answer for this one name, and a link does.
        Err(SourceError::Incomplete(why)) if !ids.is_empty() => {
            tracing::debug!(%why, "a name is known by its link alone");
        }
        Err(error) => return Err(error.into()),
    }
    let mut seen = HashSet::new();
    ids.retain(|id| seen.insert(id.clone()));
    Ok(ids)
}

/// One person by a point read; `None` where nothing is known of them on either side that would need a look.
pub async fn one<O: Observe>(
    context: &RunContext<'_, O>,
    id: &SourceId,
    link: Option<&Link>,
) -> Result<Option<Candidate>, RunError> {
    let read = context.source.point_read(id, context.lane()).await?;
    Ok(candidate_of(context, id, link, &read))
}

/// The candidate that a point read shows; as for [`one`].
pub fn candidate_of<O: Observe>(
    context: &RunContext<'_, O>,
    id: &SourceId,
    link: Option<&Link>,
    read: &PointRead,
) -> Option<Candidate> {
    let linked = link.is_some();
    let bare = |eligibility| Candidate {
        id: id.clone(),
        user: link.map_or_else(|| id.to_string(), |link| link.user_name.clone()),
        eligibility,
        linked,
        observation: read.observation,
        assigned_at: None,
        lacks: Vec::new(),
    };
    match &read.finding {
        Finding::Assigned(identity) | Finding::NotAssigned(identity) => {
            let mut seen = ScopeNames::new(context.mapping);
            let eligibility =
                eligibility(identity, linked, context.mapping, &context.config.lifecycle, &mut seen);
            let lacks = match eligibility {
                Eligibility::OutOfScope => seen.never_seen().to_vec(),
                Eligibility::Qualifies(_)
                | Eligibility::Pending
                | Eligibility::Suspended
                | Eligibility::Leaver(_)
                | Eligibility::Blocked(_)
                | Eligibility::Unknown(_) => Vec::new(),
            };
            Some(Candidate { lacks, ..candidate(identity, eligibility, linked) })
        }
        Finding::UserGone if linked => Some(bare(Eligibility::Leaver(RemovalCause::Deleted))),
        Finding::UserGone => None,
        Finding::Inconclusive(why) => Some(bare(Eligibility::Unknown(why.clone()))),
    }
}
