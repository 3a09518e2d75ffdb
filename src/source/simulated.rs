//! A source without a network: for simulations, which decide themselves what is answered and when.
//!
//! What lives here: the trait that a simulation implements, and its way into [`Reader`], so that a complete read is made
//! as for any vendor. What must not: any vendor's wire format, any answer of its own.

use std::sync::Arc;
use std::time::Duration;

use futures_util::future::BoxFuture;
use url::Url;

use super::reader::{Totals, abandoned};
use super::{DeletionEvidence, OwnRecord, Page, Reader, SourceError};
use crate::http::Lane;
use crate::http::clock::ClockWitness;
use crate::http::counters::{Counters, Counting, Traffic};
use crate::model::id::{SourceId, Vendor};
use crate::model::identity::PointRead;
use crate::model::order::Observation;

/// An identity provider that a simulation plays.
pub trait SimulatedSource: Send + Sync {
    /// Whose statuses it shows.
    fn vendor(&self) -> Vendor;
    /// The origin that it seems to have.
    fn origin(&self) -> &Url;
    /// The app and the groups are asked for; gives a number for the read that begins.
    fn open(&self) -> BoxFuture<'_, Result<u64, SourceError>>;
    /// A page of a read; `None` after the last one.
    fn page(&self, read: u64, page: u64) -> BoxFuture<'_, Result<Option<Page>, SourceError>>;
    /// As [`super::Source::point_read`].
    fn point_read<'a>(
        &'a self,
        id: &'a SourceId,
        lane: Lane,
    ) -> BoxFuture<'a, Result<PointRead, SourceError>>;
    /// As [`super::Source::own_record`].
    fn own_record<'a>(
        &'a self,
        id: &'a SourceId,
        lane: Lane,
    ) -> BoxFuture<'a, Result<OwnRecord, SourceError>>;
    /// As [`super::Source::find`].
    fn find<'a>(&'a self, who: &'a str) -> BoxFuture<'a, Result<Vec<SourceId>, SourceError>>;
    /// As [`super::Source::with_login`].
    fn with_login<'a>(&'a self, login: &'a str) -> BoxFuture<'a, Result<Vec<SourceId>, SourceError>>;
    /// As [`super::Source::deletion_event`].
    fn deletion_event<'a>(&'a self, id: &'a SourceId)
    -> BoxFuture<'a, Result<DeletionEvidence, SourceError>>;
    /// As [`super::Source::log_retention`].
    fn log_retention(&self) -> Option<Duration>;
    /// As [`super::Source::clock_witness`].
    fn clock_witness(&self) -> Option<ClockWitness>;
    /// As [`super::Source::forget_clock_witness`].
    fn forget_clock_witness(&self);
}

/// A simulated source, with the counters that every source has.
#[derive(Clone)]
pub struct Simulated {
    source: Arc<dyn SimulatedSource>,
    counting: Arc<Counting>,
}

impl Simulated {
    /// Wraps a simulation's source.
    pub fn new(source: Arc<dyn SimulatedSource>) -> Simulated {
        Simulated { source, counting: Arc::default() }
    }

    pub(super) fn played(&self) -> &dyn SimulatedSource {
        &*self.source
    }

    pub(super) fn counters(&self) -> Counters {
        self.counting.read()
    }

    pub(super) fn traffic(&self) -> Traffic {
        self.counting.handle()
    }

    pub(super) async fn open(&self) -> Result<Reader, SourceError> {
        let read = self.source.open().await?;
        let source = self.source.clone();
        Ok(Reader::start(move |sink| async move {
            let started_at = Observation::now();
            let (mut users, mut pages) = (0, 0);
            loop {
                let slot = sink.slot().await.ok_or_else(abandoned)?;
                let Some(page) = source.page(read, pages).await? else { break };
                pages += 1;
                users += page.identities.len() as u64;
                slot.fill(page);
            }
            Ok(Totals { users, pages, started_at })
        }))
    }
}
