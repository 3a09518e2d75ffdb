//! `--reconcile-now` and `--dry-run`: the state and both sides opened, one run per sync, one report.

use std::collections::HashMap;
use std::os::unix::fs::MetadataExt;
use std::path::Path;
use std::time::Duration;

use super::check::secrets_of;
use super::{chosen, deliver, secrets, signal::Signals};
use crate::cli::Cli;
use crate::config::secret::SecretRef;
use crate::config::{self, Config};
use crate::core::mapping::Mapping;
use crate::core::quarantine::quarantine;
use crate::exit;
use crate::http::pacer::Pacers;
use crate::model::check::CheckLevel;
use crate::model::id::Vendor;
use crate::model::report::{ActionRecord, RunResult, Trigger};
use crate::model::time::Millis;
use crate::reconcile::event::{RunEvent, Watcher};
use crate::reconcile::{Finished, Refused, Request, Who, Writing};
use crate::report::{Progress, SyncReport, visible};
use crate::source::Source;
use crate::store::{Snapshot, Store, StoreError};
use crate::target::scim::{Profile, Provisioner, ScimTarget};
use crate::telemetry::log::LogWatcher;

/// The cadence assumed where the schedule does not tell one.
const FALLBACK_INTERVAL: Duration = Duration::from_secs(900);

/// Everything that one sync needs, opened.
pub(super) struct Sides {
    pub(super) mapping: Mapping,
    pub(super) source: Source,
    pub(super) target: ScimTarget,
}

/// Tells the log and the progress bars.
struct Watchers {
    log: LogWatcher,
    progress: Progress,
}

impl Watcher for Watchers {
    fn tell(&self, event: &RunEvent) {
        self.log.tell(event);
        self.progress.tell(event);
    }
}

/// What is to be run, beyond what the command line says of reports.
pub(super) struct Order<'a> {
    /// The syncs.
    pub syncs: Vec<&'a config::Sync>,
    /// Whom it is about.
    pub who: Who,
    /// What started it.
    pub trigger: Trigger,
    /// Whether nothing may be written.
    pub dry: bool,
    /// A saved plan's actions, by sync.
    pub only: HashMap<String, Vec<ActionRecord>>,
}

/// `--reconcile-now` and `--dry-run`.
pub(super) async fn run(cli: &Cli, config: &Config) -> u8 {
    let syncs = match chosen(cli, config) {
        Ok(syncs) => syncs,
        Err(message) => return complain(&message, exit::USAGE),
    };
    let who = if cli.run.user.is_empty() { Who::Everybody } else { Who::Named(cli.run.user.clone()) };
    let trigger = if cli.run.unattended { Trigger::Schedule } else { Trigger::Manual };
    carry_out(cli, config, Order { syncs, who, trigger, dry: cli.dry_run, only: HashMap::new() }).await
}

/// Carries an order out and delivers the report.
pub(super) async fn carry_out(cli: &Cli, config: &Config, order: Order<'_>) -> u8 {
    let (mut reports, code) = match runs(cli, config, &order).await {
        Ok(ended) => ended,
        Err((message, code)) => return complain(&message, code),
    };
    match deliver(cli.run.format.into(), cli.run.output.as_deref(), &mut reports) {
        Ok(()) => code,
        Err(message) => complain(&message, exit::FAILURE),
    }
}

/// Carries an order out: the reports, and the exit code.
pub(super) async fn runs(
    cli: &Cli,
    config: &Config,
    order: &Order<'_>,
) -> Result<(Vec<SyncReport>, u8), Complaint> {
    if let Some(message) = unreadable_secrets(&order.syncs) {
        return Err((message, exit::CONFIG));
    }
    let signals =
        Signals::listen().map_err(|error| (format!("cannot listen for signals: {error}"), exit::FAILURE))?;
    let (reports, codes) = if order.dry {
        dry(cli, config, order, &signals).await?
    } else {
        real(cli, config, order, &signals).await?
    };
    let interrupted = reports.iter().any(|report| report.facts.result == RunResult::Interrupted);
    let code = signals.exit_code().filter(|_| interrupted).unwrap_or_else(|| exit::combine(codes));
    Ok((reports, code))
}

