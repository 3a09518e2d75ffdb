//! Whose fault a failed read is: that question's alone, or everybody's.
//!
//! What lives here: the control read and what it makes of a failure. What must not: the questions themselves
//! (`observe`, `listing`), and what is done about the person.
//!
//! *Guarantee*: a 403 or 5xx for one object, one lookup or the listing is "credentials refused" or "unavailable" only
//! where the service answers nothing else either.

use tokio::time::Instant;

use crate::http::Lane;
use crate::scim::control::{Unread, is_recent};
use crate::scim::fault::Fault;
use crate::scim::service::Service;
use crate::scim::target::{Criterion, TargetError};
use crate::scim::{filter, wire};

impl Service {
    /// What a refused read is before anything else was asked.
    pub(super) fn unread(&self, fault: &Fault) -> Unread {
        let error = self.read_error(fault);
        // A token that is not known and a limit that is used up are nobody's own.
        if matches!(fault.status, 401 | 429) { Unread::Everybody(error) } else { Unread::Refused(error) }
    }

    /// The error of one question, or one person: [`TargetError::Unanswerable`] where the service answers others.
    pub(super) async fn judged(&self, unread: Unread, lane: Lane) -> TargetError {
        let error = match unread {
            Unread::Refused(error) | Unread::Lost(error) => error,
            Unread::Everybody(_) | Unread::Expired(_) => return unread.into_error(),
        };
        if let TargetError::Unanswerable(_) = error {
            return error;
        }
        if self.control.change(|answered| is_recent(answered.any)) {
            return questions_own(&error);
        }
        match self.answers(lane).await {
            Ok(()) => questions_own(&error),
            Err(TargetError::Unanswerable(_)) => error,
            Err(control) => control,
        }
    }

    /// The error of a listing: [`TargetError::Unanswerable`] where a lookup or a GET works, which serve as well.
    pub(super) async fn judged_listing(&self, unread: Unread) -> TargetError {
        let error = match unread {
            Unread::Refused(error) | Unread::Lost(error) => error,
            Unread::Everybody(_) | Unread::Expired(_) => return unread.into_error(),
        };
        if let TargetError::Unanswerable(_) = error {
            return error;
        }
        let answers = self.control.change(|answered| is_recent(answered.beside_listing))
            || self.answers_beside_listing(Lane::General).await;
        if answers { questions_own(&error) } else { error }
    }

    /// Whether the service answers at all, asked now. A 404 for one account means "gone" only beside this: a wrong base
    /// URL or a proxy's page must never make a leaver look gone.
    pub(super) async fn answers(&self, lane: Lane) -> Result<(), TargetError> {
        let error = match self.lists(lane).await {
            Ok(()) => {
                self.control.change(|answered| answered.any = Some(Instant::now()));
                return Ok(());
            }
            Err(Unread::Refused(error)) => error,
            Err(unread @ (Unread::Everybody(_) | Unread::Lost(_) | Unread::Expired(_))) => {
                return Err(unread.into_error());
            }
        };
        // Some services do not list, and answer every other question.
        if self.answers_beside_listing(lane).await { Ok(()) } else { Err(error) }
    }

    /// The first entry of the listing.
    async fn lists(&self, lane: Lane) -> Result<(), Unread> {
        let one = [("startIndex", "1"), ("count", "1")];
        let counts = self.known(|profile| !profile.count_refused);
        let fault = match self.first_page(if counts { &one } else { &one[..1] }, lane).await? {
            Ok(()) => return Ok(()),
            Err(fault) => fault,
        };
        let without = counts && fault.may_blame_count();
        if without && self.first_page(&one[..1], lane).await?.is_ok() {
            return Ok(());
        }
        Err(self.unread(&fault))
    }

    /// A lookup that finds nobody, else the account that was seen last.
    async fn answers_beside_listing(&self, lane: Lane) -> bool {
        let answers = self.looks_up(lane).await || self.shows_the_last_account(lane).await;
        if answers {
            let now = Some(Instant::now());
            self.control.change(|answered| (answered.any, answered.beside_listing) = (now, now));
        }
        answers
    }

    async fn looks_up(&self, lane: Lane) -> bool {
        let nobody = Criterion::UserName("nobody@rosterd.invalid".to_owned());
        // Where filters are ignored this is the listing once more.
        let trusted = self.known(|profile| profile.filter_trusted != Some(false));
        let Some(text) = filter::filter(&nobody, self.dialect).filter(|_| trusted) else { return false };
        let counts = self.known(|profile| !profile.count_refused);
        let query = [("filter", text.as_str()), ("startIndex", "1"), ("count", "1")];
        // A 404 would be no witness: it is what a wrong base URL gives, too.
        matches!(self.first_page(if counts { &query } else { &query[..2] }, lane).await, Ok(Ok(())))
    }

    async fn shows_the_last_account(&self, lane: Lane) -> bool {
        let Some(id) = self.control.change(|answered| answered.account.clone()) else { return false };
        let Ok(url) = self.account_url(&id) else { return false };
        match self.read(url, lane).await {
            Ok(Ok(answer)) => wire::account(&answer.body).is_some_and(|account| account.id == id),
            Ok(Err(_)) | Err(_) => false,
        }
    }

    async fn first_page(&self, query: &[(&str, &str)], lane: Lane) -> Result<Result<(), Fault>, Unread> {
        let url = self
            .url(&["Users"], query)
            .map_err(|message| Unread::Everybody(TargetError::Unanswerable(message)))?;
        match self.read(url, lane).await? {
            Ok(answer) => wire::list_page(&answer.body)
                .map(|_| Ok(()))
                .map_err(|reason| Unread::Refused(self.no_list(&reason))),
            Err(fault) => Ok(Err(fault)),
        }
    }
}

/// The words for a failure that is that question's own; the help for everybody would lead astray.
fn questions_own(error: &TargetError) -> TargetError {
    let message = match error {
        TargetError::Unavailable(message)
        | TargetError::Credentials(message)
        | TargetError::Unanswerable(message) => message,
    };
    let what = message.split_once("; help: ").map_or(message.as_str(), |(what, _)| what);
    TargetError::Unanswerable(format!(
        "{what}; other requests are answered; help: see whether the workspace, or a firewall in between, refuses this \
         one alone"
    ))
}
