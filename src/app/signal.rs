//! Signals of a one-shot run: the first asks it to stop between two writes, the second ends it at once.

use std::sync::Arc;
use std::sync::atomic::{AtomicU8, Ordering};

use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::watch;

/// Exit code after SIGINT.
const INTERRUPTED: u8 = 130;
/// Exit code after SIGTERM.
const TERMINATED: u8 = 143;

/// Listens for SIGINT and SIGTERM.
#[derive(Debug)]
pub(super) struct Signals {
    interrupted: watch::Receiver<bool>,
    code: Arc<AtomicU8>,
}

impl Signals {
    /// Starts listening.
    pub(super) fn listen() -> std::io::Result<Signals> {
        let mut interrupt = signal(SignalKind::interrupt())?;
        let mut terminate = signal(SignalKind::terminate())?;
        let (sender, interrupted) = watch::channel(false);
        let code = Arc::new(AtomicU8::new(0));
        let seen = code.clone();
        tokio::spawn(async move {
            loop {
                let caught = tokio::select! {
                    _ = interrupt.recv() => INTERRUPTED,
                    _ = terminate.recv() => TERMINATED,
                };
                if seen.swap(caught, Ordering::SeqCst) != 0 {
                    // What was sent is journaled before it is sent; the next run settles it by reading.
                    std::process::exit(caught.into());
                }
                eprintln!("stopping after the writes under way; once more to stop at once");
                // Nobody listens any more once the run has ended.
                let _ = sender.send(true);
            }
        });
        Ok(Signals { interrupted, code })
    }

    /// Becomes true at the first signal.
    pub(super) fn interrupted(&self) -> watch::Receiver<bool> {
        self.interrupted.clone()
    }

    /// The exit code that the signal asks for.
    pub(super) fn exit_code(&self) -> Option<u8> {
        Some(self.code.load(Ordering::SeqCst)).filter(|code| *code != 0)
    }
}
