//! The control socket itself: who may connect, what lies there before and after, and words that are not ours.

use crate::service::{Service, eventually, finish, run_rows, socket, stage};
use crate::support::Stage;
use serde_json::json;
use std::fs;
use std::io::{Read, Write};
use std::os::unix::fs::{FileTypeExt, PermissionsExt};
use std::os::unix::net::{UnixListener, UnixStream};
use std::process::{Command, Stdio};

#[test]
fn it_is_for_its_owner_alone_whatever_the_umask() {
    let stage = stage();
    let mut command = Command::new("/bin/sh");
    command.args(["-c", "umask 0; exec \"$0\" daemon", env!("CARGO_BIN_EXE_rosterd")]).env_clear();
    command.env("ROSTERD_CONFIG", stage.home.path().join("config.toml"));
    let service = Service::launch(&stage.home, command);
    service.wait(0, "it is ready", |words| words.contains("READY=1"));
    let facts = fs::metadata(socket(&stage.home)).unwrap();
    assert!(facts.file_type().is_socket());
    assert_eq!(facts.permissions().mode() & 0o7777, 0o600);
    assert_eq!(fs::metadata(stage.home.state()).unwrap().permissions().mode() & 0o7777, 0o700);
    service.stop();
}

#[test]
fn one_that_was_left_behind_is_replaced_and_its_own_is_removed_at_the_end() {
    let stage = stage();
    let place = socket(&stage.home);
    drop(UnixListener::bind(&place).unwrap());
    assert!(place.exists(), "nobody listens there any more");
    // Nobody answers: the command does it itself.
    stage.run(&["--reconcile-now"]).exits(0);
    let service = Service::start(&stage.home);
    stage.run(&["--dry-run"]).exits(0);
    service.logs("a client asks", 1);
    service.stop();
    assert!(!place.exists());
}

#[test]
fn what_a_kill_leaves_behind_hinders_nobody() {
    let stage = stage();
    let mut service = Service::start(&stage.home);
    service.has_run(1);
    service.signal(rustix::process::Signal::KILL);
    service.ended();
    assert!(socket(&stage.home).exists());
    stage.run(&["--dry-run"]).exits(0);
    stage.run(&["--reconcile-now"]).exits(0);
    Service::start(&stage.home).stop();
}

#[test]
fn a_file_that_is_no_socket_is_left_as_it_is() {
    let stage = stage();
    fs::write(socket(&stage.home), "somebody's text").unwrap();
    let mut service = Service::launch(&stage.home, stage.home.command(&["daemon"]));
    assert_eq!(service.ended(), Some(1), "{}", service.log());
    assert!(service.log().contains("no socket") && service.log().contains("help:"), "{}", service.log());
    assert!(service.told().is_empty());
    assert_eq!(fs::read_to_string(socket(&stage.home)).unwrap(), "somebody's text");
}

#[test]
fn a_directory_that_may_not_be_written_to_is_told_with_the_way_out() {
    let stage = stage();
    let path = stage.home.path().join("config.toml");
    let place = socket(&stage.home);
    fs::write(stage.home.path().join("file"), "").unwrap();
    let elsewhere = stage.home.path().join("file/control.sock");
    let text = fs::read_to_string(&path).unwrap();
    fs::write(&path, text.replace(&format!("{place:?}"), &format!("{elsewhere:?}"))).unwrap();
    let mut service = Service::launch(&stage.home, stage.home.command(&["daemon"]));
    assert_eq!(service.ended(), Some(1), "{}", service.log());
    let log = service.log();
    assert!(log.contains("control socket") && log.contains("daemon.socket"), "{log}");
    assert!(service.told().is_empty());
}

/// A frame, as they travel: a kind, a length, a payload.
fn frame(kind: u8, payload: &[u8]) -> Vec<u8> {
    let length = u32::try_from(payload.len()).unwrap().to_le_bytes();
    [[kind].as_slice(), &length, payload].concat()
}

/// Everything that is answered, as `(kind, payload)`.
fn answers(stage: &Stage, sent: &[u8]) -> Vec<(char, String)> {
    let mut stream = UnixStream::connect(socket(&stage.home)).unwrap();
    let _ = stream.write_all(sent);
    let mut bytes = Vec::new();
    // Hung up on with words unread is a reset; what was answered before that is read all the same.
    let _ = stream.read_to_end(&mut bytes);
    let (mut rest, mut frames) = (bytes.as_slice(), Vec::new());
    while let [kind, a, b, c, d, more @ ..] = rest {
        let (payload, after) = more.split_at(u32::from_le_bytes([*a, *b, *c, *d]) as usize);
        frames.push((char::from(*kind), String::from_utf8_lossy(payload).into_owned()));
        rest = after;
    }
    frames
}

