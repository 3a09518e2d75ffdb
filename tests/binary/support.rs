//! What the tests of the binary share: a home with a configuration, secret files and a state directory, the program
//! run in a clean environment, and a simulation beside it. No expectation lives here.

// Each test crate takes what it needs.
#![allow(dead_code)]

use rosterd::sim::{KeyKind, PersonId, Sim, SimOptions};
use serde_json::Value;
use std::fs;
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};

/// What a run of the program left.
#[derive(Debug)]
pub(crate) struct Ran {
    pub(crate) code: Option<i32>,
    pub(crate) stdout: String,
    pub(crate) stderr: String,
}

impl Ran {
    pub(crate) fn of(output: Output) -> Self {
        Self {
            code: output.status.code(),
            stdout: String::from_utf8(output.stdout).expect("stdout is UTF-8"),
            stderr: String::from_utf8(output.stderr).expect("stderr is UTF-8"),
        }
    }

    /// Asserts the exit code, and shows everything where it is another.
    #[track_caller]
    pub(crate) fn exits(self, code: i32) -> Self {
        assert_eq!(self.code, Some(code), "stdout:\n{}\nstderr:\n{}", self.stdout, self.stderr);
        self
    }

    /// Standard output as one JSON document and nothing else.
    #[track_caller]
    pub(crate) fn json(&self) -> Value {
        serde_json::from_str(&self.stdout)
            .unwrap_or_else(|error| panic!("{error}\nstdout:\n{}\nstderr:\n{}", self.stdout, self.stderr))
    }

    /// The first (and mostly only) sync of the JSON report.
    #[track_caller]
    pub(crate) fn sync(&self) -> Value {
        self.json()["syncs"][0].clone()
    }

    /// Both streams.
    pub(crate) fn all(&self) -> String {
        format!("{}{}", self.stdout, self.stderr)
    }

    /// Asserts that each text is somewhere in standard output.
    #[track_caller]
    pub(crate) fn says(&self, texts: &[&str]) -> &Self {
        for text in texts {
            assert!(self.stdout.contains(text), "no {text:?} in stdout:\n{}\n{}", self.stdout, self.stderr);
        }
        self
    }

    /// Asserts that each text is somewhere in standard error.
    #[track_caller]
    pub(crate) fn complains(&self, texts: &[&str]) -> &Self {
        for text in texts {
            assert!(self.stderr.contains(text), "no {text:?} in stderr:\n{}\n{}", self.stderr, self.stdout);
        }
        self
    }
}

/// A directory of one's own: configuration, secrets, state, temporary files.
pub(crate) struct Home {
    directory: tempfile::TempDir,
}

impl Home {
    pub(crate) fn new() -> Self {
        // Every commit of the state is synced to the disk: in memory, where there is such a place, tests are quicker.
        let name = tempfile::Builder::new().prefix("rosterd-test-").to_owned();
        let directory = name.tempdir_in("/dev/shm").or_else(|_| name.tempdir()).unwrap();
        fs::create_dir(directory.path().join("tmp")).unwrap();
        Self { directory }
    }

    pub(crate) fn path(&self) -> &Path {
        self.directory.path()
    }

    pub(crate) fn state(&self) -> PathBuf {
        self.path().join("state")
    }

    pub(crate) fn database(&self) -> PathBuf {
        self.state().join("rosterd.db")
    }

    /// Writes a secret that nobody else may read, and gives the TOML table that refers to it.
    pub(crate) fn secret(&self, name: &str, value: &str) -> String {
        let path = self.path().join(name);
        let mut options = fs::OpenOptions::new();
        let mut file = options.write(true).create(true).truncate(true).mode(0o600).open(&path).unwrap();
        std::io::Write::write_all(&mut file, value.as_bytes()).unwrap();
        format!("{{ file = {path:?} }}")
    }

    /// Writes the configuration: the state directory, then `text`.
    pub(crate) fn configure(&self, text: &str) {
        let state = self.state();
        fs::write(self.path().join("config.toml"), format!("state_dir = {state:?}\n\n{text}")).unwrap();
    }

