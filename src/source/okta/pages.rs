//! Following Okta's page links to their end, or not at all.
//!
//! What lives here: one chain of pages with every check that makes it trustworthy. What must not: what is on a page.
//!
//! *Invariant*: [`Chain::next`] returns `None` only after a page without a next link.

use reqwest::header::HeaderMap;
use url::Url;

use super::wire::{ErrorBody, VENDOR, next_link};
use crate::http::client::Client;
use crate::http::{Answer, Lane, Request};
use crate::source::SourceError;
use crate::source::fault::{Failure, Place};
use crate::source::ids::IdSet;
use crate::source::legible::legible;

/// No list that is worth reading has more pages; a server that loops with fresh cursors has.
const MOST_PAGES: u64 = 20_000;

/// One list, page after page.
pub(super) struct Chain<'c> {
    client: &'c Client,
    /// What is read, for messages: `the app's users`.
    what: String,
    help: &'static str,
    /// Parameters that the vendor's next link forgets.
    keep: &'static [(&'static str, &'static str)],
    next: Option<Url>,
    cursors: IdSet,
    pages: u64,
    lane: Lane,
    most_pages: u64,
    /// The list grows for ever: a repeated cursor means that there is nothing more for now.
    endless: bool,
}

/// A page and where it was.
pub(super) struct ChainPage {
    pub(super) answer: Answer,
    pub(super) place: Place,
}

impl<'c> Chain<'c> {
    pub(super) fn new(client: &'c Client, what: impl Into<String>, first: Url, lane: Lane) -> Chain<'c> {
        Chain {
            client,
            what: what.into(),
            help: "check the admin role and the scopes of the credentials (`rosterd check` names each right)",
            keep: &[],
            next: Some(first),
            cursors: IdSet::default(),
            pages: 0,
            lane,
            most_pages: MOST_PAGES,
            endless: false,
        }
    }

    /// For a search, which has few pages where it is understood.
    pub(super) fn at_most(mut self, pages: u64) -> Chain<'c> {
        self.most_pages = pages;
        self
    }

    /// For a list that always has a next link, as the event log does.
    pub(super) fn endless(mut self) -> Chain<'c> {
        self.endless = true;
        self
    }

    /// Adds these parameters again to each next link that lacks them.
    pub(super) fn keeping(mut self, keep: &'static [(&'static str, &'static str)]) -> Chain<'c> {
        self.keep = keep;
        self
    }

    /// Pages read.
    pub(super) fn pages(&self) -> u64 {
        self.pages
    }

    /// The next page with status 200, or `None` behind the last one.
    pub(super) async fn next(&mut self) -> Result<Option<ChainPage>, Failure> {
        let Some(url) = self.next.take() else { return Ok(None) };
        self.pages += 1;
        let place = Place::new(VENDOR, format!("page {} of {}", self.pages, self.what), &url);
        if self.pages > self.most_pages {
            let most = self.most_pages;
            let why = format_args!("more than {most} pages; the list does not end");
            return Err(place.incomplete(why).into());
        }
        let request = Request::get(url.clone(), self.lane);
        let answer = self.client.send(request).await.map_err(|error| place.no_answer(error))?;
        let answer = legible(answer);
        if answer.status != 200 {
            return Err(place.refused(&answer, &ErrorBody::words(&answer), self.help));
        }
        if let Some(link) = next_link(&answer) {
            self.next = self.follow(&place, &url, &link)?;
        } else if unreadable_link(&answer.headers) {
            return Err(place
                .incomplete("its Link header cannot be read, so there may be more pages")
                .into());
        }
        Ok(Some(ChainPage { answer, place }))
    }

    fn follow(&mut self, place: &Place, here: &Url, link: &str) -> Result<Option<Url>, SourceError> {
        let next = followed(place, here, link, self.keep)?;
        if self.pages == 1 {
            self.cursors.insert(here.as_str());
        }
        match self.cursors.insert(next.as_str()) {
            true => Ok(Some(next)),
            false if self.endless => Ok(None),
            false => Err(place.incomplete("its next link repeats a page that was read already")),
        }
    }
}

/// Where a page's next link leads: on the same origin and in the same list, or nowhere. Gets the parameters that the
/// vendor forgot.
pub(super) fn followed(
    place: &Place,
    here: &Url,
    link: &str,
    keep: &[(&str, &str)],
) -> Result<Url, SourceError> {
    let mut next = here
        .join(link)
        .map_err(|error| place.incomplete(format_args!("its next link is no URL: {error}")))?;
    if next.origin() != here.origin() {
        return Err(place.incomplete(format_args!(
            "its next link leads to another origin, {}; only {} may be asked; help: if the other one is the \
             organization's own address, write it as `url`",
            next.origin().ascii_serialization(),
            here.origin().ascii_serialization()
        )));
    }
    if next.path() != here.path() {
        return Err(place.incomplete(format_args!("its next link leads to another list, {}", next.path())));
    }
    for (name, value) in keep {
        if !next.query_pairs().any(|(given, _)| given == *name) {
            next.query_pairs_mut().append_pair(name, value);
        }
    }
    Ok(next)
}

/// A `Link` header that is not text hides whether there is a next page.
fn unreadable_link(headers: &HeaderMap) -> bool {
    headers.get_all(reqwest::header::LINK).iter().any(|value| value.to_str().is_err())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::http::client::tests::{answer, client, peer};

    #[tokio::test]
    async fn a_list_that_never_ends_is_given_up_pain_21() {
        // Each cursor is a new one, so only the cap can end it.
        let peer = peer(
            (0..4).map(|page| answer("200 OK", &format!("link: <?after={page}>; rel=\"next\"\r\n"), "[]")),
        )
        .await;
        let client = client(&peer);
        let first = peer.base.join("list").unwrap();
        let mut chain = Chain::new(&client, "people", first, Lane::General);
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
