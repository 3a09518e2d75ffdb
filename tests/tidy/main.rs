//! The house rules that no compiler holds: who may import whom (the table of ARCHITECTURE), how long a file or a
//! function may be, and what must not be in the sources at all.

// The lint's exception for tests covers test functions only, not what they share.
#![allow(clippy::unwrap_used)]

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};

mod circles;

/// Lines of a file.
const LONGEST_FILE: usize = 600;
/// Lines of a function, from `fn` to its closing brace.
const LONGEST_FUNCTION: usize = 70;

/// Who imports whom, within the crate. Imports point down, and the table is exact: an edge that nobody uses is none.
const LAYERS: &[(&str, &[&str])] = &[
    ("model", &[]),
    ("sim", &[]),
    ("spool", &[]),
    ("config", &["model"]),
    ("core", &["model", "config"]),
    ("http", &["model"]),
    ("source", &["model", "config", "http"]),
    ("store", &["model", "core", "spool"]),
    // Of the store only the token that its door makes.
    ("scim", &["model", "config", "core", "http", "store"]),
    ("engine", &["model", "config", "core", "http", "source", "scim", "store", "spool"]),
    ("operations", &["model", "config", "core", "http", "source", "scim", "store", "spool", "engine"]),
    ("report", &["model", "store", "spool"]),
    ("telemetry", &["model", "http", "report"]),
    (
        "daemon",
        &[
            "model",
            "config",
            "core",
            "exit",
            "http",
            "source",
            "store",
            "spool",
            "engine",
            "operations",
            "report",
            "telemetry",
        ],
    ),
    ("exit", &["model"]),
    ("cli", &["model", "report"]),
];

/// Crates that have one home each.
const HOMES: &[(&str, &[&str])] = &[
    ("reqwest", &["http", "source", "scim"]),
    ("rusqlite", &["store"]),
    ("rusqlite_migration", &["store"]),
    ("tokio_rusqlite", &["store"]),
    ("governor", &["http"]),
    ("jsonwebtoken", &["source", "sim"]),
    // Expressions, and in report the page, because its templates escape by themselves.
    ("minijinja", &["core", "config", "report"]),
    ("axum", &["sim", "daemon"]),
    ("clap", &["cli", "app", "main"]),
    ("anyhow", &["app", "main"]),
    ("indicatif", &["report"]),
    ("prometheus_client", &["telemetry"]),
];

struct Source {
    /// Below the package's root.
    path: PathBuf,
    text: String,
    /// The text with comments, strings and character literals blanked, line by line as before.
    code: String,
}

impl Source {
    /// The module at the top of the tree: `http`, `cli`, `main`.
    fn layer(&self) -> String {
        let below = self.path.strip_prefix("src").unwrap();
        let first = below.components().next().unwrap().as_os_str().to_string_lossy().into_owned();
        first.trim_end_matches(".rs").to_owned()
    }

    fn name(&self) -> String {
        self.path.display().to_string()
    }

    /// Whether the whole file is a module's tests.
    fn is_tests(&self) -> bool {
        self.path.starts_with("tests") || self.name().ends_with("tests.rs")
    }
}

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

fn files(directory: &Path, found: &mut Vec<PathBuf>) {
    for entry in fs::read_dir(directory).into_iter().flatten() {
        let path = entry.unwrap().path();
        if path.is_dir() { files(&path, found) } else { found.push(path) }
    }
}

/// All Rust files below these directories.
fn sources(directories: &[&str]) -> Vec<Source> {
    let mut paths = Vec::new();
    directories.iter().for_each(|directory| files(&root().join(directory), &mut paths));
    paths.retain(|path| path.extension().is_some_and(|extension| extension == "rs"));
    paths.sort();
    let read = |path: PathBuf| {
        let text = fs::read_to_string(&path).unwrap();
        Source { path: path.strip_prefix(root()).unwrap().to_owned(), code: blanked(&text), text }
    };
    let sources: Vec<Source> = paths.into_iter().map(read).collect();
    assert!(!sources.is_empty());
    sources
}

/// What a place in the text is.
enum Inside {
    Code,
    Line,
    Block(usize),
    Text,
    RawText(usize),
}