    /// The program with these arguments and nothing of our environment but a place for temporary files.
    pub(crate) fn command(&self, arguments: &[&str]) -> Command {
        let mut command = bare(arguments);
        command.env("ROSTERD_CONFIG", self.path().join("config.toml"));
        command.env("TMPDIR", self.path().join("tmp"));
        command
    }

    /// Runs the program to its end.
    #[track_caller]
    pub(crate) fn run(&self, arguments: &[&str]) -> Ran {
        Ran::of(self.command(arguments).output().unwrap())
    }

    /// Starts the program and does not wait.
    pub(crate) fn start(&self, arguments: &[&str]) -> Child {
        let mut command = self.command(arguments);
        command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap()
    }
}

/// Who the program says that we are: the kernel's uid with its name, behind root the login.
pub(crate) fn me() -> String {
    let uid = rustix::process::getuid().as_raw();
    let login =
        fs::read_to_string("/proc/self/loginuid").ok().and_then(|text| text.trim().parse::<u32>().ok());
    let login = login.filter(|login| uid == 0 && *login != 0 && *login != u32::MAX);
    let users = fs::read_to_string("/etc/passwd").unwrap();
    let name = |uid: u32| {
        let line = users.lines().find(|line| line.split(':').nth(2) == Some(&uid.to_string()));
        line.map(|line| line.split(':').next().unwrap().to_owned())
    };
    match (login, name(login.unwrap_or(uid))) {
        (Some(login), Some(name)) => format!("uid {login} ({name}, as root)"),
        (Some(login), None) => format!("uid {login} (as root)"),
        (None, Some(name)) => format!("uid {uid} ({name})"),
        (None, None) => format!("uid {uid}"),
    }
}

/// The program without any configuration.
pub(crate) fn bare(arguments: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_rosterd"));
    command.env_clear().stdin(Stdio::null()).args(arguments);
    command
}

/// Runs the program without any configuration.
pub(crate) fn run_bare(arguments: &[&str]) -> Ran {
    Ran::of(bare(arguments).output().unwrap())
}

/// A terminal: our end of it, and the end that a program gets.
fn terminal() -> (fs::File, fs::File) {
    let flags = rustix::pty::OpenptFlags::RDWR | rustix::pty::OpenptFlags::NOCTTY;
    let ours = rustix::pty::openpt(flags).unwrap();
    rustix::pty::grantpt(&ours).unwrap();
    rustix::pty::unlockpt(&ours).unwrap();
    let name = rustix::pty::ptsname(&ours, Vec::new()).unwrap();
    let path = Path::new(<std::ffi::OsStr as std::os::unix::ffi::OsStrExt>::from_bytes(name.as_bytes()));
    let not_ours_to_control = rustix::fs::OFlags::NOCTTY.bits().cast_signed();
    let theirs =
        fs::OpenOptions::new().read(true).write(true).custom_flags(not_ours_to_control).open(path).unwrap();
    (fs::File::from(ours), theirs)
}

/// Runs the program with a terminal as its standard input, on which this is typed.
pub(crate) fn typed(stage: &Stage, arguments: &[&str], answer: &str) -> Ran {
    let (mut keyboard, theirs) = terminal();
    // A terminal keeps what is typed until somebody reads the line.
    std::io::Write::write_all(&mut keyboard, answer.as_bytes()).unwrap();
    let ran = Ran::of(stage.home.command(arguments).stdin(theirs).output().unwrap());
    drop(keyboard);
    ran
}

/// What a terminal of this width gets from the program on standard output and standard error together, as its bytes.
pub(crate) fn seen(mut command: Command, columns: u16) -> String {
    let (mut screen, theirs) = terminal();
    let size = rustix::termios::Winsize { ws_row: 50, ws_col: columns, ws_xpixel: 0, ws_ypixel: 0 };
    rustix::termios::tcsetwinsize(&theirs, size).unwrap();
    command.env("TERM", "xterm-256color");
    let mut program = command.stdout(theirs.try_clone().unwrap()).stderr(theirs).spawn().unwrap();
    // The command holds their end open; without it the last byte is followed by an error, which is the end.
    drop(command);
    let mut bytes = Vec::new();
    let mut piece = [0u8; 4096];
    while let Ok(length @ 1..) = std::io::Read::read(&mut screen, &mut piece) {
        bytes.extend_from_slice(&piece[..length]);
    }
    program.wait().unwrap();
    String::from_utf8_lossy(&bytes).replace("\r\n", "\n")
}

