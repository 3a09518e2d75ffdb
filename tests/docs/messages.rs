//! Every message that the program can say to a user is in docs/troubleshooting.md, and every message there is one of the
//! program's.

use std::collections::BTreeSet;

use crate::literals::{Literal, exclusions_without_a_file, fixed, literals};
use crate::pages::page;

/// Sentences that are no messages, wherever they stand.
const NO_MESSAGES: &[(&str, &str)] = &[
    ("emails[primary eq true].value", "an attribute"),
    ("phoneNumbers[primary eq true].value", "an attribute"),
    ("…[primary eq true].…", "an example of an attribute"),
    ("status eq \"ACTIVE\"", "a filter"),
    ("eventType eq \"…\" and target.id eq …", "a filter"),
    ("profile.login eq … or profile.email eq …", "a filter"),
    ("application/scim+json, application/json", "a header"),
    ("RSA PRIVATE KEY", "a label of PEM"),
    ("EC PRIVATE KEY", "a label of PEM"),
    ("ENCRYPTED PRIVATE KEY", "a label of PEM"),
    ("No CA certificates", "words of a library that are recognised"),
    ("true or false", "what a key takes"),
    ("true, false, a whole number or text", "what a key takes"),
    ("a list of strings", "what a key takes"),
    ("a list of tables", "what a key takes"),
    ("http:// or https://", "what a key takes"),
    ("day of month", "a field of a schedule"),
    ("any JSON value", "what a parser takes"),
    ("target resource types", "the name of a line of `check`"),
    ("users with this e-mail", "what was asked for"),
    ("app users with this login", "what was asked for"),
    ("users with this …", "what was asked for"),
    ("PATCH with a path", "a way to write, in a line of `check`"),
    ("PATCH without a path", "a way to write, in a line of `check`"),
    ("PUT of the whole account", "a way to write, in a line of `check`"),
    ("rosterd transfer --from … --to OTHER", "a command, in `status`"),
    ("rosterd forget --sync …", "a command, in `status`"),
    ("no account has the mark or the login yet", "why a write is not settled, in the journal"),
    ("is linked to", "a part of a reason"),
    ("bears the mark of", "a part of a reason"),
    ("a defect that a test asked for", "for tests only"),
    ("a simulation brings its events itself", "for tests only"),
    ("not let through: …", "an error that never leaves the store"),
    ("rosterd forget --lift …", "a command, in the answers of `explain`"),
    ("history --erase (erased)", "a command line in the log, without the name"),
];

/// How a sentence begins that says what to do: it is shown below a message, as its help.
const REMEDIES: &[&str] = &[
    "activate",
    "add",
    "an IANA",
    "an attribute of an extension",
    "assign",
    "at most",
    "check",
    "chmod",
    "compare",
    "copy",
    "correct",
    "create",
    "did you mean",
    "equality is",
    "expressions are",
    "find out",
    "for OneLogin write",
    "for Okta write",
    "give",
    "grant",
    "is it the right",
    "it belongs to the enterprise",
    "it must hold",
    "it takes",
    "keep",
    "leave",
    "list",
    "make",
    "minute,",
    "must be at",
    "name it",
    "name the",
    "nothing to do:",
    "or, where",
    "remove",
    "replace",
    "save",
    "set",
    "strings are",
    "switch",
    "the nearest",
    "unassign",
    "up to 64",
    "use",
    "write",
];

/// What stands before a literal that is no message.
const NO_MESSAGE_AFTER: &[&str] = &[
    ".expect(",
    "tracing::debug!(",
    "tracing::info!(",
    "tracing::trace!(",
    // What was read or asked for: the beginning of other messages.
    "Place::new(VENDOR,",
    "follow(&self.client,",
    "Chain::new(&self.client,",
    "Chain::new(client,",
];

/// Words of SQL and of markup: the text is for a machine.
const FOR_MACHINES: &[&str] = &[
    "SELECT ",
    "INSERT ",
    "UPDATE ",
    "DELETE FROM",
    "PRAGMA ",
    "CREATE ",
    "WHERE ",
    "AND NOT",
    "coalesce(",
    "ORDER BY",
    "<!doctype",
    "max-age=",
    "charset=",
    "default-src",
    "source_id, target_id",
    "waits_for IN",
];

/// Words of two letters or more in the fixed part.
fn words(fixed: &str) -> usize {
    let is_word = |word: &&str| word.chars().filter(|c| c.is_ascii_alphabetic()).count() >= 2;
    fixed.split(|c: char| !(c.is_ascii_alphabetic() || c == '\'' || c == '.')).filter(is_word).count()
}

fn follows(literal: &Literal, what: &str) -> bool {
    let Some(after) = literal.before.rfind(what).map(|at| &literal.before[at + what.len()..]) else {
        return false;
    };
    // Nothing but the way to this argument: its own `format!(`, and for logs the fields before it.
    let is_log = what.starts_with("tracing");
    let way = after.trim().trim_end_matches("format!(").trim();
    way.is_empty() || (is_log && !after.contains(';') && !after.contains('"'))
}

