//! The queue against receivers on loopback that are slow, unwell or gone.
#![cfg(feature = "sim")]

use std::collections::VecDeque;
use std::io;
use std::sync::Arc;

use axum::extract::State;
use axum::http::{Method, StatusCode};
use axum::routing::any;
use tokio::net::TcpListener;
use tokio::sync::Semaphore;
use url::Url;

use super::notices::tests::{ALL, QUARANTINED, WELL, ended};
use super::*;
use crate::model::report::RunResult;

/// What a receiver was sent.
type Heard = (Method, serde_json::Value);

struct Receiving {
    heard: mpsc::UnboundedSender<Heard>,
    /// Answers in this order, then 200.
    answers: Mutex<VecDeque<u16>>,
    /// One permit an answer.
    may_answer: Arc<Semaphore>,
}

struct Receiver {
    url: Url,
    heard: mpsc::UnboundedReceiver<Heard>,
    may_answer: Arc<Semaphore>,
}

async fn receive(State(receiving): State<Arc<Receiving>>, method: Method, body: String) -> StatusCode {
    let _ = receiving.heard.send((method, serde_json::from_str(&body).unwrap_or_default()));
    receiving.may_answer.acquire().await.unwrap().forget();
    let status = receiving.answers.lock().unwrap().pop_front().unwrap_or(200);
    StatusCode::from_u16(status).unwrap()
}

/// A receiver that answers when it is let.
async fn patient_receiver(answers: &[u16]) -> Receiver {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = Url::parse(&format!("http://{}/hook/S3CR3T", listener.local_addr().unwrap())).unwrap();
    let (sender, heard) = mpsc::unbounded_channel();
    let may_answer = Arc::new(Semaphore::new(0));
    let receiving = Receiving {
        heard: sender,
        answers: Mutex::new(answers.iter().copied().collect()),
        may_answer: Arc::clone(&may_answer),
    };
    let router = axum::Router::new().route("/hook/S3CR3T", any(receive)).with_state(Arc::new(receiving));
    tokio::spawn(async move { axum::serve(listener, router).await });
    Receiver { url, heard, may_answer }
}

/// One that answers at once.
async fn receiver(answers: &[u16]) -> Receiver {
    let receiver = patient_receiver(answers).await;
    receiver.may_answer.add_permits(1_000);
    receiver
}

impl Receiver {
    fn webhook(&self) -> Option<Webhook> {
        Some(Webhook::new(self.url.clone()).unwrap().with_delays([Duration::ZERO; 2]))
    }

    /// Everything that was heard by now.
    fn heard(&mut self) -> Vec<Heard> {
        std::iter::from_fn(|| self.heard.try_recv().ok()).collect()
    }
}

/// Log lines of this thread.
#[derive(Clone, Default)]
struct Lines(Arc<Mutex<Vec<u8>>>);

impl io::Write for Lines {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.lock().unwrap().extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl Lines {
    fn listen(&self) -> tracing::subscriber::DefaultGuard {
        let lines = self.clone();
        let subscriber =
            tracing_subscriber::fmt().with_ansi(false).with_writer(move || lines.clone()).finish();
        tracing::subscriber::set_default(subscriber)
    }

