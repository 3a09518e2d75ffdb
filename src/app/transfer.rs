//! `rosterd transfer`: links are handed over to another sync, or to a source that moved.

use super::desk::{Desk, Reading};
use super::rebuild::{alone, run_complaint};
use super::{Complaint, runs, state_complaint};
use crate::cli::{ListFormat, TransferOptions};
use crate::config;
use crate::exit;
use crate::http::pacer::Pacers;
use crate::model::history::EventKind;
use crate::model::report::Mode;
use crate::model::time::Millis;
use crate::reconcile::Sides;
use crate::reconcile::transfer::{Transfer, TransferError, TransferRequest, carry_out, plan_transfer};
use crate::report::{TransferReport, visible, write_transfer, write_transfer_json};
use crate::store::{NewEvent, Snapshot, counted};

/// `rosterd transfer`.
pub(super) async fn run(desk: &Desk<'_>, options: &TransferOptions) -> u8 {
    transfer(desk, options).await.unwrap_or_else(|complaint| desk.complain(complaint))
}

async fn transfer(desk: &Desk<'_>, options: &TransferOptions) -> Result<u8, Complaint> {
    desk.list_format()?;
    let _alone = alone()?;
    let to = taker(desk, options)?;
    if let Some(message) = runs::unreadable_secrets(&[to]) {
        return Err((message, exit::CONFIG));
    }
    let pacers = Pacers::new();
    if desk.cli.dry_run {
        let snapshot: Reading = desk.read().await?;
        let sides = desk.sides(to, &pacers, &snapshot).await?;
        let progress = desk.console.progress(desk.cli.global.quiet);
        let request = request(options, &sides, &snapshot, progress.as_ref());
        let found = plan_transfer(&request).await.map_err(|error| complaint(options, error))?;
        let pending = found.facts.handed_over > 0;
        deliver(desk, found).await?;
        return Ok(if pending && desk.cli.run.detailed_exitcode { exit::CHANGES_PENDING } else { exit::OK });
    }
    let store = desk.write().await?;
    let sides = desk.sides(to, &pacers, store.snapshot()).await?;
    let progress = desk.console.progress(desk.cli.global.quiet);
    let request = request(options, &sides, store.snapshot(), progress.as_ref());
    let mut found = plan_transfer(&request).await.map_err(|error| complaint(options, error))?;
    let planned = found.facts.handed_over;
    if planned > 0 && !options.yes {
        let parked_as = found.parked_as.clone();
        let mut report = report(found);
        let mut text = Vec::new();
        write_transfer(&mut report, &mut text)
            .map_err(|error| (format!("cannot show the links: {error}"), exit::FAILURE))?;
        desk.console.say(String::from_utf8_lossy(&text).trim_end());
        if !desk.console.confirmed("Hand these links over?").await? {
            return Ok(desk.console.complain("nothing was handed over", exit::HELD));
        }
        let TransferReport { facts, links, left } = report;
        found = Transfer { facts, links, left, parked_as };
    }
    found.facts.mode = Mode::Apply;
    if planned > 0 {
        let done =
            carry_out(&request, &mut found, &store).await.map_err(|error| complaint(options, error))?;
        found.facts.handed_over = done;
        if done < planned {
            let note = format!("{} changed meanwhile and stay as they are", planned - done);
            found.facts.notes.push(note);
        }
        let by = desk.console.who();
        tracing::info!(from = options.from, to = options.to, links = done, by, "handed over");
        let detail = Some(format!("from \"{}\" to \"{}\"", options.from, options.to));
        let (kind, sync, at) = (EventKind::Transfer, Some(options.to.clone()), Millis::now());
        let event = NewEvent { kind, sync, by, at, counts: counted([("links", done)]), detail };
        store.note_event(event).await.map_err(state_complaint)?;
    }
    drop(sides);
    store.close().await?;
    deliver(desk, found).await?;
    Ok(exit::OK)
}

/// The sync that takes, which has to be configured.
fn taker<'a>(desk: &Desk<'a>, options: &TransferOptions) -> Result<&'a config::Sync, Complaint> {
    let config = desk.config;
    config.syncs.iter().find(|sync| sync.name == options.to).ok_or_else(|| {
        let names: Vec<&str> = config.syncs.iter().map(|sync| sync.name.as_str()).collect();
        let text = format!(
            "there is no sync \"{}\"\nhelp: the configuration has {}",
            visible(&options.to),
            names.join(", ")
        );
        (text, exit::USAGE)
    })
}

fn request<'a>(
    options: &'a TransferOptions,
    sides: &'a Sides,
    snapshot: &'a Snapshot,
    watcher: &'a dyn crate::reconcile::event::Watcher,
) -> TransferRequest<'a, crate::target::scim::ScimTarget> {
    TransferRequest {
        from: &options.from,
        config: &sides.config,
        mapping: &sides.mapping,
        source: &sides.source,
        target: &sides.target,
        snapshot,
        who: &options.who,
        watcher,
    }
}

fn complaint(options: &TransferOptions, error: TransferError) -> Complaint {
    match error {
        TransferError::Unfit(text) => (text, exit::USAGE),
        TransferError::Busy(_) => (error.to_string(), exit::BUSY),
        TransferError::Run(error) => run_complaint(&options.to, error),
    }
}

fn report(found: Transfer) -> TransferReport {
    let Transfer { facts, links, left, parked_as: _ } = found;
    TransferReport { facts, links, left }
}

async fn deliver(desk: &Desk<'_>, found: Transfer) -> Result<(), Complaint> {
    let mut report = report(found);
    let format = desk.list_format()?;
    desk.console
        .hand_out(format.into(), desk.cli.run.output.as_deref(), &[], |out| match format {
            ListFormat::Text => write_transfer(&mut report, out),
            ListFormat::Json => write_transfer_json(&mut report, out),
        })
        .await
        .map_err(|message| (message, exit::FAILURE))
}