/// `text` with comments, strings and characters replaced by spaces; lines stay where they are.
fn blanked(text: &str) -> String {
    let all: Vec<char> = text.chars().collect();
    let at = |index: usize| all.get(index).copied().unwrap_or('\n');
    let mut code = String::with_capacity(text.len());
    let mut inside = Inside::Code;
    let mut index = 0;
    while index < all.len() {
        let (character, next) = (at(index), at(index + 1));
        let mut taken = 1;
        let mut keeps = character == '\n';
        match &mut inside {
            Inside::Code => match (character, next) {
                ('/', '/') => inside = Inside::Line,
                ('/', '*') => (inside, taken) = (Inside::Block(1), 2),
                ('"', _) => inside = Inside::Text,
                ('r', '"' | '#') if raw_text(&all, index).is_some() => {
                    let hashes = raw_text(&all, index).unwrap();
                    (inside, taken) = (Inside::RawText(hashes), hashes + 2);
                }
                ('\'', '\\') => {
                    taken = (index + 3..all.len()).find(|end| at(*end) == '\'').unwrap() + 1 - index
                }
                ('\'', _) if at(index + 2) == '\'' => taken = 3,
                _ => keeps = true,
            },
            Inside::Line if character == '\n' => inside = Inside::Code,
            Inside::Block(depth) => match (character, next) {
                ('*', '/') => {
                    *depth -= 1;
                    taken = 2;
                    if *depth == 0 {
                        inside = Inside::Code;
                    }
                }
                ('/', '*') => (*depth, taken) = (*depth + 1, 2),
                _ => {}
            },
            Inside::Text => match character {
                '\\' if next != '\n' => taken = 2,
                '"' => inside = Inside::Code,
                _ => {}
            },
            Inside::RawText(hashes) if character == '"' => {
                let hashes = *hashes;
                if (1..=hashes).all(|offset| at(index + offset) == '#') {
                    (inside, taken) = (Inside::Code, hashes + 1);
                }
            }
            Inside::Line | Inside::RawText(_) => {}
        }
        code.push(if keeps { character } else { ' ' });
        index += taken;
    }
    code
}

/// The number of `#` where a raw string starts here.
fn raw_text(all: &[char], start: usize) -> Option<usize> {
    let before = start.checked_sub(1).map(|index| all[index]);
    if before.is_some_and(|character| character.is_alphanumeric() && character != 'b' || character == '_') {
        return None;
    }
    let hashes = all[start + 1..].iter().take_while(|character| **character == '#').count();
    (all.get(start + 1 + hashes) == Some(&'"')).then_some(hashes)
}

fn is_word(character: char) -> bool {
    character.is_alphanumeric() || character == '_'
}

/// Where `word` stands by itself.
fn places(code: &str, word: &str) -> Vec<usize> {
    code.match_indices(word)
        .map(|(start, _)| start)
        .filter(|start| {
            let before = code[..*start].chars().next_back();
            let after = code[start + word.len()..].chars().next();
            !before.is_some_and(is_word) && !after.is_some_and(is_word)
        })
        .collect()
}

fn line_of(code: &str, place: usize) -> usize {
    code[..place].matches('\n').count() + 1
}

/// The modules of the crate that a file names: `crate::x`, and each `x` of `crate::{x, y::z}`.
fn imports(code: &str) -> BTreeSet<String> {
    let mut found = BTreeSet::new();
    for (start, _) in code.match_indices("crate::") {
        let rest = &code[start + "crate::".len()..];
        if let Some(list) = rest.strip_prefix('{') {
            let mut depth = 0;
            let mut word = String::new();
            let mut starts = true;
            for character in list.chars() {
                match character {
                    '{' => depth += 1,
                    '}' if depth == 0 => break,
                    '}' => depth -= 1,
                    ',' if depth == 0 => starts = true,
                    _ if depth == 0 && starts && is_word(character) => {
                        word.push(character);
                        continue;
                    }
                    _ => {}
                }
                if !word.is_empty() {
                    found.insert(std::mem::take(&mut word));
                    starts = character == ',';
                }
            }
            found.extend((!word.is_empty()).then_some(word));
        } else {
            found.insert(rest.chars().take_while(|character| is_word(*character)).collect());
        }
    }
    found
}

fn assert_none(offenders: &[String], rule: &str) {
    assert!(offenders.is_empty(), "{rule}:\n  {}", offenders.join("\n  "));
}

