//! Reading one account, and looking accounts up.
//!
//! What lives here: point reads and lookups, with the comparison that makes a hit one. What must not: the walk
//! over pages (`listing`).

use tokio::time::Instant;

use crate::config::Dialect;
use crate::http::Lane;
use crate::model::account::Account;
use crate::model::id::TargetId;
use crate::model::order::Observation;
use crate::scim::control::Unread;
use crate::scim::fault::Fault;
use crate::scim::filter;
use crate::scim::listing::{Page, PageError};
use crate::scim::service::Service;
use crate::scim::target::{Criterion, ListCursor, Lookup, TargetError};
use crate::scim::wire;

/// What one filtered question brought.
#[derive(Default)]
struct Hits {
    accounts: Vec<Account>,
    strangers: usize,
    observation: Option<Observation>,
    other_case: bool,
}

impl Service {
    /// The token's own account by `/Me`. Anything but a User means that it cannot be told; that is remembered,
    /// because most service providers do not have it and Wrike documents nothing of the kind.
    pub(super) async fn own_account(&self) -> Option<TargetId> {
        if self.dialect == Dialect::Wrike || self.known(|profile| profile.no_me) {
            return None;
        }
        let url = self.url(&["Me"], &[]).ok()?;
        match self.read(url, Lane::General).await {
            Ok(Ok(answer)) => {
                let account = wire::account(&answer.body);
                self.learn(|profile| profile.no_me = account.is_none());
                account.map(|account| account.id)
            }
            Ok(Err(fault)) if (400..500).contains(&fault.status) || fault.status == 501 => {
                self.learn(|profile| profile.no_me = !matches!(fault.status, 401 | 408 | 429));
                None
            }
            Ok(Err(_)) | Err(_) => None,
        }
    }

    /// One account; `None` = 404, once it is certain that the service itself said so.
    pub(super) async fn account(&self, id: &TargetId, lane: Lane) -> Result<Option<Account>, TargetError> {
        match self.account_before(id, lane, None).await {
            Ok(account) => Ok(account),
            Err(unread) => Err(self.judged(unread, lane).await),
        }
    }

    /// As [`Service::account`], not asked after `not_after`, and without a judgement whose fault it is.
    pub(super) async fn account_before(
        &self,
        id: &TargetId,
        lane: Lane,
        not_after: Option<Instant>,
    ) -> Result<Option<Account>, Unread> {
        let unanswerable = |message| Unread::Refused(TargetError::Unanswerable(message));
        let url = self.account_url(id).map_err(unanswerable)?;
        let answer = match self.read_before(url, lane, not_after).await? {
            Ok(answer) => answer,
            Err(fault) if matches!(fault.status, 404 | 410) => {
                self.confirm_absence(&fault, lane).await.map_err(Unread::Everybody)?;
                return Ok(None);
            }
            Err(fault) => return Err(self.unread(&fault)),
        };
        match wire::account(&answer.body) {
            Some(account) if account.id.as_str().eq_ignore_ascii_case(id.as_str()) => {
                self.control.saw(&account.id);
                Ok(Some(account))
            }
            Some(account) => Err(unanswerable(format!(
                "asked {} for the account {id} and got the account {}",
                self.place(),
                account.id
            ))),
            None => Err(unanswerable(format!(
                "asked {} for the account {id} and got something that is no User",
                self.place()
            ))),
        }
    }

