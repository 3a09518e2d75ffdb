//! Whom a run is about: everybody by a complete read, or named people by point reads.

use std::collections::HashSet;
use std::future::Future;
use std::time::Duration;

use super::event::RunEvent;
use super::planning::People;
use super::roster::{Candidate, Roster, RosterBuilder, candidate};
use super::{Context, RunError};
use crate::core::normalize::fold_address;
use crate::core::standing::{ScopeNames, Standing, standing};
use crate::http::Lane;
use crate::model::id::SourceId;
use crate::model::identity::{Finding, PointRead};
use crate::model::link::{Link, LinkDigest};
use crate::model::order::Observation;
use crate::model::plan::RemovalCause;
use crate::source::SourceError;
use crate::store::Spool;
use crate::target::Observe;

/// How often a read is asked whether it makes progress.
const PROGRESS_STEP: Duration = Duration::from_secs(1);
/// Linked people who are asked for when a read shows nobody at all.
const ASKED_WHEN_EMPTY: u32 = 5;
/// So many people in a row whom the source cannot tell of, and nobody else yet: it tells of nobody.
const MOST_UNREAD: usize = 5;
/// Other people who may serve as a positive control for a run of named people.
const OTHER_WITNESSES: u32 = 3;

/// The people of a run, and what the proofs need to know of how they were read.
#[derive(Debug)]
pub struct Gathered {
    /// For the plan.
    pub people: People,
    /// For the positive control.
    pub witnesses: Vec<SourceId>,
    /// When the complete read began; `None` for named people.
    pub complete_read_at: Option<Observation>,
    /// People whom this complete read missed for the first time.
    pub newly_absent: Vec<SourceId>,
    /// People whom an earlier read missed and this one shows.
    pub shown_again: Vec<SourceId>,
    /// People who were looked at one by one, and when.
    pub looks: Vec<(SourceId, Observation)>,
    /// People read.
    pub users: u64,
    /// Pages read.
    pub pages: u64,
}

/// Reads everybody. Complete or nothing.
pub async fn everybody<O: Observe>(context: &Context<'_, O>) -> Result<Gathered, RunError> {
    let links = context.snapshot.link_digests(context.sync_name()).await?;
    let pinned = context.snapshot.pins(context.sync_name()).await?.into_keys().collect();
    read(context, links, pinned).await
}

/// Reads everybody and gives every linked person who is listed a closer look, whether anything differs or not.
pub async fn everybody_closely<O: Observe>(context: &Context<'_, O>) -> Result<Gathered, RunError> {
    let links = context.snapshot.link_digests(context.sync_name()).await?;
    let linked = links.iter().map(|link| link.source_id.clone()).collect();
    read(context, links, linked).await
}

/// Reads everybody; `closely` are people who get a closer look in any case.
async fn read<O: Observe>(
    context: &Context<'_, O>,
    links: Vec<LinkDigest>,
    closely: HashSet<SourceId>,
) -> Result<Gathered, RunError> {
    let linked = links.len();
    let expected = context.snapshot.people_last_read(context.sync_name()).await?;
    let mut builder = RosterBuilder::new(
        context.mapping,
        &context.config.lifecycle,
        context.snapshot.digest_key(),
        links,
        closely,
    );
    let mut interrupted = context.interrupted.clone();
    let mut reader = with_progress(context, context.source.open()).await?;
    let mut pages = 0;
    loop {
        let page = tokio::select! {
            page = with_progress(context, reader.next()) => page?,
            _ = interrupted.wait_for(|stop| *stop) => return Err(RunError::Interrupted),
        };
        let Some(page) = page else { break };
        pages += 1;
        for identity in &page.identities {
            builder.add(identity)?;
        }
        context.watcher.tell(&RunEvent::PageRead { pages, people: builder.people(), expected });
    }
    let people = builder.people();
    let read = reader.finish()?;
    context.watcher.tell(&RunEvent::ReadComplete { people });
    if people == 0 && linked > 0 {
        believe_that_nobody_is_left(context).await?;
    }
    let roster = builder.seal(read)?;
    Ok(gathered(roster))
}

