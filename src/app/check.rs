//! `rosterd check`: the configuration, each secret, both sides and each right they need; one line each.

use super::runs::{complain, open};
use super::{chosen, secrets};
use crate::cli::Cli;
use crate::config::{Config, SourceKind, Sync};
use crate::core::schedule::shortest_interval;
use crate::exit;
use crate::http::pacer::Pacers;
use crate::model::check::{CheckLevel, RightCheck};
use crate::report::visible;
use crate::source::CheckContext;
use crate::store::Snapshot;

/// Checks the chosen syncs and prints what it finds. The exit code says which side is at fault.
pub(super) async fn run(cli: &Cli, config: &Config, offline: bool) -> u8 {
    let syncs = match chosen(cli, config) {
        Ok(syncs) => syncs,
        Err(message) => {
            return complain(&message, exit::USAGE);
        }
    };
    print_line(&RightCheck::ok("configuration", format!("{} is valid", config.path.display())));
    let mut codes = Vec::new();
    for sync in syncs {
        println!("sync \"{}\"", visible(&sync.name));
        let readable = secrets_of(sync);
        readable.iter().for_each(print_line);
        if readable.iter().any(|line| line.level == CheckLevel::Fail) {
            codes.push(exit::CONFIG);
            continue;
        }
        if !offline {
            codes.extend(online(config, sync).await);
        }
    }
    exit::combine(codes)
}

async fn online(config: &Config, sync: &Sync) -> Vec<u8> {
    let snapshot = match Snapshot::open(&config.state_dir).await {
        Ok(snapshot) => snapshot,
        Err(error) => {
            print_line(&RightCheck::fail(
                "state",
                first_line(&error.to_string()),
                help_of(&error.to_string()),
            ));
            return vec![exit::CONFIG];
        }
    };
    print_line(&state_line(config, &snapshot));
    let sides = match open(sync, &Pacers::new(), &snapshot).await {
        Ok(sides) => sides,
        Err((message, code)) => {
            print_line(&RightCheck::fail("set-up", first_line(&message), help_of(&message)));
            return vec![code];
        }
    };
    let people = snapshot.census(&sync.name).await.ok().map(|census| census.links).filter(|links| *links > 0);
    let context = CheckContext { interval: shortest_interval(&sync.schedule, sync.timezone, chrono::Utc::now()), people };
    let source = sides.source.check(&context).await;
    source.iter().for_each(print_line);
    let target = sides.target.check().await;
    target.iter().for_each(print_line);
    let failed = |lines: &[RightCheck]| lines.iter().any(|line| line.level == CheckLevel::Fail);
    let mut codes = Vec::new();
    if failed(&source) {
        codes.push(exit::SOURCE);
    }
    if failed(&target) {
        codes.push(exit::TARGET);
    }
    codes
}

fn state_line(config: &Config, snapshot: &Snapshot) -> RightCheck {
    let place = config.state_dir.display();
    if snapshot.exists() {
        RightCheck::ok("state", format!("{place} is readable"))
    } else {
        RightCheck::ok("state", format!("{place} holds none yet; the first run that writes makes it"))
    }
}

/// One line a secret: whether it can be read, never what it is.
pub(super) fn secrets_of(sync: &Sync) -> Vec<RightCheck> {
    let resolve = secrets();
    let source = match &sync.source.kind {
        SourceKind::OktaToken { api_token } => ("source.api_token", api_token),
        SourceKind::OktaOauth { private_key, .. } => ("source.oauth.private_key", private_key),
        SourceKind::OneLogin { client_secret, .. } => ("source.client_secret", client_secret),
    };
    [source, ("target.token", &sync.target.token)]
        .into_iter()
        .map(|(key, reference)| match resolve(reference) {
            Ok(_) => RightCheck::ok("secret", format!("{key} is readable ({reference})")),
            Err(error) => {
                RightCheck::fail("secret", format!("{key}: {}", first_line(&error)), help_of(&error))
            }
        })
        .collect()
}

fn print_line(line: &RightCheck) {
    let style = match line.level {
        CheckLevel::Ok => anstyle::AnsiColor::Green.on_default(),
        CheckLevel::Warn => anstyle::AnsiColor::Yellow.on_default(),
        CheckLevel::Fail => anstyle::AnsiColor::Red.on_default(),
    };
    let word = line.level.as_str();
    anstream::println!("  {style}{word:<4}{style:#}  {:<14} {}", visible(&line.right), visible(&line.detail));
    if let Some(help) = &line.help {
        anstream::println!("        help: {}", visible(help.trim_start_matches("help: ")));
    }
}

fn first_line(text: &str) -> String {
    text.lines().next().unwrap_or_default().to_owned()
}

fn help_of(text: &str) -> String {
    text.lines().skip(1).collect::<Vec<_>>().join(" ").trim_start_matches("help: ").to_owned()
}