    /// Accounts that match, each once.
    pub(super) async fn find(&self, criterion: &Criterion) -> Result<Lookup, TargetError> {
        if matches!((criterion, self.dialect), (Criterion::ExternalId(_), Dialect::Wrike)) {
            return Err(TargetError::Unanswerable(
                "wrike searches by e-mail address only, externalId cannot be asked for".to_owned(),
            ));
        }
        let trusted = self.known(|profile| profile.filter_trusted != Some(false));
        let Some(text) = filter::filter(criterion, self.dialect).filter(|_| trusted) else {
            return self.search(criterion).await;
        };
        let mut hits = match self.ask(criterion, &text).await {
            Ok(hits) => hits,
            Err(PageError::Denied(fault)) => return self.after_refused_filter(criterion, &fault).await,
            Err(PageError::Failed(unread)) => return Err(self.judged(unread, Lane::General).await),
        };
        if hits.accounts.is_empty()
            && hits.strangers == 0
            && self.known(|profile| profile.filter_ignores_case != Some(true))
            && let Some(lower) = filter::in_lower_case(criterion)
            && let Some(text) = filter::filter(&lower, self.dialect)
        {
            // Some servers tell cases apart in a filter and not in a create.
            match self.ask(&lower, &text).await {
                Ok(found) => hits.accounts = found.accounts,
                Err(PageError::Denied(fault)) => return self.after_refused_filter(criterion, &fault).await,
                Err(PageError::Failed(unread)) => return Err(self.judged(unread, Lane::General).await),
            }
        }
        let observation = hits.observation.unwrap_or_else(Observation::now);
        Ok(Lookup { accounts: hits.accounts, observation })
    }

    /// One filtered question, over as many pages as its answer has.
    async fn ask(&self, criterion: &Criterion, text: &str) -> Result<Hits, PageError> {
        let mut cursor = ListCursor::default();
        let mut hits = Hits::default();
        while let Some(page) = self.page(Some(text), &mut cursor).await? {
            let (received, total) = (page.received, page.total);
            let first = hits.observation.is_none();
            hits.take(criterion, page);
            let nobody = hits.accounts.is_empty() && hits.strangers == 0;
            // Rows that are no accounts (they lack an id) show nobody either.
            if let Some(counted) = total.max(Some(received)).filter(|counted| nobody && *counted > 0) {
                // "One result", and none is shown: it counts from 0, and we began at 1.
                let began_at_zero = cursor.next_start == Some(0) || received > 0;
                if began_at_zero || self.known(|profile| profile.counts_from_zero.is_some()) {
                    return Err(PageError::Failed(self.counted_and_not_shown(counted)));
                }
                cursor = ListCursor { next_start: Some(0), ..ListCursor::default() };
                continue;
            }
            if !hits.accounts.is_empty() && cursor.next_start == Some(received) {
                self.learn(|profile| profile.counts_from_zero = Some(true));
            }
            let narrow = hits.strangers == 0 && total.is_none_or(|total| total <= received);
            if first && narrow {
                break;
            }
        }
        self.learn_from(criterion, &hits);
        Ok(hits)
    }

    /// Whether the filter tells upper from lower case. Found out once for a target: an account that is there is asked for
    /// with its login in the other case, and then as it is written.
    pub(super) async fn tells_case_apart(&self, known_login: Option<&str>) -> Result<bool, TargetError> {
        let (trusted, ignores) =
            self.known(|profile| (profile.filter_trusted != Some(false), profile.filter_ignores_case));
        match (trusted, ignores) {
            (false, _) => return Ok(false),
            (true, Some(ignores)) => return Ok(!ignores),
            (true, None) => {}
        }
        let turned = known_login.map(filter::in_other_case);
        let (Some(login), Some(turned)) =
            (known_login, turned.filter(|turned| Some(&**turned) != known_login))
        else {
            return Ok(false);
        };
        if self.shows(Criterion::UserName(turned)).await? {
            self.learn(|profile| profile.filter_ignores_case = Some(true));
            return Ok(false);
        }
        let tells_apart = self.shows(Criterion::UserName(login.to_owned())).await?;
        if tells_apart {
            self.learn(|profile| profile.filter_ignores_case = Some(false));
        }
        Ok(tells_apart)
    }

