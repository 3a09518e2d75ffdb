//! The command line: what can be asked for. What must not live here: doing it (`app`).

use std::path::PathBuf;
use std::time::Duration;

use clap::{Args, CommandFactory, Parser, Subcommand, ValueEnum};

use crate::model::id::Vendor;
use crate::model::time::Millis;
use crate::report::{Format, Length};

/// Where the configuration is looked for when neither `-c` nor `$ROSTERD_CONFIG` says.
pub const DEFAULT_CONFIG: &str = "/etc/rosterd/config.toml";

/// Keeps the members of a workspace equal to the people assigned to its app in Okta or OneLogin.
#[derive(Debug, Parser)]
#[command(name = "rosterd", version, disable_help_subcommand = true, max_term_width = 110)]
#[command(
    after_help = "Exit codes: 0 done or nothing to do; 1 unexpected failure, `status` or `history --verify` found \
something, or `explain` found nobody; 2 changes pending \
(--detailed-exitcode only); 3 some people failed, or somebody who left still has access and nobody wants it so; 4 \
something is held for approval or a seat, or a saved plan is stale; 5 source \
incomplete, unreachable or its credentials refused; 6 target unreachable or its credentials refused; 64 usage; 75 \
another rosterd holds the state; 78 configuration; 130/143 after a signal."
)]
pub struct Cli {
    /// One full run of every sync, then exit.
    #[arg(long)]
    pub reconcile_now: bool,
    /// Show what a run would do, person by person, and write nothing.
    #[arg(long, global = true)]
    pub dry_run: bool,
    /// Options of a run.
    #[command(flatten)]
    pub run: RunOptions,
    /// Options of every command.
    #[command(flatten)]
    pub global: GlobalOptions,
    /// What else there is.
    #[command(subcommand)]
    pub command: Option<Command>,
}

/// Options of a run.
#[derive(Debug, Args)]
pub struct RunOptions {
    /// Only this sync; repeatable.
    #[arg(long, value_name = "NAME", global = true)]
    pub sync: Vec<String>,
    /// Only this person: login, e-mail, source id or target id; repeatable.
    #[arg(long, value_name = "WHO")]
    pub user: Vec<String>,
    /// Report format on stdout.
    #[arg(long, value_enum, default_value_t = FormatName::Text, global = true)]
    pub format: FormatName,
    /// Write the report to this file (atomically) and one line to stderr.
    #[arg(long, value_name = "FILE", global = true)]
    pub output: Option<PathBuf>,
    /// This run was started by a timer: the limits for unattended runs apply.
    #[arg(long)]
    pub unattended: bool,
    /// Dry run, verify: exit 2 when changes are pending.
    #[arg(long, global = true)]
    pub detailed_exitcode: bool,
    /// Accept a state directory that was last written on another machine.
    #[arg(long, global = true)]
    pub take_over: bool,
}

/// Options of every command.
#[derive(Debug, Args)]
pub struct GlobalOptions {
    /// Configuration file.
    #[arg(short, long, value_name = "PATH", env = "ROSTERD_CONFIG", default_value = DEFAULT_CONFIG, global = true)]
    pub config: PathBuf,
    /// How log lines look; logs go to stderr.
    #[arg(long, value_enum, default_value_t = LogFormatName::Auto, global = true)]
    pub log_format: LogFormatName,
    /// More log lines: pages, plans, what is not sent and why; twice for every request, too.
    #[arg(short, long, action = clap::ArgAction::Count, global = true)]
    pub verbose: u8,
    /// Errors only, and no progress.
    #[arg(short, long, global = true, conflicts_with = "verbose")]
    pub quiet: bool,
    /// Colours.
    #[arg(long, value_enum, default_value_t = ColorName::Auto, global = true)]
    pub color: ColorName,
}