    fn text(&self) -> String {
        String::from_utf8(self.0.lock().unwrap().clone()).unwrap()
    }
}

/// Longer than any of these takes: reaching it is the failure.
const PATIENCE: Duration = Duration::from_secs(60);

fn events(heard: &[Heard]) -> Vec<&str> {
    heard.iter().map(|(_, notice)| notice["event"].as_str().unwrap()).collect()
}

#[tokio::test]
async fn what_is_news_is_posted_and_drained_at_the_end() {
    let mut hook = receiver(&[]).await;
    let notifier = Notifier::with(hook.webhook(), ALL.to_vec(), None);
    for result in [RunResult::Error, RunResult::Error, RunResult::Ok] {
        notifier.run_ended(&ended(result), 1, WELL);
    }
    notifier.drain(PATIENCE).await;
    let heard = hook.heard();
    assert_eq!(events(&heard), ["failed", "recovered"]);
    assert!(heard.iter().all(|(method, _)| method == Method::POST));
    assert!(heard[0].1["text"].as_str().unwrap().starts_with("rosterd wrike: run 17 failed"));
}

#[tokio::test]
async fn a_receiver_that_fails_once_is_told_again() {
    let mut hook = receiver(&[500, 200]).await;
    let notifier = Notifier::with(hook.webhook(), ALL.to_vec(), None);
    notifier.run_ended(&ended(RunResult::Error), 1, WELL);
    notifier.drain(PATIENCE).await;
    assert_eq!(events(&hook.heard()), ["failed", "failed"]);
}

#[tokio::test]
async fn a_notice_that_nobody_takes_is_a_warning_without_the_address() {
    let lines = Lines::default();
    let _listening = lines.listen();
    let mut hook = receiver(&[404]).await;
    let notifier = Notifier::with(hook.webhook(), ALL.to_vec(), None);
    notifier.run_ended(&ended(RunResult::Error), 1, WELL);
    notifier.drain(PATIENCE).await;
    assert_eq!(hook.heard().len(), 1);
    let text = lines.text();
    assert!(text.contains("WARN") && text.contains("notice not delivered"), "{text}");
    assert!(text.contains("answered 404") && !text.contains("S3CR3T") && !text.contains("hook/"), "{text}");
}

#[tokio::test]
async fn a_receiver_that_never_answers_delays_no_run_and_what_it_cannot_take_is_dropped_with_a_warning() {
    let lines = Lines::default();
    let _listening = lines.listen();
    let mut hook = patient_receiver(&[]).await;
    let notifier = Notifier::with(hook.webhook(), ALL.to_vec(), None);
    // Each of these is news; nothing is awaited, so the queue is all there is.
    for _ in 0..QUEUE {
        notifier.run_ended(&ended(RunResult::Error), 1, WELL);
        notifier.run_ended(&ended(RunResult::Ok), 0, WELL);
    }
    let dropped = lines.text().matches("notice dropped").count();
    assert_eq!(dropped, QUEUE, "twice as many as the queue takes");
    hook.may_answer.add_permits(1_000);
    notifier.drain(PATIENCE).await;
    assert_eq!(hook.heard().len(), QUEUE);
}

#[tokio::test]
async fn good_runs_ping_the_dead_man_and_others_do_not() {
    for (code, expected) in [
        (exit::OK, 1),
        (exit::HELD, 1),
        (exit::FAILURE, 0),
        (exit::PARTIAL, 0),
        (exit::SOURCE, 0),
        (exit::TARGET, 0),
    ] {
        let mut dead_man = receiver(&[]).await;
        let notifier = Notifier::with(None, Vec::new(), dead_man.webhook());
        notifier.run_ended(&ended(RunResult::Ok), code, WELL);
        notifier.drain(PATIENCE).await;
        let heard = dead_man.heard();
        assert_eq!(heard.len(), expected, "exit code {code}");
        assert!(heard.iter().all(|(method, _)| method == Method::GET));
    }
}

#[tokio::test]
async fn runs_that_end_while_a_ping_is_in_flight_are_one_more_ping() {
    let mut dead_man = patient_receiver(&[]).await;
    let notifier = Notifier::with(None, Vec::new(), dead_man.webhook());
    notifier.run_ended(&ended(RunResult::Ok), exit::OK, WELL);
    assert!(dead_man.heard.recv().await.is_some());
    for _ in 0..10 {
        notifier.run_ended(&ended(RunResult::Ok), exit::OK, WELL);
    }
    dead_man.may_answer.add_permits(1_000);
    notifier.drain(PATIENCE).await;
    assert_eq!(dead_man.heard().len(), 1, "beside the first");
}

#[tokio::test]
async fn a_slow_webhook_does_not_keep_the_dead_man_waiting() {
    let (hook, mut dead_man) = (patient_receiver(&[]).await, receiver(&[]).await);
    let notifier = Notifier::with(hook.webhook(), ALL.to_vec(), dead_man.webhook());
    notifier.run_ended(&ended(RunResult::Error), exit::FAILURE, WELL);
    notifier.run_ended(&ended(RunResult::Ok), exit::OK, WELL);
    assert_eq!(dead_man.heard.recv().await.unwrap().0, Method::GET);
}

#[tokio::test]
async fn draining_gives_up_on_a_receiver_that_never_answers() {
    let lines = Lines::default();
    let _listening = lines.listen();
    let mut hook = patient_receiver(&[]).await;
    let notifier = Notifier::with(hook.webhook(), ALL.to_vec(), None);
    notifier.run_ended(&ended(RunResult::Error), exit::FAILURE, WELL);
    assert!(hook.heard.recv().await.is_some());
    notifier.drain(Duration::from_millis(1)).await;
    assert!(lines.text().contains("not everything could be told"), "{}", lines.text());
}

#[tokio::test]
async fn a_dry_run_is_nobodys_news() {
    let (mut hook, mut dead_man) = (receiver(&[]).await, receiver(&[]).await);
    let notifier = Notifier::with(hook.webhook(), ALL.to_vec(), dead_man.webhook());
    let mut facts = ended(RunResult::Error);
    facts.mode = Mode::DryRun;
    notifier.run_ended(&facts, exit::OK, WELL);
    notifier.drain(PATIENCE).await;
    assert_eq!((hook.heard().len(), dead_man.heard().len()), (0, 0));
}

fn configured(hook: Option<&Receiver>, dead_man: Option<&Receiver>) -> Daemon {
    Daemon {
        listen: None,
        listen_public: false,
        socket: "/run/rosterd/rosterd.sock".into(),
        notify: hook.map(|hook| crate::config::Notify { url: hook.url.clone(), on: ALL.to_vec() }),
        dead_man: dead_man.map(|dead_man| dead_man.url.clone()),
    }
}

#[tokio::test]
async fn nothing_configured_starts_nothing() {
    let notifier = Notifier::start(&configured(None, None));
    notifier.run_ended(&ended(RunResult::Error), exit::FAILURE, QUARANTINED);
    assert!(notifier.tasks.is_empty());
    notifier.drain(PATIENCE).await;
}

#[tokio::test]
async fn a_new_configuration_sends_elsewhere_and_remembers_what_was_told() {
    let (mut before, mut after) = (receiver(&[]).await, receiver(&[]).await);
    let mut notifier = Notifier::start(&configured(Some(&before), None));
    notifier.run_ended(&ended(RunResult::Error), exit::FAILURE, WELL);
    notifier.reconfigure(&configured(Some(&after), Some(&after)));
    notifier.run_ended(&ended(RunResult::Error), exit::FAILURE, WELL);
    notifier.run_ended(&ended(RunResult::Ok), exit::OK, WELL);
    notifier.drain(PATIENCE).await;
    assert_eq!(before.heard.recv().await.unwrap().1["event"], "failed");
    let heard = after.heard();
    let posts: Vec<&str> = heard.iter().filter_map(|(_, notice)| notice["event"].as_str()).collect();
    assert_eq!(posts, ["recovered"]);
    assert_eq!(heard.len(), 2, "and a ping");
}
