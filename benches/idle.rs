//! What an idle daemon costs: resident memory, wake-ups and processor time of `rosterd daemon`, the packaged binary as a
//! process of its own with the unit's environment, after its first run. The fakes are served by this process and are not in the figures.
//!
//! `cargo bench --profile dist --bench idle`; `ROSTERD_BENCH_PEOPLE=10000` chooses another number of linked people,
//! `ROSTERD_BENCH_SECONDS=60` another time to look at it.

use std::collections::BTreeMap;
use std::fs;
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use rosterd::sim::{Sim, SimOptions};

/// The unit of processor time in /proc on Linux.
const MILLIS_PER_TICK: u64 = 10;

type Failure = Box<dyn std::error::Error>;

fn main() -> Result<(), Failure> {
    let people = number_from("ROSTERD_BENCH_PEOPLE", 1_000)?;
    let seconds = number_from("ROSTERD_BENCH_SECONDS", 10)?.max(1);
    println!("{people} people linked by the first run, then {seconds} s of idling\n");
    println!(
        "{:<34} {:>10} {:>10} {:>10} {:>11} {:>11}",
        "daemon", "RSS", "own memory", "peak RSS", "switches/s", "processor"
    );
    measure("no watch", people, seconds, "watch = \"off\"")?;
    measure("watch every 30 s (the default)", people, seconds, "")?;
    measure("watch every 5 s", people, seconds, "watch = \"5s\"")
}

fn number_from(name: &str, default: u64) -> Result<u64, Failure> {
    std::env::var(name).map_or(Ok(default), |text| Ok(text.parse()?))
}

fn measure(what: &str, people: u64, seconds: u64, lines: &str) -> Result<(), Failure> {
    let sim = Sim::start_blocking(SimOptions { seed: 7, ..SimOptions::default() })?;
    for number in 0..people {
        sim.world().hire_assigned(&format!("p{number}@acme.example"), |person| {
            person.first_name = Some(format!("P{number}"));
            person.last_name = Some("Example".to_owned());
        });
    }
    let home = tempfile::tempdir()?;
    configure(&sim, home.path(), people, lines)?;
    let mut command = Command::new(env!("CARGO_BIN_EXE_rosterd"));
    command.args(["daemon", "--quiet"]).env_clear().env("ROSTERD_CONFIG", home.path().join("config.toml"));
    // As the unit has it.
    command.env("WATCHDOG_USEC", "60000000").envs(environment_of_the_unit());
    let daemon = Ends(command.stdin(Stdio::null()).stdout(Stdio::null()).spawn()?);
    let deadline = Instant::now() + Duration::from_secs(600);
    while (sim.world().accounts().len() as u64) < people {
        if Instant::now() > deadline {
            return Err("the first run did not link everybody".into());
        }
        std::thread::sleep(Duration::from_millis(50));
    }
    // The run writes down how it ended, and the allocator calms down.
    std::thread::sleep(Duration::from_secs(3));
    let process = format!("/proc/{}", daemon.0.id());
    let before = Looked::at(&process)?;
    std::thread::sleep(Duration::from_secs(seconds));
    let after = Looked::at(&process)?;
    println!(
        "{what:<34} {:>7.1} MB {:>7.1} MB {:>7.1} MB {:>11.1} {:>8} ms",
        megabytes(after.resident_kilobytes),
        megabytes(after.own_kilobytes),
        megabytes(after.peak_kilobytes),
        after.switches_since(&before) as f64 / seconds as f64,
        (after.ticks - before.ticks) * MILLIS_PER_TICK
    );
    Ok(())
}

fn environment_of_the_unit() -> Vec<(&'static str, &'static str)> {
    let lines = include_str!("../systemd/rosterd.service").lines();
    let pairs = lines.filter_map(|line| line.strip_prefix("Environment=")).flat_map(str::split_whitespace);
    pairs.filter_map(|pair| pair.split_once('=')).collect()
}

fn configure(sim: &Sim, home: &Path, people: u64, lines: &str) -> Result<(), Failure> {
    for (name, secret) in [("okta", sim.okta_token()), ("workspace", sim.scim_token())] {
        let mut options = fs::OpenOptions::new();
        let mut file = options.write(true).create(true).truncate(true).mode(0o600).open(home.join(name))?;
        std::io::Write::write_all(&mut file, secret.as_bytes())?;
    }
    let text = format!(
        "state_dir = {:?}\n[daemon]\nsocket = {:?}\n[[sync]]\nschedule = \"0 0 1 1 *\"\n{lines}\nguard = {{ max_creates = \
         {} }}\nsource = {{ kind = \"okta\", url = {:?}, app_id = {:?}, api_token = {{ file = {:?} }} }}\ntarget = {{ url = \
         {:?}, token = {{ file = {:?} }}, requests_per_minute = 60000 }}\n",
        home.join("state"),
        home.join("control.sock"),
        people + 1,
        sim.okta_url(),
        sim.okta_app_id(),
        home.join("okta"),
        sim.scim_url(),
        home.join("workspace")
    );
    Ok(fs::write(home.join("config.toml"), text)?)
}

/// Killed at the end.
struct Ends(Child);

impl Drop for Ends {
    fn drop(&mut self) {
        // One that has ended already cannot be killed.
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// What /proc tells of a process.
struct Looked {
    resident_kilobytes: u64,
    own_kilobytes: u64,
    peak_kilobytes: u64,
    /// Of each thread, wanted or not.
    switches: BTreeMap<PathBuf, u64>,
    ticks: u64,
}

impl Looked {
    fn at(process: &str) -> Result<Looked, Failure> {
        let status = fs::read_to_string(format!("{process}/status"))?;
        let stat = fs::read_to_string(format!("{process}/stat"))?;
        // The name, in brackets, may hold anything.
        let fields: Vec<&str> = stat.rsplit(')').next().unwrap_or_default().split_whitespace().collect();
        let ticks = fields.get(11).zip(fields.get(12)).ok_or("no processor time in /proc")?;
        let mut switches = BTreeMap::new();
        for thread in fs::read_dir(format!("{process}/task"))? {
            let thread = thread?.path();
            // A thread that has ended meanwhile is not counted.
            let Ok(status) = fs::read_to_string(thread.join("status")) else { continue };
            let counted =
                field(&status, "voluntary_ctxt_switches:")? + field(&status, "nonvoluntary_ctxt_switches:")?;
            switches.insert(thread, counted);
        }
        Ok(Looked {
            resident_kilobytes: field(&status, "VmRSS:")?,
            own_kilobytes: field(&status, "RssAnon:")?,
            peak_kilobytes: field(&status, "VmHWM:")?,
            switches,
            ticks: ticks.0.parse::<u64>()? + ticks.1.parse::<u64>()?,
        })
    }
}

impl Looked {
    fn switches_since(&self, before: &Looked) -> u64 {
        let earlier = |thread| before.switches.get(thread).copied().unwrap_or_default();
        self.switches.iter().map(|(thread, counted)| counted - earlier(thread)).sum()
    }
}

fn field(status: &str, name: &str) -> Result<u64, Failure> {
    let line =
        status.lines().find_map(|line| line.strip_prefix(name)).ok_or(format!("no {name} in /proc"))?;
    Ok(line.split_whitespace().next().unwrap_or_default().parse()?)
}

fn megabytes(kilobytes: u64) -> f64 {
    kilobytes as f64 * 1024.0 / 1_000_000.0
}