/// The sources that the simulation plays.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Access {
    OktaToken,
    OktaOauth { key: KeyKind, jwk: bool, dpop: &'static str },
    OneLogin,
}

/// A simulation and a home whose configuration points at it.
pub(crate) struct Stage {
    pub(crate) sim: Sim,
    pub(crate) home: Home,
    login: Access,
}

impl Stage {
    /// Okta with an API token.
    pub(crate) fn new() -> Self {
        Self::with(Access::OktaToken, "")
    }

    /// Any source, and further lines of the `[[sync]]`.
    pub(crate) fn with(login: Access, lines: &str) -> Self {
        let options = SimOptions { seed: 7, ..SimOptions::default() };
        let stage = Self { sim: Sim::start_blocking(options).unwrap(), home: Home::new(), login };
        stage.configure(lines);
        stage
    }

    /// Whether the source is OneLogin.
    pub(crate) fn is_onelogin(&self) -> bool {
        self.login == Access::OneLogin
    }

    /// Writes the configuration again, with these lines in its only sync.
    pub(crate) fn configure(&self, lines: &str) {
        self.home.configure(&format!("[[sync]]\n{}\n{lines}\n", self.sides()));
    }

    /// `source` and `target` of a sync, as inline tables.
    pub(crate) fn sides(&self) -> String {
        format!("source = {{ {} }}\n{}", self.source(), self.target(""))
    }

    /// The keys of the source.
    pub(crate) fn source(&self) -> String {
        let (sim, home) = (&self.sim, &self.home);
        match self.login {
            Access::OktaToken => format!(
                "kind = \"okta\", url = \"{}\", app_id = \"{}\", api_token = {}",
                sim.okta_url(),
                sim.okta_app_id(),
                home.secret("okta.token", &sim.okta_token())
            ),
            Access::OktaOauth { key, jwk, dpop } => {
                let text = if jwk { sim.okta_private_key_jwk(key) } else { sim.okta_private_key_pem(key) };
                format!(
                    "kind = \"okta\", url = \"{}\", app_id = \"{}\", oauth = {{ client_id = \"{}\", private_key = {}, \
                     key_id = \"{}\", dpop = \"{dpop}\" }}",
                    sim.okta_url(),
                    sim.okta_app_id(),
                    sim.okta_client_id(),
                    home.secret("okta.key", &text),
                    sim.okta_key_id(key)
                )
            }
            Access::OneLogin => format!(
                "kind = \"onelogin\", url = \"{}\", app_id = \"{}\", client_id = \"{}\", client_secret = {}",
                sim.onelogin_url(),
                sim.onelogin_app_id(),
                sim.onelogin_client_id(),
                home.secret("onelogin.secret", &sim.onelogin_client_secret())
            ),
        }
    }

    /// The target; the fake need not be gone easy on.
    pub(crate) fn target(&self, keys: &str) -> String {
        format!(
            "target = {{ url = \"{}\", token = {}, requests_per_minute = 60000{keys} }}",
            self.sim.scim_url(),
            self.home.secret("workspace.token", &self.sim.scim_token())
        )
    }

    #[track_caller]
    pub(crate) fn run(&self, arguments: &[&str]) -> Ran {
        self.home.run(arguments)
    }

    /// A real run that must end well, as a JSON report.
    #[track_caller]
    pub(crate) fn reconcile(&self) -> Value {
        self.run(&["--reconcile-now", "--format", "json"]).exits(0).sync()
    }

    /// A person with a name and a title, assigned to the app.
    pub(crate) fn hire(&self, first: &str, title: &str) -> PersonId {
        let email = format!("{}@acme.example", first.to_lowercase());
        self.sim.world().hire_assigned(&email, |person| {
            person.first_name = Some(first.to_owned());
            person.last_name = Some("Example".to_owned());
            person.title = Some(title.to_owned());
        })
    }