/// Commands.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// The long-running service, in the foreground: what systemd starts.
    Daemon,
    /// Print a short commented configuration to start from.
    Init {
        /// The identity provider.
        #[arg(long, value_enum)]
        source: SourceName,
    },
    /// Check the configuration, every secret, both sides and each right they need.
    Check {
        /// The configuration and the secrets only; no network.
        #[arg(long)]
        offline: bool,
    },
    /// A dry run saved as a plan file, to be read and then applied as it is.
    Plan {
        /// The file to write (mode 0600).
        #[arg(long, value_name = "FILE")]
        out: PathBuf,
    },
    /// Carry out exactly a saved plan; refuses (exit 4) when anything it rests on has moved.
    Apply {
        /// The plan file.
        file: PathBuf,
    },
    /// Compare the whole workspace with what was written and what the source says now; tells, and writes nothing.
    Verify {
        /// Bring back access and attributes that others changed, through guards and proof like any run.
        #[arg(long)]
        repair: bool,
        /// List accounts that nobody manages, too.
        #[arg(long)]
        all: bool,
    },
    /// Who left and still has access, and how each sync is doing. Exit 1 where that needs somebody, else 0.
    Status,
    /// Why one person has the account they have, or none: record, mapping, matches, action, guards, and what to do.
    Explain(ExplainOptions),
    /// What happened: runs, every attempt for one person, one run again; verified, or erased for one person.
    History(HistoryOptions),
    /// List what waits for approval.
    Holds,
    /// Release the people of a hold, once, and run them.
    Approve {
        /// The hold, such as h7, or a revision of it, such as h7@2.
        #[arg(value_name = "ID[@REV]")]
        id: String,
        /// Do not ask.
        #[arg(long)]
        yes: bool,
        /// Release only; the next run sends them.
        #[arg(long)]
        no_run: bool,
    },
    /// Drop a hold: its people are not planned this way again until the source changes for them.
    Reject {
        /// The hold, such as h7.
        #[arg(value_name = "ID")]
        id: String,
        /// Do not ask.
        #[arg(long)]
        yes: bool,
    },
    /// Keep the account of somebody who left, for a time: only where its removal is owed or held.
    Keep {
        /// The person: login, source id or account id.
        #[arg(value_name = "WHO")]
        who: String,
        /// For how long, such as 30d; at most a year.
        #[arg(long = "for", value_name = "DURATION", value_parser = keep_length, default_value = "30d")]
        length: Duration,
        /// Why, for the record.
        #[arg(long, value_name = "TEXT")]
        reason: Option<String>,
    },
    /// Take back what a run did, as far as the workspace still has it; created accounts are deactivated.
    Undo {
        /// The run; `rosterd history` lists them.
        #[arg(long, value_name = "NUMBER")]
        run: i64,
        /// Do not ask.
        #[arg(long)]
        yes: bool,
    },
    /// Drop a link: the account stays as it is and is not rosterd's any more. Nothing is sent anywhere.
    Forget(ForgetOptions),
    /// Stop writing; runs go on reading and reporting.
    Pause {
        /// For how long, such as 2h; without it until `rosterd resume`.
        #[arg(long = "for", value_name = "DURATION", value_parser = duration)]
        length: Option<Duration>,
    },
    /// Start writing again.
    Resume,
    /// Find lost links again in the workspace, without a write there; a damaged database is moved aside.
    Rebuild {
        /// Do not ask.
        #[arg(long)]
        yes: bool,
    },
    /// Hand links over: to another sync, or to a source that moved (`--from` and `--to` the same).
    Transfer(TransferOptions),
    /// A consistent copy of the state, also while it is in use.
    Backup {
        /// The file to write (mode 0600).
        file: PathBuf,
        /// Replace the file where it is there already.
        #[arg(long)]
        force: bool,
    },
    /// Show the whole program at work against fakes of Okta, OneLogin and a workspace; needs nothing.
    #[cfg(feature = "sim")]
    Demo {
        /// Leave the fakes running and print a configuration to play with.
        #[arg(long)]
        keep: bool,
    },
    /// Print a shell completion script.
    Completions {
        /// The shell.
        shell: clap_complete::Shell,
    },
    /// Print the manual page (roff), or write the pages of every command into a directory.
    Man {
        /// A directory that exists: a file for each command, such as rosterd-explain.1.
        #[arg(long, value_name = "DIRECTORY")]
        into: Option<PathBuf>,
    },
}

