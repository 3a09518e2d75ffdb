//! Hiding what may be a secret before a line of the configuration is shown.
//!
//! What lives here: a scanner over the file's text that works on broken files too, and the guess whether a piece
//! of text is a token. What must not: deciding whether the file is right. When in doubt it hides.

use std::iter::Peekable;
use std::ops::Range;

use super::attribute_path::AttributePath;
use super::schema;
use super::secret::SecretRef;

/// Text with as many characters and the same line ends, everything that may be a secret replaced by `*` and
/// comments by spaces.
///
/// `broken` = the text is not TOML: then key names are not trusted either, and a line is hidden from the first
/// word on that speaks of a secret.
pub(super) fn masked(text: &str, broken: bool) -> String {
    let mut scanner = Scanner {
        text,
        at: 0,
        broken,
        frames: vec![Frame { braces: false, hide: false }],
        hide: true,
        key: "",
        expect_key: true,
        hidden: Vec::new(),
        blank: Vec::new(),
    };
    scanner.run();
    let masked = replace(text, &scanner.hidden, &scanner.blank);
    if broken { masked.split_inclusive('\n').map(hide_after_secret_word).collect() } else { masked }
}

/// A value for a message, or a stand-in where it may be a secret.
pub(super) fn echo(value: &str) -> String {
    let printable = value.chars().count() <= 60 && !value.chars().any(char::is_control);
    if printable && !is_revealing(value) { format!("`{value}`") } else { "this value".to_owned() }
}

/// Whether text looks like a token, a key, or an address that carries one.
pub(super) fn is_revealing(text: &str) -> bool {
    let lower = text.to_ascii_lowercase();
    let scheme = ["ssws ", "bearer ", "basic ", "-----begin"].iter().any(|prefix| lower.contains(prefix));
    let part = |character: char| character.is_ascii_alphanumeric() || "_-+=~".contains(character);
    let token = text.split(|character| !part(character)).any(|run| {
        let count = |kind: fn(&char) -> bool| run.chars().filter(kind).count();
        let (letters, digits) = (count(char::is_ascii_alphabetic), count(char::is_ascii_digit));
        // Okta's ids have 20 characters, its tokens 42; OneLogin's credentials 64.
        run.len() >= 24 && letters > 0 && digits > 0
    });
    scheme || token || lower.contains("://")
}

fn names_a_secret(key: &str) -> bool {
    let key = key.to_lowercase();
    ["token", "secret", "key", "password", "passwd", "private"].iter().any(|word| key.contains(word))
}

/// Whether a value under this key may be shown at all.
fn is_open_key(key: &str) -> bool {
    let known = schema::is_known(key) || AttributePath::parse(key).is_ok();
    known && !names_a_secret(key)
}

/// Whether the byte `at` lies in one of the ranges; ranges and questions come in ascending order.
fn covers<'r>(ranges: &mut Peekable<impl Iterator<Item = &'r Range<usize>>>, at: usize) -> bool {
    while ranges.next_if(|range| range.end <= at).is_some() {}
    ranges.peek().is_some_and(|range| range.start <= at)
}

fn replace(text: &str, hidden: &[Range<usize>], blank: &[Range<usize>]) -> String {
    let (mut hidden, mut blank) = (hidden.iter().peekable(), blank.iter().peekable());
    let mut masked = String::with_capacity(text.len());
    for (at, character) in text.char_indices() {
        masked.push(match character {
            '\n' | '\r' => character,
            _ if covers(&mut blank, at) => ' ',
            _ if covers(&mut hidden, at) => '*',
            _ => character,
        });
    }
    masked
}

fn hide_after_secret_word(line: &str) -> String {
    let lower = line.to_ascii_lowercase();
    let words = ["token", "secret", "key", "password", "passwd", "private"];
    let ends = words.iter().filter_map(|word| lower.find(word).map(|at| at + word.len()));
    let Some(end) = ends.min() else { return line.to_owned() };
    let open = |character: char| character.is_whitespace() || "=_{}[]\"'".contains(character);
    let hide = |character: char| if open(character) { character } else { '*' };
    let (shown, rest) = line.split_at(end);
    shown.chars().chain(rest.chars().map(hide)).collect()
}

/// What an open bracket remembers.
struct Frame {
    /// `{`, where keys come; else `[` or the top level.
    braces: bool,
    /// Whether values directly inside are hidden.
    hide: bool,
}

struct Scanner<'t> {
    text: &'t str,
    at: usize,
    broken: bool,
    frames: Vec<Frame>,
    /// Whether the value under the current key is hidden.
    hide: bool,
    key: &'t str,
    expect_key: bool,
    hidden: Vec<Range<usize>>,
    blank: Vec<Range<usize>>,
}

impl<'t> Scanner<'t> {
    fn run(&mut self) {
        while let Some(character) = self.rest().chars().next() {
            match character {
                '#' => {
                    let end = self.line_end();
                    self.blank.push(self.at..end);
                    self.at = end;
                }
                '\n' => self.newline(),
                '"' | '\'' => self.string(character),
                '[' if self.expect_key && self.frames.len() == 1 => self.header(),
                '{' | '[' => {
                    self.frames.push(Frame { braces: character == '{', hide: self.hide });
                    self.expect_key = character == '{';
                    self.at += 1;
                }
                '}' | ']' => self.close(),
                ',' => {
                    let top = self.frames.last();
                    self.expect_key = top.is_some_and(|frame| frame.braces);
                    self.hide = if self.expect_key { true } else { self.hide };
                    self.at += 1;
                }
                '=' => {
                    self.expect_key = false;
                    self.at += 1;
                }
                _ if character.is_whitespace() => self.at += character.len_utf8(),
                _ => self.word(),
            }
        }
    }