/// What is wrong with the secrets of these syncs, all at once. A secret that cannot be read is a mistake in the
/// configuration and no answer of the side that it is for.
fn unreadable_secrets(syncs: &[&config::Sync]) -> Option<String> {
    let lines: Vec<String> = syncs
        .iter()
        .flat_map(|sync| secrets_of(sync).into_iter().map(move |line| (sync, line)))
        .filter(|(_, line)| line.level == CheckLevel::Fail)
        .map(|(sync, line)| {
            let help = line.help.map(|help| format!("\nhelp: {help}")).unwrap_or_default();
            format!("sync \"{}\": {}{help}", sync.name, line.detail)
        })
        .collect();
    (!lines.is_empty()).then(|| lines.join("\nerror: "))
}

type Ended = (Vec<SyncReport>, Vec<u8>);
/// What cannot be done, and the exit code that says so.
pub(super) type Complaint = (String, u8);

async fn dry(cli: &Cli, config: &Config, order: &Order<'_>, signals: &Signals) -> Result<Ended, Complaint> {
    let snapshot = Snapshot::open(&config.state_dir).await.map_err(state_complaint)?;
    let pacers = Pacers::new();
    let mut ended = (Vec::new(), Vec::new());
    for sync in &order.syncs {
        let sides = open(sync, &pacers, &snapshot).await?;
        let watchers = watchers(cli, sync);
        let request = request(cli, order, sync, &sides, &snapshot, &watchers, signals);
        let nothing: Option<&Writing<'_, Provisioner>> = None;
        note(cli, crate::reconcile::run(request, nothing).await, &mut ended);
    }
    Ok(ended)
}

async fn real(cli: &Cli, config: &Config, order: &Order<'_>, signals: &Signals) -> Result<Ended, Complaint> {
    let store = open_store(cli, config).await?;
    let pacers = Pacers::new();
    let mut ended = (Vec::new(), Vec::new());
    for sync in &order.syncs {
        if let Some(refusal) = quarantined(&store, sync, order).await? {
            eprintln!("{}", refusal.0);
            ended.1.push(refusal.1);
            continue;
        }
        let sides = open(sync, &pacers, store.snapshot()).await?;
        let watchers = watchers(cli, sync);
        let request = request(cli, order, sync, &sides, store.snapshot(), &watchers, signals);
        let provisioner = sides.target.provisioner();
        let writing = Writing { store: &store, provisioner: &provisioner };
        note(cli, crate::reconcile::run(request, Some(&writing)).await, &mut ended);
        remember_profile(&store, sync, &sides.target).await;
    }
    store.close().await.map_err(state_complaint)?;
    Ok(ended)
}

/// Opens the state for writing, as the user that owns it.
pub(super) async fn open_store(cli: &Cli, config: &Config) -> Result<Store, Complaint> {
    refuse_root_in_somebody_elses_state(&config.state_dir).map_err(|message| (message, exit::CONFIG))?;
    Store::open(&config.state_dir, cli.run.take_over).await.map_err(state_complaint)
}

/// A run that nobody started by hand keeps to the slower cadence of a sync in quarantine.
async fn quarantined(
    store: &Store,
    sync: &config::Sync,
    order: &Order<'_>,
) -> Result<Option<Complaint>, Complaint> {
    if order.trigger != Trigger::Schedule {
        return Ok(None);
    }
    let health = store.snapshot().health(&sync.name).await.map_err(state_complaint)?;
    let interval = super::check::interval(sync).unwrap_or(FALLBACK_INTERVAL);
    Ok(quarantine(&health, interval).filter(|quarantine| Millis::now() < quarantine.until).map(|quarantine| {
        let text = format!(
            "sync \"{}\" is in quarantine until {}: {}\nhelp: mend the cause; `rosterd --reconcile-now` tries at once",
            sync.name,
            quarantine.until.rfc3339(),
            visible(quarantine.reason.lines().next().unwrap_or_default())
        );
        (text, if health.target { exit::TARGET } else { exit::SOURCE })
    }))
}

fn note(cli: &Cli, finished: Finished, (reports, codes): &mut Ended) {
    let code = match finished.refused {
        Some(Refused::Binding) => exit::CONFIG,
        Some(Refused::StalePlan) => exit::HELD,
        None => exit::of_run(&finished.facts, cli.run.detailed_exitcode),
    };
    codes.push(code);
    reports.push(SyncReport { facts: finished.facts, records: finished.records });
}

