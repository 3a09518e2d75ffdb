//! The Debian package: what is in it, with which modes, and that nothing begins by itself.

use crate::{files_in, root, run, text_of};
use std::collections::{BTreeMap, BTreeSet};
use std::env;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use tempfile::TempDir;

/// Mode, owner and path of every file, sorted by path.
const FILES: &[&str] = &[
    "-rw-r--r-- 0/0 ./etc/rosterd/config.toml",
    "-rwxr-xr-x 0/0 ./usr/bin/rosterd",
    "-rw-r--r-- 0/0 ./usr/lib/systemd/system/rosterd-reconcile@.service",
    "-rw-r--r-- 0/0 ./usr/lib/systemd/system/rosterd-reconcile@.timer",
    "-rw-r--r-- 0/0 ./usr/lib/systemd/system/rosterd.service",
    "-rw-r--r-- 0/0 ./usr/lib/sysusers.d/rosterd.conf",
    "-rw-r--r-- 0/0 ./usr/share/bash-completion/completions/rosterd",
    "-rw-r--r-- 0/0 ./usr/share/doc/rosterd/CHANGELOG.md",
    "-rw-r--r-- 0/0 ./usr/share/doc/rosterd/README.md",
    "-rw-r--r-- 0/0 ./usr/share/doc/rosterd/SECURITY.md",
    "-rw-r--r-- 0/0 ./usr/share/doc/rosterd/copyright",
    "-rw-r--r-- 0/0 ./usr/share/doc/rosterd/docs/README.md",
    "-rw-r--r-- 0/0 ./usr/share/doc/rosterd/docs/configuration.md",
    "-rw-r--r-- 0/0 ./usr/share/doc/rosterd/docs/images/page.png",
    "-rw-r--r-- 0/0 ./usr/share/doc/rosterd/docs/migration.md",
    "-rw-r--r-- 0/0 ./usr/share/doc/rosterd/docs/operating.md",
    "-rw-r--r-- 0/0 ./usr/share/doc/rosterd/docs/recipes.md",
    "-rw-r--r-- 0/0 ./usr/share/doc/rosterd/docs/reliability.md",
    "-rw-r--r-- 0/0 ./usr/share/doc/rosterd/docs/report.schema.json",
    "-rw-r--r-- 0/0 ./usr/share/doc/rosterd/docs/reports.md",
    "-rw-r--r-- 0/0 ./usr/share/doc/rosterd/docs/security.md",
    "-rw-r--r-- 0/0 ./usr/share/doc/rosterd/docs/semantics.md",
    "-rw-r--r-- 0/0 ./usr/share/doc/rosterd/docs/setup-okta.md",
    "-rw-r--r-- 0/0 ./usr/share/doc/rosterd/docs/setup-onelogin.md",
    "-rw-r--r-- 0/0 ./usr/share/doc/rosterd/docs/setup-wrike.md",
    "-rw-r--r-- 0/0 ./usr/share/doc/rosterd/docs/troubleshooting.md",
    "-rw-r--r-- 0/0 ./usr/share/doc/rosterd/examples/Dockerfile",
    "-rw-r--r-- 0/0 ./usr/share/doc/rosterd/examples/alerts.yml",
    "-rw-r--r-- 0/0 ./usr/share/doc/rosterd/examples/config.toml.example",
    "-rw-r--r-- 0/0 ./usr/share/fish/vendor_completions.d/rosterd.fish",
    "-rw-r--r-- 0/0 ./usr/share/zsh/vendor-completions/_rosterd",
];

/// The package's path, where one was made.
fn package() -> Option<PathBuf> {
    let path = env::var_os("ROSTERD_DEB").map(|path| root().join(path));
    if path.is_none() {
        println!("NOT RUN: ROSTERD_DEB names no package; help: ROSTERD_DEB=$(contrib/package.sh) cargo test");
    }
    path
}

fn dpkg_deb(arguments: &[&str], package: &Path) -> String {
    let (option, rest) = arguments.split_first().unwrap();
    let (succeeded, words) = run(Command::new("dpkg-deb").arg(option).arg(package).args(rest));
    assert!(succeeded, "{words}");
    words
}

