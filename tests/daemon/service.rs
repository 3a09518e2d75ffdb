//! What these tests share: a running daemon, the service manager that it reports to, and requests that wait until a
//! test lets them go on. No expectation lives here.

use crate::support::{Home, Ran, Stage};
use rosterd::sim::{Effect, Fault, Hook};
use rusqlite::{Connection, OpenFlags};
use rustix::process::{Pid, Signal, kill_process};
use std::fs::{self, File};
use std::os::unix::net::UnixDatagram;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::{Arc, Condvar, Mutex};
use std::time::{Duration, Instant};

/// Longer than anything here takes on a busy machine: reaching it is the failure.
pub(crate) const PATIENCE: Duration = Duration::from_secs(60);
const LOOK_AGAIN: Duration = Duration::from_millis(10);

/// A schedule that does not fire while a test runs.
pub(crate) const NEVER: &str = "schedule = \"0 0 1 1 *\"";
/// One that fires all the time.
pub(crate) const EVERY_SECOND: &str = "schedule = \"*/1 * * * * *\"";

/// Waits until the closure finds something.
#[track_caller]
pub(crate) fn eventually<T>(what: &str, mut look: impl FnMut() -> Option<T>) -> T {
    let deadline = Instant::now() + PATIENCE;
    loop {
        if let Some(found) = look() {
            return found;
        }
        assert!(Instant::now() < deadline, "waited in vain until {what}");
        std::thread::park_timeout(LOOK_AGAIN);
    }
}

/// Looks for so long that something stays as it is.
#[track_caller]
pub(crate) fn stays<T: PartialEq + std::fmt::Debug>(long: Duration, mut look: impl FnMut() -> T) {
    let (deadline, first) = (Instant::now() + long, look());
    while Instant::now() < deadline {
        std::thread::park_timeout(LOOK_AGAIN);
        assert_eq!(look(), first);
    }
}

/// Where the daemon of this home listens.
pub(crate) fn socket(home: &Home) -> PathBuf {
    home.path().join("control.sock")
}

/// Writes a configuration of a single sync without a watch, with these lines in it.
pub(crate) fn configure(stage: &Stage, lines: &str) {
    configure_syncs(&stage.home, &[&format!("{}\n{lines}", stage.sides())]);
}

/// Writes a configuration of these syncs, none of them with a watch.
pub(crate) fn configure_syncs(home: &Home, syncs: &[&str]) {
    let mut text = format!("[daemon]\nsocket = {:?}\n", socket(home));
    syncs.iter().for_each(|sync| text.push_str(&format!("\n[[sync]]\nwatch = \"off\"\n{sync}\n")));
    home.configure(&text);
}

/// A stage whose sync runs once at the start of the daemon, and by hand.
pub(crate) fn stage() -> Stage {
    let stage = Stage::new();
    configure(&stage, NEVER);
    stage
}

/// What the service manager was told, in order.
#[derive(Clone, Default)]
struct Told(Arc<(Mutex<Vec<String>>, Condvar)>);

impl Told {
    /// Listens at `path` for as long as the test runs.
    fn listen(path: &Path) -> Told {
        let told = Told::default();
        let (hears, socket) = (told.clone(), UnixDatagram::bind(path).unwrap());
        std::thread::spawn(move || {
            let mut words = vec![0; 64 << 10];
            while let Ok(length) = socket.recv(&mut words) {
                let text = String::from_utf8_lossy(&words[..length]).into_owned();
                hears.0.0.lock().unwrap().push(text);
                hears.0.1.notify_all();
            }
        });
        told
    }
}

/// A running `rosterd daemon`. It is killed when this is dropped.
pub(crate) struct Service {
    child: Child,
    told: Told,
    log: PathBuf,
    state: PathBuf,
}

impl Service {
    /// Starts the daemon and waits until it is ready.
    #[track_caller]
    pub(crate) fn start(home: &Home) -> Service {
        let service = Service::launch(home, home.command(&["daemon"]));
        service.wait(0, "it is ready", |words| words.contains("READY=1"));
        service
    }

