//! Taking proofs: one fresh point read per removal, and the positive control before the first of them.

use std::future::Future;
use std::time::Duration;

use tokio::sync::OnceCell;

use crate::config::LifecyclePolicy;
use crate::core::eligibility::lifecycle_of;
use crate::core::guard::Approved;
use crate::core::lifecycle::Lifecycle;
use crate::core::mapping::Mapping;
use crate::core::proof::{
    DeletionWitness, ProofOutcome, TWO_READS_APART_MILLIS, TWO_READS_BEFORE_LOG_APART_MILLIS, prove,
};
use crate::engine::error::RunError;
use crate::http::Lane;
use crate::model::id::SourceId;
use crate::model::identity::{Finding, PointRead};
use crate::model::link::Link;
use crate::model::order::Observation;
use crate::model::plan::PlannedAction;
use crate::model::time::Millis;
use crate::source::{DeletionEvidence, Source};

/// How far back an event log is taken to reach whose vendor documents no span.
const ASSUMED_RETENTION: Duration = Duration::from_secs(90 * 24 * 3600);

/// Who judges the removals of a pass: the source in an ordinary run, the target and the journal in a return.
pub trait RemovalProver {
    /// Judges one removal right before it is sent.
    fn judge(&self, approved: Approved, link: &Link) -> impl Future<Output = Removal>;
}

impl RemovalProver for Prover<'_> {
    async fn judge(&self, approved: Approved, link: &Link) -> Removal {
        self.prove(approved, link).await
    }
}

/// Takes proofs for one pass.
#[derive(Debug)]
pub struct Prover<'a> {
    source: &'a Source,
    mapping: &'a Mapping,
    policy: &'a LifecyclePolicy,
    witnesses: Vec<SourceId>,
    complete_read_at: Option<Observation>,
    control: OnceCell<Control>,
}

/// The outcome of the positive control: somebody who is assigned must be found assigned.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Control {
    Passed,
    Failed(String),
    NobodyToAsk,
}

/// What a removal may do.
#[derive(Debug)]
pub enum Removal {
    /// The proof's verdict.
    Judged(ProofOutcome),
    /// The positive control failed: no removal is sent in this run.
    NoControl(PlannedAction, String),
}

impl<'a> Prover<'a> {
    /// `witnesses` are people whom this read lists (or, for named people, other active links).
    pub fn new(
        source: &'a Source,
        mapping: &'a Mapping,
        policy: &'a LifecyclePolicy,
        witnesses: Vec<SourceId>,
        complete_read_at: Option<Observation>,
    ) -> Prover<'a> {
        Prover { source, mapping, policy, witnesses, complete_read_at, control: OnceCell::new() }
    }

    /// When the complete read began that this pass rests on; `None` in a run of named people.
    pub fn complete_read(&self) -> Option<Observation> {
        self.complete_read_at
    }

    /// Whether there is nobody to serve as a positive control.
    pub fn has_nobody_to_ask(&self) -> bool {
        self.witnesses.is_empty()
    }

    /// Proves one removal, the positive control first. Where there is nobody to ask, the guards have held every
    /// removal that was not approved.
    pub async fn prove(&self, approved: Approved, link: &Link) -> Removal {
        match self.control.get_or_init(|| self.take_control()).await {
            Control::Passed => {}
            Control::Failed(why) => return Removal::NoControl(approved.into_action(), why.clone()),
            Control::NobodyToAsk => {}
        }
        let read = match self.source.point_read(&link.source_id, Lane::Removal).await {
            Ok(read) => read,
            Err(error) => {
                return Removal::Judged(ProofOutcome::Unproven(approved.into_action(), error.to_string()));
            }
        };
        let witness = match self.witness(&read, link).await {
            Ok(witness) => witness,
            Err(error) => {
                return Removal::Judged(ProofOutcome::Unproven(approved.into_action(), error.to_string()));
            }
        };
        Removal::Judged(prove(approved, &read, witness, self.mapping, self.policy))
    }

    /// Whether the identity of a link is proven gone from the source. Where it cannot be asked for now it is not:
    /// that concerns one account, and nobody else's run.
    pub async fn is_proven_gone(&self, link: &Link) -> bool {
        let asked = async {
            let read = self.source.point_read(&link.source_id, Lane::General).await?;
            let identity_gone = match &read.finding {
                // Disabled is proven gone as well: rehired or imported again under a new id.
                Finding::Assigned(identity) | Finding::NotAssigned(identity) => {
                    lifecycle_of(identity, true, self.policy) == Lifecycle::Disabled
                }
                Finding::UserGone | Finding::Inconclusive(_) => false,
            };
            Ok::<_, RunError>(
                identity_gone
                    || match self.witness(&read, link).await? {
                        DeletionWitness::Event
                        | DeletionWitness::TwoReads
                        | DeletionWitness::TwoReadsBeforeLog => true,
                        DeletionWitness::Contradicted | DeletionWitness::None => false,
                    },
            )
        };
        asked.await.unwrap_or_else(|error| {
            tracing::debug!(%error, "whether an account's earlier owner is gone could not be asked");
            false
        })
    }

    /// Who besides the 404 says that a user was deleted: the event log at that moment, or two complete reads.
    async fn witness(&self, read: &PointRead, link: &Link) -> Result<DeletionWitness, RunError> {
        if !matches!(read.finding, Finding::UserGone) {
            return Ok(DeletionWitness::None);
        }
        let apart = match (link.absent_since, self.complete_read_at) {
            (Some(first), Some(again)) => again.at.since(first),
            (Some(_) | None, None) | (None, Some(_)) => 0,
        };
        Ok(match self.source.deletion_event(&link.source_id).await? {
            DeletionEvidence::Event => DeletionWitness::Event,
            DeletionEvidence::LogNotReadable(_) if apart >= TWO_READS_APART_MILLIS => {
                DeletionWitness::TwoReads
            }
            DeletionEvidence::LogNotReadable(_) => DeletionWitness::None,
            DeletionEvidence::NoEvent if self.log_reaches_back_to(link) => DeletionWitness::Contradicted,
            DeletionEvidence::NoEvent if apart >= TWO_READS_BEFORE_LOG_APART_MILLIS => {
                DeletionWitness::TwoReadsBeforeLog
            }
            DeletionEvidence::NoEvent => DeletionWitness::None,
        })
    }

    /// Whether the event log reaches back to the last complete read that listed the person.
    fn log_reaches_back_to(&self, link: &Link) -> bool {
        let retention = self.source.log_retention().unwrap_or(ASSUMED_RETENTION);
        let begins = Millis::now().0.saturating_sub(i64::try_from(retention.as_millis()).unwrap_or(i64::MAX));
        match link.last_listed_at.or(link.absent_since) {
            Some(last_seen) => last_seen.0 >= begins,
            // Listed until now.
            None => true,
        }
    }

    async fn take_control(&self) -> Control {
        let mut why = None;
        for id in &self.witnesses {
            match self.source.point_read(id, Lane::Removal).await {
                Ok(PointRead { finding: Finding::Assigned(_), .. }) => return Control::Passed,
                Ok(_) => {
                    why = Some(format!(
                        "{id}, who is listed as assigned, is not found assigned when asked for alone"
                    ));
                }
                Err(error) => why = Some(error.to_string()),
            }
        }
        match why {
            None => Control::NobodyToAsk,
            Some(why) => {
                Control::Failed(format!("the source contradicts itself, so no removal is sent: {why}"))
            }
        }
    }
}
