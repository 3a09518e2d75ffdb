//! The control socket: commands of this machine's administrator reach the running daemon here.
//!
//! What lives here: who may connect, and how a command's words travel. What must not: what a command does (`app`).

use std::os::unix::fs::{FileTypeExt, PermissionsExt};
use std::path::Path;
use std::sync::Arc;

use futures_util::future::BoxFuture;
use tokio::net::{UnixListener, UnixStream};
use tokio::sync::{Mutex, Semaphore, mpsc, watch};

use self::wire::{Frame, Request};
use crate::exit;
use crate::model::run_event::{RunEvent, RunWatcher};

pub mod wire;

/// Pieces of output that may be under way to a slow reader.
const WINDOW: usize = 16;
/// Bytes of one piece.
const PIECE_BYTES: usize = 64 << 10;
/// A saved plan for a million people.
const LARGEST_ATTACHMENT_BYTES: usize = 4 << 30;

/// The other end of a connection: who asked, for what, and where the words go.
#[derive(Debug)]
pub struct Client {
    /// What was asked.
    pub request: Request,
    /// The file that came with it.
    pub attachment: Vec<u8>,
    /// The peer's uid, as the kernel tells it.
    pub uid: u32,
    /// The peer's process, as the kernel tells it.
    pub pid: Option<i32>,
    frames: mpsc::UnboundedSender<Frame>,
    answers: Mutex<mpsc::Receiver<bool>>,
    window: Arc<Semaphore>,
}

impl Client {
    /// A little text for standard output.
    pub fn print(&self, text: &str) {
        // A client that went away misses words; the command goes on.
        let _ = self.frames.send(Frame::Out(text.as_bytes().to_vec()));
    }

    /// A line for standard error.
    pub fn say(&self, text: &str) {
        let _ = self.frames.send(Frame::Say(text.to_owned()));
    }

    /// A long text for standard output, at the pace at which it is read.
    pub async fn stream(&self, from: impl std::io::Read, make: fn(Vec<u8>) -> Frame) -> std::io::Result<()> {
        let mut from = from;
        let mut piece = vec![0u8; PIECE_BYTES];
        loop {
            let length = from.read(&mut piece)?;
            if length == 0 {
                return Ok(());
            }
            // Closed: the client went away, and nobody waits for the rest.
            let Ok(permit) = self.window.acquire().await else { return Ok(()) };
            permit.forget();
            if self.frames.send(make(piece[..length].to_vec())).is_err() {
                return Ok(());
            }
        }
    }

    /// Asks; `None` where nobody answers.
    pub async fn ask(&self, question: &str) -> Option<bool> {
        self.frames.send(Frame::Ask(question.to_owned())).ok()?;
        self.answers.lock().await.recv().await
    }
}

impl RunWatcher for Client {
    fn tell(&self, event: &RunEvent) {
        let _ = self.frames.send(Frame::Event(event.clone()));
    }
}

/// Carries out what a client asks for and gives the exit code.
pub type Serve = Arc<dyn Fn(Arc<Client>) -> BoxFuture<'static, u8> + Send + Sync>;

/// Listens at `path`, for this user and root only. The caller holds the state's lock, so a socket that is there
/// already was left behind.
pub fn listen(path: &Path) -> Result<UnixListener, String> {
    let failed = |what: &str, error: std::io::Error| {
        format!(
            "cannot {what} the control socket {}: {error}\nhelp: set daemon.socket to a path in a directory that this \
             user may write to (systemd makes /run/rosterd)",
            path.display()
        )
    };
    if let Some(directory) = path.parent() {
        std::fs::create_dir_all(directory).map_err(|error| failed("make the directory of", error))?;
    }
    // What is there is removed only if it is what we left: the path may be a mistake.
    if std::fs::symlink_metadata(path).is_ok_and(|facts| !facts.file_type().is_socket()) {
        return Err(failed("replace", std::io::Error::other("what is there is no socket")));
    }
    match std::fs::remove_file(path) {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => return Err(failed("replace", error)),
        Ok(()) | Err(_) => {}
    }
    let listener = UnixListener::bind(path).map_err(|error| failed("make", error))?;
    std::fs::set_permissions(path, std::fs::Permissions::from_mode(0o600))
        .map_err(|error| failed("protect", error))?;
    Ok(listener)
}

/// Accepts clients until `stop`. `served` is dropped when the last of them has been told everything.
pub async fn serve(
    listener: UnixListener,
    serve: Serve,
    mut stop: watch::Receiver<bool>,
    served: mpsc::Sender<()>,
) {
    loop {
        let accepted = tokio::select! {
            accepted = listener.accept() => accepted,
            _ = stop.wait_for(|stop| *stop) => return,
        };
        match accepted {
            Ok((stream, _)) => {
                let (serve, served) = (serve.clone(), served.clone());
                tokio::spawn(async move {
                    if let Err(error) = talk(stream, serve).await {
                        tracing::debug!(%error, "a client of the control socket went away");
                    }
                    drop(served);
                });
            }
            Err(error) => {
                tracing::warn!(%error, "the control socket refused a connection");
                tokio::time::sleep(std::time::Duration::from_millis(100)).await;
            }
        }
    }
}

async fn talk(stream: UnixStream, serve: Serve) -> std::io::Result<()> {
    let peer = stream.peer_cred()?;
    let (uid, pid) = (peer.uid(), peer.pid());
    let (mut from, mut to) = stream.into_split();
    if uid != 0 && uid != rustix::process::geteuid().as_raw() {
        let text = "error: only root and the user that rosterd runs as may ask it\nhelp: use sudo";
        wire::write(&mut to, &Frame::Say(text.to_owned())).await?;
        return wire::write(&mut to, &Frame::Exit(exit::BUSY)).await;
    }
    let mut attachment = Vec::new();
    let request = loop {
        match wire::read(&mut from).await? {
            Some(Frame::Attachment(piece)) if attachment.len() + piece.len() <= LARGEST_ATTACHMENT_BYTES => {
                attachment.extend_from_slice(&piece);
            }
            Some(Frame::Request(request)) => break request,
            Some(_) | None => return Ok(()),
        }
    };
    let (frames, mut outgoing) = mpsc::unbounded_channel();
    let (answer, answers) = mpsc::channel(1);
    let window = Arc::new(Semaphore::new(WINDOW));
    let client = Arc::new(Client {
        request,
        attachment,
        uid,
        pid,
        frames: frames.clone(),
        answers: Mutex::new(answers),
        window: window.clone(),
    });
    // The command goes on where its client goes away.
    tokio::spawn(async move {
        let code = serve(client).await;
        let _ = frames.send(Frame::Exit(code));
    });
    let reading = tokio::spawn(async move {
        while let Ok(Some(frame)) = wire::read(&mut from).await {
            if let Frame::Answer(yes) = frame {
                let _ = answer.try_send(yes);
            }
        }
    });
    let mut written = Ok(());
    while let Some(frame) = outgoing.recv().await {
        written = wire::write(&mut to, &frame).await;
        if matches!(frame, Frame::Out(_) | Frame::Plan(_)) {
            window.add_permits(1);
        }
        if written.is_err() || matches!(frame, Frame::Exit(_)) {
            break;
        }
    }
    window.close();
    reading.abort();
    written
}