    /// Starts the daemon by this command and does not wait.
    pub(crate) fn launch(home: &Home, mut command: Command) -> Service {
        static NUMBER: std::sync::atomic::AtomicU32 = std::sync::atomic::AtomicU32::new(0);
        let number = NUMBER.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
        let place = |name: &str| home.path().join(format!("{name}-{number}"));
        let (notify, log) = (place("notify"), place("log"));
        let told = Told::listen(&notify);
        let to_log = File::create(&log).unwrap();
        command.env("NOTIFY_SOCKET", &notify).stdout(Stdio::null()).stderr(to_log);
        Service { child: command.spawn().unwrap(), told, log, state: home.state() }
    }

    pub(crate) fn pid(&self) -> u32 {
        self.child.id()
    }

    /// Everything the service manager was told so far, a datagram each.
    pub(crate) fn told(&self) -> Vec<String> {
        self.told.0.0.lock().unwrap().clone()
    }

    /// How many datagrams there were so far: a place to wait from.
    pub(crate) fn mark(&self) -> usize {
        self.told.0.0.lock().unwrap().len()
    }

    /// Waits for a datagram, from this place on.
    #[track_caller]
    pub(crate) fn wait(&self, from: usize, what: &str, is_it: impl Fn(&str) -> bool) -> String {
        let deadline = Instant::now() + PATIENCE;
        let mut told = self.told.0.0.lock().unwrap();
        loop {
            if let Some(found) = told.iter().skip(from).find(|words| is_it(words)) {
                return found.clone();
            }
            let left = deadline.saturating_duration_since(Instant::now());
            assert!(!left.is_zero(), "waited in vain until {what}: {told:#?}\n{}", self.log());
            told = self.told.0.1.wait_timeout(told, left).unwrap().0;
        }
    }

    /// Waits until the status line says this, from this place on.
    #[track_caller]
    pub(crate) fn says(&self, from: usize, text: &str) -> String {
        self.wait(from, &format!("it says {text:?}"), |words| {
            words.lines().any(|line| line.starts_with("STATUS=") && line.contains(text))
        })
    }

    /// Waits until nothing was told for so long.
    #[track_caller]
    pub(crate) fn falls_silent(&self, quiet: Duration) -> usize {
        let deadline = Instant::now() + PATIENCE;
        let mut told = self.told.0.0.lock().unwrap();
        loop {
            let before = told.len();
            let (now, waited) =
                self.told.0.1.wait_timeout_while(told, quiet, |told| told.len() == before).unwrap();
            if waited.timed_out() {
                return before;
            }
            told = now;
            assert!(Instant::now() < deadline, "it goes on talking: {told:#?}");
        }
    }

    /// Sends a signal.
    pub(crate) fn signal(&self, signal: Signal) {
        kill_process(Pid::from_raw(self.pid().cast_signed()).unwrap(), signal).unwrap();
    }

    /// Asks for the configuration to be read again and waits for the answer.
    #[track_caller]
    pub(crate) fn reload(&self) -> String {
        let from = self.mark();
        self.signal(Signal::HUP);
        self.wait(from, "it has reloaded", |words| words.contains("READY=1"))
    }

    /// Waits for the end and gives the exit code; `None` after a signal.
    #[track_caller]
    pub(crate) fn ended(&mut self) -> Option<i32> {
        let child = &mut self.child;
        eventually("the daemon has ended", || child.try_wait().unwrap()).code()
    }

    /// Ends it as the service manager does.
    #[track_caller]
    pub(crate) fn stop(mut self) {
        self.signal(Signal::TERM);
        assert_eq!(self.ended(), Some(0), "{}", self.log());
    }

    /// What it logged.
    pub(crate) fn log(&self) -> String {
        fs::read_to_string(&self.log).unwrap()
    }

    /// Waits until it has logged this text so many times.
    #[track_caller]
    pub(crate) fn logs(&self, text: &str, times: usize) {
        eventually(&format!("{text:?} is logged"), || {
            (self.log().matches(text).count() >= times).then_some(())
        });
    }

    /// Waits until so many runs have ended.
    #[track_caller]
    pub(crate) fn has_run(&self, times: usize) -> Vec<RunRow> {
        eventually("runs have ended", || {
            let rows = run_rows(&self.state);
            (rows.iter().filter(|row| row.result.is_some()).count() >= times).then_some(rows)
        })
    }
}

