//! Where a command speaks and asks: at this process's own terminal, or at a client's by way of the control socket.

use std::io::{IsTerminal, Read, Seek, Write};
use std::path::Path;
use std::sync::Arc;

use super::caller::Caller;
use super::command_error::CommandError;
use crate::cli::{FormatName, ListFormat};
use crate::daemon::control::Client;
use crate::daemon::control::wire::Frame;
use crate::exit;
use crate::model::run_event::RunWatcher;
use crate::model::saved_plan::SavedPlan;
use crate::report::{self, Format, Progress, Screen, SyncReport, Wrapped, visible};

/// Bytes of a report held in memory before they go to a file.
const REPORT_IN_MEMORY_BYTES: usize = 1 << 20;

/// What standard output is used for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Matter {
    /// Sentences and lists: on a terminal their lines are broken where it ends.
    Prose,
    /// For a program: every byte as it is.
    Data,
}

impl From<FormatName> for Matter {
    fn from(format: FormatName) -> Matter {
        match format {
            FormatName::Text => Matter::Prose,
            FormatName::Json | FormatName::Markdown | FormatName::Csv | FormatName::Html => Matter::Data,
        }
    }
}

impl From<ListFormat> for Matter {
    fn from(format: ListFormat) -> Matter {
        match format {
            ListFormat::Text => Matter::Prose,
            ListFormat::Json => Matter::Data,
        }
    }
}

impl Matter {
    /// Where its lines have to fit.
    pub(super) fn screen(self) -> Screen {
        match self {
            Matter::Prose => Screen::of_stdout(),
            Matter::Data => Screen::None,
        }
    }
}

/// Where a command speaks.
#[derive(Clone)]
pub(super) enum Console {
    /// Here.
    Here,
    /// At a client's.
    Afar(Arc<Client>),
}

impl Console {
    /// Text for standard output, with its line ends. Styles are stripped where they are not wanted.
    pub(super) fn print(&self, text: &str) {
        match self {
            // Nobody reads it any more where writing fails: `| head` is no error.
            Console::Here => {
                let mut out = Wrapped::new(anstream::stdout().lock(), Screen::of_stdout());
                let _ = out.write_all(text.as_bytes()).and_then(|()| out.flush());
            }
            Console::Afar(client) => client.print(text),
        }
    }

    /// A line for standard error.
    pub(super) fn say(&self, line: &str) {
        match self {
            Console::Here => say_here(line),
            Console::Afar(client) => client.say(line),
        }
    }

    /// An error for people, and its exit code.
    pub(super) fn report_error(&self, message: &str, code: u8) -> u8 {
        for (index, line) in message.lines().enumerate() {
            let lead = if index == 0 { "error: " } else { "" };
            self.say(&format!("{lead}{}", visible(line)));
        }
        code
    }

    /// Whether somebody is there to be asked.
    pub(super) fn is_interactive(&self) -> bool {
        match self {
            Console::Here => std::io::stdin().is_terminal(),
            Console::Afar(client) => client.request.interactive,
        }
    }

    /// Asks where somebody is there to answer; elsewhere `--yes` is needed.
    pub(super) async fn confirmed(&self, question: &str) -> Result<bool, CommandError> {
        let nobody = || {
            let help = "nobody is there to confirm\nhelp: read the list above, then repeat with --yes";
            (help.to_owned(), exit::USAGE)
        };
        match self {
            Console::Here if !std::io::stdin().is_terminal() => Err(nobody()),
            Console::Here => asked_here(question),
            Console::Afar(client) if !client.request.interactive => Err(nobody()),
            Console::Afar(client) => Ok(client.ask(question).await.unwrap_or(false)),
        }
    }

    /// Shows how a run goes on.
    pub(super) fn progress(&self, quiet: bool) -> Arc<dyn RunWatcher> {
        match self {
            Console::Here => Arc::new(Progress::new(!quiet)),
            Console::Afar(client) => client.clone(),
        }
    }

    /// Who decides, for the record.
    pub(super) fn who(&self) -> String {
        match self {
            Console::Here => {
                let caller = Caller { uid: rustix::process::getuid().as_raw(), pid: None };
                caller.describe(std::env::var("SUDO_USER").ok().as_deref())
            }
            Console::Afar(client) => {
                let caller = Caller { uid: client.uid, pid: client.pid };
                caller.describe(client.request.sudo_user.as_deref())
            }
        }
    }

    /// Whether the one who asked sees standard output while it is written.
    fn is_screen(&self) -> bool {
        match self {
            Console::Here => Screen::of_stdout().is_terminal(),
            Console::Afar(client) => client.request.on_screen,
        }
    }

    /// The format in which somebody gets what goes to standard output, or to a file.
    pub(super) fn laid_out(&self, format: FormatName, output: Option<&Path>) -> Format {
        match output {
            Some(_) => Format::from(format).in_full(),
            None if self.is_screen() => Format::from(format).on_screen(),
            None => format.into(),
        }
    }

    /// Delivers a report to standard output, or atomically to a file.
    pub(super) async fn deliver(
        &self,
        format: FormatName,
        output: Option<&Path>,
        reports: &mut [SyncReport],
    ) -> Result<(), String> {
        let lines: Vec<String> = reports.iter().map(|report| report::summary_line(&report.facts)).collect();
        let laid_out = self.laid_out(format, output);
        self.hand_out(format.into(), output, &lines, |out| report::write(laid_out, reports, out)).await
    }