#[test]
fn a_client_of_another_version_is_told_to_restart_the_daemon() {
    let stage = stage();
    let service = Service::start(&stage.home);
    service.has_run(1);
    stage.sim.clear_requests();
    let request = json!({"version": "rosterd.control/1 0.0.9", "config": "", "arguments": ["--reconcile-now"],
        "interactive": false, "sudo_user": null});
    let told = answers(&stage, &frame(b'Q', request.to_string().as_bytes()));
    let said: String =
        told.iter().filter(|(kind, _)| *kind == 'E').map(|(_, text)| format!("{text}\n")).collect();
    assert!(
        said.contains("this command rosterd.control/1 0.0.9") && said.contains("help: restart"),
        "{told:?}"
    );
    assert_eq!(told.last(), Some(&('X', "\u{4b}".to_owned())), "75");
    assert!(stage.sim.all_requests().is_empty());
    service.stop();
}

#[test]
fn what_is_no_request_is_hung_up_on_and_the_daemon_goes_on() {
    let stage = stage();
    let service = Service::start(&stage.home);
    service.has_run(1);
    let too_long = [b"Q".as_slice(), &u32::MAX.to_le_bytes()].concat();
    for words in [
        b"GET / HTTP/1.1\r\n\r\n".to_vec(),
        too_long,
        frame(b'Q', b"{}"),
        frame(b'Q', b"\xff\xfe"),
        frame(b'Y', b"\x01"),
        frame(b'?', b""),
    ] {
        assert_eq!(answers(&stage, &words), [], "{words:?}");
    }
    // Who says nothing and goes away, too.
    drop(UnixStream::connect(socket(&stage.home)).unwrap());
    stage.run(&["--reconcile-now"]).exits(0);
    assert_eq!(run_rows(&stage.home.state()).len(), 2);
    service.stop();
}

#[test]
fn who_says_nothing_keeps_nobody_waiting_not_even_the_end() {
    let stage = stage();
    let service = Service::start(&stage.home);
    service.has_run(1);
    let silent: Vec<UnixStream> =
        (0..20).map(|_| UnixStream::connect(socket(&stage.home)).unwrap()).collect();
    stage.run(&["--reconcile-now"]).exits(0);
    service.stop();
    drop(silent);
}

/// Lets everybody into this directory.
fn open(path: &std::path::Path) {
    fs::set_permissions(path, fs::Permissions::from_mode(0o755)).unwrap();
}

/// Whether the program can be run as somebody else here.
fn can_be_nobody() -> bool {
    let tried = Command::new("setpriv")
        .args([
            "--reuid=65534",
            "--regid=65534",
            "--clear-groups",
            env!("CARGO_BIN_EXE_rosterd"),
            "--version",
        ])
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .status();
    rustix::process::geteuid().is_root() && tried.is_ok_and(|status| status.success())
}

#[test]
fn another_user_is_refused_even_where_the_file_would_let_them_in() {
    if !can_be_nobody() {
        eprintln!("NOT RUN: only root can become somebody else, with setpriv");
        return;
    }
    let stage = stage();
    let service = Service::start(&stage.home);
    service.has_run(1);
    open(stage.home.path());
    let as_nobody = |arguments: &[&str]| {
        let mut command = Command::new("setpriv");
        command.args(["--reuid=65534", "--regid=65534", "--clear-groups", env!("CARGO_BIN_EXE_rosterd")]);
        command.args(arguments).env("ROSTERD_CONFIG", stage.home.path().join("config.toml"));
        finish(command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap())
    };
    stage.sim.clear_requests();
    // The file's mode keeps them out; what they then try by themselves, the modes of the rest refuse.
    let ran = as_nobody(&["--reconcile-now"]);
    assert_ne!(ran.code, Some(0), "{}", ran.all());
    fs::set_permissions(socket(&stage.home), fs::Permissions::from_mode(0o666)).unwrap();
    let ran = as_nobody(&["--reconcile-now"]).exits(75);
    ran.complains(&["only root and the user that rosterd runs as", "help: use sudo"]);
    assert_eq!(ran.stdout, "");
    assert!(stage.sim.all_requests().is_empty());
    assert!(!service.log().contains("a client asks"), "{}", service.log());
    eventually("the owner is served as before", || (stage.run(&["--dry-run"]).code == Some(0)).then_some(()));
    service.stop();
}
