//! Listing `/Users`, over every paging habit that was seen.
//!
//! What lives here: the walk from page to page. What must not: what the accounts are wanted for.
//!
//! *Guarantees*: `startIndex` and `count` are always sent (one server shows nothing without them) unless the
//! server fails on `count`; the walk goes on by the number of accounts received, not by the number asked for;
//! no account comes twice; the walk ends. `totalResults` alone never ends it.

use std::collections::HashSet;

use crate::http::Lane;
use crate::model::account::Account;
use crate::model::order::Observation;
use crate::scim::control::Unread;
use crate::scim::fault::Fault;
use crate::scim::service::Service;
use crate::scim::target::{AccountPage, ListCursor, ListStage, TargetError};
use crate::scim::wire::{self, ListPage};

/// Accounts asked for on a page. Seen caps: 100 (better-auth), 1000 (django-scim2-server refuses more).
const PAGE_ACCOUNTS: u64 = 200;
/// Far more pages than a workspace has; a server that always has something new must not keep us for ever.
const PAGES_MAXIMUM: u32 = 20_000;

/// One page of a walk.
pub(crate) struct Page {
    /// Accounts that no earlier page held.
    pub accounts: Vec<Account>,
    /// Resources on the page, known or not.
    pub received: u64,
    /// `totalResults`.
    pub total: Option<u64>,
    /// When the request was sent.
    pub observation: Observation,
}

/// Why there is no page.
pub(crate) enum PageError {
    /// The server refused.
    Denied(Fault),
    /// No answer, or none that can be read.
    Failed(Unread),
}

impl Service {
    /// The next page of the whole listing.
    pub(super) async fn list(&self, cursor: &mut ListCursor) -> Result<Option<AccountPage>, TargetError> {
        match self.page(None, cursor).await {
            Ok(page) => Ok(page.map(|page| AccountPage {
                accounts: page.accounts,
                total: page.total,
                observation: page.observation,
            })),
            Err(PageError::Denied(fault)) => Err(self.judged_listing(self.unread(&fault)).await),
            Err(PageError::Failed(unread)) => Err(self.judged_listing(unread).await),
        }
    }

    /// The next page, of all accounts or of those that a filter leaves.
    pub(super) async fn page(
        &self,
        filter: Option<&str>,
        cursor: &mut ListCursor,
    ) -> Result<Option<Page>, PageError> {
        match cursor.stage {
            ListStage::Walking => {}
            ListStage::Finishing => return self.finish(filter, cursor).await,
            ListStage::Ended => return Ok(None),
        }
        if cursor.pages >= PAGES_MAXIMUM {
            let endless =
                format!("listing accounts at {} did not end after {PAGES_MAXIMUM} pages", self.place());
            return Err(PageError::Failed(Unread::Refused(TargetError::Unavailable(endless))));
        }
        let start = cursor.next_start.unwrap_or_else(|| self.known(|profile| profile.first_index()));
        let (page, observation) = match self.fetch_with_or_without_count(filter, start, cursor).await {
            Ok(fetched) => fetched,
            // Beyond the last page some servers answer an error instead of an empty page.
            Err(PageError::Denied(fault)) if cursor.pages > 0 && matches!(fault.status, 400 | 404 | 416) => {
                return self.finish(filter, cursor).await;
            }
            Err(error) => return Err(error),
        };
        let page = self.take_in(page, observation, start, cursor);
        if page.accounts.is_empty() && page.received > 0 && cursor.pages > 1 {
            // Nothing new: a server that begins again at the first page, or always answers all of them.
            return self.finish(filter, cursor).await;
        }
        if page.received == 0 {
            let told_of_more = page.total.is_some_and(|total| total > 0) && cursor.pages == 1;
            return if told_of_more { Ok(Some(page)) } else { self.finish(filter, cursor).await };
        }
        Ok(Some(page))
    }

    fn take_in(&self, page: ListPage, observation: Observation, start: u64, cursor: &mut ListCursor) -> Page {
        let received = page.resources.len() as u64;
        let accounts: Vec<Account> = page.resources.into_iter().filter_map(Account::from_resource).collect();
        let accounts = unseen(accounts, &mut cursor.seen);
        let asked = (!cursor.without_count).then_some(PAGE_ACCOUNTS);
        if let (Some(before), Some(asked)) = (cursor.last_received, asked)
            && before < asked
            && !accounts.is_empty()
        {
            self.learn(|profile| profile.page_was_capped(before));
        }
        cursor.pages += 1;
        cursor.next_start = Some(start + received);
        cursor.last_received = Some(received);
        cursor.total = page.total.or(cursor.total);
        let has_all = cursor.total.is_some_and(|total| cursor.shown() >= total);
        let cap = self.known(|profile| profile.page_cap);
        if received == 0 || (has_all && !may_be_cut(received, asked, cap)) {
            cursor.stage = ListStage::Finishing;
        }
        Page { accounts, received, total: page.total, observation }
    }