/// Data and control files, unpacked.
fn unpacked(package: &Path) -> (TempDir, PathBuf, PathBuf) {
    let directory = tempfile::tempdir().unwrap();
    let (data, control) = (directory.path().join("data"), directory.path().join("control"));
    dpkg_deb(&["--extract", data.to_str().unwrap()], package);
    dpkg_deb(&["--control", control.to_str().unwrap()], package);
    (directory, data, control)
}

#[test]
fn the_package_holds_exactly_these_files_with_these_modes() {
    let Some(package) = package() else { return };
    let listing = dpkg_deb(&["--contents"], &package);
    let mut files = BTreeSet::new();
    for line in listing.lines() {
        let words: Vec<&str> = line.split_whitespace().collect();
        let &[mode, owner, _size, _date, _time, path] = words.as_slice() else {
            panic!("a link, or a name with a space: {line}");
        };
        if mode.starts_with('d') {
            assert_eq!((mode, owner), ("drwxr-xr-x", "0/0"), "{line}");
        } else {
            files.insert(format!("{mode} {owner} {path}"));
        }
    }
    let mut expected: BTreeSet<String> = FILES.iter().map(|file| (*file).to_owned()).collect();
    expected
        .extend(manual_pages().keys().map(|name| format!("-rw-r--r-- 0/0 ./usr/share/man/man1/{name}.gz")));
    assert_eq!(files, expected);
}

const OF_THIS_BUILD: &str = env!("CARGO_BIN_EXE_rosterd");

/// What a program prints.
fn says(binary: &Path, arguments: &[&str]) -> String {
    let (succeeded, text) = run(Command::new(binary).args(arguments));
    assert!(succeeded, "{arguments:?}: {text}");
    text
}

/// The pages as the program of this build writes them, by name.
fn manual_pages() -> BTreeMap<String, String> {
    let directory = tempfile::tempdir().unwrap();
    says(Path::new(OF_THIS_BUILD), &["man", "--into", directory.path().to_str().unwrap()]);
    let entries = fs::read_dir(directory.path()).unwrap().map(|entry| entry.unwrap());
    let page = |entry: fs::DirEntry| {
        (entry.file_name().into_string().unwrap(), fs::read_to_string(entry.path()).unwrap())
    };
    entries.map(page).collect()
}

#[test]
fn every_command_has_a_manual_page_and_every_page_that_one_refers_to_is_there() {
    let pages = manual_pages();
    assert!(pages.len() > 15, "{:?}", pages.keys());
    for (name, page) in &pages {
        assert!(page.contains(".TH") && page.contains(".SH SYNOPSIS"), "{name}");
    }
    assert!(pages["rosterd-explain.1"].contains("offline") && pages["rosterd-history.1"].contains("erase"));
    let index = pages["rosterd.1"].replace('\\', "");
    let named: Vec<&str> = index.lines().filter_map(|line| line.strip_suffix("(1)")).collect();
    assert!(named.contains(&"rosterd-daemon"), "{named:?}");
    for name in named {
        assert!(pages.contains_key(&format!("{name}.1")), "{name}");
    }
    assert_eq!(pages["rosterd.1"], says(Path::new(OF_THIS_BUILD), &["man"]));
}

#[test]
fn the_configuration_is_a_conffile_and_dependencies_are_named() {
    let Some(package) = package() else { return };
    let (_directory, data, control) = unpacked(&package);
    assert_eq!(fs::read_to_string(control.join("conffiles")).unwrap().trim(), "/etc/rosterd/config.toml");
    let config = fs::read_to_string(data.join("etc/rosterd/config.toml")).unwrap();
    assert_eq!(config, text_of("config.toml.example"));
    let depends = dpkg_deb(&["--field", "Depends"], &package);
    for dependency in ["ca-certificates", "libc6 (>=", "systemd | systemd-standalone-sysusers | adduser"] {
        assert!(depends.contains(dependency), "{dependency}: {depends}");
    }
    // One TLS stack, one SQLite, both in the binary.
    assert!(!depends.contains("ssl") && !depends.contains("sqlite"), "{depends}");
    let version = dpkg_deb(&["--field", "Version"], &package);
    assert!(version.trim().starts_with(concat!(env!("CARGO_PKG_VERSION"), "-")), "{version}");
    let description = dpkg_deb(&["--field", "Description"], &package);
    assert!(description.contains("neither enabled nor"), "{description}");
}