    fn rest(&self) -> &'t str {
        self.text.get(self.at..).unwrap_or_default()
    }

    fn line_end(&self) -> usize {
        self.rest().find('\n').map_or(self.text.len(), |length| self.at + length)
    }

    fn newline(&mut self) {
        self.at += 1;
        if self.frames.len() == 1 {
            self.expect_key = true;
            self.hide = true;
        }
    }

    fn close(&mut self) {
        self.at += 1;
        self.expect_key = false;
        if self.frames.len() > 1 {
            self.hide = self.frames.pop().is_none_or(|frame| frame.hide);
        }
    }

    /// `[sync.source]`: names, no values; what they contain is hidden where the name speaks of a secret.
    fn header(&mut self) {
        let end = self.line_end();
        let line = self.text.get(self.at..end).unwrap_or_default();
        let name = line.split('#').next().unwrap_or_default();
        let hide = name.rsplit('.').next().is_some_and(names_a_secret);
        self.frames = vec![Frame { braces: false, hide }];
        if is_revealing(name) || (self.broken && !is_plain_header(name)) {
            self.hidden.push(self.at..self.at + name.len());
        }
        self.blank.push(self.at + name.len()..end);
        self.at = end;
    }

    fn string(&mut self, quote: char) {
        let triple: String = std::iter::repeat_n(quote, 3).collect();
        let rest = self.rest();
        let (delimiter, limit) = if rest.starts_with(&triple) {
            (triple.as_str(), rest.len())
        } else {
            (triple.get(..1).unwrap_or_default(), rest.find('\n').unwrap_or(rest.len()))
        };
        let start = self.at + delimiter.len();
        let body = rest.get(delimiter.len()..limit.max(delimiter.len())).unwrap_or_default();
        let closed = closing(body, delimiter, quote == '"');
        let content = start..start + closed.unwrap_or(body.len());
        // An open string ends with its line, and the line end is still to be seen.
        self.at = content.end + closed.map_or(0, |_| delimiter.len());
        self.piece(content);
    }

    fn word(&mut self) {
        let ends = |character: char| character.is_whitespace() || "=,[]{}#\"'".contains(character);
        let length = self.rest().find(ends).unwrap_or(self.rest().len());
        let span = self.at..self.at + length;
        self.at = span.end;
        self.piece(span);
    }

    /// A bare word, or what is between quotes: a key or a value.
    fn piece(&mut self, span: Range<usize>) {
        let content = self.text.get(span.clone()).unwrap_or_default();
        let next = self.rest().trim_start_matches([' ', '\t']);
        let is_key = next.starts_with('=') || (self.expect_key && next.starts_with('.'));
        if is_key && (self.expect_key || schema::is_known(content)) {
            self.set_key(content, span);
        } else if is_key {
            // `a = b = c`: whatever was meant, it is not trusted.
            self.hide = true;
            self.hidden.push(span);
        } else {
            self.value(content, span);
        }
    }

    fn set_key(&mut self, content: &'t str, span: Range<usize>) {
        let last = content.rsplit('.').next().unwrap_or(content);
        self.key = if is_open_key(content) { content } else { last.trim() };
        // `token.value = …` and `token = { value = … }` are secrets as much as `token = …`.
        let within_secret = self.frames.last().is_some_and(|frame| frame.hide) || names_a_secret(content);
        self.hide = !is_open_key(self.key) || (within_secret && !is_reference(self.key));
        if is_revealing(content) || (self.broken && !is_open_key(self.key) && !schema::is_known(self.key)) {
            self.hidden.push(span);
        }
    }

    fn value(&mut self, content: &str, span: Range<usize>) {
        let shown = match self.key {
            "file" => content.starts_with('/'),
            "credential" => SecretRef::is_credential_name(content),
            "env" => SecretRef::is_variable_name(content) && content.to_uppercase() == content,
            _ => true,
        };
        if self.hide || self.expect_key || !shown {
            self.hidden.push(span);
        } else if let Some((scheme, rest)) = content.split_once("://") {
            // Of an address, only the host is sure to be no secret.
            let authority = rest.find(['/', '?', '#']).unwrap_or(rest.len());
            let host = rest.get(..authority).and_then(|part| part.rfind('@')).map_or(0, |at| at + 1);
            let start = span.start + scheme.len() + "://".len();
            self.hidden.push(start..start + host);
            self.hidden.push((start + authority + 1).min(span.end)..span.end);
        } else if is_revealing(content) {
            self.hidden.push(span);
        }
    }
}

fn is_reference(key: &str) -> bool {
    schema::SECRET.keys.contains(&key)
}

fn is_plain_header(name: &str) -> bool {
    let name = name.trim().trim_matches(['[', ']']);
    name.split('.').all(|part| schema::is_known(part.trim()))
}

/// Where the string ends: the first delimiter that is not escaped.
fn closing(body: &str, delimiter: &str, escapes: bool) -> Option<usize> {
    let mut at = 0;
    while let Some(rest) = body.get(at..).filter(|rest| !rest.is_empty()) {
        if rest.starts_with(delimiter) {
            return Some(at);
        }
        let mut characters = rest.chars();
        let first = characters.next()?;
        at += first.len_utf8();
        if escapes && first == '\\' {
            at += characters.next().map_or(0, char::len_utf8);
        }
    }
    None
}