impl Drop for Service {
    fn drop(&mut self) {
        // One that has ended already cannot be killed, and need not be.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// What the state tells of a run.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct RunRow {
    pub(crate) run: i64,
    pub(crate) sync: String,
    pub(crate) trigger: String,
    pub(crate) result: Option<String>,
    /// Milliseconds, as is the next.
    pub(crate) started_at: i64,
    pub(crate) finished_at: Option<i64>,
}

/// The runs in a state directory, in order; none where there is no state yet.
pub(crate) fn run_rows(state: &Path) -> Vec<RunRow> {
    let database = state.join("rosterd.db");
    let Ok(database) = Connection::open_with_flags(database, OpenFlags::SQLITE_OPEN_READ_ONLY) else {
        return Vec::new();
    };
    let query = "SELECT id, sync, trigger, result, started_at, finished_at FROM run ORDER BY id";
    let Ok(mut statement) = database.prepare(query) else { return Vec::new() };
    let rows = statement.query_map([], |row| {
        Ok(RunRow {
            run: row.get(0)?,
            sync: row.get(1)?,
            trigger: row.get(2)?,
            result: row.get(3)?,
            started_at: row.get(4)?,
            finished_at: row.get(5)?,
        })
    });
    rows.unwrap().map(Result::unwrap).collect()
}

type Bars = Arc<(Mutex<(u64, bool)>, Condvar)>;

/// Requests that come to it wait until it is opened, which it is at the end at last. The fakes of that simulation
/// stand still meanwhile.
pub(crate) struct Gate(Bars);

impl Gate {
    /// Closes the way of the requests that `rule` matches, before they are worked on.
    pub(crate) fn before(stage: &Stage, rule: Fault) -> Gate {
        Gate::close(stage, rule, Effect::Before)
    }

    /// After they were worked on, before the reply.
    pub(crate) fn after(stage: &Stage, rule: Fault) -> Gate {
        Gate::close(stage, rule, Effect::After)
    }

    fn close(stage: &Stage, rule: Fault, effect: fn(Hook) -> Effect) -> Gate {
        let bars = Bars::default();
        let hook_bars = bars.clone();
        stage.sim.faults().add(rule.then(effect(Arc::new(move |_| {
            let mut state = hook_bars.0.lock().unwrap();
            state.0 += 1;
            hook_bars.1.notify_all();
            drop(hook_bars.1.wait_while(state, |(_, open)| !*open).unwrap());
        }))));
        Gate(bars)
    }

    /// Waits until a request stands before it.
    #[track_caller]
    pub(crate) fn is_reached(&self) {
        let state = self.0.0.lock().unwrap();
        let (state, _) = self.0.1.wait_timeout_while(state, PATIENCE, |(reached, _)| *reached == 0).unwrap();
        assert!(state.0 > 0, "no request came");
    }

    /// Lets everybody through.
    pub(crate) fn open(&self) {
        self.0.0.lock().unwrap().1 = true;
        self.0.1.notify_all();
    }
}

impl Drop for Gate {
    fn drop(&mut self) {
        self.open();
    }
}

/// Waits for the end of a program that was started.
pub(crate) fn finish(child: Child) -> Ran {
    Ran::of(child.wait_with_output().unwrap())
}

/// Logins at the workspace, sorted.
pub(crate) fn logins(stage: &Stage) -> Vec<String> {
    let mut logins: Vec<String> =
        stage.sim.world().accounts().iter().map(|account| account.user_name().to_lowercase()).collect();
    logins.sort();
    logins
}

/// Runs after a daemon that was cut off in its writes, until everybody has an account. A creation that never arrived cannot
/// be told from one that is not indexed yet, for ten minutes, which are made to be over.
#[track_caller]
pub(crate) fn makes_up_for_what_was_cut_off(stage: &Stage, people: &[String]) {
    stage.run(&["--reconcile-now"]);
    let database = Connection::open(stage.home.database()).unwrap();
    database.execute("UPDATE in_flight SET sent_at = sent_at - 660000", []).unwrap();
    drop(database);
    stage.run(&["--reconcile-now"]).exits(0);
    assert_eq!(logins(stage), people, "each of them once");
}

/// People `p00` to `pNN`, hired; their logins, sorted.
pub(crate) fn hire_many(stage: &Stage, number: usize) -> Vec<String> {
    let names: Vec<String> = (0..number).map(|index| format!("P{index:02}")).collect();
    names.iter().for_each(|name| {
        stage.hire(name, "Engineer");
    });
    names.iter().map(|name| format!("{}@acme.example", name.to_lowercase())).collect()
}
