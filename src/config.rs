//! The configuration as the rest of the program sees it: checked, with every default filled in and
//! every expression compiled once to prove that it parses.
//!
//! What lives here: the typed configuration and [`load`]. What must not: reading secrets into long-lived
//! values (a [`secret::SecretRef`] is resolved when it is needed), network access, defaults hidden anywhere else.
//! The public names are those of the documented configuration file; changing one is a breaking change.

use std::fmt;
use std::fs::File;
use std::io::{self, Read};
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::time::Duration;

use toml::de::DeTable;
use url::Url;

pub use self::diagnostic::{ConfigErrors, Diagnostic, Place};
pub use self::environment::Environment;
use self::raw::{Finding, Reading, Section};
use self::secret::SecretRef;
use crate::model::plan::Verb;
use crate::model::protected_logins::ProtectedLogins;
use crate::model::schedule::Schedule;

mod attribute_path;
mod check;
mod diagnostic;
mod environment;
pub mod init;
mod mask;
mod raw;
mod schema;
pub mod secret;

/// A larger file is not a configuration.
const MAX_FILE_BYTES: u64 = 1024 * 1024;

/// Reads and checks a configuration file.
///
/// # Errors
/// Everything that is wrong with it, at once; a file that cannot be read, is no text or no TOML is a single error.
pub fn load(path: &Path, environment: &Environment) -> Result<Config, ConfigErrors> {
    let whole = |problem: String, help: &str| ConfigErrors::whole_file(path, problem, help);
    let bytes = read_file(path).map_err(|error| {
        if error.kind() == io::ErrorKind::NotFound {
            return whole(
                format!("cannot read the configuration {}: no such file", path.display()),
                "name it with -c PATH, or start with `rosterd init --source okta` (or onelogin)",
            );
        }
        if error.kind() == io::ErrorKind::IsADirectory {
            return whole(
                format!("cannot read the configuration {}: it is a directory", path.display()),
                "name the file in it, such as -c /etc/rosterd/config.toml",
            );
        }
        whole(
            format!("cannot read the configuration {}: {error}", path.display()),
            "make it readable for the user rosterd runs as; it holds no secret itself",
        )
    })?;
    if bytes.len() as u64 > MAX_FILE_BYTES {
        return Err(whole(
            format!("cannot use {} as the configuration: it is larger than 1 MiB", path.display()),
            "is it the right file? -c PATH names another",
        ));
    }
    let text = std::str::from_utf8(&bytes).map_err(|error| {
        let before = bytes.get(..error.valid_up_to()).unwrap_or_default();
        let line = before.iter().filter(|byte| **byte == b'\n').count() + 1;
        let problem =
            format!("cannot use {} as the configuration: line {line} is not UTF-8 text", path.display());
        whole(problem, "save it as UTF-8, which TOML asks for")
    })?;
    parse(text, path, environment)
}

/// At most one byte more than is allowed.
fn read_file(path: &Path) -> io::Result<Vec<u8>> {
    let file = File::open(path)?;
    let mut bytes = Vec::new();
    file.take(MAX_FILE_BYTES + 1).read_to_end(&mut bytes)?;
    Ok(bytes)
}

/// Checks the text of a configuration; `path` is for messages only.
///
/// # Errors
/// Everything that is wrong with it, at once; where it is no TOML, that alone.
pub fn parse(text: &str, path: &Path, environment: &Environment) -> Result<Config, ConfigErrors> {
    let document = DeTable::parse(text).map_err(|error| {
        let span = error.span().unwrap_or(0..text.len().min(1));
        let finding = Finding::new(span, format!("this is not TOML: {}", error.message()));
        let finding =
            finding.help("strings are quoted, tables are [name], entries are key = value, one a line");
        ConfigErrors::new(path, text, vec![finding], true)
    })?;
    let reading = Reading::new(text);
    let checked = check::check(&Section::open(&reading, schema::ROOT, document.get_ref(), 0..0), environment);
    let findings = reading.into_findings();
    match checked {
        Some(check::Checked { state_dir, keep_history, daemon, syncs }) if findings.is_empty() => {
            Ok(Config {
                state_dir,
                keep_history,
                daemon,
                syncs,
                digest: blake3::hash(text.as_bytes()).to_hex().to_string(),
                path: path.to_owned(),
            })
        }
        _ => Err(ConfigErrors::new(path, text, findings, false)),
    }
}

