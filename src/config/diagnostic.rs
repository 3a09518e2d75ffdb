//! Errors of the configuration, for people.
//!
//! What lives here: turning findings into diagnostics that can be shown, logged and kept: each holds the masked
//! line only, never the file's text. What must not: finding anything.

use std::fmt;
use std::ops::Range;
use std::path::{Path, PathBuf};

use annotate_snippets::renderer::DecorStyle;
use annotate_snippets::{AnnotationKind, Group, Level, Origin, Renderer, Snippet};

use super::mask;
use super::raw::Finding;

/// A longer line is not shown: it would say nothing on a screen.
const MAX_LINE_CHARS: usize = 1000;
/// More mistakes than this in one file are not worth reading; the rest is counted.
const MAX_DIAGNOSTICS: usize = 100;

/// Everything that is wrong with a configuration, in the order of the file.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub struct ConfigErrors {
    path: PathBuf,
    diagnostics: Vec<Diagnostic>,
    /// How many more there are.
    omitted: usize,
}

/// One mistake.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Diagnostic {
    /// What is wrong, a lower-case fragment.
    pub problem: String,
    /// What to write instead; at least one where that is known.
    pub help: Vec<String>,
    /// Where; `None` where the file as a whole is meant.
    pub place: Option<Place>,
}

/// A place in the file, counted from 1.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Place {
    /// Line.
    pub line: usize,
    /// Column, in characters.
    pub column: usize,
    /// The line with whatever may be a secret masked; `None` where it is too long to show.
    excerpt: Option<Excerpt>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
struct Excerpt {
    line: String,
    /// Bytes of `line`.
    marked: Range<usize>,
    label: Option<String>,
}

impl ConfigErrors {
    /// The file as a whole cannot be used.
    pub(super) fn whole_file(path: &Path, problem: impl Into<String>, help: impl Into<String>) -> Self {
        let diagnostic = Diagnostic { problem: problem.into(), help: vec![help.into()], place: None };
        Self { path: path.to_owned(), diagnostics: vec![diagnostic], omitted: 0 }
    }

    /// `broken` = the text is not TOML, so that its lines can be trusted less.
    pub(super) fn new(path: &Path, text: &str, mut findings: Vec<Finding>, broken: bool) -> Self {
        findings.sort_by_key(|finding| finding.span.start);
        let omitted = findings.len().saturating_sub(MAX_DIAGNOSTICS);
        findings.truncate(MAX_DIAGNOSTICS);
        let lines = Lines::new(text, &mask::masked(text, broken));
        let diagnostics = findings
            .into_iter()
            .map(|Finding { span, problem, label, help }| {
                // An empty place at the start stands for the whole file.
                let place = (span != (0..0)).then(|| lines.place(span, label));
                Diagnostic { problem, help, place }
            })
            .collect();
        Self { path: path.to_owned(), diagnostics, omitted }
    }

    /// The file that is meant.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// The mistakes, in the order of the file.
    pub fn diagnostics(&self) -> &[Diagnostic] {
        &self.diagnostics
    }

    /// Everything as text, with or without colour; ends without a line end.
    pub fn render(&self, colour: bool) -> String {
        let renderer = if colour { Renderer::styled() } else { Renderer::plain() };
        let renderer = renderer.decor_style(DecorStyle::Ascii);
        let path = self.path.display().to_string();
        let mut blocks: Vec<String> =
            self.diagnostics.iter().map(|diagnostic| diagnostic.render(&renderer, &path)).collect();
        if self.omitted > 0 {
            blocks.push(format!("error: and {} more like these", self.omitted));
        }
        blocks.join("\n\n")
    }
}

impl fmt::Display for ConfigErrors {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(&self.render(false))
    }
}

impl Diagnostic {
    fn render(&self, renderer: &Renderer, path: &str) -> String {
        let mut group = Group::with_title(Level::ERROR.primary_title(self.problem.as_str()));
        group = match &self.place {
            None => group.element(Origin::path(path)),
            Some(Place { line, column, excerpt: None }) => {
                group.element(Origin::path(path).line(*line).char_column(*column))
            }
            Some(Place { line, excerpt: Some(excerpt), .. }) => {
                let annotation = AnnotationKind::Primary.span(excerpt.marked.clone());
                let annotation = annotation.label(excerpt.label.as_deref());
                let snippet = Snippet::source(excerpt.line.as_str()).line_start(*line).path(path);
                group.element(snippet.annotation(annotation))
            }
        };
        for help in &self.help {
            group = group.element(Level::HELP.message(help.as_str()));
        }
        renderer.render(&[group])
    }
}

/// The file's lines, as written and as shown; both have the same characters per line.
struct Lines<'t> {
    text: &'t str,
    /// Where each line starts, in bytes of `text`.
    starts: Vec<usize>,
    masked: Vec<String>,
}

impl<'t> Lines<'t> {
    fn new(text: &'t str, masked: &str) -> Self {
        let ends = text.match_indices('\n').map(|(at, _)| at + 1);
        let starts = std::iter::once(0).chain(ends).collect();
        let masked = masked.split('\n').map(|line| line.trim_end().to_owned()).collect();
        Self { text, starts, masked }
    }

    fn place(&self, span: Range<usize>, label: Option<String>) -> Place {
        let index = self.starts.partition_point(|start| *start <= span.start).saturating_sub(1);
        let start = self.starts.get(index).copied().unwrap_or(0);
        let written = self.text.get(start..).and_then(|rest| rest.split('\n').next()).unwrap_or_default();
        let characters_until =
            |offset: usize| written.char_indices().take_while(|(at, _)| start + at < offset).count();
        let (from, to) = (characters_until(span.start), characters_until(span.end));
        let excerpt =
            self.masked.get(index).filter(|line| line.chars().count() <= MAX_LINE_CHARS).map(|line| {
                let byte =
                    |characters: usize| line.char_indices().nth(characters).map_or(line.len(), |(at, _)| at);
                let marked = byte(from)..byte(to.max(from + 1));
                Excerpt { line: line.clone(), marked, label }
            });
        Place { line: index + 1, column: from + 1, excerpt }
    }
}