/// What the source gives next. A read that makes no progress ends; it may take as long as its pages need, and waits that
/// the source's own rate headers ask for do not count.
async fn with_progress<O: Observe, T>(
    context: &Context<'_, O>,
    next: impl Future<Output = Result<T, SourceError>>,
) -> Result<T, SourceError> {
    let mut next = std::pin::pin!(next);
    let mut left = context.config.max_read;
    while !left.is_zero() {
        let step = left.min(PROGRESS_STEP);
        tokio::select! {
            given = &mut next => return given,
            () = tokio::time::sleep(step) => {}
        }
        if !context.source.is_kept_back(Lane::General) {
            left = left.saturating_sub(step);
        }
    }
    Err(SourceError::Incomplete(format!(
        "{}: no new page for {} s, which is max_read\nhelp: look at the vendor's status page; a slower network may need \
         a longer max_read",
        context.source.vendor().display_name(),
        context.config.max_read.as_secs()
    )))
}

fn gathered(roster: Roster) -> Gathered {
    let Roster {
        candidates,
        unchanged,
        newly_absent,
        shown_again,
        witnesses,
        scope_names_nobody_has,
        shared_logins,
        listed,
        read,
    } = roster;
    Gathered {
        people: People {
            candidates,
            unchanged,
            listed,
            shared_logins,
            scope_names_nobody_has,
            named: HashSet::new(),
        },
        witnesses,
        complete_read_at: Some(read.started_at()),
        newly_absent,
        shown_again,
        looks: Vec::new(),
        users: read.users(),
        pages: read.pages(),
    }
}

/// A 200 with nobody is believed only where some of the linked people, asked for one by one, are not assigned.
async fn believe_that_nobody_is_left<O: Observe>(context: &Context<'_, O>) -> Result<(), RunError> {
    let some = context.snapshot.some_active(context.sync_name(), ASKED_WHEN_EMPTY).await?;
    let vendor = context.source.vendor().display_name();
    let mut readable = some.is_empty();
    for link in &some {
        match context.source.point_read(&link.source_id, Lane::General).await {
            Ok(read) => match read.finding {
                Finding::Assigned(_) => {
                    return Err(RunError::Source(SourceError::Incomplete(format!(
                        "{vendor} lists nobody for the app, but {} is assigned when asked for alone: the list is not \
                         complete\nhelp: check that the credentials' admin role may see every user of the app",
                        link.user_name
                    ))));
                }
                Finding::NotAssigned(_) | Finding::UserGone => readable = true,
                Finding::Inconclusive(_) => {}
            },
            Err(error) => tracing::debug!(%error, "a point read failed while checking an empty list"),
        }
    }
    if readable {
        return Ok(());
    }
    Err(RunError::Source(SourceError::Incomplete(format!(
        "{vendor} lists nobody for the app, and none of {} linked people could be read to confirm it\nhelp: check \
         the credentials' scopes and admin role",
        some.len()
    ))))
}

/// Reads named people one by one. `who` may be a login, an e-mail, a source id or a target id.
pub async fn named<O: Observe>(context: &Context<'_, O>, who: &[String]) -> Result<Gathered, RunError> {
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
pub async fn by_id<O: Observe>(context: &Context<'_, O>, ids: Vec<SourceId>) -> Result<Gathered, RunError> {
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
        standing: Standing::Unknown(error.to_string()),
        linked: link.is_some(),
        observation: Observation::now(),
        assigned_at: None,
    }
}