    /// Whether the filter shows an account for this; a question that is refused shows none.
    async fn shows(&self, criterion: Criterion) -> Result<bool, TargetError> {
        let Some(text) = filter::filter(&criterion, self.dialect) else { return Ok(false) };
        match self.ask(&criterion, &text).await {
            Ok(hits) => Ok(!hits.accounts.is_empty()),
            Err(PageError::Denied(_)) => Ok(false),
            Err(PageError::Failed(unread)) => match self.judged(unread, Lane::General).await {
                TargetError::Unanswerable(_) => Ok(false),
                error @ (TargetError::Unavailable(_) | TargetError::Credentials(_)) => Err(error),
            },
        }
    }

    /// Somebody is there and kept from us: never an absence.
    fn counted_and_not_shown(&self, counted: u64) -> Unread {
        let accounts = if counted == 1 { "account" } else { "accounts" };
        Unread::Refused(TargetError::Unanswerable(format!(
            "{} counted {counted} {accounts} for a lookup and shows none; help: see whether the token's owner may read \
             every user, inactive ones included",
            self.place()
        )))
    }

    fn learn_from(&self, criterion: &Criterion, hits: &Hits) {
        let narrowed = match (hits.strangers, hits.accounts.len()) {
            (0, 0) => return,
            (0, _) => true,
            _ => false,
        };
        self.learn(|profile| match criterion {
            Criterion::ExternalId(_) => profile.external_id_searchable = Some(narrowed),
            Criterion::UserName(_) => {
                profile.filter_trusted = Some(narrowed);
                if hits.other_case {
                    profile.filter_ignores_case = Some(true);
                }
            }
            Criterion::Email(_) => {}
        });
    }

    /// A filter that the server does not take: `externalId` is then not searchable, anything else is searched
    /// for in the listing.
    async fn after_refused_filter(
        &self,
        criterion: &Criterion,
        fault: &Fault,
    ) -> Result<Lookup, TargetError> {
        match fault.status {
            404 | 410 => {
                self.confirm_absence(fault, Lane::General).await?;
                return Ok(Lookup { accounts: Vec::new(), observation: Observation::now() });
            }
            400 | 405 | 422 | 500 | 501 => {}
            _ => return Err(self.judged(self.unread(fault), Lane::General).await),
        }
        match criterion {
            Criterion::ExternalId(_) => {
                // An outage must not be taken for a trait of the server.
                self.answers(Lane::General).await?;
                self.learn(|profile| profile.external_id_searchable = Some(false));
                Ok(Lookup { accounts: Vec::new(), observation: Observation::now() })
            }
            Criterion::UserName(_) | Criterion::Email(_) => {
                self.search(criterion).await.map_err(|error| match error {
                    TargetError::Unanswerable(message) => TargetError::Unanswerable(format!(
                        "the lookup was refused ({} {}), and so was the listing: {message}",
                        fault.status, fault.detail
                    )),
                    TargetError::Unavailable(_) | TargetError::Credentials(_) => error,
                })
            }
        }
    }

    /// Reads everybody and compares.
    pub(super) async fn search(&self, criterion: &Criterion) -> Result<Lookup, TargetError> {
        let mut cursor = ListCursor::default();
        let mut lookup = Lookup { accounts: Vec::new(), observation: Observation::now() };
        while let Some(page) = self.list(&mut cursor).await? {
            lookup.observation = lookup.observation.older(page.observation);
            lookup.accounts.extend(page.accounts.into_iter().filter(|account| criterion.matches(account)));
        }
        Ok(lookup)
    }
}

impl Hits {
    fn take(&mut self, criterion: &Criterion, page: Page) {
        self.observation = self.observation.or(Some(page.observation));
        for account in page.accounts {
            if !criterion.matches(&account) {
                self.strangers += 1;
                continue;
            }
            if let Criterion::UserName(asked) = criterion {
                self.other_case |= account.user_name().is_some_and(|found| found != asked);
            }
            self.accounts.push(account);
        }
    }
}