fn request<'a>(
    cli: &Cli,
    order: &'a Order<'_>,
    sync: &'a config::Sync,
    sides: &'a Sides,
    snapshot: &'a Snapshot,
    watcher: &'a dyn Watcher,
    signals: &Signals,
) -> Request<'a, ScimTarget> {
    Request {
        config: sync,
        mapping: &sides.mapping,
        source: &sides.source,
        target: &sides.target,
        snapshot,
        who: order.who.clone(),
        only: order.only.get(&sync.name).map(Vec::as_slice),
        trigger: order.trigger,
        unattended: cli.run.unattended,
        watcher,
        interrupted: signals.interrupted(),
    }
}

fn watchers(cli: &Cli, sync: &config::Sync) -> Watchers {
    Watchers { log: LogWatcher::new(&sync.name), progress: Progress::new(!cli.global.quiet) }
}

/// Opens both sides of a sync. Nothing is sent yet.
pub(super) async fn open(
    sync: &config::Sync,
    pacers: &Pacers,
    snapshot: &Snapshot,
) -> Result<Sides, Complaint> {
    let vendor = vendor(&sync.source);
    let mapping = Mapping::compile(
        vendor,
        &sync.scope,
        &sync.attributes,
        sync.user_type.as_ref(),
        snapshot.digest_key(),
    )
    .map_err(|error| (format!("sync \"{}\": {error}", sync.name), exit::CONFIG))?;
    let source = Source::new(&sync.source, pacers, secrets())
        .map_err(|error| (format!("sync \"{}\": {error}", sync.name), exit::SOURCE))?;
    let stored = snapshot.profile(&sync.name).await.map_err(state_complaint)?;
    // A profile of another version is learned anew.
    let profile = stored.and_then(|text| serde_json::from_str::<Profile>(&text).ok()).unwrap_or_default();
    let resolve = secrets();
    let target =
        ScimTarget::new(&sync.target, pacers, move |reference: &SecretRef| resolve(reference), profile)
            .map_err(|error| (format!("sync \"{}\": {error}", sync.name), exit::TARGET))?;
    Ok(Sides { mapping, source, target })
}

fn vendor(source: &config::Source) -> Vendor {
    match source.kind {
        config::SourceKind::OktaToken { .. } | config::SourceKind::OktaOauth { .. } => Vendor::Okta,
        config::SourceKind::OneLogin { .. } => Vendor::OneLogin,
    }
}

/// What the target was seen to do is worth keeping, and never worth failing for.
async fn remember_profile(store: &Store, sync: &config::Sync, target: &ScimTarget) {
    let saved = match serde_json::to_string(&target.profile()) {
        Ok(profile) => store.save_profile(&sync.name, profile).await.map_err(|error| error.to_string()),
        Err(error) => Err(error.to_string()),
    };
    if let Err(error) = saved {
        tracing::warn!(sync = sync.name, %error, "what the target was seen to do could not be kept");
    }
}

pub(super) fn state_complaint(error: StoreError) -> Complaint {
    let code = match &error {
        StoreError::Busy { .. } => exit::BUSY,
        StoreError::Unusable(_) => exit::CONFIG,
        StoreError::NoSuchHold(_) => exit::USAGE,
        StoreError::LostTenure(_)
        | StoreError::Stale
        | StoreError::Overrun(_)
        | StoreError::AlreadyLinked(_)
        | StoreError::Database(_) => exit::FAILURE,
    };
    (error.to_string(), code)
}

/// Files that root makes in another user's state directory would lock that user's service out.
fn refuse_root_in_somebody_elses_state(directory: &Path) -> Result<(), String> {
    let Ok(facts) = std::fs::metadata(directory) else { return Ok(()) };
    if !rustix::process::geteuid().is_root() || facts.uid() == 0 {
        return Ok(());
    }
    let owner = user_name(facts.uid());
    let words: Vec<String> = std::env::args().skip(1).collect();
    Err(format!(
        "{} belongs to {owner}: a run as root would leave files there that {owner} cannot use\nhelp: sudo -u {owner} \
         rosterd {}",
        directory.display(),
        words.join(" ")
    ))
}

fn user_name(uid: u32) -> String {
    let users = std::fs::read_to_string("/etc/passwd").unwrap_or_default();
    let named = users.lines().find_map(|line| {
        let mut fields = line.split(':');
        let name = fields.next()?;
        (fields.nth(1)? == uid.to_string()).then(|| name.to_owned())
    });
    named.unwrap_or_else(|| format!("'#{uid}'"))
}

pub(super) fn complain(message: &str, code: u8) -> u8 {
    for (index, line) in message.lines().enumerate() {
        let lead = if index == 0 { "error: " } else { "" };
        anstream::eprintln!("{lead}{}", visible(line));
    }
    code
}