#[test]
fn imports_point_down() {
    let layers: BTreeMap<_, _> = LAYERS.iter().copied().collect();
    let mut offenders = Vec::new();
    let mut unused: BTreeSet<String> = LAYERS
        .iter()
        .flat_map(|(layer, below)| below.iter().map(move |other| format!("{layer} -> {other}")))
        .collect();
    for source in sources(&["src"]) {
        let layer = source.layer();
        if ["main", "lib", "app"].contains(&layer.as_str()) {
            continue;
        }
        let Some(allowed) = layers.get(layer.as_str()) else {
            offenders.push(format!("{} is in no known layer", source.name()));
            continue;
        };
        for module in imports(&source.code) {
            unused.remove(&format!("{layer} -> {module}"));
            if module != layer && !allowed.contains(&module.as_str()) {
                offenders.push(format!("{} imports {module}", source.name()));
            }
        }
    }
    assert_none(&offenders, "imports point down only");
    let unused: Vec<String> = unused.into_iter().collect();
    assert_none(&unused, "an edge of the table that nobody uses");
}

#[test]
fn nobody_but_the_root_knows_the_composition() {
    let mut offenders = Vec::new();
    for source in sources(&["src"]) {
        let root = ["main", "lib", "app"].contains(&source.layer().as_str());
        if !root && imports(&source.code).contains("app") {
            offenders.push(source.name());
        }
    }
    assert_none(&offenders, "only main and lib import app");
}

#[test]
fn every_crate_stays_in_its_home() {
    let mut offenders = Vec::new();
    for source in sources(&["src"]) {
        for (name, homes) in HOMES {
            if !homes.contains(&source.layer().as_str()) && !places(&source.code, name).is_empty() {
                offenders.push(format!("{} uses {name}", source.name()));
            }
        }
    }
    assert_none(&offenders, "a crate is used in its home only");
}

#[test]
fn nouns_and_verbs_do_no_input_or_output() {
    let mut offenders = Vec::new();
    for source in sources(&["src/model", "src/core"]) {
        for word in ["tokio", "async", "await", "spawn", "TcpStream", "File", "println", "eprintln"] {
            for place in places(&source.code, word) {
                offenders.push(format!("{}:{} {word}", source.name(), line_of(&source.code, place)));
            }
        }
        for path in ["std::fs", "std::net", "std::process", "std::env", "std::thread"] {
            offenders.extend(source.code.contains(path).then(|| format!("{} {path}", source.name())));
        }
    }
    assert_none(&offenders, "model and core are pure");
}

#[test]
fn no_file_is_too_long() {
    let long = |source: &Source| (source.text.lines().count(), source.name());
    let offenders: Vec<String> = sources(&["src", "tests", "benches", "fuzz"])
        .iter()
        .map(long)
        .filter(|(lines, _)| *lines > LONGEST_FILE)
        .map(|(lines, name)| format!("{name} has {lines} lines"))
        .collect();
    assert_none(&offenders, &format!("a file has at most {LONGEST_FILE} lines"));
}

/// Name, first line and number of lines of every function with a body.
fn functions(code: &str) -> Vec<(String, usize, usize)> {
    let mut found = Vec::new();
    for start in places(code, "fn") {
        let rest = &code[start..];
        let name: String =
            rest[2..].trim_start().chars().take_while(|character| is_word(*character)).collect();
        if name.is_empty() {
            continue;
        }
        let mut nested = 0i32;
        let mut depth = 0i32;
        for (index, character) in rest.char_indices() {
            match character {
                '(' | '[' => nested += 1,
                ')' | ']' => nested -= 1,
                ';' if depth == 0 && nested == 0 => break,
                '{' => depth += 1,
                '}' => {
                    depth -= 1;
                    if depth == 0 {
                        let lines = rest[..index].matches('\n').count() + 1;
                        found.push((name, line_of(code, start), lines));
                        break;
                    }
                }
                _ => {}
            }
        }
    }
    found
}

#[test]
fn no_function_is_too_long() {
    let mut offenders = Vec::new();
    let mut seen = 0;
    for source in sources(&["src", "tests", "benches", "fuzz"]) {
        for (name, line, lines) in functions(&source.code) {
            seen += 1;
            if lines > LONGEST_FUNCTION {
                offenders.push(format!("{}:{line} {name} has {lines} lines", source.name()));
            }
        }
    }
    assert!(seen > 1000, "only {seen} functions were found");
    assert_none(&offenders, &format!("a function has at most {LONGEST_FUNCTION} lines"));
}

#[test]
fn every_file_says_what_lives_in_it() {
    let offenders: Vec<String> = sources(&["src", "tests", "benches", "fuzz"])
        .iter()
        .filter(|source| !source.text.starts_with("//! "))
        .map(Source::name)
        .collect();
    assert_none(&offenders, "a file starts with `//!`: what lives here");
}

