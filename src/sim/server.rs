//! The three HTTP servers: takes a request in, logs it, lets the faults act, asks the vendor's fake, sends the reply.

use super::call::{Call, Peer, Reply};
use super::fault::{Cut, Effect, Faults, change_reply};
use super::okta::Okta;
use super::onelogin::OneLogin;
use super::requests::RequestLog;
use super::scim::Scim;
use super::wire::{Listener, Scissors};
use super::{SimOptions, World};
use axum::Router;
use axum::body::{Body, to_bytes};
use axum::extract::{ConnectInfo, Request, State};
use axum::http::{HeaderName, HeaderValue, StatusCode};
use axum::response::Response;
use std::io;
use std::sync::{Arc, Mutex, PoisonError, mpsc};
use tokio::sync::oneshot;

/// What the servers and the handle share.
pub(crate) struct Shared {
    pub(crate) world: World,
    pub(crate) faults: Faults,
    pub(crate) log: RequestLog,
    pub(crate) urls: Urls,
    okta: Mutex<Okta>,
    onelogin: Mutex<OneLogin>,
    scim: Mutex<Scim>,
}

/// Where the servers are.
pub(crate) struct Urls {
    pub(crate) okta: String,
    pub(crate) onelogin: String,
    pub(crate) scim: String,
}

/// The path under which the workspace serves SCIM.
pub(crate) const SCIM_PATH: &str = "/scim/v2";

impl Shared {
    pub(crate) fn with_okta<R>(&self, work: impl FnOnce(&mut Okta) -> R) -> R {
        work(&mut self.okta.lock().unwrap_or_else(PoisonError::into_inner))
    }

    pub(crate) fn with_onelogin<R>(&self, work: impl FnOnce(&mut OneLogin) -> R) -> R {
        work(&mut self.onelogin.lock().unwrap_or_else(PoisonError::into_inner))
    }

    pub(crate) fn with_scim<R>(&self, work: impl FnOnce(&mut Scim) -> R) -> R {
        work(&mut self.scim.lock().unwrap_or_else(PoisonError::into_inner))
    }

    fn answer(&self, peer: Peer, call: &Call) -> Reply {
        match peer {
            Peer::Okta => self.with_okta(|okta| okta.answer(&self.world, &self.urls.okta, call)),
            Peer::OneLogin => self.with_onelogin(|onelogin| onelogin.answer(&self.world, call)),
            Peer::Scim => self.with_scim(|scim| scim.answer(&self.world, &self.urls.scim, call)),
        }
    }
}

/// The thread on which the servers run.
pub(crate) struct ServerThread {
    stop: oneshot::Sender<()>,
    thread: std::thread::JoinHandle<()>,
}

impl ServerThread {
    pub(crate) fn stop(self) {
        // A receiver that is gone means that the thread has ended already.
        let _ = self.stop.send(());
        let _ = self.thread.join();
    }
}

pub(crate) fn start(options: SimOptions) -> io::Result<(Arc<Shared>, ServerThread)> {
    let (stop, stopped) = oneshot::channel();
    let (ready, started) = mpsc::channel();
    let thread =
        std::thread::Builder::new().name("sim".to_owned()).spawn(move || run(options, &ready, stopped))?;
    let shared = started.recv().map_err(io::Error::other)??;
    Ok((shared, ServerThread { stop, thread }))
}

fn run(options: SimOptions, ready: &mpsc::Sender<io::Result<Arc<Shared>>>, stopped: oneshot::Receiver<()>) {
    let runtime = match tokio::runtime::Builder::new_current_thread().enable_all().build() {
        Ok(runtime) => runtime,
        Err(error) => return drop(ready.send(Err(error))),
    };
    let report = runtime.block_on(serve(options));
    let serving = report.is_ok();
    if ready.send(report).is_ok() && serving {
        // Ends when the handle is dropped; connections end with the runtime.
        let _ = runtime.block_on(stopped);
    }
    runtime.shutdown_background();
}

