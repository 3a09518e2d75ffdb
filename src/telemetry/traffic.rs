//! Requests to either side, read from the clients' own counters when somebody asks.
//!
//! A reload makes new clients while runs still hold the old ones. So each side of a sync has any number of handles;
//! one whose client is gone is added to what was counted before and let go of: nothing is lost or counted twice.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};

use prometheus_client::collector::Collector;
use prometheus_client::encoding::{DescriptorEncoder, NoLabelSet};
use prometheus_client::metrics::MetricType;
use prometheus_client::metrics::exemplar::Exemplar;

use super::peer::Peer;
use crate::http::counters::{DURATION_BOUNDS_SECONDS, Traffic, TrafficTotals};

#[derive(Debug, Default)]
struct Side {
    before: TrafficTotals,
    handles: Vec<Traffic>,
}

impl Side {
    fn register(&mut self, handle: Traffic) {
        if !self.handles.iter().any(|known| known.is_same(&handle)) {
            self.handles.push(handle);
        }
    }

    fn totals(&mut self) -> TrafficTotals {
        let Side { before, handles } = self;
        handles.retain(|handle| {
            let last = handle.is_final();
            if last {
                before.add(&handle.totals());
            }
            !last
        });
        let mut all = before.clone();
        handles.iter().for_each(|handle| all.add(&handle.totals()));
        all
    }
}

/// Both sides of every sync.
#[derive(Debug, Clone, Default)]
pub(super) struct Requests(Arc<Mutex<BTreeMap<(String, Peer), Side>>>);

impl Requests {
    pub(super) fn register(&self, sync: &str, peer: Peer, handle: Traffic) {
        let mut sides = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        sides.entry((sync.to_owned(), peer)).or_default().register(handle);
    }

    fn read(&self) -> Vec<((String, Peer), TrafficTotals)> {
        let mut sides = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        sides.iter_mut().map(|(key, side)| (key.clone(), side.totals())).collect()
    }
}

impl Collector for Requests {
    fn encode(&self, mut encoder: DescriptorEncoder<'_>) -> Result<(), fmt::Error> {
        let all = self.read();
        let mut requests = encoder.encode_descriptor(
            "rosterd_requests",
            "Requests sent, by HTTP status of the answer; none = no complete answer came.",
            None,
            MetricType::Counter,
        )?;
        for ((sync, peer), totals) in &all {
            for (status, number) in &totals.by_status {
                let status = if *status == 0 { "none".to_owned() } else { status.to_string() };
                let labels = [("sync", sync.as_str()), ("peer", peer.as_str()), ("status", status.as_str())];
                let mut metric = requests.encode_family(&labels)?;
                metric.encode_counter::<NoLabelSet, u64, u64>(number, None::<&Exemplar<NoLabelSet, u64>>)?;
            }
        }
        let mut durations = encoder.encode_descriptor(
            "rosterd_request_duration_seconds",
            "From sending a request to the last byte of its answer, or to its failure.",
            None,
            MetricType::Histogram,
        )?;
        for ((sync, peer), totals) in &all {
            let labels = [("sync", sync.as_str()), ("peer", peer.as_str())];
            let bounds = DURATION_BOUNDS_SECONDS.into_iter().chain([f64::INFINITY]);
            let classes: Vec<(f64, u64)> = bounds.zip(totals.by_duration).collect();
            let mut metric = durations.encode_family(&labels)?;
            metric.encode_histogram::<NoLabelSet>(totals.seconds, totals.ended(), &classes, None)?;
        }
        let mut limited = encoder.encode_descriptor(
            "rosterd_rate_limited",
            "Answers that asked to slow down (429).",
            None,
            MetricType::Counter,
        )?;
        for ((sync, peer), totals) in &all {
            let labels = [("sync", sync.as_str()), ("peer", peer.as_str())];
            let mut metric = limited.encode_family(&labels)?;
            let number = totals.rate_limited();
            metric.encode_counter::<NoLabelSet, u64, u64>(&number, None::<&Exemplar<NoLabelSet, u64>>)?;
        }
        Ok(())
    }
}