/// A whole configuration file.
#[derive(Debug, Clone)]
pub struct Config {
    /// Where the snapshot lives; `$STATE_DIRECTORY` wins.
    pub state_dir: PathBuf,
    /// How long runs, writes and decided holds are kept on record.
    pub keep_history: Duration,
    /// Settings of the long-running service.
    pub daemon: Daemon,
    /// One entry per `[[sync]]`, in file order, names unique.
    pub syncs: Vec<Sync>,
    /// BLAKE3 of the file's bytes, hex: two processes compare it before one serves the other.
    pub digest: String,
    /// Where the file was read from, for messages.
    pub path: PathBuf,
}

/// `[daemon]`
#[derive(Clone)]
pub struct Daemon {
    /// Address of the status server, loopback unless `listen_public`; `None` = off.
    pub listen: Option<SocketAddr>,
    /// Whether another address than loopback is accepted: the status page asks for no password.
    pub listen_public: bool,
    /// Control socket.
    pub socket: PathBuf,
    /// Webhook.
    pub notify: Option<Notify>,
    /// GET after each good run.
    pub dead_man: Option<Url>,
}

/// `[daemon] notify`
#[derive(Clone)]
pub struct Notify {
    /// Where to POST.
    pub url: Url,
    /// Which happenings.
    pub on: Vec<NotifyOn>,
}

/// Who knows a webhook's address can use it: of these, only the origin is for logs.
fn origin(url: &Url) -> String {
    url.origin().ascii_serialization()
}

impl fmt::Debug for Daemon {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { listen, listen_public, socket, notify, dead_man } = self;
        formatter
            .debug_struct("Daemon")
            .field("listen", listen)
            .field("listen_public", listen_public)
            .field("socket", socket)
            .field("notify", notify)
            .field("dead_man", &dead_man.as_ref().map(origin))
            .finish()
    }
}

impl fmt::Debug for Notify {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { url, on } = self;
        formatter.debug_struct("Notify").field("url", &origin(url)).field("on", on).finish()
    }
}

/// What a notification can be about.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum NotifyOn {
    /// Something waits for approval.
    Held,
    /// Somebody who left still has access.
    Leaver,
    /// A sync backs off.
    Quarantine,
    /// A sync is healthy again.
    Recovered,
    /// A run failed.
    Failed,
}

/// One configured source -> target pair.
#[derive(Debug, Clone)]
pub struct Sync {
    /// Unique name.
    pub name: String,
    /// When a full run begins.
    pub schedule: Schedule,
    /// Zone of the schedule.
    pub timezone: chrono_tz::Tz,
    /// Random delay added to each firing.
    pub jitter: Duration,
    /// Polling of the event log.
    pub watch: Watch,
    /// Longest time one pass may apply before it reads afresh.
    pub max_apply: Duration,
    /// Longest time that a read may make no progress.
    pub max_read: Duration,
    /// Where people come from.
    pub source: Source,
    /// Where accounts live.
    pub target: Target,
    /// Who is in.
    pub scope: Scope,
    /// What happens to whom.
    pub lifecycle: LifecyclePolicy,
    /// What holds a plan.
    pub guard: Guard,
    /// How existing accounts are taken over.
    pub adopt: Adopt,
    /// What is done about what others changed at the target.
    pub drift: Drift,
    /// Wrike's user type, or its like; `None` = not managed.
    pub user_type: Option<UserType>,
    /// Overrides of the built-in attribute mapping, in file order.
    pub attributes: Vec<AttributeRule>,
}

/// `watch`
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Watch {
    /// 30 s where the log is readable.
    Auto,
    /// This often.
    Every(Duration),
    /// Not at all.
    Off,
}