    /// Several people at once.
    pub(crate) fn hire_all(&self, names: &[&str]) -> Vec<PersonId> {
        names.iter().map(|name| self.hire(name, "Engineer")).collect()
    }

    /// `text` without what differs from run to run.
    pub(crate) fn redact(&self, text: &str) -> String {
        let mut text = text.replace(&self.home.path().display().to_string(), "[home]");
        for (url, name) in [
            (self.sim.scim_url(), "[scim]"),
            (self.sim.okta_url(), "[okta]"),
            (self.sim.onelogin_url(), "[onelogin]"),
        ] {
            text = text.replace(url, name);
        }
        without_times(&text)
    }
}

/// `text` with "12 seconds ago" as `[ago]`.
pub(crate) fn without_spans(text: &str) -> String {
    let mut text = text.replace("1 second ago", "1 seconds ago");
    for number in 0..120 {
        for lead in [' ', '('] {
            text = text.replace(&format!("{lead}{number} seconds ago"), &format!("{lead}[ago]"));
        }
    }
    text
}

/// `text` with RFC 3339 times and dates as `[time]` and `[date]`.
fn without_times(text: &str) -> String {
    let is = |start: usize, pattern: &str| {
        let place = text.as_bytes().get(start..start + pattern.len());
        place.is_some_and(|place| {
            place.iter().zip(pattern.bytes()).all(|(byte, wanted)| match wanted {
                b'0' => byte.is_ascii_digit(),
                other => *byte == other,
            })
        })
    };
    let mut safe = String::with_capacity(text.len());
    let mut rest = 0;
    for (start, _) in text.char_indices() {
        let word = [("0000-00-00T00:00:00Z", "[time]"), ("0000-00-00", "[date]")];
        let found = word.into_iter().find(|(pattern, _)| start >= rest && is(start, pattern));
        if let Some((pattern, name)) = found {
            safe.push_str(&text[rest..start]);
            safe.push_str(name);
            rest = start + pattern.len();
        }
    }
    safe.push_str(&text[rest..]);
    safe
}

/// The `(action, outcome)` of a person in a JSON report.
#[track_caller]
pub(crate) fn action_of(sync: &Value, user: &str) -> (String, String) {
    let line = line_of(sync, user);
    let text = |key: &str| line[key].as_str().unwrap_or_default().to_owned();
    (text("action"), text("outcome"))
}

/// A person's line in a JSON report.
#[track_caller]
pub(crate) fn line_of(sync: &Value, user: &str) -> Value {
    let lines = sync["actions"].as_array().expect("actions is a list");
    let found: Vec<_> = lines.iter().filter(|line| line["user"] == user).collect();
    assert_eq!(found.len(), 1, "{user} in {sync:#}");
    found[0].clone()
}

/// A count of the summary.
#[track_caller]
pub(crate) fn count(sync: &Value, name: &str) -> u64 {
    sync["summary"][name].as_u64().unwrap_or_else(|| panic!("no {name} in {sync:#}"))
}

/// A process that a hook of the simulation sends a signal to, in the middle of a request.
#[derive(Clone, Default)]
pub(crate) struct Prey(std::sync::Arc<(std::sync::Mutex<Option<u32>>, std::sync::Condvar)>);

impl Prey {
    /// Says which process it is.
    pub(crate) fn is(&self, child: &Child) {
        self.is_pid(child.id());
    }

    /// The same by its number.
    pub(crate) fn is_pid(&self, pid: u32) {
        *self.0.0.lock().unwrap() = Some(pid);
        self.0.1.notify_all();
    }

    /// Sends the signal; waits until the process is known.
    pub(crate) fn signal(&self, signal: rustix::process::Signal) {
        let known = self.0.1.wait_while(self.0.0.lock().unwrap(), |pid| pid.is_none()).unwrap();
        let pid = known.and_then(|pid| rustix::process::Pid::from_raw(pid.cast_signed())).unwrap();
        // A process that has ended already needs no signal.
        let _ = rustix::process::kill_process(pid, signal);
    }

    /// Sends the signal and waits for the process to be gone, as far as its sockets and locks are concerned.
    pub(crate) fn kill(&self) {
        self.signal(rustix::process::Signal::KILL);
    }
}
