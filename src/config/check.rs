//! The rules of the configuration: what each key may hold, what fits together, and every default.
//!
//! What lives here: one function per table, which reads it whole even after a mistake. What must not: reading
//! files or secrets, asking the network.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use chrono_tz::Tz;

use self::scalar::{DurationRule, UrlRule};
use super::environment::Environment;
use super::raw::{At, Finding, Section};
use super::{
    Adopt, Daemon, LifecyclePolicy, MatchBy, Notify, NotifyOn, RemovalPolicy, Scope, Sync, Watch, mask,
    schema,
};
use crate::model::schedule::Schedule;

mod drift;
mod endpoint;
mod expression;
mod guard;
mod profile;
mod scalar;

const SECOND: u64 = 1;
const MINUTE: u64 = 60;
const HOUR: u64 = 60 * MINUTE;
const DAY: u64 = 24 * HOUR;

/// Linux's limit on the path of a Unix socket, without the closing zero (unix(7)).
const MAX_SOCKET_PATH_BYTES: usize = 107;

/// The top level, without what is known only from outside (digest, path).
pub(super) struct Checked {
    pub state_dir: PathBuf,
    pub keep_history: Duration,
    pub daemon: Daemon,
    pub syncs: Vec<Sync>,
}

/// Reads everything; `None` only after a finding.
pub(super) fn check(root: &Section<'_>, environment: &Environment) -> Option<Checked> {
    let state_dir = root.absolute_path("state_dir", "/var/lib/rosterd");
    let state_dir = environment.directory("STATE_DIRECTORY").or(state_dir);
    // The longest wait of somebody who fails, and the guards' windows, lie within the shortest.
    let kept = DurationRule { low: 31 * DAY, high: 3650 * DAY, example: "400d" };
    let keep_history = root.duration("keep_history", &kept, Duration::from_secs(400 * DAY));
    let daemon = check_daemon(&root.section("daemon", schema::DAEMON), environment);
    let syncs = check_syncs(root);
    Some(Checked {
        state_dir: state_dir.unwrap_or_else(|| PathBuf::from("/var/lib/rosterd")),
        keep_history,
        daemon,
        syncs: syncs?,
    })
}

fn check_daemon(section: &Section<'_>, environment: &Environment) -> Daemon {
    let socket = section.absolute_path("socket", "/run/rosterd/rosterd.sock");
    let runtime = environment.directory("RUNTIME_DIRECTORY").map(|directory| directory.join("rosterd.sock"));
    if let (Some(path), Some((_, value))) = (&socket, section.entry("socket"))
        && path.as_os_str().len() > MAX_SOCKET_PATH_BYTES
    {
        section.report(
            Finding::new(value.span(), "`socket` is too long for a Unix socket")
                .label(format!("at most {MAX_SOCKET_PATH_BYTES} bytes"))
                .help("write socket = \"/run/rosterd/rosterd.sock\""),
        );
    }
    let notify = section.optional_section("notify", schema::NOTIFY);
    let listen_public = section.boolean("listen_public", false);
    Daemon {
        listen: check_listen(section, listen_public),
        listen_public,
        socket: runtime.or(socket).unwrap_or_else(|| PathBuf::from("/run/rosterd/rosterd.sock")),
        notify: notify.and_then(|notify| check_notify(&notify)),
        dead_man: section.url("dead_man", &UrlRule::WEBHOOK),
    }
}

fn check_listen(section: &Section<'_>, public: bool) -> Option<SocketAddr> {
    let written = section.text("listen", "127.0.0.1:9464").filter(|written| written.value != "off")?;
    let help = "write listen = \"127.0.0.1:9464\", or \"off\"; a reverse proxy can publish it";
    match written.value.parse::<SocketAddr>() {
        Ok(address) if public || address.ip().is_loopback() => Some(address),
        Ok(_) => {
            let problem = "`listen` must be a loopback address: the status page asks for no password";
            let finding = Finding::new(written.span, problem).label("not loopback").help(help);
            section
                .report(finding.help("or, where everybody who reaches it may read it, listen_public = true"));
            None
        }
        Err(_) => {
            let problem = "`listen` is not an address with a port";
            section.report(Finding::new(written.span, problem).help(help));
            None
        }
    }
}

const NOTIFY_ON: &[(&str, NotifyOn)] = &[
    ("held", NotifyOn::Held),
    ("leaver", NotifyOn::Leaver),
    ("quarantine", NotifyOn::Quarantine),
    ("recovered", NotifyOn::Recovered),
    ("failed", NotifyOn::Failed),
];

fn check_notify(section: &Section<'_>) -> Option<Notify> {
    let on = section.choices("on", NOTIFY_ON);
    let url = section.url("url", &UrlRule::WEBHOOK);
    if section.entry("url").is_none() {
        section.missing("url", "write notify = { url = \"https://…\", on = [\"held\", \"failed\"] }");
    }
    Some(Notify { url: url?, on: on.unwrap_or_else(|| NOTIFY_ON.iter().map(|(_, on)| *on).collect()) })
}

