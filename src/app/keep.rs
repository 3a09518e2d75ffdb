//! `keep`: a person decides that an account stays as it is for a time, although its owner left. The identity provider is
//! asked why they left at that moment, because the decision binds that cause and no other.

use std::time::Duration;

use super::command_context::CommandContext;
use super::command_error::{CommandError, state_complaint};
use super::runs::unreadable_secrets;
use crate::config;
use crate::core::explain::Stored;
use crate::engine::error::RunError;
use crate::exit;
use crate::http::pacer::Pacers;
use crate::model::id::TargetId;
use crate::model::plan::RemovalCause;
use crate::model::time::Millis;
use crate::operations::keep::CauseNow;
use crate::report::visible;
use crate::store::KeptAccount;

/// Somebody whose removal is owed or held.
struct Leaver<'a> {
    sync: &'a config::Sync,
    person: Stored,
    user: String,
    account: TargetId,
}

/// Keeps an account for so long.
pub(super) async fn keep(
    context: &CommandContext<'_>,
    who: &str,
    length: Duration,
    reason: Option<&str>,
) -> u8 {
    match kept(context, who, length, reason).await {
        Ok(()) => exit::OK,
        Err(error) => context.report_error(error),
    }
}

async fn kept(
    context: &CommandContext<'_>,
    who: &str,
    length: Duration,
    reason: Option<&str>,
) -> Result<(), CommandError> {
    let Leaver { sync, person, user, account } = leaver(context, who).await?;
    let (login, name) = (visible(&user).into_owned(), visible(&sync.name).into_owned());
    let cause = cause_now(context, sync, &person, &login).await?;
    let now = Millis::now();
    let until = Millis(now.0.saturating_add(i64::try_from(length.as_millis()).unwrap_or(i64::MAX)));
    let store = context.write().await?;
    let tenure = store.tenure(&sync.name).await.map_err(state_complaint)?;
    let by = context.console.who();
    let kept = KeptAccount {
        source_id: person.source_id.clone(),
        user,
        target_id: account,
        cause,
        until,
        reason: reason.map(str::to_owned),
    };
    store.keep_account(&tenure, kept, &by, now).await.map_err(state_complaint)?;
    tracing::info!(sync = sync.name, source_id = person.source_id.as_str(), by, "an account is kept");
    store.close().await?;
    context.console.say(&format!(
        "kept: the account of {login} ({}) in sync \"{name}\" stays until {}, although this person is {}; another cause \
         removes it all the same, and `rosterd forget --lift {}` ends this",
        person.source_id,
        until.rfc3339(),
        describe(cause),
        person.source_id
    ));
    Ok(())
}

/// The only person of this name whose removal is owed or held.
async fn leaver<'a>(context: &'a CommandContext<'_>, who: &str) -> Result<Leaver<'a>, CommandError> {
    let snapshot = context.read().await?;
    let (mut found, mut known) = (Vec::new(), None);
    for sync in context.chosen()? {
        let stored = snapshot.explained(&sync.name, who, Millis::now()).await.map_err(state_complaint)?;
        for person in stored.people {
            let owed = person.owed.iter().find(|change| change.is_removal());
            let is_held = person.holds.iter().any(|hold| hold.class.is_removal());
            known = Some(person.source_id.clone());
            if owed.is_none() && !is_held {
                continue;
            }
            let of_link = person.link.as_ref().map(|link| (link.user_name.clone(), link.target_id.clone()));
            let of_row = owed.and_then(|change| Some((change.user.clone(), change.target_id.clone()?)));
            if let Some((user, account)) = of_link.or(of_row) {
                found.push(Leaver { sync, person, user, account });
            }
        }
    }
    match (found.pop(), found.is_empty(), known) {
        (Some(only), true, _) => Ok(only),
        (Some(_), false, _) => {
            let text =
                "that is more than one person, or one in several syncs\nhelp: give the source id, and --sync";
            Err((text.to_owned(), exit::USAGE))
        }
        (None, _, Some(id)) => {
            let text = format!(
                "no removal of {id} is owed or held, so there is nothing to be kept from\nhelp: `rosterd explain {id}` \
                 says where this person stands; accounts that nobody may ever touch are listed in guard.protected"
            );
            Err((text, exit::FAILURE))
        }
        (None, _, None) => {
            let text = format!(
                "nothing about {} is on record\nhelp: give a login, a source id or an account id; `rosterd status` \
                 lists who left and still has access",
                visible(who)
            );
            Err((text, exit::USAGE))
        }
    }
}

/// Asks the identity provider why the person left.
async fn cause_now(
    context: &CommandContext<'_>,
    sync: &config::Sync,
    person: &Stored,
    login: &str,
) -> Result<RemovalCause, CommandError> {
    if let Some(message) = unreadable_secrets(&[sync]) {
        return Err((message, exit::CONFIG));
    }
    let snapshot = context.read().await?;
    let session = context.session(sync, &Pacers::new(), &snapshot).await?;
    let unanswered = |why: &str| {
        let text = format!(
            "nothing is kept, because why {login} left could not be asked: {}\nhelp: repeat this once the identity \
             provider answers; `rosterd pause` stops every write meanwhile",
            why.split("\nhelp: ").next().unwrap_or_default()
        );
        (text, exit::SOURCE)
    };
    match session.cause_now(&person.source_id).await {
        Ok(CauseNow::Left(cause)) => Ok(cause),
        Ok(CauseNow::HasNotLeft) => {
            let text = format!(
                "{login} has not left: the identity provider shows them active and assigned, and the next run wants \
                 nothing removed\nhelp: `rosterd explain {}` shows what it says",
                person.source_id
            );
            Err((text, exit::FAILURE))
        }
        Ok(CauseNow::Unknown(why)) => Err(unanswered(&why)),
        Err(error @ RunError::Source(_)) => Err(unanswered(&error.to_string())),
        Err(error) => Err((error.to_string(), exit::FAILURE)),
    }
}

/// The cause as a sentence says it.
fn describe(cause: RemovalCause) -> &'static str {
    match cause {
        RemovalCause::NotListed | RemovalCause::NotAssigned => "not assigned to the app any more",
        RemovalCause::Disabled => "disabled at the identity provider",
        RemovalCause::Suspended => "suspended at the identity provider",
        RemovalCause::OutOfScope => "out of scope",
        RemovalCause::Deleted => "deleted at the identity provider",
        RemovalCause::DeleteAfter | RemovalCause::Undone => "to lose the account",
    }
}
