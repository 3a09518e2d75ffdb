//! The README says what is true: each command line is run or at least understood by the program, each configuration
//! is accepted, what the program is said to print is what it prints, and each file that is named is there. What holds for
//! every page (links, blocks, messages) is in `tests/docs/`.

#![allow(clippy::unwrap_used)]

use std::path::Path;
use std::process::Command;

use clap::Parser;
use rosterd::cli::Cli;
use rosterd::config::{self, Config, Environment};
use rosterd::model::id::Vendor;

const README: &str = include_str!("../README.md");
const ARCHITECTURE: &str = include_str!("../ARCHITECTURE.md");

/// The fenced blocks of one language.
fn blocks(language: &str) -> Vec<String> {
    let mut found = Vec::new();
    let mut open: Option<(String, String)> = None;
    for line in README.lines() {
        match (line.strip_prefix("```"), &mut open) {
            (Some(name), None) => open = Some((name.to_owned(), String::new())),
            (Some(_), Some(_)) => {
                let (name, text) = open.take().unwrap();
                if name == language {
                    found.push(text);
                }
            }
            (None, Some((_, text))) => {
                text.push_str(line);
                text.push('\n');
            }
            (None, None) => {}
        }
    }
    assert!(open.is_none(), "a block is not closed");
    assert!(!found.is_empty(), "no ```{language} block");
    found
}

/// What stands between single backticks, outside of blocks.
fn inline_code(text: &str) -> Vec<String> {
    let prose: String = text.split("```").step_by(2).collect();
    prose.split('`').skip(1).step_by(2).map(|code| code.replace('\n', " ")).collect()
}

/// Words for the program where a line of shell calls it.
fn arguments(line: &str) -> Option<Vec<&str>> {
    let words = line.strip_prefix("rosterd").or_else(|| line.strip_prefix("cargo run --"))?;
    Some(words.split_whitespace().take_while(|word| *word != ">").collect())
}

/// What is longer belongs into `docs/`.
#[test]
fn it_is_short() {
    let words = README.split_whitespace().count();
    assert!(words <= 2000, "{words} words");
}

fn rosterd(arguments: &[&str]) -> String {
    let output = Command::new(env!("CARGO_BIN_EXE_rosterd")).args(arguments).output().unwrap();
    let errors = String::from_utf8_lossy(&output.stderr);
    assert!(
        output.status.success(),
        "rosterd {} ended with {}: {errors}",
        arguments.join(" "),
        output.status
    );
    String::from_utf8(output.stdout).unwrap()
}

#[test]
fn every_command_line_is_understood() {
    let in_blocks: Vec<String> =
        blocks("sh").iter().flat_map(|block| block.lines().map(str::to_owned).collect::<Vec<_>>()).collect();
    let in_prose = inline_code(README).into_iter().filter(|code| code.starts_with("rosterd "));
    let mut understood = 0;
    for line in in_blocks.iter().cloned().chain(in_prose) {
        match arguments(&line) {
            Some(words) => {
                let parsed = Cli::try_parse_from(std::iter::once("rosterd").chain(words));
                match parsed.map_err(|error| (error.use_stderr(), error)) {
                    Ok(_) | Err((false, _)) => understood += 1,
                    Err((true, error)) => panic!("`{line}`: {error}"),
                }
            }
            None => {
                let program = line.trim_start_matches("sudo ").split(' ').next().unwrap_or_default();
                assert!(["cargo", "install", "bash"].contains(&program), "what is `{line}`?");
            }
        }
    }
    assert!(understood >= 10, "only {understood} command lines of ours");
}

#[test]
fn commands_that_need_nothing_run() {
    for line in ["rosterd --help", "rosterd man", "rosterd completions bash"] {
        assert!(README.contains(&format!("`{line}`")), "{line} is not in the README");
        assert!(rosterd(&arguments(line).unwrap()).contains("completions"), "{line}");
    }
    for line in ["rosterd init --source okta", "rosterd init --source onelogin"] {
        assert!(README.contains(&format!("{line} > ")), "{line} is not in the README");
        accepted(&rosterd(&arguments(line).unwrap()));
    }
}

#[cfg(feature = "sim")]
#[test]
fn the_demonstration_prints_what_is_shown() {
    let told = rosterd(&["demo", "--quiet"]);
    for shown in blocks("text") {
        assert!(told.contains(&shown), "the README shows\n{shown}\nbut the demonstration says\n{told}");
    }
}

fn accepted(text: &str) -> Config {
    let nothing = Environment::fixed([("", ""); 0]);
    config::parse(text, Path::new("config.toml"), &nothing)
        .unwrap_or_else(|errors| panic!("{errors}\n{text}"))
}

#[test]
fn every_piece_of_configuration_is_accepted() {
    let (whole, pieces): (Vec<String>, Vec<String>) =
        blocks("toml").into_iter().partition(|block| block.starts_with("[[sync]]"));
    assert_eq!((whole.len(), pieces.len()), (1, 2));
    let whole = &whole[0];
    let from_init = accepted(rosterd::config::init::starter(Vendor::Okta)).syncs;
    assert_eq!(
        format!("{:?}", accepted(whole).syncs),
        format!("{from_init:?}"),
        "what `init` prints is something else"
    );
    let (head, target) = whole.split_once("[sync.source]").unwrap();
    let (source, target) = target.split_once("[sync.target]").unwrap();
    for piece in pieces {
        let text = if piece.starts_with("oauth") {
            let login = source.lines().find(|line| line.starts_with("api_token")).unwrap();
            whole.replace(login, &piece)
        } else {
            assert!(piece.starts_with("[sync.source]"), "{piece}");
            format!("{head}{piece}[sync.target]{target}")
        };
        accepted(&text);
    }
}

#[test]
fn every_file_that_is_named_is_there() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let named = inline_code(ARCHITECTURE).into_iter().chain(inline_code(README));
    let mut seen = 0;
    for name in named.filter(|name| is_path(name)) {
        seen += 1;
        assert!(
            root.join(&name).exists() || root.join("src").join(&name).exists(),
            "{name} is named and missing"
        );
    }
    assert!(seen > 20);
}

/// Names of sources and directories of ours; not `*`, not addresses, not files of an installation.
fn is_path(name: &str) -> bool {
    let ours =
        name.ends_with(".rs") || name.ends_with(".sql") || name.ends_with(".sh") || name.ends_with('/');
    ours && !name.contains(['*', ' ', '…']) && !name.starts_with('/')
}
