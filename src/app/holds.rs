//! `holds`, `approve`, `reject`, `pause`, `resume`: what waits for a person, and what the person decides.

use std::collections::HashMap;
use std::io::{IsTerminal, Write};
use std::time::Duration;

use super::chosen;
use super::runs::{Complaint, Order, carry_out, complain, open_store, state_complaint};
use crate::cli::Cli;
use crate::config::Config;
use crate::exit;
use crate::model::report::Trigger;
use crate::model::time::Millis;
use crate::reconcile::Who;
use crate::reconcile::rulings::FOR_GOOD;
use crate::report::visible;
use crate::store::{Hold, Snapshot, Store};

/// Pairs that a list shows before it is cut.
const SHOWN: usize = 200;

/// Prints the open holds.
pub(super) async fn list(config: &Config) -> u8 {
    match listed(config).await {
        Ok(()) => exit::OK,
        Err((message, code)) => complain(&message, code),
    }
}

async fn listed(config: &Config) -> Result<(), Complaint> {
    let snapshot = Snapshot::open(&config.state_dir).await.map_err(state_complaint)?;
    let holds = snapshot.open_holds(None, Millis::now()).await.map_err(state_complaint)?;
    if holds.is_empty() {
        println!("nothing is held");
    }
    for hold in holds {
        print!("{}", shown(&snapshot, &hold, hold.revision).await?);
    }
    Ok(())
}

/// Releases the pairs of a hold and runs them.
pub(super) async fn approve(cli: &Cli, config: &Config, id: &str, yes: bool, no_run: bool) -> u8 {
    let decided = match release(cli, config, id, yes, no_run).await {
        Ok(Some(decided)) => decided,
        Ok(None) => return complain("nothing was approved", exit::HELD),
        Err((message, code)) => return complain(&message, code),
    };
    eprintln!("approved {} of sync \"{}\"", people(decided.people.len()), visible(&decided.sync));
    if no_run {
        eprintln!("the next run sends them; an approval that cannot be sent lasts 24 hours");
        return exit::OK;
    }
    let syncs = config.syncs.iter().filter(|sync| sync.name == decided.sync).collect();
    let who = Who::Ids(decided.people);
    carry_out(cli, config, Order { syncs, who, trigger: Trigger::Approval, dry: false, only: HashMap::new() })
        .await
}

async fn release(
    cli: &Cli,
    config: &Config,
    id: &str,
    yes: bool,
    no_run: bool,
) -> Result<Option<crate::store::Decided>, Complaint> {
    let (number, revision) = parse(id)?;
    let store = open_store(cli, config).await?;
    let hold = find(&store, number).await?;
    let revision = revision.unwrap_or(hold.revision);
    if !(1..=hold.revision).contains(&revision) {
        let now = hold.revision;
        let id = hold.id();
        let message =
            format!("{id} has revision {now} now, and no {revision}\nhelp: `rosterd holds` lists what waits");
        return Err((message, exit::USAGE));
    }
    // On stderr, as the question is: standard output belongs to the report.
    let pairs = shown(store.snapshot(), &hold, revision).await?;
    anstream::eprint!("{pairs}");
    let question =
        if no_run { "Release these? The next run sends them." } else { "Release these and run them now?" };
    if !yes && !confirmed(question)? {
        return Ok(None);
    }
    let decided =
        store.approve(number, revision, &who_am_i(), Millis::now()).await.map_err(state_complaint)?;
    store.close().await.map_err(state_complaint)?;
    Ok(Some(decided))
}

/// Drops a hold and pins its pairs.
pub(super) async fn reject(cli: &Cli, config: &Config, id: &str) -> u8 {
    let rejected = async {
        let (number, revision) = parse(id)?;
        if revision.is_some() {
            let message =
                format!("reject drops a whole hold, not a revision of it\nhelp: rosterd reject h{number}");
            return Err((message, exit::USAGE));
        }
        let store = open_store(cli, config).await?;
        let decided = store.reject(number, &who_am_i(), Millis::now()).await.map_err(state_complaint)?;
        store.close().await.map_err(state_complaint)?;
        Ok::<_, Complaint>(decided)
    };
    match rejected.await {
        Ok(decided) => {
            eprintln!(
                "rejected: {} of sync \"{}\", not planned this way again until the source changes for them",
                people(decided.people.len()),
                visible(&decided.sync)
            );
            exit::OK
        }
        Err((message, code)) => complain(&message, code),
    }
}