fn check_syncs(root: &Section<'_>) -> Option<Vec<Sync>> {
    let is_table = root.entry("sync").filter(|(_, value)| value.get_ref().is_table());
    let sections = match is_table {
        Some((span, _)) => {
            let problem = "`sync` is a list of tables";
            root.report(Finding::new(span, problem).label("single brackets").help("write [[sync]]"));
            vec![root.section("sync", schema::SYNC)]
        }
        None => root.sections("sync", schema::SYNC),
    };
    if root.entry("sync").is_none() {
        let finding = Finding::new(0..0, "there is no [[sync]]: nothing to keep equal")
            .help("`rosterd init --source okta` (or onelogin) prints a configuration to start from");
        root.report(finding);
    } else if sections.is_empty() && root.list_is_empty("sync") {
        root.report(
            Finding::new(root.key_span("sync").unwrap_or(0..0), "`sync` has no entry").help("write [[sync]]"),
        );
    }
    let several = sections.len() > 1;
    let mut names = BTreeMap::new();
    let syncs: Vec<_> = sections.iter().map(|section| check_sync(section, several, &mut names)).collect();
    syncs.into_iter().collect::<Option<Vec<_>>>().filter(|syncs| !syncs.is_empty())
}

fn check_sync(section: &Section<'_>, several: bool, names: &mut BTreeMap<String, ()>) -> Option<Sync> {
    let name = check_name(section, several, names);
    let zone = check_zone(section);
    let source = endpoint::check_source(section);
    let target = endpoint::check_target(section);
    let groups = source.as_ref().map(|source| source.groups.as_slice());
    let (user_type, attributes) = profile::check(section, groups);
    let up_to_a_day = DurationRule { low: 0, high: DAY, example: "30s" };
    let passes = DurationRule { low: MINUTE, high: DAY, example: "15m" };
    let reads = DurationRule { example: "30m", ..passes };
    let schedule = check_schedule(section);
    Some(Sync {
        jitter: section.duration("jitter", &up_to_a_day, Duration::ZERO),
        watch: check_watch(section),
        max_apply: section.duration("max_apply", &passes, Duration::from_secs(15 * MINUTE)),
        max_read: section.duration("max_read", &reads, Duration::from_secs(30 * MINUTE)),
        scope: check_scope(&section.section("scope", schema::SCOPE)),
        lifecycle: check_lifecycle(&section.section("lifecycle", schema::LIFECYCLE)),
        guard: guard::check(&section.section("guard", schema::GUARD)),
        adopt: check_adopt(&section.section("adopt", schema::ADOPT)),
        drift: drift::check(section),
        timezone: zone,
        user_type,
        attributes,
        name: name?,
        source: source?,
        target: target?,
        // Last, so that one mistake does not keep the others from being shown.
        schedule: schedule?,
    })
}

fn check_name(section: &Section<'_>, several: bool, names: &mut BTreeMap<String, ()>) -> Option<String> {
    if section.entry("name").is_none() {
        if several {
            section.missing("name", "write name = \"wrike\": with several [[sync]] each needs its own");
            return None;
        }
        return Some("default".to_owned());
    }
    let written = section.text("name", "wrike")?;
    let plain = |character: char| character.is_ascii_alphanumeric() || "._-".contains(character);
    let first = written.value.starts_with(|first: char| first.is_ascii_alphanumeric());
    if !first || written.value.len() > 64 || !written.value.chars().all(plain) {
        let problem = format!("`name` cannot be {}", mask::echo(written.value));
        section.report(Finding::new(written.span, problem).help(
            "up to 64 letters, digits, `.`, `_` and `-`, beginning with a letter or digit: it becomes a metric label",
        ));
        return None;
    }
    // Names become file names, and not every file system tells `Wrike` from `wrike`.
    if names.insert(written.value.to_ascii_lowercase(), ()).is_some() {
        let problem = format!("two [[sync]] are called {}", mask::echo(written.value));
        section
            .report(Finding::new(written.span, problem).label("already taken").help("give it another name"));
        return None;
    }
    Some(written.value.to_owned())
}

fn check_schedule(section: &Section<'_>) -> Option<Schedule> {
    let default = "*/15 * * * *";
    match section.text("schedule", default) {
        Some(written) => check_cron(section, &written),
        None => Schedule::parse(default).ok(),
    }
}

/// The `schedule` of a table; `None` is reported.
fn check_cron(section: &Section<'_>, written: &At<&str>) -> Option<Schedule> {
    let error = match Schedule::parse(written.value) {
        Ok(schedule) => return Some(schedule),
        Err(error) => error,
    };
    let problem = if mask::is_revealing(written.value) {
        "`schedule` is not a cron expression".to_owned()
    } else {
        format!("`schedule` is not a cron expression: {}", error.problem)
    };
    let mut finding = Finding::new(written.span.clone(), problem);
    if let Some(help) = error.help {
        finding = finding.help(help);
    }
    section.report(finding);
    None
}

