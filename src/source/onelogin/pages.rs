//! Following OneLogin's cursors to their end, and holding the counts against what came.
//!
//! What lives here: one chain of pages with every check that makes it trustworthy. What must not: what is on a page.
//!
//! The cursor is a page number in disguise: rows that come or go while the list is read shift the pages, and
//! somebody is then missing or comes twice. `Total-Count` and unique ids are what shows it.

use url::Url;

use super::wire::{CREDENTIALS_HELP, ErrorBody, VENDOR, cursor};
use crate::http::client::Client;
use crate::http::{Answer, Lane, Request};
use crate::model::order::Observation;
use crate::source::SourceError;
use crate::source::fault::{Failure, Place};
use crate::source::ids::IdSet;
use crate::source::legible::legible;

/// No list that is worth reading has more pages.
const MOST_PAGES: u64 = 20_000;

/// One list, page after page.
pub(super) struct Chain<'c> {
    client: &'c Client,
    what: String,
    /// Path and every filter; sent with each page, because a cursor holds only page and size.
    base: Url,
    page_size: &'static str,
    cursor: Option<String>,
    cursors: IdSet,
    pages: u64,
    ended: bool,
    first_total: Option<u64>,
    last_total: Option<u64>,
    last_place: Option<Place>,
    last_observation: Observation,
    lane: Lane,
    most_pages: u64,
}

/// A page and where it was.
pub(super) struct ChainPage {
    pub(super) answer: Answer,
    pub(super) place: Place,
}

impl<'c> Chain<'c> {
    /// `base` holds the filters.
    pub(super) fn new(
        client: &'c Client,
        what: impl Into<String>,
        base: Url,
        page_size: &'static str,
        lane: Lane,
    ) -> Chain<'c> {
        Chain {
            client,
            what: what.into(),
            base,
            page_size,
            cursor: None,
            cursors: IdSet::default(),
            pages: 0,
            ended: false,
            first_total: None,
            last_total: None,
            last_place: None,
            last_observation: Observation::now(),
            lane,
            most_pages: MOST_PAGES,
        }
    }

    /// For a search, which has few pages where it is understood.
    pub(super) fn at_most(mut self, pages: u64) -> Chain<'c> {
        self.most_pages = pages;
        self
    }

    /// Pages read.
    pub(super) fn pages(&self) -> u64 {
        self.pages
    }

    /// When the request for the last page was sent.
    pub(super) fn last_observation(&self) -> Observation {
        self.last_observation
    }

    /// The next page with status 200, or `None` behind the last one.
    pub(super) async fn next(&mut self) -> Result<Option<ChainPage>, Failure> {
        if self.ended {
            return Ok(None);
        }
        let mut url = self.base.clone();
        match &self.cursor {
            None => url.query_pairs_mut().append_pair("limit", self.page_size),
            Some(cursor) => url.query_pairs_mut().append_pair("cursor", cursor),
        };
        self.pages += 1;
        let place = Place::new(VENDOR, format!("page {} of {}", self.pages, self.what), &url);
        if self.pages > self.most_pages {
            let most = self.most_pages;
            let why = format_args!("more than {most} pages; the list does not end");
            return Err(place.incomplete(why).into());
        }
        let answer =
            self.client.send(Request::get(url, self.lane)).await.map_err(|error| place.no_answer(error))?;
        let answer = legible(answer);
        if answer.status != 200 {
            return Err(place.refused(&answer, &ErrorBody::words(&answer), CREDENTIALS_HELP));
        }
        self.last_observation = answer.observation;
        self.last_total = answer.header("total-count").and_then(|text| text.trim().parse().ok());
        if self.pages == 1 {
            self.first_total = self.last_total;
        }
        match cursor(answer.header("after-cursor")) {
            None => self.ended = true,
            Some(next) => {
                if !self.cursors.insert(next) {
                    return Err(place.incomplete("its cursor leads to a page that was read already").into());
                }
                self.cursor = Some(next.to_owned());
            }
        }
        self.last_place = Some(place.clone());
        Ok(Some(ChainPage { answer, place }))
    }

    /// Holds the counts that were told against the entries that came. `must_tell`: a list without `Total-Count` does
    /// not pass.
    pub(super) fn verify(&self, gathered: u64, must_tell: bool) -> Result<(), SourceError> {
        let Some(place) = self.last_place.as_ref().filter(|_| self.ended) else {
            return Err(SourceError::Incomplete(format!("{VENDOR}: {} was not read to its end", self.what)));
        };
        match (self.first_total, self.last_total) {
            (Some(first), Some(last)) if first != last => Err(place.incomplete(format_args!(
                "Total-Count was {first} on the first page and {last} on the last, so the list changed while it \
                 was read; help: run again"
            ))),
            (Some(told), Some(_)) if told != gathered => Err(place.incomplete(format_args!(
                "Total-Count says {told} and {gathered} came; help: run again"
            ))),
            (Some(_), Some(_)) => Ok(()),
            (None, _) | (_, None) if must_tell => {
                Err(place.incomplete("there is no Total-Count to hold the entries against"))
            }
            (None, _) | (_, None) => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::http::client::tests::{answer, client, peer};

    #[tokio::test]
    async fn a_list_that_never_ends_is_given_up_pain_21() {
        // Each cursor is a new one, so only the cap can end it.
        let peer = peer(
            (0..4)
                .map(|page| answer("200 OK", &format!("after-cursor: c{page}\r\ntotal-count: 9\r\n"), "[]")),
        )
        .await;
        let client = client(&peer);
        let first = peer.base.join("list").unwrap();
        let mut chain = Chain::new(&client, "people", first, "50", Lane::General);
        chain.most_pages = 3;
        for _ in 0..3 {
            assert!(chain.next().await.unwrap().is_some());
        }
        let error = chain.next().await.err().unwrap().error;
        assert!(
            matches!(&error, SourceError::Incomplete(text) if text.contains("more than 3 pages")),
            "{error}"
        );
        assert_eq!(client.counters().requests, 3);
    }
}
