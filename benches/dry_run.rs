//! What a dry run costs: wall time, processor time and peak memory of `rosterd --dry-run`, the release binary as a
//! process of its own. The fakes of the identity provider and the workspace are served by this process: they are
//! not in the figures of processor and memory; their work is in the wall time.
//!
//! `cargo bench --bench dry_run`; `ROSTERD_BENCH_PEOPLE=100000` chooses another size, `ROSTERD_BENCH_ROUNDS=9`
//! another number of rounds.

use std::fs;
use std::io::{Read, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use rosterd::sim::{PersonId, Sim, SimOptions};
use serde_json::{Value, json};

/// How often the child is looked at. The kernel keeps peak and sum; only what comes after the last look is missed.
const LOOK_EVERY: Duration = Duration::from_millis(1);
/// The unit of processor time in /proc on Linux.
const TICKS_PER_SECOND: f64 = 100.0;

type Failure = Box<dyn std::error::Error>;

fn main() -> Result<(), Failure> {
    let people = number_from("ROSTERD_BENCH_PEOPLE", 10_000)?;
    let rounds = number_from("ROSTERD_BENCH_ROUNDS", 5)?.max(1);
    println!("{people} people, {rounds} rounds each; times are from start to exit of the process\n");
    println!(
        "{:<8} {:<38} {:>8} {:>8} {:>8} {:>9} {:>9}",
        "source", "dry run", "median", "best", "worst", "processor", "peak RSS"
    );
    for vendor in ["okta", "onelogin"] {
        first_contact(vendor, people, rounds)?;
        steady(vendor, people, rounds)?;
    }
    Ok(())
}

/// Nobody is linked yet: once with an empty workspace, once with one that has everybody already.
fn first_contact(vendor: &'static str, people: usize, rounds: usize) -> Result<(), Failure> {
    let stage = Stage::set(vendor, people)?;
    stage.measure("no state, empty workspace", rounds, &[("create", people)])?;
    for person in stage.sim.world().people() {
        stage.sim.world().add_account(&json!({
            "schemas": ["urn:ietf:params:scim:schemas:core:2.0:User"],
            "userName": person.email, "active": true,
            "name": {"givenName": person.first_name, "familyName": person.last_name},
            "emails": [{"value": person.email, "type": "work", "primary": true}],
        }));
    }
    stage.measure("no state, everybody is in the workspace", rounds, &[("adopt", people)])
}

/// Everybody is linked: once with nothing to do, once with one person in a hundred changed.
fn steady(vendor: &'static str, people: usize, rounds: usize) -> Result<(), Failure> {
    let stage = Stage::set(vendor, people)?;
    let code = stage.rosterd(&["--reconcile-now"]).stdout(Stdio::null()).status()?;
    if !code.success() {
        return Err(format!("the run that links everybody ended with {code}").into());
    }
    stage.measure("linked, nothing changed", rounds, &[("unchanged", people)])?;
    let mut changed = 0;
    for id in stage.people.iter().step_by(100) {
        stage.sim.world().edit(*id, |person| person.title = Some("Changed".to_owned()));
        changed += 1;
    }
    let expected = [("update", changed), ("unchanged", people - changed)];
    stage.measure("linked, 1 % have a new title", rounds, &expected)
}

/// The fakes, and a directory with configuration, secrets and state.
struct Stage {
    vendor: &'static str,
    sim: Sim,
    people: Vec<PersonId>,
    directory: tempfile::TempDir,
}

impl Stage {
    fn set(vendor: &'static str, people: usize) -> Result<Stage, Failure> {
        let sim = Sim::start_blocking(SimOptions::default())?;
        let people = sim.world().populate(people);
        let stage = Stage { vendor, sim, people, directory: tempfile::tempdir()? };
        stage.configure()?;
        Ok(stage)
    }

    fn path(&self, name: &str) -> PathBuf {
        self.directory.path().join(name)
    }

    fn configure(&self) -> Result<(), Failure> {
        let sim = &self.sim;
        let secret = |name: &str, value: String| -> Result<String, Failure> {
            let path = self.path(name);
            fs::OpenOptions::new()
                .write(true)
                .create(true)
                .truncate(true)
                .mode(0o600)
                .open(&path)?
                .write_all(value.as_bytes())?;
            Ok(format!("{{ file = {path:?} }}"))
        };
        let source = match self.vendor {
            "okta" => format!(
                "kind = \"okta\"\nurl = {:?}\napp_id = {:?}\napi_token = {}",
                sim.okta_url(),
                sim.okta_app_id(),
                secret("okta.token", sim.okta_token())?
            ),
            _ => format!(
                "kind = \"onelogin\"\nurl = {:?}\napp_id = {:?}\nclient_id = {:?}\nclient_secret = {}",
                sim.onelogin_url(),
                sim.onelogin_app_id(),
                sim.onelogin_client_id(),
                secret("onelogin.secret", sim.onelogin_client_secret())?
            ),
        };
        // The pace is not what is measured: a real source or workspace is slower than this by its own limits.
        let text = format!(
            "state_dir = {:?}\n[[sync]]\n[sync.source]\n{source}\nrate_share_percent = 100\n[sync.target]\nurl = {:?}\n\
             token = {}\nrequests_per_minute = 60000\n",
            self.path("state"),
            sim.scim_url(),
            secret("workspace.token", sim.scim_token())?
        );
        Ok(fs::write(self.path("config.toml"), text)?)
    }

    fn rosterd(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_rosterd"));
        command.arg("--config").arg(self.path("config.toml")).arg("--quiet").args(arguments);
        command.stdin(Stdio::null());
        command
    }

    /// Runs the dry run so many times, checks that it plans what it should, and prints the row.
    fn measure(&self, what: &str, rounds: usize, expected: &[(&str, usize)]) -> Result<(), Failure> {
        let mut times = Vec::with_capacity(rounds);
        let mut cost = Cost::default();
        for _ in 0..rounds {
            let report = self.path("report.json");
            let started = Instant::now();
            let child = self
                .rosterd(&["--dry-run", "--format", "json"])
                .stdout(fs::File::create(&report)?)
                .stderr(Stdio::piped())
                .spawn()?;
            let round = watch(child)?;
            cost.peak_kib = cost.peak_kib.max(round.peak_kib);
            cost.processor_seconds += round.processor_seconds / rounds as f64;
            times.push(started.elapsed());
            check(&report, expected)?;
            self.sim.clear_requests();
        }
        times.sort_unstable();
        println!(
            "{:<8} {what:<38} {:>6.2} s {:>6.2} s {:>6.2} s {:>7.2} s {:>6} MB",
            self.vendor,
            times[rounds / 2].as_secs_f64(),
            times[0].as_secs_f64(),
            times[rounds - 1].as_secs_f64(),
            cost.processor_seconds,
            cost.peak_kib / 1024
        );
        Ok(())
    }
}

/// What the kernel says of a child.
#[derive(Debug, Default, Clone, Copy)]
struct Cost {
    peak_kib: u64,
    processor_seconds: f64,
}

/// Waits for the child and gives what it cost.
fn watch(mut child: Child) -> Result<Cost, Failure> {
    let directory = PathBuf::from(format!("/proc/{}", child.id()));
    let mut cost = Cost::default();
    let status = loop {
        cost.peak_kib = cost.peak_kib.max(peak_of(&directory).unwrap_or(0));
        cost.processor_seconds = processor_time_of(&directory).unwrap_or(cost.processor_seconds);
        if let Some(status) = child.try_wait()? {
            break status;
        }
        std::thread::sleep(LOOK_EVERY);
    };
    if status.success() {
        return Ok(cost);
    }
    let mut errors = String::new();
    if let Some(mut stderr) = child.stderr.take() {
        stderr.read_to_string(&mut errors)?;
    }
    Err(format!("the dry run ended with {status}: {errors}").into())
}

/// `VmHWM`, the high-water mark of resident memory, in KiB (proc_pid_status(5)).
fn peak_of(directory: &Path) -> Option<u64> {
    let status = fs::read_to_string(directory.join("status")).ok()?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"))?;
    line.trim().strip_suffix(" kB")?.trim().parse().ok()
}

/// `utime` and `stime` of all threads (proc_pid_stat(5)).
fn processor_time_of(directory: &Path) -> Option<f64> {
    let stat = fs::read_to_string(directory.join("stat")).ok()?;
    // The name in parentheses may hold anything; behind it the fields are plain, and `state` is the first.
    let fields: Vec<&str> = stat.rsplit_once(')')?.1.split_whitespace().collect();
    let ticks = fields.get(11)?.parse::<f64>().ok()? + fields.get(12)?.parse::<f64>().ok()?;
    Some(ticks / TICKS_PER_SECOND)
}

/// A fast answer that is wrong is worth nothing.
fn check(report: &Path, expected: &[(&str, usize)]) -> Result<(), Failure> {
    let document: Value = serde_json::from_str(&fs::read_to_string(report)?)?;
    let summary = &document["syncs"][0]["summary"];
    for (verb, number) in expected {
        if summary[*verb] != json!(number) {
            return Err(format!("expected {number} {verb}, the report says {summary}").into());
        }
    }
    Ok(())
}

fn number_from(name: &str, default: usize) -> Result<usize, Failure> {
    match std::env::var(name) {
        Ok(text) => text.parse().map_err(|error| format!("{name}={text}: {error}").into()),
        Err(_) => Ok(default),
    }
}
