//! The client of a running daemon: a command of this process is carried out there, and its words come out here.

use std::io::{IsTerminal, Write};
use std::path::{Path, PathBuf};

use tokio::net::UnixStream;
use tokio::net::unix::OwnedWriteHalf;

use super::command_error::CommandError;
use super::console::{Matter, is_yes, say_here, to_file};
use crate::cli::{Cli, Command};
use crate::config::Config;
use crate::daemon::control::wire::{self, Frame, Request, VERSION};
use crate::exit;
use crate::model::run_event::RunWatcher;
use crate::report::{Progress, Screen, Wrapped};

/// Bytes of one piece of a file that goes along.
const PIECE_BYTES: usize = 1 << 20;
/// Exit code where the client was interrupted.
const INTERRUPTED: u8 = 130;

/// The socket of a daemon that answers; `None` where there is none.
pub(super) async fn connect(config: &Config) -> Option<UnixStream> {
    UnixStream::connect(&config.daemon.socket).await.ok()
}

/// Has the daemon carry the command out.
pub(super) async fn ask(cli: &Cli, config: &Config, stream: UnixStream) -> u8 {
    let conversation = Conversation::new(cli);
    let ended = tokio::select! {
        ended = conversation.hold(config, stream) => ended,
        _ = tokio::signal::ctrl_c() => {
            eprintln!("the daemon goes on with it; `rosterd status` shows how it ends");
            return INTERRUPTED;
        }
    };
    ended.unwrap_or_else(|(message, code)| super::console::Console::Here.report_error(&message, code))
}

struct Conversation {
    progress: Progress,
    /// Where standard output goes instead.
    output: Option<PathBuf>,
    /// What comes on standard output.
    matter: Matter,
    /// Where a saved plan goes.
    plan: Option<PathBuf>,
    /// A file that goes along.
    file: Option<PathBuf>,
}

impl Conversation {
    fn new(cli: &Cli) -> Conversation {
        let (mut plan, mut file) = (None, None);
        match &cli.command {
            Some(Command::Plan { out }) => plan = Some(out.clone()),
            Some(Command::Apply { file: path }) => file = Some(path.clone()),
            Some(_) | None => {}
        }
        let progress = Progress::new(!cli.global.quiet);
        Conversation { progress, output: cli.run.output.clone(), matter: cli.run.format.into(), plan, file }
    }

    async fn hold(&self, config: &Config, stream: UnixStream) -> Result<u8, CommandError> {
        let (mut from, mut to) = stream.into_split();
        let lost = |error: std::io::Error| {
            let text = format!(
                "lost the daemon at {}: {error}\nhelp: `rosterd status` and its log tell what became of it",
                config.daemon.socket.display()
            );
            (text, exit::FAILURE)
        };
        // Who is refused may be hung up on before everything is said: why comes all the same.
        let sent = self.send(config, &mut to).await?;
        let (mut out, mut plan) = (Vec::new(), Vec::new());
        let mut shown = Wrapped::new(anstream::stdout(), self.matter.screen());
        loop {
            match wire::read(&mut from).await.map_err(lost)? {
                Some(Frame::Out(bytes)) if self.output.is_some() => out.extend(bytes),
                // Nobody reads it any more where writing fails: `| head` is no error.
                Some(Frame::Out(bytes)) => {
                    let _ = shown.write_all(&bytes);
                }
                Some(Frame::Plan(bytes)) => plan.extend(bytes),
                Some(Frame::Say(line)) => say_here(&line),
                Some(Frame::Event(event)) => self.progress.tell(&event),
                Some(Frame::Ask(question)) => {
                    wire::write(&mut to, &Frame::Answer(answer(&question))).await.map_err(lost)?;
                }
                Some(Frame::Exit(code)) => {
                    let _ = shown.flush();
                    return self.finish(code, &out, &plan);
                }
                Some(Frame::Attachment(_) | Frame::Request(_) | Frame::Answer(_)) => {}
                None => {
                    let hung_up = || std::io::Error::from(std::io::ErrorKind::UnexpectedEof);
                    return Err(lost(sent.err().unwrap_or_else(hung_up)));
                }
            }
        }
    }

    async fn send(
        &self,
        config: &Config,
        to: &mut OwnedWriteHalf,
    ) -> Result<std::io::Result<()>, CommandError> {
        let mut pieces = Vec::new();
        if let Some(path) = &self.file {
            let whole = std::fs::read(path).map_err(|error| {
                let help = "help: make and read a new one with `rosterd plan --out FILE`";
                (format!("cannot read {}: {error}\n{help}", path.display()), exit::USAGE)
            })?;
            pieces.extend(whole.chunks(PIECE_BYTES).map(|piece| Frame::Attachment(piece.to_vec())));
        }
        pieces.push(Frame::Request(Request {
            version: VERSION.to_owned(),
            config: config.digest.clone(),
            arguments: std::env::args().skip(1).collect(),
            interactive: std::io::stdin().is_terminal(),
            on_screen: Screen::of_stdout().is_terminal(),
            sudo_user: std::env::var("SUDO_USER").ok(),
        }));
        for piece in &pieces {
            if let Err(error) = wire::write(to, piece).await {
                return Ok(Err(error));
            }
        }
        Ok(Ok(()))
    }

    /// The files are this user's to write.
    fn finish(&self, code: u8, out: &[u8], plan: &[u8]) -> Result<u8, CommandError> {
        let write = |what: &str, path: &Path, bytes: &[u8]| {
            to_file(what, path, |file| file.write_all(bytes)).map_err(|message| (message, exit::FAILURE))
        };
        if let Some(path) = self.output.as_deref().filter(|_| !out.is_empty()) {
            write("the report", path, out)?;
        }
        if let Some(path) = self.plan.as_deref().filter(|_| !plan.is_empty()) {
            write("the plan", path, plan)?;
        }
        Ok(code)
    }
}

fn answer(question: &str) -> bool {
    eprint!("{question} [y/N] ");
    let mut text = String::new();
    let read = std::io::stderr().flush().and_then(|()| std::io::stdin().read_line(&mut text));
    read.is_ok() && is_yes(&text)
}