    /// The end of a walk. Once per target it asks whether `startIndex` counts from 0: then the walk, which began
    /// at 1, has left one account out.
    async fn finish(&self, filter: Option<&str>, cursor: &mut ListCursor) -> Result<Option<Page>, PageError> {
        cursor.stage = ListStage::Ended;
        let asked_before = self.known(|profile| profile.counts_from_zero.is_some());
        let nobody = cursor.seen.is_empty() && cursor.total.is_none_or(|total| total == 0);
        if filter.is_some() || asked_before || nobody || cursor.without_count {
            return Ok(None);
        }
        match self.fetch(None, 0, Some(1)).await {
            Ok((page, observation)) => {
                let received = page.resources.len() as u64;
                let found = page.resources.into_iter().filter_map(Account::from_resource).collect();
                let accounts = unseen(found, &mut cursor.seen);
                let counts_from_zero = received == 1 && !accounts.is_empty();
                self.learn(|profile| profile.counts_from_zero = Some(counts_from_zero));
                let page = Page { accounts, received, total: page.total, observation };
                Ok(counts_from_zero.then_some(page))
            }
            Err(PageError::Denied(_)) => {
                self.learn(|profile| profile.counts_from_zero = Some(false));
                Ok(None)
            }
            Err(PageError::Failed(error)) => Err(PageError::Failed(error)),
        }
    }

    async fn fetch_with_or_without_count(
        &self,
        filter: Option<&str>,
        start: u64,
        cursor: &mut ListCursor,
    ) -> Result<(ListPage, Observation), PageError> {
        cursor.without_count |= self.known(|profile| profile.count_refused);
        if cursor.without_count {
            return self.fetch(filter, start, None).await;
        }
        let fault = match self.fetch(filter, start, Some(PAGE_ACCOUNTS)).await {
            Err(PageError::Denied(fault)) if cursor.pages == 0 && fault.may_blame_count() => fault,
            other => return other,
        };
        match self.fetch(filter, start, None).await {
            Ok(fetched) => {
                cursor.without_count = true;
                self.learn(|profile| profile.count_refused = true);
                Ok(fetched)
            }
            Err(PageError::Denied(_)) => Err(PageError::Denied(fault)),
            Err(PageError::Failed(error)) => Err(PageError::Failed(error)),
        }
    }

    async fn fetch(
        &self,
        filter: Option<&str>,
        start: u64,
        count: Option<u64>,
    ) -> Result<(ListPage, Observation), PageError> {
        let (start, count) = (start.to_string(), count.map(|count| count.to_string()));
        let mut query: Vec<(&str, &str)> = Vec::new();
        query.extend(filter.map(|filter| ("filter", filter)));
        query.push(("startIndex", &start));
        query.extend(count.as_deref().map(|count| ("count", count)));
        let url = self
            .url(&["Users"], &query)
            .map_err(|message| PageError::Failed(Unread::Everybody(TargetError::Unanswerable(message))))?;
        let answer = match self.read(url, Lane::General).await {
            Ok(Ok(answer)) => answer,
            Ok(Err(fault)) => return Err(PageError::Denied(fault)),
            Err(unread) => return Err(PageError::Failed(unread)),
        };
        let page = wire::list_page(&answer.body)
            .map_err(|reason| PageError::Failed(Unread::Refused(self.no_list(&reason))))?;
        Ok((page, answer.observation))
    }
}

/// Whether more may follow although `totalResults` is reached: one server tells the page's size as the total. A
/// full page is one of the size asked for, of the size at which this server was seen to cut, or of a round
/// number (20, 50 and 100 are common caps).
fn may_be_cut(received: u64, asked: Option<u64>, cap: Option<u64>) -> bool {
    match asked {
        Some(asked) if received > asked => false,
        Some(asked) => {
            received == asked || cap.is_some_and(|cap| received >= cap) || received.is_multiple_of(10)
        }
        None => received.is_multiple_of(10),
    }
}

fn unseen(accounts: Vec<Account>, seen: &mut HashSet<u128>) -> Vec<Account> {
    let key = |account: &Account| {
        let hash = blake3::hash(account.id.as_str().as_bytes());
        let mut short = [0; 16];
        short.copy_from_slice(&hash.as_bytes()[..16]);
        u128::from_le_bytes(short)
    };
    accounts.into_iter().filter(|account| seen.insert(key(account))).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn servers_4_a_page_that_may_be_cut_is_followed_by_another_request() {
        let cases = [
            (200, Some(200), None, true),
            (100, Some(200), None, true),
            (73, Some(200), None, false),
            (73, Some(200), Some(73), true),
            (5_000, Some(200), None, false),
            (73, None, None, false),
            (20, None, None, true),
        ];
        for (received, asked, cap, expected) in cases {
            assert_eq!(may_be_cut(received, asked, cap), expected, "{received} of {asked:?}, cap {cap:?}");
        }
    }
}
