//! What these tests share: `rebuild` and `transfer` as the commands carry them out, without a terminal.

use rosterd::engine::context::target_url;
use rosterd::engine::error::RunError;
use rosterd::engine::session::{SyncSession, vendor};
use rosterd::http::pacer::Pacers;
use rosterd::model::handover::{Handover, Left, Proposal, RebuildFacts, TransferFacts};
use rosterd::model::id::Vendor;
use rosterd::model::run_event::SilentWatcher;
use rosterd::operations::rebuild::{RebuildRequest, plan_rebuild, store_rebuild, taken};
use rosterd::operations::transfer::{TransferError, TransferRequest, carry_out, plan_transfer};
use rosterd::store::{Restored, Store};

use crate::support::{Bench, mail};

pub(crate) const BOTH: [Vendor; 2] = [Vendor::Okta, Vendor::OneLogin];

/// What a rebuild of one sync found, and stored.
#[derive(Debug)]
pub(crate) struct Rebuilt {
    pub(crate) facts: RebuildFacts,
    pub(crate) links: Vec<Proposal>,
    pub(crate) left: Vec<Left>,
    pub(crate) restored: Restored,
}

impl Rebuilt {
    /// `ann externalId`, sorted.
    pub(crate) fn found(&self) -> Vec<String> {
        let line =
            |proposal: &Proposal| format!("{} {}", short(&proposal.link.user_name), proposal.by.as_str());
        let mut found: Vec<String> = self.links.iter().map(line).collect();
        found.sort();
        found
    }

    /// The one line about an account or a person that was left.
    pub(crate) fn left_of(&self, name: &str) -> &str {
        let lines: Vec<_> = self.left.iter().filter(|left| left.user == mail(name)).collect();
        assert_eq!(lines.len(), 1, "{name}: {self:#?}");
        &lines[0].reason
    }
}

fn short(login: &str) -> &str {
    login.split('@').next().unwrap_or(login)
}

/// Throws the state away.
pub(crate) fn lose(bench: &Bench) {
    std::fs::remove_dir_all(bench.directory.path().join("state")).unwrap();
}

/// `rosterd rebuild --yes` of every sync of a configuration.
pub(crate) async fn rebuild_all(bench: &Bench, text: &str) -> Result<Vec<Option<Rebuilt>>, RunError> {
    let config = bench.parse(text);
    let store = Store::open(&config.state_dir, false).await.unwrap();
    let pacers = Pacers::with_retry(bench.retry);
    let mut known = Default::default();
    let mut all = Vec::new();
    for (index, sync) in config.syncs.iter().enumerate() {
        let secrets = bench.secrets(vendor(&sync.source));
        let sides = SyncSession::open(sync, &pacers, store.snapshot(), &secrets).await.unwrap();
        if index == 0 {
            known = taken(store.snapshot(), sync).await?;
        }
        let others = config.syncs.iter().filter(|other| other.name != sync.name);
        let request = RebuildRequest {
            config: &sides.config,
            mapping: &sides.mapping,
            source: &sides.source,
            target: &sides.target,
            snapshot: store.snapshot(),
            others: others.map(|other| vendor(&other.source)).collect(),
            watcher: &SilentWatcher,
        };
        all.push(match plan_rebuild(&request, &mut known).await? {
            None => None,
            Some(mut rebuild) => {
                let restored = store_rebuild(&store, sync, &sides.source, &mut rebuild).await?;
                Some(Rebuilt {
                    restored,
                    links: rebuild.links.iter().unwrap().map(Result::unwrap).collect(),
                    left: rebuild.left.iter().unwrap().map(Result::unwrap).collect(),
                    facts: rebuild.facts,
                })
            }
        });
    }
    store.close().await.unwrap();
    Ok(all)
}

/// `rosterd rebuild --yes` of the bench's own sync. It sends the workspace nothing but GET.
pub(crate) async fn rebuild(bench: &Bench) -> Rebuilt {
    bench.sim.clear_requests();
    let rebuilt = rebuild_all(bench, &bench.text()).await.unwrap().remove(0).unwrap();
    assert_eq!(bench.writes(), Vec::<String>::new());
    assert_eq!(rebuilt.facts.linked, rebuilt.restored.stored, "{rebuilt:#?}");
    rebuilt
}

/// What a transfer found and handed over.
#[derive(Debug)]
pub(crate) struct Transferred {
    pub(crate) facts: TransferFacts,
    pub(crate) links: Vec<Handover>,
    pub(crate) left: Vec<Left>,
    pub(crate) done: u64,
}

impl Transferred {
    /// `ann userName`, sorted.
    pub(crate) fn went(&self) -> Vec<String> {
        let line =
            |handover: &Handover| format!("{} {}", short(&handover.link.user_name), handover.by.as_str());
        let mut went: Vec<String> = self.links.iter().map(line).collect();
        went.sort();
        went
    }

    pub(crate) fn left_of(&self, name: &str) -> &str {
        let lines: Vec<_> = self.left.iter().filter(|left| left.user == mail(name)).collect();
        assert_eq!(lines.len(), 1, "{name}: {self:#?}");
        &lines[0].reason
    }
}

/// `rosterd transfer --from FROM --to TO WHO… --yes` under a configuration.
pub(crate) async fn transfer(
    bench: &Bench,
    text: &str,
    from: &str,
    to: &str,
    who: &[&str],
) -> Result<Transferred, TransferError> {
    transfer_at(bench, bench.sim.scim_url(), text, (from, to), who).await
}

/// [`transfer`], where the workspace is not the bench's own.
pub(crate) async fn transfer_at(
    bench: &Bench,
    workspace: &str,
    text: &str,
    (from, to): (&str, &str),
    who: &[&str],
) -> Result<Transferred, TransferError> {
    let config = bench.parse(text);
    let store = Store::open(&config.state_dir, false).await.unwrap();
    let sync = config.syncs.iter().find(|sync| sync.name == to).unwrap();
    let secrets = bench.secrets(vendor(&sync.source));
    let pacers = Pacers::with_retry(bench.retry);
    let sides = SyncSession::open(sync, &pacers, store.snapshot(), &secrets).await.unwrap();
    let who: Vec<String> = who.iter().map(|name| mail(name)).collect();
    let request = TransferRequest {
        from,
        config: &sides.config,
        mapping: &sides.mapping,
        source: &sides.source,
        target: &sides.target,
        snapshot: store.snapshot(),
        who: &who,
        watcher: &SilentWatcher,
    };
    let planned = plan_transfer(&request).await;
    let transferred = match planned {
        Err(error) => Err(error),
        Ok(mut plan) => {
            let done = carry_out(&request, &mut plan, &store).await?;
            Ok(Transferred {
                done,
                links: plan.links.iter().unwrap().map(Result::unwrap).collect(),
                left: plan.left.iter().unwrap().map(Result::unwrap).collect(),
                facts: plan.facts,
            })
        }
    };
    store.close().await.unwrap();
    assert_eq!(target_url(&sync.target), workspace);
    transferred
}