#[test]
fn the_packaged_binary_completions_and_manual_belong_together() {
    let Some(package) = package() else { return };
    let (_directory, data, _control) = unpacked(&package);
    let binary = data.join("usr/bin/rosterd");
    assert!(says(&binary, &["--version"]).contains(env!("CARGO_PKG_VERSION")));
    let share = data.join("usr/share");
    for (shell, path) in [
        ("bash", "bash-completion/completions/rosterd"),
        ("zsh", "zsh/vendor-completions/_rosterd"),
        ("fish", "fish/vendor_completions.d/rosterd.fish"),
    ] {
        let completions = fs::read_to_string(share.join(path)).unwrap();
        assert!(completions.contains("reconcile-now"), "{shell}");
        assert_eq!(completions, says(&binary, &["completions", shell]), "{shell}");
    }
    for (name, page) in manual_pages() {
        let packed = share.join(format!("man/man1/{name}.gz"));
        let (succeeded, manual) = run(Command::new("gzip").arg("-dc").arg(packed));
        assert!(succeeded, "{name}");
        assert_eq!(manual, page, "{name}");
    }
    assert!(fs::read_to_string(share.join("doc/rosterd/copyright")).unwrap().contains("Apache License"));
}

#[test]
fn the_packaged_units_are_those_of_the_repository() {
    let Some(package) = package() else { return };
    let (_directory, data, _control) = unpacked(&package);
    for path in files_in("systemd") {
        let name = path.file_name().unwrap().to_str().unwrap();
        let installed = match name.strip_suffix(".sysusers") {
            Some(stem) => data.join(format!("usr/lib/sysusers.d/{stem}.conf")),
            None => data.join("usr/lib/systemd/system").join(name),
        };
        assert_eq!(fs::read_to_string(installed).unwrap(), text_of(&path), "{name}");
    }
}

#[test]
fn the_packaged_scripts_are_those_that_were_read() {
    let Some(package) = package() else { return };
    let (_directory, _data, control) = unpacked(&package);
    for path in files_in("contrib/debian") {
        let packaged = fs::read_to_string(control.join(path.file_name().unwrap())).unwrap();
        assert_eq!(packaged.trim(), text_of(&path).trim());
    }
}

#[test]
fn an_installation_enables_and_starts_nothing() {
    for path in files_in("contrib/debian") {
        let (succeeded, words) = run(Command::new("sh").arg("-n").arg(&path));
        assert!(succeeded, "{words}");
        let script = text_of(&path);
        let told = |line: &str| line.starts_with("echo ") || line.starts_with('#');
        for line in script.lines().map(str::trim).filter(|line| !told(line)) {
            let words: Vec<&str> = line.split_whitespace().collect();
            let begins = ["enable", "start", "restart", "--now"].iter().any(|word| words.contains(word));
            assert!(!begins, "{}: {line}", path.display());
        }
    }
}

#[test]
fn the_configuration_that_is_installed_is_refused_until_somebody_has_written_it() {
    let state = tempfile::tempdir().unwrap();
    let output = Command::new(env!("CARGO_BIN_EXE_rosterd"))
        .args(["--reconcile-now", "--config"])
        .arg(root().join("config.toml.example"))
        .env("STATE_DIRECTORY", state.path())
        .env_remove("CREDENTIALS_DIRECTORY")
        .output()
        .unwrap();
    assert_eq!(output.status.code(), Some(78), "{}", String::from_utf8_lossy(&output.stderr));
}

#[test]
fn every_file_that_the_package_names_is_there_or_is_made() {
    let manifest: toml::Table = text_of("Cargo.toml").parse().unwrap();
    let package = manifest["package"]["metadata"]["deb"].as_table().unwrap();
    let assets = package["assets"].as_array().unwrap();
    let script = text_of("contrib/package.sh");
    for asset in assets {
        let source = asset[0].as_str().unwrap();
        let name = Path::new(source).file_name().unwrap().to_str().unwrap();
        // The manual pages are made all at once.
        let made =
            source.starts_with("target/") && (script.contains(name) || source == "target/package/man/*.1");
        assert!(made || root().join(source).is_file(), "{source}");
    }
    // The copyright file is cargo-deb's own, from `license-file`.
    assert_eq!(assets.len(), FILES.len(), "the manual pages are listed apart");
}