    /// Delivers a document to standard output, or atomically to a file and `lines` to standard error.
    pub(super) async fn hand_out(
        &self,
        matter: Matter,
        output: Option<&Path>,
        lines: &[String],
        write: impl FnOnce(&mut dyn Write) -> std::io::Result<()>,
    ) -> Result<(), String> {
        match (self, output) {
            (Console::Here, None) => return to_stdout(matter, write),
            (Console::Here, Some(path)) => to_file("the report", path, write)?,
            // The file is the client's: its user may write there, the daemon's may not.
            (Console::Afar(client), _) => stream(client, write).await?,
        }
        if output.is_some() {
            lines.iter().for_each(|line| self.say(line));
        }
        Ok(())
    }

    /// Saves a plan: atomic, and nobody else's to read, because it names people.
    pub(super) async fn save_plan(&self, plan: &SavedPlan, out: &Path) -> Result<(), String> {
        match self {
            Console::Here => to_file("the plan", out, |file| {
                serde_json::to_writer(&mut *file, plan)?;
                file.write_all(b"\n")
            }),
            Console::Afar(client) => {
                let mut text = serde_json::to_vec(plan).map_err(|error| error.to_string())?;
                text.push(b'\n');
                client.stream(text.as_slice(), Frame::Plan).await.map_err(|error| error.to_string())
            }
        }
    }

    /// What a file holds that the command names.
    pub(super) fn read_file(&self, path: &Path, longest_bytes: u64) -> std::io::Result<Vec<u8>> {
        match self {
            Console::Here => {
                let mut bytes = Vec::new();
                std::fs::File::open(path)?.take(longest_bytes).read_to_end(&mut bytes)?;
                Ok(bytes)
            }
            Console::Afar(client) => Ok(client.attachment.clone()),
        }
    }
}

fn asked_here(question: &str) -> Result<bool, CommandError> {
    eprint!("{question} [y/N] ");
    let failed = |error: std::io::Error| (format!("cannot ask: {error}"), exit::FAILURE);
    std::io::stderr().flush().map_err(failed)?;
    let mut answer = String::new();
    std::io::stdin().read_line(&mut answer).map_err(failed)?;
    Ok(is_yes(&answer))
}

/// Whether somebody said yes.
pub(super) fn is_yes(answer: &str) -> bool {
    matches!(answer.trim(), "y" | "Y" | "yes")
}

/// A line for standard error, broken where the terminal ends.
pub(super) fn say_here(line: &str) {
    let mut out = Wrapped::new(anstream::stderr().lock(), Screen::of_stderr());
    // Nobody is left to be told where this fails.
    let _ = writeln!(out, "{line}").and_then(|()| out.flush());
}

/// Writes to standard output. A reader that has seen enough is no error.
pub(super) fn to_stdout(
    matter: Matter,
    write: impl FnOnce(&mut dyn Write) -> std::io::Result<()>,
) -> Result<(), String> {
    // Reports come in small pieces; a plan of thousands would be tens of thousands of writes.
    let buffered = std::io::BufWriter::new(anstream::stdout().lock());
    let mut out = Wrapped::new(buffered, matter.screen());
    let written = write(&mut out).and_then(|()| out.flush());
    written.or_else(|error| {
        if error.kind() == std::io::ErrorKind::BrokenPipe {
            return Ok(());
        }
        Err(format!("cannot write to stdout: {error}"))
    })
}

/// Makes a file whole or not at all, mode 0600.
pub(super) fn to_file(
    what: &str,
    path: &Path,
    write: impl FnOnce(&mut dyn Write) -> std::io::Result<()>,
) -> Result<(), String> {
    let failed = |error: &dyn std::fmt::Display| {
        format!(
            "cannot write {what} to {}: {error}\nhelp: check the directory and its rights",
            path.display()
        )
    };
    let directory = path.parent().filter(|parent| !parent.as_os_str().is_empty());
    let file = tempfile::NamedTempFile::new_in(directory.unwrap_or(Path::new(".")))
        .map_err(|error| failed(&error))?;
    let twin = file.reopen().map_err(|error| failed(&error))?;
    let boxed: Box<dyn Write + Send> = Box::new(std::io::BufWriter::new(twin));
    let mut plain = anstream::StripStream::new(boxed);
    write(&mut plain).and_then(|()| plain.flush()).map_err(|error| failed(&error))?;
    drop(plain);
    file.as_file().sync_all().map_err(|error| failed(&error))?;
    file.persist(path).map_err(|error| failed(&error.error))?;
    Ok(())
}

async fn stream(
    client: &Client,
    write: impl FnOnce(&mut dyn Write) -> std::io::Result<()>,
) -> Result<(), String> {
    let failed = |error: std::io::Error| format!("cannot write the report: {error}");
    let mut whole = tempfile::SpooledTempFile::new(REPORT_IN_MEMORY_BYTES);
    {
        let mut out = std::io::BufWriter::new(&mut whole);
        write(&mut out).and_then(|()| out.flush()).map_err(failed)?;
    }
    whole.rewind().map_err(failed)?;
    client.stream(whole, Frame::Out).await.map_err(failed)
}
