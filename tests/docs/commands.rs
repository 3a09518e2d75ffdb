//! Every command line: ours is understood by the program, others name what is there.

use clap::Parser;
use rosterd::cli::Cli;

use crate::pages::{page, pages, root, text_of};

/// The lines of the blocks of shell, and what follows a `$` in the others.
pub(crate) fn lines(page: &crate::pages::Page) -> Vec<String> {
    let shell = page.blocks_of("sh").into_iter().flat_map(|block| owned(block.lines()));
    let shown = page
        .blocks_of("console")
        .into_iter()
        .flat_map(|block| owned(block.lines().filter_map(|line| line.strip_prefix("$ "))));
    shell.chain(shown).filter(|line| !line.trim().is_empty() && !line.starts_with('#')).collect()
}

fn owned<'a>(lines: impl Iterator<Item = &'a str>) -> Vec<String> {
    lines.map(|line| line.trim().to_owned()).collect()
}

/// Without `sudo`; the user that it names has to be ours.
fn as_whom(line: &str) -> &str {
    let Some(rest) = line.strip_prefix("sudo ") else { return line };
    match rest.strip_prefix("-u ").and_then(|rest| rest.split_once(' ')) {
        Some((user, rest)) => {
            assert!(text_of("systemd/rosterd.sysusers").contains(&format!("u {user} ")), "{line}");
            rest
        }
        None => rest,
    }
}

/// The words for the program where a line calls it, up to a redirection.
pub(crate) fn arguments(line: &str) -> Option<Vec<String>> {
    let line = as_whom(line);
    let words = line.strip_prefix("rosterd ").or_else(|| line.strip_prefix("cargo run -- "))?;
    Some(words.split_whitespace().take_while(|word| *word != ">").map(str::to_owned).collect())
}

fn understood(line: &str, words: &[String]) {
    let parsed = Cli::try_parse_from(std::iter::once("rosterd").chain(words.iter().map(String::as_str)));
    if let Err(error) = parsed {
        assert!(!error.use_stderr(), "`{line}`: {error}");
    }
}

#[test]
fn every_command_line_is_understood_or_names_what_is_there() {
    let mut ours = 0;
    for page in pages() {
        for line in lines(&page) {
            match arguments(&line) {
                Some(words) => {
                    understood(&line, &words);
                    ours += 1;
                }
                None => names_what_is_there(&line),
            }
        }
        let prose = page.code_in_prose().into_iter().filter(|code| code.starts_with("rosterd "));
        // What differs, in a message; a shell's `…` is no argument.
        for code in prose.filter(|code| !code.contains('…')) {
            understood(&code, &arguments(&code).unwrap());
            ours += 1;
        }
    }
    assert!(ours > 120, "only {ours} command lines of ours");
}

/// A unit's file, for its name with or without an instance.
fn unit_is_there(name: &str) {
    let name = if name.contains('.') { name.to_owned() } else { format!("{name}.service") };
    let file = match name.split_once('@') {
        Some((stem, rest)) => format!("{stem}@.{}", rest.rsplit_once('.').unwrap().1),
        None => name,
    };
    assert!(root().join("systemd").join(&file).exists(), "there is no unit {file}");
}

pub(crate) fn names_what_is_there(line: &str) {
    let words: Vec<&str> = as_whom(line).split_whitespace().collect();
    let names = words.iter().skip(1).filter(|word| !word.starts_with('-'));
    match words[0] {
        "systemctl" => {
            let mut names = names.copied();
            let verb = names.next().unwrap();
            let verbs = ["enable", "disable", "status", "reload", "restart", "list-timers", "start", "stop"];
            assert!(verbs.contains(&verb), "{line}");
            names.for_each(unit_is_there);
        }
        "journalctl" | "systemd-analyze" => names.filter(|name| name.contains("rosterd")).for_each(|name| {
            unit_is_there(name);
        }),
        "curl" => {
            let url = words.last().unwrap();
            let path = url.splitn(4, '/').nth(3).unwrap();
            path_is_answered(&format!("/{path}"));
        }
        "install" | "cp" => names.for_each(|name| file_is_ours(line, name)),
        // To another machine, for the page of the daemon there.
        "ssh" => assert!(line.contains(" -L 9464:127.0.0.1:9464 "), "{line}"),
        "bash" => assert!(root().join(words[1]).exists(), "{line}"),
        "cargo" => assert!(["build", "test"].contains(&words[1]), "{line}"),
        other => panic!("what is `{other}` in `{line}`?"),
    }
}

/// Files of the package, and places that an installation has.
fn file_is_ours(line: &str, name: &str) {
    let manifest = text_of("Cargo.toml");
    if let Some(path) = name.strip_prefix("/usr/share/doc/rosterd/") {
        let (directory, file) = path.rsplit_once('/').unwrap();
        let asset = format!("{file}\", \"usr/share/doc/rosterd/{directory}/\"");
        assert!(manifest.contains(&asset), "`{line}`: {name} is not in the package");
    } else if name.starts_with('/') {
        let known = [
            "/etc/rosterd",
            "/var/lib/rosterd",
            "/dev/stdin",
            "/usr/local/bin/",
            "/var/backups/",
            "/etc/prometheus/",
        ];
        assert!(known.iter().any(|place| name.starts_with(place)), "`{line}`: {name}");
    }
}

fn path_is_answered(path: &str) {
    let routes = text_of("src/daemon/http.rs");
    assert!(routes.contains(&format!(".route(\"{path}\"")), "the daemon does not answer {path}");
}

#[test]
fn addresses_of_the_daemon_in_the_prose_are_answered() {
    let mut seen = 0;
    for page in pages() {
        for code in page.inline_code() {
            let path = code.strip_prefix("GET ").unwrap_or(&code);
            let is_ours = ["/metrics", "/healthz", "/readyz", "/api/status", "/api/runs"].contains(&path);
            let claims =
                path.starts_with("/metric") || path.starts_with("/ready") || path.starts_with("/health");
            assert!(is_ours || !claims, "{}: {code}", page.path.display());
            if is_ours {
                seen += 1;
                path_is_answered(path);
            }
        }
    }
    assert!(seen > 2);
}

#[test]
fn units_in_the_prose_are_there() {
    for page in pages() {
        for code in page.inline_code() {
            if let Some(rest) = code.strip_prefix("systemctl ").filter(|rest| rest.contains("rosterd")) {
                names_what_is_there(&format!("systemctl {rest}"));
            }
        }
    }
}

#[test]
fn the_alerts_that_are_told_of_are_shipped() {
    let rules = text_of("contrib/alerts.yml");
    assert!(page("docs/operating.md").text.contains("contrib/alerts.yml"));
    for alert in [
        "Down",
        "NoSuccess",
        "Quarantined",
        "CredentialsRefused",
        "Held",
        "Failing",
        "RevokeSlow",
        "EventsLate",
    ] {
        assert!(rules.contains(&format!("alert: Rosterd{alert}")), "{alert}");
    }
}