/// Options of `forget`.
#[derive(Debug, Args)]
pub struct ForgetOptions {
    /// The person: login, source id or target id. Without one, --sync names a sync that is configured no more: all that
    /// is left of it is dropped.
    #[arg(value_name = "WHO")]
    pub who: Option<String>,
    /// Do not ask.
    #[arg(long)]
    pub yes: bool,
    /// Lift a pin instead (forgotten, kept, undone or rejected): the next run plans for this person again.
    #[arg(long, requires = "who", conflicts_with_all = ["yes", "unsettled"])]
    pub lift: bool,
    /// Give up a write whose outcome nobody can tell; the next run looks first, then plans afresh.
    #[arg(long, requires = "who")]
    pub unsettled: bool,
}

/// Options of `transfer`.
#[derive(Debug, Args)]
pub struct TransferOptions {
    /// The sync that gives; it need not be in the configuration any more.
    #[arg(long, value_name = "NAME")]
    pub from: String,
    /// The sync that takes.
    #[arg(long, value_name = "NAME")]
    pub to: String,
    /// Only these people: login, source id or account id.
    #[arg(value_name = "WHO")]
    pub who: Vec<String>,
    /// Do not ask.
    #[arg(long)]
    pub yes: bool,
}

/// Options of `explain`.
#[derive(Debug, Args)]
pub struct ExplainOptions {
    /// The person: login, e-mail, source id or target id. Exit 0 where somebody of that name is known, else 1.
    #[arg(value_name = "WHO")]
    pub who: String,
    /// From stored data alone: no request is sent to either side.
    #[arg(long, conflicts_with = "raw")]
    pub offline: bool,
    /// Show the source's record as received, not only the fields that are used.
    #[arg(long)]
    pub raw: bool,
}

/// Options of `history`.
#[derive(Debug, Args)]
pub struct HistoryOptions {
    /// Every attempt for this person: login, source id or target id.
    #[arg(long, value_name = "WHO", conflicts_with = "run")]
    pub user: Option<String>,
    /// One run again, as a report.
    #[arg(long, value_name = "NUMBER", conflicts_with_all = ["since", "failed", "limit"])]
    pub run: Option<i64>,
    /// Not older than this: 2h, 7d, or a time such as 2026-11-22T10:00:00Z.
    #[arg(long, value_name = "TIME", value_parser = since)]
    pub since: Option<Millis>,
    /// Only runs that did not do all they wanted, or attempts that were refused.
    #[arg(long)]
    pub failed: bool,
    /// Look whether every entry is as it was written, and whether any is missing. Exit 0 where they are, else 1.
    #[arg(long, conflicts_with_all = ["user", "run", "since", "failed", "limit", "erase"])]
    pub verify: bool,
    /// Erase this person from the history: login, source id or account id.
    #[arg(long, value_name = "WHO", conflicts_with_all = ["user", "run", "since", "failed", "limit"])]
    pub erase: Option<String>,
    /// With --erase: do not ask.
    #[arg(long, requires = "erase")]
    pub yes: bool,
    /// At most so many, the newest.
    #[arg(long, value_name = "NUMBER", default_value_t = 30, value_parser = clap::value_parser!(u32).range(1..))]
    pub limit: u32,
}

/// So long ago, or RFC 3339.
fn since(text: &str) -> Result<Millis, String> {
    if let Some(at) = Millis::parse(text) {
        return Ok(at);
    }
    let ago = duration(text).map_err(|_| {
        "write how long ago, such as 2h or 7d, or a time such as 2026-11-22T10:00:00Z".to_owned()
    })?;
    Ok(Millis(Millis::now().0.saturating_sub(i64::try_from(ago.as_millis()).unwrap_or(i64::MAX))))
}

