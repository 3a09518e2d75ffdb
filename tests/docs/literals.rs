//! String literals of the program's sources, and which of them are messages. No expectation lives here.
//!
//! Everything that reads like a sentence is a message, unless it is known to be something else: so a new message cannot
//! slip through by being made in a new way.

use std::fs;
use std::path::{Path, PathBuf};

use crate::pages::root;

/// A string literal and what stands before it.
#[derive(Debug)]
pub(crate) struct Literal {
    /// Relative to `src/`.
    pub(crate) file: String,
    pub(crate) line: usize,
    /// The code right before it, white space as one blank.
    pub(crate) before: String,
    /// As written, escapes resolved.
    pub(crate) text: String,
}

/// Sources whose sentences are no messages to be looked up.
const NO_MESSAGES: &[(&str, &str)] = &[
    ("sim/", "doubles for tests and the demonstration"),
    ("report/", "headings and labels of the reports; they explain themselves"),
    ("telemetry/", "names and descriptions of metrics"),
    ("app/demo.rs", "the demonstration tells a story"),
    ("cli.rs", "the help of the command line"),
    ("config/init.rs", "the configuration that `init` prints"),
    ("config/schema.rs", "names of tables, for other messages"),
    ("core/explain", "the answers of `explain` explain themselves"),
    ("core/expression.rs", "templates"),
    ("core/mapping/trace.rs", "the answers of `explain` explain themselves"),
    ("model/explain.rs", "the answers of `explain` explain themselves"),
    ("operations/explain.rs", "the answers of `explain` explain themselves"),
    ("scim/body.rs", "what cannot happen"),
    ("scim/fault.rs", "words by which other people's refusals are recognised"),
];

/// Every literal of the sources, but for tests and [`NO_MESSAGES`]; with `all`, those too (not tests).
pub(crate) fn literals(all: bool) -> Vec<Literal> {
    let mut found = Vec::new();
    let source = root().join("src");
    for (file, path) in files(&source) {
        if file.ends_with("tests.rs") || (!all && NO_MESSAGES.iter().any(|(name, _)| file.starts_with(name)))
        {
            continue;
        }
        let text = without_tests(&fs::read_to_string(path).unwrap());
        found.extend(in_text(&file, &text));
    }
    assert!(found.len() > 1000);
    found
}

/// Every exclusion excludes something.
pub(crate) fn exclusions_without_a_file() -> Vec<&'static str> {
    let files = files(&root().join("src"));
    let unused = |name: &&str| !files.iter().any(|(file, _)| file.starts_with(*name));
    NO_MESSAGES.iter().map(|(name, _)| *name).filter(unused).collect()
}

fn files(source: &Path) -> Vec<(String, PathBuf)> {
    let (mut open, mut found) = (vec![source.to_owned()], Vec::new());
    while let Some(directory) = open.pop() {
        for entry in fs::read_dir(directory).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                open.push(path);
            } else if path.extension().is_some_and(|extension| extension == "rs") {
                found.push((path.strip_prefix(source).unwrap().to_str().unwrap().to_owned(), path));
            }
        }
    }
    found.sort();
    found
}

/// The text up to its module of tests; declarations of such modules in other files are left out.
fn without_tests(text: &str) -> String {
    let mut kept = String::new();
    let mut lines = text.lines().peekable();
    while let Some(line) = lines.next() {
        if line.trim() == "#[cfg(test)]" {
            while lines.peek().is_some_and(|next| next.trim_start().starts_with("#[")) {
                lines.next();
            }
            let next = lines.next().unwrap_or_default();
            if next.contains("mod ") && next.trim_end().ends_with('{') {
                break;
            }
            // Whatever else is for tests alone is kept: it can only ask for too much.
            kept.push_str(if next.contains("mod ") { "" } else { next });
        } else {
            kept.push_str(line);
        }
        kept.push('\n');
    }
    kept
}

fn in_text(file: &str, text: &str) -> Vec<Literal> {
    let mut found = Vec::new();
    let bytes = text.as_bytes();
    let mut at = 0;
    while at < bytes.len() {
        let rest = &text[at..];
        if rest.starts_with("//") {
            at += rest.find('\n').unwrap_or(rest.len());
        } else if let Some((literal, length)) = raw_string(rest, text[..at].chars().next_back()) {
            found.push(made(file, text, at, literal));
            at += length;
        } else if bytes[at] == b'"' {
            let (literal, length) = quoted(rest);
            found.push(made(file, text, at, literal));
            at += length;
        } else if bytes[at] == b'\'' {
            at += character(rest);
        } else {
            at += rest.chars().next().map_or(1, char::len_utf8);
        }
    }
    found
}

fn made(file: &str, text: &str, at: usize, literal: String) -> Literal {
    let before = text[..at].split_whitespace().rev().take(12).collect::<Vec<_>>();
    Literal {
        file: file.to_owned(),
        line: text[..at].lines().count(),
        before: before.into_iter().rev().collect::<Vec<_>>().join(" "),
        text: literal,
    }
}

/// `r"…"`, `r#"…"#`; its text and how long it is.
fn raw_string(rest: &str, before: Option<char>) -> Option<(String, usize)> {
    if before.is_some_and(|c| c.is_alphanumeric() || c == '_') {
        return None;
    }
    let marks = rest.strip_prefix('r')?;
    let inner = marks.trim_start_matches('#');
    let end = format!("\"{}", "#".repeat(marks.len() - inner.len()));
    let text = inner.strip_prefix('"')?;
    let length = text.find(&end)?;
    Some((text[..length].to_owned(), rest.len() - text.len() + length + end.len()))
}

/// `"…"` with its escapes resolved.
fn quoted(rest: &str) -> (String, usize) {
    let mut text = String::new();
    let mut characters = rest.char_indices().skip(1).peekable();
    while let Some((at, character)) = characters.next() {
        match character {
            '"' => return (text, at + 1),
            '\\' => match characters.next() {
                Some((_, 'n')) => text.push('\n'),
                Some((_, 't')) => text.push('\t'),
                Some((_, '\n')) => while characters.next_if(|(_, next)| next.is_whitespace()).is_some() {},
                Some((_, other)) => text.push(other),
                None => {}
            },
            other => text.push(other),
        }
    }
    panic!("a literal without an end: {}", &rest[..rest.len().min(60)])
}

/// The length of a character literal, or of the quote of a lifetime.
fn character(rest: &str) -> usize {
    let mut characters = rest.char_indices().skip(1);
    let Some((_, first)) = characters.next() else { return 1 };
    if first == '\\' {
        // `'\''` and `'\\'`: what is escaped is no end.
        characters.next();
        return characters.find(|(_, c)| *c == '\'').map_or(1, |(at, _)| at + 1);
    }
    match characters.next() {
        Some((at, '\'')) => at + 1,
        _ => 1,
    }
}

/// The fixed part of a message, as the documentation writes it: without the help, and `…` for what differs.
pub(crate) fn fixed(text: &str) -> String {
    let told = text.split("help: ").next().unwrap_or_default();
    let told = told.strip_suffix("{help}").unwrap_or(told).trim_end_matches(['\n', ';', ' ']);
    let mut fixed = String::new();
    let mut characters = told.chars().peekable();
    while let Some(character) = characters.next() {
        match character {
            '{' | '}' if characters.next_if_eq(&character).is_some() => fixed.push(character),
            '{' => {
                for inner in characters.by_ref() {
                    if inner == '}' {
                        break;
                    }
                }
                fixed.push('…');
            }
            other => fixed.push(other),
        }
    }
    fixed.split_whitespace().collect::<Vec<_>>().join(" ")
}