/// Stops (`Some`) or starts (`None`) the writes of the chosen syncs.
pub(super) async fn pause(cli: &Cli, config: &Config, pause: Option<Option<Duration>>) -> u8 {
    let until = pause.map(|length| match length {
        Some(length) => Millis(Millis::now().0.saturating_add(length.as_millis() as i64)),
        None => FOR_GOOD,
    });
    let set = async {
        let syncs = chosen(cli, config).map_err(|message| (message, exit::USAGE))?;
        let store = open_store(cli, config).await?;
        for sync in &syncs {
            store.set_pause(&sync.name, until).await.map_err(state_complaint)?;
            match until {
                None => eprintln!("sync \"{}\" writes again", sync.name),
                Some(FOR_GOOD) => eprintln!("sync \"{}\" writes nothing until `rosterd resume`", sync.name),
                Some(until) => eprintln!("sync \"{}\" writes nothing until {}", sync.name, until.rfc3339()),
            }
        }
        store.close().await.map_err(state_complaint)
    };
    match set.await {
        Ok(()) => exit::OK,
        Err((message, code)) => complain(&message, code),
    }
}

async fn find(store: &Store, number: i64) -> Result<Hold, Complaint> {
    let holds = store.snapshot().open_holds(None, Millis::now()).await.map_err(state_complaint)?;
    holds
        .into_iter()
        .find(|hold| hold.number == number)
        .ok_or_else(|| state_complaint(crate::store::StoreError::NoSuchHold(number)))
}

/// A hold as people see it: the pairs up to a revision, why they wait, and the commands that decide.
async fn shown(snapshot: &Snapshot, hold: &Hold, revision: u32) -> Result<String, Complaint> {
    let mut pairs = snapshot.waiting(hold.number).await.map_err(state_complaint)?;
    pairs.retain(|pair| pair.revision <= revision);
    let (id, verb) = (hold.id(), hold.verb.as_str());
    let mut lines = vec![
        format!(
            "{id}@{revision}  sync \"{}\": {} to {verb}, waiting since {}, open until {}",
            visible(&hold.sync),
            pairs.len(),
            hold.opened_at.rfc3339(),
            hold.expires_at.rfc3339()
        ),
        format!("  why: {}", visible(&hold.reason)),
    ];
    let people = pairs.iter().take(SHOWN);
    lines.extend(people.map(|pair| format!("  {verb}  {} ({})", visible(&pair.user), pair.source_id)));
    if pairs.len() > SHOWN {
        lines.push(format!("  … and {} more", pairs.len() - SHOWN));
    }
    lines.push(format!("  release: rosterd approve {id}@{revision}    drop: rosterd reject {id}\n"));
    Ok(lines.join("\n"))
}

fn people(number: usize) -> String {
    format!("{number} {}", if number == 1 { "person" } else { "people" })
}

/// `h7` or `h7@2`.
fn parse(id: &str) -> Result<(i64, Option<u32>), Complaint> {
    let wrong =
        || (format!("`{id}` is no hold\nhelp: write h7 or h7@2; `rosterd holds` lists them"), exit::USAGE);
    let (hold, revision) = match id.split_once('@') {
        Some((hold, revision)) => (hold, Some(revision.parse().map_err(|_| wrong())?)),
        None => (id, None),
    };
    let number = hold.strip_prefix('h').and_then(|number| number.parse().ok()).ok_or_else(wrong)?;
    Ok((number, revision))
}

/// Asks on a terminal; elsewhere `--yes` is needed.
fn confirmed(question: &str) -> Result<bool, Complaint> {
    if !std::io::stdin().is_terminal() {
        return Err((
            "nobody is there to confirm\nhelp: read the list above, then repeat with --yes".to_owned(),
            exit::USAGE,
        ));
    }
    eprint!("{question} [y/N] ");
    let failed = |error: std::io::Error| (format!("cannot ask: {error}"), exit::FAILURE);
    std::io::stderr().flush().map_err(failed)?;
    let mut answer = String::new();
    std::io::stdin().read_line(&mut answer).map_err(failed)?;
    Ok(matches!(answer.trim(), "y" | "Y" | "yes"))
}

/// Who decides, for the record.
fn who_am_i() -> String {
    let uid = rustix::process::getuid().as_raw();
    match std::env::var("SUDO_USER") {
        Ok(user) if !user.is_empty() => format!("{} (by sudo, uid {uid})", visible(&user)),
        _ => format!("uid {uid}"),
    }
}