/// The people of a run who were read one by one; `None` = nothing is known of them that would need a look.
pub async fn gather<O: Observe>(
    context: &Context<'_, O>,
    seen: Vec<(SourceId, Option<Candidate>)>,
) -> Result<Gathered, RunError> {
    let mut candidates = Spool::default();
    let mut listed = HashSet::new();
    let mut unchanged = 0;
    let mut looks = Vec::new();
    let mut shared_logins = HashSet::new();
    let ids: Vec<SourceId> = seen.iter().map(|(id, _)| id.clone()).collect();
    for (id, candidate) in seen {
        match candidate {
            Some(mut candidate) => {
                if !candidate.linked {
                    match shares_its_login(context, &candidate).await {
                        Ok(false) => {}
                        Ok(true) => {
                            shared_logins.insert(id.clone());
                        }
                        Err(RunError::Source(
                            error @ (SourceError::Unavailable(_) | SourceError::Incomplete(_)),
                        )) => {
                            let why =
                                format!("whether somebody else has the same login cannot be told: {error}");
                            candidate.standing = Standing::Unknown(why);
                        }
                        Err(error) => return Err(error),
                    }
                }
                // A look that could not decide is no observation: it makes no older one stale.
                if !matches!(candidate.standing, Standing::Unknown(_)) {
                    looks.push((id.clone(), candidate.observation));
                }
                if !matches!(candidate.standing, Standing::Leaver(_)) {
                    listed.insert(id.clone());
                }
                candidates.push(&candidate)?;
            }
            None => unchanged += 1,
        }
    }
    let others =
        context.snapshot.some_witnesses(context.sync_name(), OTHER_WITNESSES + ids.len() as u32).await?;
    let witnesses =
        others.into_iter().filter(|id| !ids.contains(id)).take(OTHER_WITNESSES as usize).collect();
    Ok(Gathered {
        users: ids.len() as u64,
        people: People {
            candidates,
            unchanged,
            listed,
            shared_logins,
            scope_names_nobody_has: Vec::new(),
            named: ids.into_iter().collect(),
        },
        witnesses,
        complete_read_at: None,
        newly_absent: Vec::new(),
        shown_again: Vec::new(),
        looks,
        pages: 0,
    })
}

/// Whether the source knows somebody else who qualifies and maps to the same login. A full read sees that for itself.
async fn shares_its_login<O: Observe>(
    context: &Context<'_, O>,
    candidate: &Candidate,
) -> Result<bool, RunError> {
    let Standing::Qualifies(mapped) = &candidate.standing else { return Ok(false) };
    let login = fold_address(mapped.desired.user_name());
    for other in context.source.with_login(mapped.desired.user_name()).await? {
        if other == candidate.id {
            continue;
        }
        let link = context.snapshot.link(context.sync_name(), &other).await?;
        if let Some(Candidate { standing: Standing::Qualifies(theirs), .. }) =
            one(context, &other, link.as_ref()).await?
            && fold_address(theirs.desired.user_name()) == login
        {
            return Ok(true);
        }
    }
    Ok(false)
}

/// Everybody whom a login, an e-mail, a source id or a target id means, by links and by the source.
pub async fn ids_of<O: Observe>(context: &Context<'_, O>, who: &str) -> Result<Vec<SourceId>, RunError> {
    let sync = context.sync_name();
    let mut ids = Vec::new();
    let by_link = [
        context.snapshot.link(sync, &SourceId::new(who)).await?,
        context.snapshot.link_by_login(sync, who).await?,
        context.snapshot.link_by_account(sync, who).await?,
    ];
    ids.extend(by_link.into_iter().flatten().map(|link| link.source_id));
    ids.extend(context.source.find(who).await?);
    let mut seen = HashSet::new();
    ids.retain(|id| seen.insert(id.clone()));
    Ok(ids)
}

/// One person by a point read; `None` where nothing is known of them on either side that would need a look.
pub async fn one<O: Observe>(
    context: &Context<'_, O>,
    id: &SourceId,
    link: Option<&Link>,
) -> Result<Option<Candidate>, RunError> {
    let read = context.source.point_read(id, context.lane).await?;
    Ok(candidate_of(context, id, link, &read))
}

/// The candidate that a point read shows; as for [`one`].
pub fn candidate_of<O: Observe>(
    context: &Context<'_, O>,
    id: &SourceId,
    link: Option<&Link>,
    read: &PointRead,
) -> Option<Candidate> {
    let linked = link.is_some();
    let bare = |standing| Candidate {
        id: id.clone(),
        user: link.map_or_else(|| id.to_string(), |link| link.user_name.clone()),
        standing,
        linked,
        observation: read.observation,
        assigned_at: None,
    };
    match &read.finding {
        Finding::Assigned(identity) | Finding::NotAssigned(identity) => {
            let mut seen = ScopeNames::new(context.mapping);
            let standing = standing(identity, linked, context.mapping, &context.config.lifecycle, &mut seen);
            Some(candidate(identity, standing, linked))
        }
        Finding::UserGone if linked => Some(bare(Standing::Leaver(RemovalCause::Deleted))),
        Finding::UserGone => None,
        Finding::Inconclusive(why) => Some(bare(Standing::Unknown(why.clone()))),
    }
}