/// `[sync.source]`
#[derive(Debug, Clone)]
pub struct Source {
    /// Vendor and credentials.
    pub kind: SourceKind,
    /// Origin, no path.
    pub url: Url,
    /// The app whose assignment decides.
    pub app_id: String,
    /// Declared group names.
    pub groups: Vec<String>,
    /// 1..=100, of the window that the source's own headers tell.
    pub rate_share_percent: u8,
    /// HTTP proxy.
    pub proxy: Option<Url>,
    /// Additional trust anchors, PEM.
    pub ca_file: Option<PathBuf>,
}

/// Vendor of a source, with what it needs to log in.
#[derive(Debug, Clone)]
pub enum SourceKind {
    /// Okta with an API token (SSWS).
    OktaToken {
        /// The token.
        api_token: SecretRef,
    },
    /// Okta with an OAuth service app (private_key_jwt).
    OktaOauth {
        /// Client id of the service app.
        client_id: String,
        /// PEM or JWK.
        private_key: SecretRef,
        /// `kid`; needed where the app has several keys.
        key_id: Option<String>,
        /// Proof of possession.
        dpop: Dpop,
    },
    /// OneLogin API credentials.
    OneLogin {
        /// Client id.
        client_id: String,
        /// Client secret.
        client_secret: SecretRef,
    },
}

/// `dpop`
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Dpop {
    /// When the server asks for it.
    Auto,
    /// Always.
    On,
    /// Never.
    Off,
}

/// `[sync.target]`
#[derive(Debug, Clone)]
pub struct Target {
    /// SCIM base URL, as the workspace shows it, without a trailing slash.
    pub url: Url,
    /// Bearer token.
    pub token: SecretRef,
    /// Resolved from `auto` by host.
    pub dialect: Dialect,
    /// Pace.
    pub requests_per_minute: u32,
    /// Requests in flight.
    pub concurrency: usize,
    /// 0..=90.
    pub reserve_for_removals_percent: u8,
    /// Of one request.
    pub timeout: Duration,
    /// HTTP proxy.
    pub proxy: Option<Url>,
    /// Additional trust anchors, PEM.
    pub ca_file: Option<PathBuf>,
}

/// `dialect`
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Dialect {
    /// Wrike's documented restrictions.
    Wrike,
    /// RFC 7644 and what real servers make of it.
    Generic,
}

impl Dialect {
    /// The word in configuration and reports.
    pub fn as_str(self) -> &'static str {
        match self {
            Dialect::Wrike => "wrike",
            Dialect::Generic => "generic",
        }
    }
}

/// `[sync.scope]`
#[derive(Debug, Clone)]
pub struct Scope {
    /// Approved e-mail domains, lower-case IDNA A-labels; empty = any.
    pub domains: Vec<String>,
    /// Expression; true = in scope; `None` = everybody.
    pub filter: Option<String>,
}

/// `[sync.lifecycle]`
#[derive(Debug, Clone)]
pub struct LifecyclePolicy {
    /// Switch.
    pub create: bool,
    /// Switch.
    pub update: bool,
    /// Switch; covers deactivate and delete.
    pub deactivate: bool,
    /// Switch.
    pub reactivate: bool,
    /// For a leaver.
    pub on_unassigned: RemovalPolicy,
    /// For a leaver who is gone from the source altogether.
    pub on_deleted: RemovalPolicy,
    /// For somebody suspended; never `Delete`.
    pub on_suspended: RemovalPolicy,
    /// Create people who were never activated.
    pub create_pending: bool,
    /// Time between deactivation and deletion; `None` = never.
    pub delete_after: Option<Duration>,
    /// Create again what somebody deleted at the target.
    pub recreate: bool,
}

/// What a removal does.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RemovalPolicy {
    /// `active: false`.
    Deactivate,
    /// DELETE.
    Delete,
    /// Nothing.
    Keep,
}