/// The fixed part of a literal, where it is a message.
fn message(literal: &Literal) -> Option<String> {
    let fixed = fixed(&literal.text);
    let says_help = literal.text.contains("help: ");
    let is_error = literal.before.ends_with("#[error(");
    let is_certain =
        (says_help || is_error) && fixed.contains(' ') && words(&fixed) >= 2 && !fixed.starts_with("help");
    let is_sentence = fixed.contains(' ')
        && words(&fixed) >= 3
        && !NO_MESSAGE_AFTER.iter().any(|what| follows(literal, what))
        && !literal.before.ends_with(".help(")
        && !literal.before.ends_with(".help(format!(")
        && !REMEDIES.iter().any(|verb| begins_with(&fixed, verb));
    let is_message = (is_certain || is_sentence)
        && !FOR_MACHINES.iter().any(|word| literal.text.contains(word))
        && !NO_MESSAGES.iter().any(|(text, _)| *text == fixed);
    is_message.then_some(fixed)
}

fn begins_with(text: &str, words: &str) -> bool {
    text.strip_prefix(words).is_some_and(|rest| !rest.starts_with(|c: char| c.is_alphanumeric()))
}

/// The messages of the page: the code in the first column of its tables of messages.
pub(crate) fn told() -> Vec<String> {
    let rows = page("docs/troubleshooting.md").rows_under("message");
    let told: Vec<String> = rows.into_iter().flat_map(|row| row[0].code.clone()).collect();
    // In a code span, blanks at the ends and line breaks mean nothing.
    told.iter().map(|code| code.split_whitespace().collect::<Vec<_>>().join(" ")).collect()
}

#[test]
fn every_message_of_the_program_is_in_the_troubleshooting_page() {
    let told: BTreeSet<String> = told().into_iter().collect();
    let mut missing = BTreeSet::new();
    for literal in literals(false) {
        if let Some(message) = message(&literal).filter(|message| !told.contains(message)) {
            missing.insert(format!("src/{}:{}: | `` {message} `` |  |", literal.file, literal.line));
        }
    }
    let list: Vec<String> = missing.into_iter().collect();
    assert!(
        list.is_empty(),
        "docs/troubleshooting.md lacks {} messages. Add rows to its tables, or, for what no user can meet, \
         a reason to tests/docs:\n{}",
        list.len(),
        list.join("\n")
    );
}

#[test]
fn every_message_in_the_troubleshooting_page_is_one_of_the_program() {
    let ours: BTreeSet<String> = literals(true).iter().map(|literal| fixed(&literal.text)).collect();
    let unknown: Vec<String> = told().into_iter().filter(|message| !ours.contains(message)).collect();
    assert!(unknown.is_empty(), "no source says these:\n{}", unknown.join("\n"));
}

#[test]
fn every_message_has_one_place_and_an_answer() {
    let rows = page("docs/troubleshooting.md").rows_under("message");
    let mut seen = BTreeSet::new();
    for row in &rows {
        assert!(!row[0].code.is_empty() && row.len() == 2 && !row[1].text.trim().is_empty(), "{row:?}");
        for message in &row[0].code {
            // The status and words of the other side end several messages.
            let may_repeat = words(message) < 3;
            assert!(seen.insert(message.clone()) || may_repeat, "twice: {message}");
        }
    }
    assert!(seen.len() > 600, "only {}", seen.len());
}

#[test]
fn every_exclusion_is_still_needed() {
    assert_eq!(exclusions_without_a_file(), Vec::<&str>::new());
    let ours: BTreeSet<String> = literals(false).iter().map(|literal| fixed(&literal.text)).collect();
    let unused: Vec<&str> =
        NO_MESSAGES.iter().map(|(text, _)| *text).filter(|text| !ours.contains(*text)).collect();
    assert!(unused.is_empty(), "{unused:?}");
}

#[test]
fn a_message_is_told_from_its_help_and_its_values() {
    assert_eq!(fixed("cannot read {}: {error}\nhelp: check {x}"), "cannot read …: …");
    assert_eq!(fixed("write {{ file = \"{f}\" }}; help: no"), "write { file = \"…\" }");
    let literal = |before: &str, text: &str| Literal {
        file: "x.rs".into(),
        line: 1,
        before: before.into(),
        text: text.into(),
    };
    assert!(message(&literal("Err(", "there is nobody left")).is_some());
    assert!(message(&literal("#[error(", "account {0} gone")).is_some());
    assert!(message(&literal("tracing::debug!(%error,", "there is nobody left")).is_none());
    assert!(message(&literal("tracing::warn!(%error,", "there is nobody left")).is_some());
    assert!(message(&literal("problem, ", "write it in full, please")).is_none());
    assert!(message(&literal("sql(", "SELECT a FROM b WHERE c")).is_none());
}