fn check_zone(section: &Section<'_>) -> Tz {
    let Some(written) = section.text("timezone", "Europe/Berlin") else { return Tz::UTC };
    if let Ok(zone) = written.value.parse() {
        return zone;
    }
    let names = || chrono_tz::TZ_VARIANTS.iter().map(|zone| zone.name());
    let asked = written.value.trim().replace(' ', "_");
    let city = names().find(|name| {
        let last = name.rsplit('/').next().unwrap_or(name);
        last.eq_ignore_ascii_case(&asked) || name.eq_ignore_ascii_case(&asked)
    });
    let help = match city.or_else(|| schema::nearest(&asked, names())) {
        Some(near) => format!("write timezone = \"{near}\""),
        None => {
            "write an IANA name such as \"Europe/Berlin\"; `timedatectl list-timezones` shows them".to_owned()
        }
    };
    let problem = format!("{} is not a time zone", mask::echo(written.value));
    section.report(Finding::new(written.span, problem).help(help));
    Tz::UTC
}

fn check_watch(section: &Section<'_>) -> Watch {
    let Some(written) = section.text("watch", "30s") else { return Watch::Auto };
    match written.value {
        "auto" => Watch::Auto,
        "off" => Watch::Off,
        _ => {
            let rule = DurationRule { low: 5 * SECOND, high: DAY, example: "30s" };
            let At { value, span } = written;
            match scalar::parse_duration(value, &rule) {
                Ok(every) => Watch::Every(every),
                Err(problem) => {
                    let problem = format!("`watch` {problem}");
                    section.report(
                        Finding::new(span, problem)
                            .help("write \"auto\", \"off\", or a duration from \"5s\" on"),
                    );
                    Watch::Auto
                }
            }
        }
    }
}

fn check_scope(section: &Section<'_>) -> Scope {
    let written = section.list("domains").map(|list| list.value).unwrap_or_default();
    let mut domains: Vec<String> = Vec::new();
    for domain in written {
        match scalar::parse_domain(domain.value) {
            // The same domain twice, spelled differently, is no mistake worth stopping for.
            Ok(normal) if domains.contains(&normal) => {}
            Ok(normal) => domains.push(normal),
            Err((problem, help)) => section.report(Finding::new(domain.span, problem).help(help)),
        }
    }
    Scope { domains, filter: expression::check_key(section, "filter") }
}

fn check_lifecycle(section: &Section<'_>) -> LifecyclePolicy {
    const REMOVALS: &[(&str, RemovalPolicy)] = &[
        ("deactivate", RemovalPolicy::Deactivate),
        ("delete", RemovalPolicy::Delete),
        ("keep", RemovalPolicy::Keep),
    ];
    const SUSPENSIONS: &[(&str, RemovalPolicy)] =
        &[("deactivate", RemovalPolicy::Deactivate), ("keep", RemovalPolicy::Keep)];
    let on_unassigned = section.choice("on_unassigned", REMOVALS, RemovalPolicy::Deactivate);
    LifecyclePolicy {
        create: section.boolean("create", true),
        update: section.boolean("update", true),
        deactivate: section.boolean("deactivate", true),
        reactivate: section.boolean("reactivate", true),
        on_unassigned,
        on_deleted: section.choice("on_deleted", REMOVALS, on_unassigned),
        on_suspended: section.choice("on_suspended", SUSPENSIONS, RemovalPolicy::Deactivate),
        create_pending: section.choice("on_pending", &[("wait", false), ("create", true)], false),
        delete_after: check_delete_after(section),
        recreate: section.boolean("recreate", false),
    }
}

fn check_delete_after(section: &Section<'_>) -> Option<Duration> {
    let written = section.text("delete_after", "30d").filter(|written| written.value != "off")?;
    // Deletion cannot be undone: less than an hour leaves nobody the time to notice.
    let rule = DurationRule { low: HOUR, high: 3650 * DAY, example: "30d" };
    match scalar::parse_duration(written.value, &rule) {
        Ok(after) => Some(after),
        Err(problem) => {
            let help = "write \"off\" or a duration such as \"30d\"; \
                        to delete leavers at once, on_unassigned = \"delete\"";
            section.report(Finding::new(written.span, format!("`delete_after` {problem}")).help(help));
            None
        }
    }
}

fn check_adopt(section: &Section<'_>) -> Adopt {
    const LADDER: &[(&str, MatchBy)] =
        &[("externalId", MatchBy::ExternalId), ("userName", MatchBy::UserName), ("email", MatchBy::Email)];
    let ladder = section.choices("match", LADDER);
    Adopt {
        ladder: ladder.unwrap_or_else(|| vec![MatchBy::ExternalId, MatchBy::UserName]),
        hold: section.choice("mode", &[("auto", false), ("hold", true)], false),
    }
}
