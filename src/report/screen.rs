//! The terminal that text is shown on: how wide it is, and lines broken so that they fit.
//!
//! What must not live here: words. A file or a pipe is no screen: there every line stays whole.

use std::io::{self, IsTerminal, Write};
use std::os::fd::AsFd;

use anstream::adapter::strip_str;
use textwrap::{Options, WordSeparator, WordSplitter, WrapAlgorithm};

/// Narrower than this nothing can be laid out; such a terminal gets lines of this width.
const NARROWEST_COLUMNS: usize = 40;
/// A second column further right than this leaves no room beside it.
const WIDEST_LEAD_COLUMNS: usize = 24;
/// Stands for a space that must not become a line break.
const UNBROKEN: char = '\u{a0}';

/// Where text is shown.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Screen {
    /// A file or a pipe: everything, in whole lines.
    None,
    /// A terminal; its width in columns where it tells.
    Terminal(Option<usize>),
}

impl Screen {
    /// Standard output.
    pub fn of_stdout() -> Screen {
        Screen::of(&io::stdout())
    }

    /// Standard error.
    pub fn of_stderr() -> Screen {
        Screen::of(&io::stderr())
    }

    fn of<S: IsTerminal + AsFd>(stream: &S) -> Screen {
        if !stream.is_terminal() {
            return Screen::None;
        }
        Screen::Terminal(terminal_size::terminal_size_of(stream).map(|(width, _)| usize::from(width.0)))
    }

    /// Whether somebody looks at it while it is written.
    pub fn is_terminal(self) -> bool {
        match self {
            Screen::None => false,
            Screen::Terminal(_) => true,
        }
    }

    fn columns(self) -> Option<usize> {
        match self {
            Screen::None | Screen::Terminal(None) => None,
            Screen::Terminal(Some(columns)) => Some(columns.max(NARROWEST_COLUMNS)),
        }
    }
}

/// Breaks the lines that are written to it where they are longer than the screen is wide: between words, never within
/// a `command`, and what is carried over stands below the column that it belongs to.
#[derive(Debug)]
pub struct Wrapped<W: Write> {
    out: W,
    columns: Option<usize>,
    line: Vec<u8>,
}

impl<W: Write> Wrapped<W> {
    /// Text for a screen, on its way to `out`.
    pub fn new(out: W, screen: Screen) -> Wrapped<W> {
        Wrapped { out, columns: screen.columns(), line: Vec::new() }
    }
}

impl<W: Write> Write for Wrapped<W> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let Some(columns) = self.columns else { return self.out.write(bytes) };
        for piece in bytes.split_inclusive(|byte| *byte == b'\n') {
            self.line.extend_from_slice(piece);
            if piece.ends_with(b"\n") {
                self.line.pop();
                let line = String::from_utf8_lossy(&self.line);
                let broken = broken(&line, columns);
                self.line.clear();
                self.out.write_all(broken.as_bytes())?;
                self.out.write_all(b"\n")?;
            }
        }
        Ok(bytes.len())
    }

    /// What has no line end yet goes out as it is.
    fn flush(&mut self) -> io::Result<()> {
        self.out.write_all(&self.line)?;
        self.line.clear();
        self.out.flush()
    }
}

/// One line as the lines that fit.
fn broken(line: &str, columns: usize) -> String {
    let plain = strip_str(line).to_string();
    if textwrap::core::display_width(&plain) <= columns {
        return line.to_owned();
    }
    let indent = " ".repeat(hanging_columns(&plain, columns));
    let text = line.trim_start_matches(' ');
    let options = Options::new(columns)
        .initial_indent(&line[..line.len() - text.len()])
        .subsequent_indent(&indent)
        .break_words(false)
        .word_separator(WordSeparator::AsciiSpace)
        .word_splitter(WordSplitter::NoHyphenation)
        .wrap_algorithm(WrapAlgorithm::FirstFit);
    textwrap::fill(&with_whole_commands(text), options).replace(UNBROKEN, " ")
}

/// Where what is carried over begins: at the second column, where there is one, else a little further right. No line of
/// a report begins there by itself, so that words from elsewhere cannot pass for a line of ours.
fn hanging_columns(plain: &str, columns: usize) -> usize {
    let start = plain.len() - plain.trim_start_matches(' ').len();
    let second = plain[start..].find("  ").map(|gap| {
        let rest = &plain[start + gap..];
        start + gap + (rest.len() - rest.trim_start_matches(' ').len())
    });
    let lead = second.map(|at| textwrap::core::display_width(&plain[..at]));
    lead.filter(|lead| *lead <= WIDEST_LEAD_COLUMNS)
        .unwrap_or(if start == 0 { 4 } else { start + 2 })
        .min(columns / 2)
}

/// Spaces between two backticks do not become line ends: what is there is copied into a shell.
fn with_whole_commands(line: &str) -> String {
    let pairs = line.matches('`').count() / 2;
    let mut ticks = 0;
    line.chars()
        .map(|character| {
            ticks += usize::from(character == '`');
            if character == ' ' && ticks % 2 == 1 && ticks < 2 * pairs { UNBROKEN } else { character }
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shown(text: &str, columns: usize) -> String {
        let mut out = Vec::new();
        let mut wrapped = Wrapped::new(&mut out, Screen::Terminal(Some(columns)));
        wrapped.write_all(text.as_bytes()).unwrap();
        wrapped.flush().unwrap();
        String::from_utf8(out).unwrap()
    }

    #[test]
    fn what_is_carried_over_stands_below_its_column() {
        assert_eq!(
            shown("  + create      ann@acme.example  assigned, and there is no account yet\n", 44),
            "  + create      ann@acme.example  assigned,\n                and there is no account yet\n"
        );
        assert_eq!(
            shown("Seats: 12 billable before, 13 after, limit 400. That is all.\n", 40),
            "Seats: 12 billable before, 13 after,\n    limit 400. That is all.\n"
        );
    }

    #[test]
    fn a_command_is_never_broken() {
        let text = "Everything else went on. Release exactly these with `rosterd approve h7@2` until noon.\n";
        for columns in 40..90 {
            let shown = shown(text, columns);
            assert!(shown.contains("`rosterd approve h7@2`"), "{columns}: {shown}");
        }
    }

    #[test]
    fn colours_take_no_room_and_wide_letters_take_two_columns() {
        let red = "\u{1b}[31mred\u{1b}[0m ".repeat(10);
        assert_eq!(shown(&format!("{}\n", red.trim_end()), 40), format!("{}\n", red.trim_end()));
        let wide = "李小龍 ".repeat(6);
        assert_eq!(shown(&format!("{}\n", wide.trim_end()), 40).lines().count(), 2, "6 * 7 - 1 = 41 columns");
    }

    #[test]
    fn a_pipe_gets_every_line_whole_and_nothing_is_lost_on_a_terminal() {
        let text = format!("{}\n", "word ".repeat(100).trim_end());
        let mut out = Vec::new();
        Wrapped::new(&mut out, Screen::None).write_all(text.as_bytes()).unwrap();
        assert_eq!(out, text.as_bytes());
        let words = |text: &str| text.split_whitespace().map(str::to_owned).collect::<Vec<_>>();
        assert_eq!(words(&shown(&text, 50)), words(&text));
        assert_eq!(shown("no line end", 40), "no line end");
    }

    #[test]
    fn a_word_that_is_longer_than_the_screen_stays_whole() {
        let address = format!("https://{}.example/scim/v2", "a".repeat(60));
        assert!(shown(&format!("between  Okta and {address} as configured\n"), 40).contains(&address));
    }
}
