//! Verifications of a bench's sync, through the door that the command line and the daemon use.

use rosterd::engine::session::SyncSession;
use rosterd::model::drift::{DriftFinding, FindingKind, VerifyFacts};
use rosterd::operations::verify::spec::VerifySpec;
use rosterd::operations::verify::{VerifyAccess, verify_session};

use super::*;

/// Who asks, and what may be written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Asked {
    /// `rosterd verify`
    Report,
    /// `rosterd verify --repair`
    Repair,
    /// `rosterd --dry-run verify --repair`
    DryRepair,
    /// `drift.schedule`
    Scheduled,
}

/// A verification that ended.
pub struct Seen {
    pub facts: VerifyFacts,
    pub findings: Vec<DriftFinding>,
    pub repair: Option<Ended>,
}

impl std::fmt::Debug for Seen {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        writeln!(f, "{:?} {:?} {:?}", self.facts.result, self.facts.counts, self.facts.accounts)?;
        for found in &self.findings {
            writeln!(f, "  {} {}: {}", found.finding.as_str(), found.user, found.reason)?;
        }
        let problems = [&self.facts.source.problem, &self.facts.target.problem];
        writeln!(f, "  {:?} {:?}", problems, self.facts.notes)?;
        match &self.repair {
            Some(repair) => write!(f, "{repair:?}"),
            None => write!(f, "  nothing to repair"),
        }
    }
}

impl Seen {
    /// `leaver_active ann@acme.example`, sorted.
    pub fn lines(&self) -> Vec<String> {
        let mut lines: Vec<String> =
            self.findings.iter().map(|found| format!("{} {}", found.finding.as_str(), found.user)).collect();
        lines.sort();
        lines
    }

    /// The one finding of this kind.
    pub fn of(&self, kind: FindingKind) -> &DriftFinding {
        let found: Vec<_> = self.findings.iter().filter(|found| found.finding == kind).collect();
        assert_eq!(found.len(), 1, "one {}: {self:?}", kind.as_str());
        found[0]
    }

    /// The run that repaired.
    pub fn repaired(&self) -> &Ended {
        self.repair.as_ref().unwrap_or_else(|| panic!("nothing was repaired: {self:?}"))
    }
}

impl Bench {
    /// One verification.
    pub async fn verify(&self, asked: Asked) -> Seen {
        self.verify_all(asked, false).await
    }

    /// One verification, perhaps with everybody whom nobody manages.
    pub async fn verify_all(&self, asked: Asked, all: bool) -> Seen {
        let config = self.parse(&self.text());
        let pacers = Pacers::with_retry(self.retry);
        let sync = &config.syncs[0];
        let policies = match asked {
            Asked::Report => sync.drift.reporting(),
            Asked::Repair | Asked::DryRepair => sync.drift.repairing(),
            Asked::Scheduled => sync.drift.clone(),
        };
        let spec = VerifySpec { policies, all };
        let trigger = if asked == Asked::Scheduled { Trigger::Schedule } else { Trigger::Manual };
        let stop = self.stop.subscribe();
        let secrets = self.secrets(self.vendor);
        let verified = match asked {
            Asked::Report | Asked::DryRepair => {
                let snapshot = Snapshot::open(&config.state_dir).await.unwrap();
                let session = SyncSession::open(sync, &pacers, &snapshot, &secrets).await.unwrap();
                let access = VerifyAccess::Reading(&snapshot);
                verify_session(&session, &spec, trigger, access, &SilentWatcher, stop).await
            }
            Asked::Repair | Asked::Scheduled => {
                let store = Store::open(&config.state_dir, false).await.unwrap();
                let session = SyncSession::open(sync, &pacers, store.snapshot(), &secrets).await.unwrap();
                let access = VerifyAccess::Writing(&store);
                let verified = verify_session(&session, &spec, trigger, access, &SilentWatcher, stop).await;
                store.close().await.unwrap();
                verified
            }
        };
        let mut findings = verified.findings;
        let findings: Vec<DriftFinding> = findings.iter().unwrap().map(Result::unwrap).collect();
        let repair = verified.repair.map(|finished| {
            let mut spool = finished.records;
            let records = spool.iter().unwrap().map(Result::unwrap).collect();
            let code = exit::of_run(&finished.facts, false);
            let ended = Ended { facts: finished.facts, records, code };
            ended.check_sums();
            ended
        });
        Seen { facts: verified.facts, findings, repair }
    }
}
