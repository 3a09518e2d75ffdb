//! The log where stderr is the journal: each field arrives as a field. A journal of our own listens where systemd's
//! would, in a mount namespace of the program's own, so that nothing of this machine is touched. That takes the rights
//! of root; without them the test says so and is over, unless `ROSTERD_REQUIRE_SYSTEMD=1` or `CI` is set.

use crate::support::Stage;
use std::collections::BTreeMap;
use std::env;
use std::fs;
use std::os::unix::net::UnixDatagram;
use std::process::Command;
use std::time::Duration;

type Entry = BTreeMap<String, String>;

/// One datagram of the journal's native protocol: `KEY=value`, or the key, the value's length and the value
/// (systemd.io, "Native Journal Protocol").
fn parsed(datagram: &[u8]) -> Entry {
    let mut entry = Entry::new();
    let mut rest = datagram;
    while let Some(end) = rest.iter().position(|byte| *byte == b'\n') {
        let (line, after) = (std::str::from_utf8(&rest[..end]).unwrap(), &rest[end + 1..]);
        let (key, value) = match line.split_once('=') {
            Some((key, value)) => {
                rest = after;
                (key, value.to_owned())
            }
            None => {
                let (length, value) = after.split_at(8);
                let length = u64::from_le_bytes(length.try_into().unwrap()) as usize;
                rest = &value[length + 1..];
                (line, String::from_utf8(value[..length].to_vec()).unwrap())
            }
        };
        entry.insert(key.to_owned(), value);
    }
    entry
}

/// The program with our journal in the place of systemd's.
fn in_a_namespace(stage: &Stage, journal: &std::path::Path, arguments: &str) -> Command {
    let mut command = Command::new("unshare");
    let script = format!(
        "mount -t tmpfs none /run && mkdir -p /run/systemd/journal && mount --bind {} /run/systemd/journal && exec {} \
         {arguments}",
        journal.display(),
        env!("CARGO_BIN_EXE_rosterd")
    );
    command.args(["--mount", "sh", "-c", &script]).env_clear().env("PATH", "/usr/sbin:/usr/bin:/sbin:/bin");
    command
        .env("ROSTERD_CONFIG", stage.home.path().join("config.toml"))
        .env("TMPDIR", stage.home.path().join("tmp"));
    command
}

fn can_have_a_namespace() -> bool {
    let tried = Command::new("unshare").args(["--mount", "sh", "-c", "mount -t tmpfs none /run"]).output();
    if tried.is_ok_and(|output| output.status.success()) {
        return true;
    }
    let required =
        env::var_os("CI").is_some() || env::var("ROSTERD_REQUIRE_SYSTEMD").is_ok_and(|value| value == "1");
    assert!(!required, "a mount namespace is needed for a journal of our own, and cannot be had");
    eprintln!("NOT RUN: a mount namespace cannot be had");
    false
}

#[test]
fn the_journal_gets_each_field_of_a_write_as_a_field_and_no_secret() {
    if !can_have_a_namespace() {
        return;
    }
    let stage = Stage::new();
    stage.hire("Ann", "Engineer");
    let directory = stage.home.path().join("journal");
    fs::create_dir(&directory).unwrap();
    let journal = UnixDatagram::bind(directory.join("socket")).unwrap();
    journal.set_read_timeout(Some(Duration::from_secs(30))).unwrap();
    let (mut reader, writer) = std::io::pipe().unwrap();
    let facts = rustix::fs::fstat(&writer).unwrap();
    let mut command = in_a_namespace(&stage, &directory, "--reconcile-now");
    command.env("JOURNAL_STREAM", format!("{}:{}", facts.st_dev, facts.st_ino)).stderr(writer);
    let mut program = command.stdout(std::process::Stdio::null()).spawn().unwrap();
    drop(command);
    let mut entries = Vec::new();
    let mut datagram = vec![0u8; 1 << 20];
    loop {
        let length = journal.recv(&mut datagram).unwrap();
        // An empty one only asks whether anybody is there.
        if length == 0 {
            continue;
        }
        let entry = parsed(&datagram[..length]);
        let is_last = entry["MESSAGE"] == "run finished";
        entries.push(entry);
        if is_last {
            break;
        }
    }
    assert_eq!(program.wait().unwrap().code(), Some(0));
    let write = entries.iter().find(|entry| entry["MESSAGE"] == "write").unwrap();
    let field =
        |name: &str| write.get(name).map(String::as_str).unwrap_or_else(|| panic!("no {name}: {write:#?}"));
    assert_eq!(field("ROSTERD_SYNC"), "default");
    assert_eq!(field("ROSTERD_ACTION"), "create");
    assert_eq!(field("ROSTERD_USER"), "ann@acme.example");
    assert_eq!(field("ROSTERD_OUTCOME"), "applied");
    assert_eq!(field("ROSTERD_STATUS"), "201");
    assert!(field("ROSTERD_DURATION_MILLIS").parse::<u64>().is_ok());
    assert_eq!(field("SYSLOG_IDENTIFIER"), "rosterd");
    assert_eq!(field("PRIORITY"), "5", "a notice, as journalctl -p knows it");
    let everything = format!("{entries:?}");
    for secret in [stage.sim.okta_token(), stage.sim.scim_token()] {
        assert!(!everything.contains(&secret));
    }
    let mut on_stderr = String::new();
    std::io::Read::read_to_string(&mut reader, &mut on_stderr).unwrap();
    assert_eq!(on_stderr, "", "what the journal has is not said twice");
}
