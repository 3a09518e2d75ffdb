//! `rosterd check`: the configuration, each secret, both sides and each right they need; one line each.

use super::command_context::CommandContext;
use super::secrets;
use crate::config::{SourceKind, Sync};
use crate::exit;
use crate::http::pacer::Pacers;
use crate::model::check::{CheckLevel, RightCheck};
use crate::report::visible;
use crate::source::CheckContext;
use crate::store::Snapshot;

/// Checks the chosen syncs and prints what it finds. The exit code says which side is at fault.
pub(super) async fn run(context: &CommandContext<'_>, offline: bool) -> u8 {
    let syncs = match context.chosen() {
        Ok(syncs) => syncs,
        Err(error) => return context.report_error(error),
    };
    let valid = format!("{} is valid", context.config.path.display());
    print_line(context, &RightCheck::ok("configuration", valid));
    let mut codes = Vec::new();
    for sync in syncs {
        context.console.print(&format!("sync \"{}\"\n", visible(&sync.name)));
        let readable = secrets_of(sync);
        readable.iter().for_each(|line| print_line(context, line));
        if readable.iter().any(|line| line.level == CheckLevel::Fail) {
            codes.push(exit::CONFIG);
            continue;
        }
        if !offline {
            codes.extend(online(context, sync).await);
        }
    }
    exit::combine(codes)
}

async fn online(context: &CommandContext<'_>, sync: &Sync) -> Vec<u8> {
    let fail = |what: &str, message: &str| {
        print_line(context, &RightCheck::fail(what, first_line(message), help_of(message)));
    };
    let snapshot = match context.read().await {
        Ok(snapshot) => snapshot,
        Err((message, _)) => {
            fail("state", &message);
            return vec![exit::CONFIG];
        }
    };
    print_line(context, &state_line(context, &snapshot));
    let session = match context.session(sync, &Pacers::new(), &snapshot).await {
        Ok(session) => session,
        Err((message, code)) => {
            fail("set-up", &message);
            return vec![code];
        }
    };
    let people = snapshot
        .link_counts(&sync.name)
        .await
        .ok()
        .map(|link_counts| link_counts.links)
        .filter(|links| *links > 0);
    let interval = sync.schedule.shortest_interval(sync.timezone, chrono::Utc::now());
    let source = session.source.check(&CheckContext { interval, people }).await;
    source.iter().for_each(|line| print_line(context, line));
    let target = session.target.check().await;
    target.iter().for_each(|line| print_line(context, line));
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

fn state_line(context: &CommandContext<'_>, snapshot: &Snapshot) -> RightCheck {
    let place = context.config.state_dir.display();
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

fn print_line(context: &CommandContext<'_>, line: &RightCheck) {
    let style = match line.level {
        CheckLevel::Ok => anstyle::AnsiColor::Green.on_default(),
        CheckLevel::Warn => anstyle::AnsiColor::Yellow.on_default(),
        CheckLevel::Fail => anstyle::AnsiColor::Red.on_default(),
    };
    let (word, right) = (line.level.as_str(), visible(&line.right));
    let mut text = format!("  {style}{word:<4}{style:#}  {right:<14} {}\n", visible(&line.detail));
    if let Some(help) = &line.help {
        text.push_str(&format!("        help: {}\n", visible(help.trim_start_matches("help: "))));
    }
    context.console.print(&text);
}

fn first_line(text: &str) -> String {
    text.lines().next().unwrap_or_default().to_owned()
}

fn help_of(text: &str) -> String {
    text.lines().skip(1).collect::<Vec<_>>().join(" ").trim_start_matches("help: ").to_owned()
}