/// The code without its `#[cfg(test)] mod … { … }`.
fn without_tests(code: &str) -> String {
    let mut kept = code.to_owned();
    while let Some(start) = kept.find("#[cfg(test)]") {
        let open = kept[start..].find(['{', ';']).map_or(kept.len(), |offset| start + offset);
        let mut depth = 0;
        let end = kept[open..].char_indices().find(|(_, character)| {
            depth += i32::from(*character == '{') - i32::from(*character == '}');
            depth == 0
        });
        let end = end.map_or(kept.len(), |(offset, _)| open + offset + 1);
        let lines = "\n".repeat(kept[start..end].matches('\n').count());
        kept.replace_range(start..end, &lines);
    }
    kept
}

#[test]
fn nothing_outside_tests_panics_on_purpose() {
    let mut offenders = Vec::new();
    for source in sources(&["src"]).iter().filter(|source| !source.is_tests()) {
        let code = without_tests(&source.code);
        for word in
            [".unwrap()", ".unwrap_err()", "panic!", "unreachable!", "todo!", "unimplemented!", "dbg!"]
        {
            let found = code.match_indices(word).map(|(place, _)| line_of(&code, place));
            offenders.extend(found.map(|line| format!("{}:{line} {word}", source.name())));
        }
    }
    assert_none(&offenders, "no unwrap and no panic outside tests");
}

#[test]
fn no_test_is_ignored_or_sleeps() {
    let mut offenders = Vec::new();
    for source in sources(&["src", "tests"]) {
        let ignored = source.code.match_indices("#[ignore").map(|(place, _)| (place, "ignored"));
        let slept = source.code.match_indices("thread::sleep").map(|(place, _)| (place, "sleeps"));
        for (place, what) in ignored.chain(slept) {
            offenders.push(format!("{}:{} {what}", source.name(), line_of(&source.code, place)));
        }
    }
    assert_none(&offenders, "no ignored test, no fixed sleep");
}

/// Everything that people read or write here, generated files aside.
fn texts() -> Vec<(String, String)> {
    let mut paths = Vec::new();
    for directory in ["src", "tests", "benches", "fuzz", ".ci", "systemd", "contrib"] {
        files(&root().join(directory), &mut paths);
    }
    let at_root = fs::read_dir(root()).unwrap().map(|entry| entry.unwrap().path());
    // In a second checkout `.git` is a file that says where the first one is.
    paths.extend(at_root.filter(|path| path.is_file() && !path.ends_with(".git")));
    let text = |path: PathBuf| {
        let name = path.strip_prefix(root()).unwrap().display().to_string();
        Some((name, fs::read_to_string(path).ok()?))
    };
    paths.into_iter().filter_map(text).collect()
}

#[test]
fn nothing_is_left_for_later_and_nothing_tells_of_a_machine() {
    // In two pieces, so that this file does not hold what it forbids.
    let later = [["TO", "DO"].concat(), ["FIX", "ME"].concat(), ["XX", "X"].concat()];
    let machine = [
        ["/wo", "rk/"].concat(),
        ["/ho", "me/"].concat(),
        ["/ro", "ot/"].concat(),
        ["C:", "\\Users"].concat(),
    ];
    let mut offenders = Vec::new();
    for (name, text) in texts() {
        for word in &later {
            let found = places(&text, word).into_iter().map(|place| line_of(&text, place));
            offenders.extend(found.map(|line| format!("{name}:{line} {word}")));
        }
        for path in &machine {
            let found = text.match_indices(path.as_str()).map(|(place, _)| line_of(&text, place));
            offenders.extend(found.map(|line| format!("{name}:{line} {path}")));
        }
    }
    assert_none(&offenders, "no word of later work, no path of one machine");
}

#[test]
fn the_rules_see_what_they_look_for() {
    let code = blanked(
        "let a = \"fn x() {\"; // fn y() {\nlet b = '{'; let c = r#\"\" { \"#; /* { /* } */ */ fn z<'a>(b: &'a str) {\n}\n",
    );
    assert_eq!(functions(&code), [("z".to_owned(), 2, 2)]);
    assert_eq!(code.matches('\n').count(), 3);
    let found =
        imports("use crate::a::b; use crate::{c, d::{e, f}, g::h}; pub(crate) fn x() { crate::i::j() }");
    assert_eq!(found.into_iter().collect::<Vec<_>>(), ["a", "c", "d", "g", "i"]);
    assert_eq!(without_tests("a\n#[cfg(test)]\nmod tests {\n b.unwrap() }\nc"), "a\n\n\n\nc");
    assert_eq!(functions("fn a(x: [u8; 4]);\nfn b() -> [u8; 2] { [0; 2] }"), [("b".to_owned(), 2, 1)]);
}