/// At most a year.
fn keep_length(text: &str) -> Result<Duration, String> {
    const YEAR: Duration = Duration::from_secs(365 * 86_400);
    let length = duration(text)?;
    if length > YEAR { Err("at most a year, which is 365d".to_owned()) } else { Ok(length) }
}

/// `30s`, `15m`, `2h` or `7d`.
fn duration(text: &str) -> Result<Duration, String> {
    let wrong = || "write a number and s, m, h or d, such as 2h".to_owned();
    let unit = match text.chars().next_back() {
        Some('s') => 1,
        Some('m') => 60,
        Some('h') => 3600,
        Some('d') => 86_400,
        Some(_) | None => return Err(wrong()),
    };
    let number: u64 = text[..text.len() - 1].parse().map_err(|_| wrong())?;
    number.checked_mul(unit).filter(|seconds| *seconds > 0).map(Duration::from_secs).ok_or_else(wrong)
}

/// `--format`
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum FormatName {
    /// For people.
    Text,
    /// `rosterd.report/1`.
    Json,
    /// For a ticket or a pull request; long lists are cut on stdout, not in a file.
    Markdown,
    /// For a spreadsheet: a row a change.
    Csv,
    /// One page with filter and sortable table that needs nothing from elsewhere.
    Html,
}

/// The formats of what is no report of a run: `status`, `history`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ListFormat {
    /// For people.
    Text,
    /// For scripts.
    Json,
}

impl FormatName {
    /// The format of what is no report of a run.
    ///
    /// # Errors
    /// What is to be written instead.
    pub fn of_list(self) -> Result<ListFormat, String> {
        match self {
            FormatName::Text => Ok(ListFormat::Text),
            FormatName::Json => Ok(ListFormat::Json),
            FormatName::Markdown | FormatName::Csv | FormatName::Html => {
                Err("this is told as text or json; the report of a run has the other formats\nhelp: leave --format \
                     out, or write --format json"
                    .to_owned())
            }
        }
    }
}

impl From<FormatName> for Format {
    fn from(name: FormatName) -> Format {
        match name {
            FormatName::Text => Format::Text(Length::Full),
            FormatName::Json => Format::Json,
            FormatName::Markdown => Format::Markdown(Length::Cut),
            FormatName::Csv => Format::Csv,
            FormatName::Html => Format::Html,
        }
    }
}

/// `--log-format`
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum LogFormatName {
    /// Journal fields where stderr is the journal, else text.
    Auto,
    /// Text.
    Text,
    /// One JSON object a line.
    Json,
    /// To the journal, with fields.
    Journald,
}

/// `--color`
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum ColorName {
    /// On a terminal, unless NO_COLOR is set.
    Auto,
    /// Always.
    Always,
    /// Never.
    Never,
}

/// `init --source`
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum SourceName {
    /// Okta.
    Okta,
    /// OneLogin.
    Onelogin,
}

impl From<SourceName> for Vendor {
    fn from(name: SourceName) -> Vendor {
        match name {
            SourceName::Okta => Vendor::Okta,
            SourceName::Onelogin => Vendor::OneLogin,
        }
    }
}

/// The definition that completions and the manual are made from.
pub fn definition() -> clap::Command {
    Cli::command()
}

/// What `rosterd` alone prints.
pub const SHORT_HELP: &str = "\
rosterd keeps a workspace's member list true to the identity provider.

  rosterd --dry-run          show what would change, person by person; writes nothing
  rosterd --reconcile-now    one full run of every sync, then exit
  rosterd status             how each sync is doing; `rosterd history` tells what happened
  rosterd explain WHO        why one person has an account, or none, and what to do
  rosterd daemon             the long-running service
  rosterd holds              what waits for approval; `rosterd approve ID` releases it
  rosterd check              the configuration, the secrets, and each right on both sides
  rosterd demo               see it work against built-in fakes; needs nothing

Begin with `rosterd init --source okta > config.toml`. `rosterd --help` shows every option.
";
