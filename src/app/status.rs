//! `status` and `history`: what the state tells. Both only read it, beside whoever writes there.

use std::io::{self, Write};

use super::runs::{Complaint, complain, state_complaint};
use super::{chosen, deliver};
use crate::cli::{Cli, FormatName, HistoryOptions};
use crate::config::Config;
use crate::core::status::status;
use crate::exit;
use crate::model::status::Status;
use crate::model::time::Millis;
use crate::report::{self, History};
use crate::store::{Past, Snapshot};

/// `rosterd status`: exit 0 where every chosen sync is healthy, else 1.
pub(super) async fn show(cli: &Cli, config: &Config) -> u8 {
    match gathered(cli, config).await {
        Ok(status) => {
            let written = write_out(|out| match cli.run.format {
                FormatName::Text => report::write_status(&status, out),
                FormatName::Json => report::write_status_json(&status, out),
            });
            match written {
                Ok(()) if status.healthy => exit::OK,
                Ok(()) => exit::FAILURE,
                Err(message) => complain(&message, exit::FAILURE),
            }
        }
        Err((message, code)) => complain(&message, code),
    }
}

async fn gathered(cli: &Cli, config: &Config) -> Result<Status, Complaint> {
    let syncs = chosen(cli, config).map_err(|message| (message, exit::USAGE))?;
    let snapshot = Snapshot::open(&config.state_dir).await.map_err(state_complaint)?;
    let now = Millis::now();
    let names = syncs.iter().map(|sync| sync.name.clone()).collect();
    let recorded = snapshot.recorded(names, now).await.map_err(state_complaint)?;
    Ok(status(syncs.into_iter().zip(recorded), now))
}

/// `rosterd history`.
pub(super) async fn history(cli: &Cli, config: &Config, options: &HistoryOptions) -> u8 {
    let told = match options.run {
        Some(run) => again(cli, config, run).await,
        None => past(cli, config, options).await,
    };
    match told {
        Ok(()) => exit::OK,
        Err((message, code)) => complain(&message, code),
    }
}

async fn again(cli: &Cli, config: &Config, number: i64) -> Result<(), Complaint> {
    let snapshot = Snapshot::open(&config.state_dir).await.map_err(state_complaint)?;
    let Some(run) = snapshot.run_again(number).await.map_err(state_complaint)? else {
        let message = format!("there is no run {number} on record\nhelp: `rosterd history` lists the runs");
        return Err((message, exit::USAGE));
    };
    deliver(cli.run.format.into(), None, &mut [report::again(run)])
        .map_err(|message| (message, exit::FAILURE))
}

async fn past(cli: &Cli, config: &Config, options: &HistoryOptions) -> Result<(), Complaint> {
    // A sync that is not configured any more has a history too, so the names are taken as they are.
    let past = Past {
        syncs: cli.run.sync.clone(),
        since: options.since,
        failed: options.failed,
        limit: options.limit,
    };
    let snapshot = Snapshot::open(&config.state_dir).await.map_err(state_complaint)?;
    let history = match &options.user {
        Some(user) => History::Attempts {
            user: user.clone(),
            attempts: snapshot.attempts(user, past).await.map_err(state_complaint)?,
        },
        None => History::Runs { runs: snapshot.runs(past).await.map_err(state_complaint)? },
    };
    write_out(|out| match cli.run.format {
        FormatName::Text if !snapshot.exists() => writeln!(out, "no run yet: there is no state"),
        FormatName::Text => report::write_history(&history, out),
        FormatName::Json => report::write_history_json(&history, Millis::now(), out),
    })
    .map_err(|message| (message, exit::FAILURE))
}

/// Writes to stdout; a reader that has seen enough is no error.
fn write_out(write: impl FnOnce(&mut dyn Write) -> io::Result<()>) -> Result<(), String> {
    let mut out = io::BufWriter::new(anstream::stdout().lock());
    match write(&mut out).and_then(|()| out.flush()) {
        Ok(()) => Ok(()),
        Err(error) if error.kind() == io::ErrorKind::BrokenPipe => Ok(()),
        Err(error) => Err(format!("cannot write to stdout: {error}")),
    }
}
