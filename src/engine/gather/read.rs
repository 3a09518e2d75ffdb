//! A complete read of the source: everybody, or nothing.

use std::collections::HashSet;
use std::future::Future;
use std::time::Duration;

use crate::engine::context::RunContext;
use crate::engine::error::RunError;
use crate::engine::gather::read_set::{ReadSet, ReadSetBuilder};
use crate::engine::gather::uncertain_access::UncertainAccess;
use crate::http::Lane;
use crate::model::id::SourceId;
use crate::model::identity::Finding;
use crate::model::link::LinkDigest;
use crate::model::owed::OwedChange;
use crate::model::run_event::RunEvent;
use crate::scim::target::Observe;
use crate::source::SourceError;

/// How often a read is asked whether it makes progress.
const PROGRESS_STEP: Duration = Duration::from_secs(1);
/// Linked people who are asked for when a read shows nobody at all.
const ASKED_WHEN_EMPTY: u32 = 5;

/// Reads everybody. Complete or nothing.
pub async fn everybody<O: Observe>(context: &RunContext<'_, O>) -> Result<ReadSet, RunError> {
    let links = context.snapshot.link_digests(context.sync_name()).await?;
    let mut closely: HashSet<SourceId> =
        context.snapshot.pins(context.sync_name()).await?.into_keys().collect();
    let owed = context.snapshot.owed(context.sync_name()).await?;
    closely.extend(UncertainAccess::of(&owed).ids().cloned());
    closely.extend(owed.into_iter().filter(OwedChange::is_deletion_alone).map(|change| change.source_id));
    read(context, links, closely).await
}

/// Reads everybody and gives every linked person who is listed a closer look, whether anything differs or not.
pub async fn everybody_closely<O: Observe>(context: &RunContext<'_, O>) -> Result<ReadSet, RunError> {
    let links = context.snapshot.link_digests(context.sync_name()).await?;
    let linked = links.iter().map(|link| link.source_id.clone()).collect();
    read(context, links, linked).await
}

/// Reads everybody; `closely` are people who get a closer look in any case.
async fn read<O: Observe>(
    context: &RunContext<'_, O>,
    links: Vec<LinkDigest>,
    closely: HashSet<SourceId>,
) -> Result<ReadSet, RunError> {
    let linked = links.len();
    let expected = context.snapshot.people_last_read(context.sync_name()).await?;
    let mut builder = ReadSetBuilder::new(
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
    Ok(builder.seal(read)?)
}

/// What the source gives next. A read that makes no progress ends; it may take as long as its pages need, and waits that
/// the source's own rate headers ask for do not count.
async fn with_progress<O: Observe, T>(
    context: &RunContext<'_, O>,
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

/// A 200 with nobody is believed only where some of the linked people, asked for one by one, are not assigned.
async fn believe_that_nobody_is_left<O: Observe>(context: &RunContext<'_, O>) -> Result<(), RunError> {
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