/// `[sync.guard]`
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Guard {
    /// Deactivations and deletions an hour.
    pub max_removals: u32,
    /// Of the active accounts, an hour.
    pub max_removals_percent: u8,
    /// Of the active accounts, 24 hours.
    pub max_removals_percent_per_day: u8,
    /// Of the links, an hour.
    pub max_updates_percent: u8,
    /// An hour.
    pub max_reactivations: u32,
    /// An hour, for runs that nobody started by hand.
    pub max_creates: u32,
    /// Billable accounts; `None` = no limit.
    pub max_seats: Option<u32>,
    /// Logins that no verb touches.
    pub protected: ProtectedLogins,
    /// Verbs that always wait for approval.
    pub approval: Vec<Verb>,
}

impl Default for Guard {
    fn default() -> Self {
        Guard {
            max_removals: 50,
            max_removals_percent: 10,
            max_removals_percent_per_day: 20,
            max_updates_percent: 50,
            max_reactivations: 20,
            max_creates: 100,
            max_seats: None,
            protected: ProtectedLogins::default(),
            approval: Vec::new(),
        }
    }
}

/// `[sync.adopt]`
#[derive(Debug, Clone)]
pub struct Adopt {
    /// The matching ladder, in order.
    pub ladder: Vec<MatchBy>,
    /// Every adoption waits for approval.
    pub hold: bool,
}

/// `[sync.drift]`
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Drift {
    /// When the workspace is verified; `None` = only by hand.
    pub schedule: Option<Schedule>,
    /// Somebody who left is active at the target.
    pub access: DriftPolicy,
    /// Somebody at the target switched an account off.
    pub reactivate: DriftPolicy,
    /// Somebody at the target changed an owned attribute.
    pub attributes: DriftPolicy,
}

impl Drift {
    /// The same, with nothing repaired.
    #[must_use]
    pub fn reporting(&self) -> Drift {
        let report = DriftPolicy::Report;
        Drift { schedule: self.schedule.clone(), access: report, reactivate: report, attributes: report }
    }

    /// The same, with access and attributes repaired. An account that somebody switched off stays as it is unless
    /// the configuration says otherwise.
    #[must_use]
    pub fn repairing(&self) -> Drift {
        Drift { access: DriftPolicy::Repair, attributes: DriftPolicy::Repair, ..self.clone() }
    }

    /// Whether anything is repaired.
    pub fn repairs(&self) -> bool {
        [self.access, self.reactivate, self.attributes].contains(&DriftPolicy::Repair)
    }
}

/// What is done about one kind of drift.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum DriftPolicy {
    /// It is brought back.
    Repair,
    /// It is told.
    Report,
}

/// A rung of the matching ladder.
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub enum MatchBy {
    /// Our own mark at the target.
    ExternalId,
    /// Login.
    UserName,
    /// E-mail; never changes login or e-mail by itself.
    Email,
}

/// `[sync.user_type]`
#[derive(Debug, Clone)]
pub struct UserType {
    /// Attribute path at the target, checked, in its canonical spelling.
    pub path: String,
    /// Expression.
    pub from: Option<String>,
    /// Where nothing else decides.
    pub default: String,
    /// Allowed values.
    pub values: Vec<String>,
    /// Of these, the billable ones.
    pub billable: Vec<String>,
    /// First matching group wins; applied where `from` gives nothing.
    pub groups: Vec<GroupRule>,
}

/// One group rule of the user type.
#[derive(Debug, Clone)]
pub struct GroupRule {
    /// Group name, declared in `source.groups`.
    pub group: String,
    /// Value given to its members.
    pub value: String,
}

/// One line of `[sync.attributes]`.
#[derive(Debug, Clone)]
pub struct AttributeRule {
    /// SCIM attribute path (RFC 7644 section 3.5.2), checked, in its canonical spelling.
    pub path: String,
    /// What to do with it.
    pub rule: AttributeMapping,
}

/// How one attribute is filled.
#[derive(Debug, Clone)]
pub enum AttributeMapping {
    /// Stop owning a built-in attribute.
    Off,
    /// A Jinja expression.
    From {
        /// The expression.
        expression: String,
        /// Clear the attribute at the target when the source has nothing.
        clear_when_missing: bool,
    },
}
