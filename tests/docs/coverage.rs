//! Nothing of the outside is left out: every key, command, option and exit code has its place in the documentation.

use std::collections::BTreeSet;

use rosterd::cli;
use rosterd::exit;
use rosterd::model::drift::FindingKind;
use rosterd::model::plan::Situation;

use crate::pages::{page, pages, text_of};

/// All code of the pages: spans and blocks.
fn code() -> String {
    let mut all = String::new();
    for page in pages() {
        for code in page.inline_code().into_iter().chain(page.blocks().into_iter().map(|block| block.text)) {
            all.push_str(&code);
            all.push('\n');
        }
    }
    all
}

fn has_word(text: &str, word: &str) -> bool {
    let part = |c: char| c.is_ascii_alphanumeric() || c == '_' || c == '-';
    text.match_indices(word).any(|(at, _)| {
        let before = text[..at].chars().next_back();
        let after = text[at + word.len()..].chars().next();
        !before.is_some_and(part) && !after.is_some_and(part)
    })
}

/// The keys of the example: of tables, of comments that show another choice, and of inline tables.
fn keys() -> BTreeSet<String> {
    let is_key = |word: &str| !word.is_empty() && word.chars().all(|c| c.is_ascii_lowercase() || c == '_');
    let mut keys = BTreeSet::new();
    for line in text_of("config.toml.example").lines() {
        let line = line.trim_start_matches("# e.g. ").trim_start_matches("#   ");
        if line.starts_with('#') {
            continue;
        }
        if let Some(section) = line.strip_prefix("[sync.") {
            keys.insert(section.trim_end_matches(']').to_owned());
        }
        for piece in line.split(['{', ',']) {
            if let Some((word, _)) = piece.split_once(" = ").filter(|(word, _)| is_key(word.trim())) {
                keys.insert(word.trim().to_owned());
            }
        }
    }
    keys
}

#[test]
fn every_key_of_the_configuration_is_named() {
    let (keys, code) = (keys(), code());
    assert!(keys.len() > 60, "{keys:?}");
    let missing: Vec<&String> = keys.iter().filter(|key| !has_word(&code, key)).collect();
    assert!(missing.is_empty(), "no page names {missing:?}");
}

#[test]
fn every_command_and_option_is_named() {
    let code = code();
    let mut missing = Vec::new();
    let mut seen = 0;
    let definition = cli::definition();
    let mut options = |command: &clap::Command, name: &str| {
        for option in command.get_arguments().filter_map(clap::Arg::get_long) {
            seen += 1;
            if !has_word(&code, &format!("--{option}")) {
                missing.push(format!("{name} --{option}"));
            }
        }
    };
    options(&definition, "rosterd");
    for command in definition.get_subcommands() {
        options(command, command.get_name());
    }
    for command in definition.get_subcommands().map(clap::Command::get_name) {
        let called = code.lines().any(|line| line.contains("rosterd ") && has_word(line, command))
            || code.lines().any(|line| line == command || line.ends_with(&format!("-- {command}")));
        if !called {
            missing.push(command.to_owned());
        }
    }
    assert!(missing.is_empty(), "no page names {missing:?}");
    assert!(seen > 30);
}

#[test]
fn every_exit_code_is_explained() {
    let mut codes: Vec<String> = text_of("src/exit.rs")
        .lines()
        .filter_map(|line| {
            Some(line.strip_prefix("pub const ")?.split_once(": u8 = ")?.1.trim_end_matches(';').to_owned())
        })
        .collect();
    assert!(codes.len() >= 10);
    codes.push("130, 143".to_owned());
    let told = page("docs/troubleshooting.md").rows_under("code");
    let ours = [
        (exit::OK, "nothing to do"),
        (exit::FAILURE, "unexpected"),
        (exit::CHANGES_PENDING, "found changes"),
        (exit::PARTIAL, "some people failed"),
        (exit::HELD, "held"),
        (exit::SOURCE, "source"),
        (exit::TARGET, "workspace"),
        (exit::USAGE, "usage"),
        (exit::BUSY, "Another rosterd"),
        (exit::CONFIG, "configuration"),
    ];
    assert_eq!(told.len(), ours.len() + 1, "and the two of signals, in one row");
    for (code, words) in ours {
        let row = told.iter().find(|row| row[0].text == code.to_string()).unwrap();
        assert!(row[1].text.contains(words), "{code}: {}", row[1].text);
    }
    let told: Vec<String> = told.into_iter().map(|row| row[0].text.clone()).collect();
    assert_eq!(told, codes);
}

#[test]
fn the_decision_table_uses_the_words_of_the_reports() {
    let rows = page("docs/semantics.md").rows_under("situation");
    for row in &rows {
        let word = format!("\"{}\"", row[0].text);
        let situation: Situation =
            serde_json::from_str(&word).unwrap_or_else(|_| panic!("{word} is no situation"));
        assert_eq!(situation.as_str(), row[0].text);
    }
    assert_eq!(rows.len(), 15);
}

/// The schema's own test holds it against real reports.
#[test]
fn every_outcome_of_a_report_is_explained() {
    let schema: serde_json::Value = serde_json::from_str(&text_of("docs/report.schema.json")).unwrap();
    let outcomes = schema["$defs"]["outcome"]["enum"].as_array().unwrap();
    let told = page("docs/reports.md").rows_under("outcome");
    let told: Vec<&str> = told.iter().map(|row| row[0].text.as_str()).collect();
    assert_eq!(told, outcomes.iter().map(|outcome| outcome.as_str().unwrap()).collect::<Vec<_>>());
}

#[test]
fn the_findings_of_a_verification_are_all_explained() {
    let told = page("docs/semantics.md").rows_under("finding");
    let told: Vec<String> = told.into_iter().map(|row| row[0].text.clone()).collect();
    assert_eq!(told, FindingKind::ALL.map(FindingKind::as_str));
}

/// `okta.apps.read` and its like.
fn scopes(text: &str) -> BTreeSet<String> {
    let part = |c: char| c.is_ascii_alphanumeric() || c == '.' || c == '_';
    let words = text.split(|c: char| !part(c)).map(|word| word.trim_end_matches('.'));
    words.filter(|word| word.starts_with("okta.") && word.ends_with(".read")).map(str::to_owned).collect()
}

#[test]
fn the_scopes_that_are_told_are_those_that_are_asked_for() {
    let asked = scopes(&format!("{}{}", text_of("src/source/okta/auth.rs"), text_of("src/source/okta.rs")));
    assert!(asked.len() >= 4, "{asked:?}");
    for page in ["docs/setup-okta.md", "docs/security.md", "README.md"] {
        assert_eq!(scopes(&text_of(page)), asked, "{page}");
    }
}

#[test]
fn what_is_told_of_the_package_is_in_it() {
    let postinst = text_of("contrib/debian/postinst");
    let security = text_of("docs/security.md");
    assert!(security.contains("`root:rosterd`, mode 750"));
    assert!(
        postinst.contains("chown root:rosterd /etc/rosterd") && postinst.contains("chmod 0750 /etc/rosterd")
    );
    let unit = text_of("systemd/rosterd.service");
    for promised in [
        "User=rosterd",
        "CapabilityBoundingSet=\n",
        "ProtectSystem=strict",
        "ProtectHome=yes",
        "PrivateDevices=yes",
        "ProtectProc=invisible",
        "NoNewPrivileges=yes",
        "SystemCallFilter=@system-service",
        "MemoryDenyWriteExecute=yes",
        "StateDirectoryMode=0700",
        "RuntimeDirectoryMode=0700",
    ] {
        assert!(unit.contains(promised), "{promised}");
    }
}
