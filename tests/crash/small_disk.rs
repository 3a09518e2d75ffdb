//! A state directory on a file system of its own: small, so that it can be full, or mounted so that nobody may write.

use crate::support::{Ran, Stage};
use std::env;
use std::fs::{self, File};
use std::io::{BufRead, BufReader, Write};
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};

/// The file that takes the room away.
const FILLER: &str = "filler";

/// A mount namespace in which the state directory of a home is a file system in memory. It lasts as long as this.
pub(crate) struct SmallDisk {
    holder: Child,
    state: PathBuf,
    /// Root has its namespace for the asking; anybody else needs a user namespace beside it.
    as_root: bool,
}

impl SmallDisk {
    /// `None` where this machine lets us have no mount namespace, which is a failure in CI.
    pub(crate) fn of(stage: &Stage) -> Option<SmallDisk> {
        let disk = SmallDisk::try_of(stage);
        if disk.is_none() {
            let required = env::var_os("CI").is_some()
                || env::var("ROSTERD_REQUIRE_SYSTEMD").is_ok_and(|value| value == "1");
            assert!(!required, "a mount namespace is needed for a disk of our own, and cannot be had");
            eprintln!(
                "NOT RUN: a mount namespace cannot be had; the limit on the size of files stands for the full disk"
            );
        }
        disk
    }

    fn try_of(stage: &Stage) -> Option<SmallDisk> {
        let state = stage.home.state();
        fs::create_dir(&state).unwrap();
        let as_root = rustix::process::geteuid().is_root();
        let mut command = Command::new("unshare");
        if !as_root {
            command.args(["--user", "--map-root-user"]);
        }
        let script = "mount -t tmpfs -o size=2m,mode=700 none \"$1\" && echo mounted && read -r _";
        command.args(["--mount", "sh", "-c", script, "sh"]).arg(&state);
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::null());
        let mut holder = command.spawn().ok()?;
        let mut line = String::new();
        BufReader::new(holder.stdout.take().unwrap()).read_line(&mut line).unwrap();
        if line != "mounted\n" {
            holder.wait().unwrap();
            return None;
        }
        Some(SmallDisk { holder, state, as_root })
    }

    /// The program, inside.
    pub(crate) fn command(&self, stage: &Stage, arguments: &[&str]) -> Command {
        let ours = stage.home.command(arguments);
        let mut command = self.inside();
        command.arg(ours.get_program()).args(ours.get_args()).env_clear().env("PATH", "/usr/bin:/bin");
        for (name, value) in ours.get_envs() {
            command.env(name, value.unwrap_or_default());
        }
        command.stdin(Stdio::null());
        command
    }

    pub(crate) fn run(&self, stage: &Stage, arguments: &[&str]) -> Ran {
        Ran::of(self.command(stage, arguments).output().unwrap())
    }

    fn inside(&self) -> Command {
        let mut command = Command::new("nsenter");
        command.args(["--target", &self.holder.id().to_string(), "--mount"]);
        if !self.as_root {
            command.args(["--user", "--preserve-credentials"]);
        }
        command
    }

    /// Mounts it again so that nobody may write.
    pub(crate) fn forbid_writing(&self) {
        let mut command = self.inside();
        command.args(["mount", "-o", "remount,bind,ro"]).arg(&self.state);
        assert!(command.status().unwrap().success());
    }

    /// The state directory as we see it from outside.
    pub(crate) fn directory(&self) -> PathBuf {
        let below = self.state.strip_prefix("/").unwrap();
        PathBuf::from(format!("/proc/{}/root", self.holder.id())).join(below)
    }

    /// Takes all room that is left.
    pub(crate) fn fill(&self) {
        fill(&self.directory().join(FILLER));
    }

    /// What [`SmallDisk::fill`] needs in a hook, which must own what it uses.
    pub(crate) fn filler(&self) -> PathBuf {
        self.directory().join(FILLER)
    }

    /// Gives the room back.
    pub(crate) fn free(&self) {
        fs::remove_file(self.filler()).unwrap();
    }
}

/// Writes a file until there is no room.
pub(crate) fn fill(path: &std::path::Path) {
    let mut file = File::options().create(true).append(true).open(path).unwrap();
    for piece in [1 << 16, 4096, 1] {
        while file.write_all(&vec![0x5a; piece]).is_ok() {}
    }
}

impl Drop for SmallDisk {
    fn drop(&mut self) {
        // Its shell waits for a line; the namespace goes with it.
        drop(self.holder.stdin.take());
        let _ = self.holder.wait();
    }
}