async fn serve(options: SimOptions) -> io::Result<Arc<Shared>> {
    let [okta_port, onelogin_port, scim_port] = options.ports;
    let okta = Listener::bind(okta_port).await?;
    let onelogin = Listener::bind(onelogin_port).await?;
    let scim = Listener::bind(scim_port).await?;
    let shared = Arc::new(Shared {
        world: World::new(options.seed),
        faults: Faults::default(),
        log: RequestLog::default(),
        urls: Urls {
            okta: format!("http://127.0.0.1:{}", okta.port()),
            onelogin: format!("http://127.0.0.1:{}", onelogin.port()),
            scim: format!("http://127.0.0.1:{}{SCIM_PATH}", scim.port()),
        },
        okta: Mutex::new(Okta::new(options.okta)),
        onelogin: Mutex::new(OneLogin::new(options.onelogin)),
        scim: Mutex::new(Scim::new(options.scim)),
    });
    for (peer, listener) in [(Peer::Okta, okta), (Peer::OneLogin, onelogin), (Peer::Scim, scim)] {
        let router = Router::new().fallback(handle).with_state((peer, Arc::clone(&shared)));
        let service = router.into_make_service_with_connect_info::<Scissors>();
        tokio::spawn(axum::serve(listener, service).into_future());
    }
    Ok(shared)
}

async fn handle(
    State((peer, shared)): State<(Peer, Arc<Shared>)>,
    ConnectInfo(scissors): ConnectInfo<Scissors>,
    request: Request,
) -> Response {
    let (head, body) = request.into_parts();
    // A body that cannot be read is a client that went away: the reply will reach nobody.
    let body = to_bytes(body, 64 << 20).await.unwrap_or_default();
    let mut call = Call::new(head.method, &head.uri, head.headers, body);
    let sequence = shared.log.arrived(peer, &call);
    let effects = shared.faults.effects(peer, &call);
    let mut reply = None;
    for effect in &effects {
        match effect {
            Effect::Delay(time) => tokio::time::sleep(*time).await,
            Effect::Before(hook) => hook(&shared.world),
            Effect::Query(name, value) => call.set_query(name, value),
            Effect::Answer(answer) => reply = Some(answer.clone()),
            Effect::AnswerWith(answer) => reply = Some(answer(&shared.world)),
            Effect::Cut(Cut::BeforeProcessing) => {
                scissors.cut_now();
                shared.log.answered(sequence, &Reply::empty(0), false);
                return Response::new(Body::empty());
            }
            Effect::Cut(_)
            | Effect::After(_)
            | Effect::ForeignNext(_)
            | Effect::RepeatCursor
            | Effect::DropNext
            | Effect::DuplicateRows(_)
            | Effect::DropRows(_)
            | Effect::ShiftTotal(_)
            | Effect::Pad(_)
            | Effect::Edit(_) => {}
        }
    }
    let mut reply = reply.unwrap_or_else(|| shared.answer(peer, &call));
    let mut delivered = true;
    for effect in &effects {
        change_reply(effect, &call, &mut reply);
        if let Effect::After(hook) = effect {
            hook(&shared.world);
        }
        if let Effect::Cut(cut) = effect {
            delivered = false;
            cut_reply(*cut, &scissors);
        }
    }
    shared.log.answered(sequence, &reply, delivered);
    let chunked = effects.iter().any(|effect| matches!(effect, Effect::Cut(Cut::InChunkedBody(_))));
    into_response(reply, chunked)
}

fn cut_reply(cut: Cut, scissors: &Scissors) {
    match cut {
        Cut::BeforeProcessing | Cut::LostReply => scissors.cut_now(),
        Cut::InBody(bytes) | Cut::InChunkedBody(bytes) => scissors.cut_after_body_bytes(bytes),
    }
}

fn into_response(reply: Reply, chunked: bool) -> Response {
    let body = Body::from(reply.body);
    // A stream does not tell its length, so it is sent in chunks.
    let body = if chunked { Body::from_stream(body.into_data_stream()) } else { body };
    let mut response = Response::new(body);
    *response.status_mut() = StatusCode::from_u16(reply.status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    for (name, value) in reply.headers {
        if let (Ok(name), Ok(value)) = (HeaderName::try_from(name), HeaderValue::try_from(value)) {
            response.headers_mut().append(name, value);
        }
    }
    response
}
