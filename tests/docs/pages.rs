//! The pages, as their Markdown is understood: blocks, tables, links, anchors, code. No expectation lives here.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

use pulldown_cmark::{CodeBlockKind, Event, Options, Parser, Tag, TagEnd};

/// The directory of the repository.
pub(crate) fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

/// A file of the repository.
pub(crate) fn text_of(path: impl AsRef<Path>) -> String {
    let path = root().join(path);
    fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

/// One page.
pub(crate) struct Page {
    /// Relative to the repository.
    pub(crate) path: PathBuf,
    pub(crate) text: String,
}

/// A fenced block.
#[derive(Debug)]
pub(crate) struct Block {
    pub(crate) language: String,
    pub(crate) text: String,
}

/// A cell of a table.
#[derive(Debug, Default, Clone)]
pub(crate) struct Cell {
    /// Everything in it, without markup.
    pub(crate) text: String,
    /// Its code spans.
    pub(crate) code: Vec<String>,
}

/// A table; the first row is its head.
pub(crate) type Table = Vec<Vec<Cell>>;

/// The README and every page of docs/.
pub(crate) fn pages() -> Vec<Page> {
    let mut paths = vec![PathBuf::from("README.md")];
    let entries = fs::read_dir(root().join("docs")).unwrap();
    let mut names: Vec<PathBuf> =
        entries.map(|entry| Path::new("docs").join(entry.unwrap().file_name())).collect();
    names.retain(|path| path.extension().is_some_and(|extension| extension == "md"));
    names.sort();
    assert!(names.len() >= 9, "{names:?}");
    paths.extend(names);
    paths.into_iter().map(|path| Page { text: text_of(&path), path }).collect()
}

/// One page by name.
pub(crate) fn page(path: &str) -> Page {
    Page { path: path.into(), text: text_of(path) }
}

impl Page {
    fn events(&self) -> Parser<'_> {
        Parser::new_ext(&self.text, Options::ENABLE_TABLES)
    }

    /// Fenced blocks; an indented one or one without a language is a mistake.
    pub(crate) fn blocks(&self) -> Vec<Block> {
        let mut blocks = Vec::new();
        let mut open: Option<Block> = None;
        for event in self.events() {
            match event {
                Event::Start(Tag::CodeBlock(CodeBlockKind::Fenced(language))) => {
                    assert!(!language.is_empty(), "{}: a block without a language", self.path.display());
                    open = Some(Block { language: language.to_string(), text: String::new() });
                }
                Event::Start(Tag::CodeBlock(CodeBlockKind::Indented)) => {
                    panic!("{}: an indented block", self.path.display());
                }
                Event::Text(text) => {
                    if let Some(block) = &mut open {
                        block.text.push_str(&text);
                    }
                }
                Event::End(TagEnd::CodeBlock) => blocks.extend(open.take()),
                _ => {}
            }
        }
        blocks
    }

    /// The text of the blocks of one language.
    pub(crate) fn blocks_of(&self, language: &str) -> Vec<String> {
        self.blocks().into_iter().filter(|block| block.language == language).map(|block| block.text).collect()
    }

    /// Code spans outside of blocks.
    pub(crate) fn inline_code(&self) -> Vec<String> {
        let code = |event| match event {
            Event::Code(code) => Some(code.to_string()),
            _ => None,
        };
        self.events().filter_map(code).collect()
    }

    /// Code spans that are no message of the program.
    pub(crate) fn code_in_prose(&self) -> Vec<String> {
        let messages: BTreeSet<String> = self
            .tables()
            .into_iter()
            .filter(|table| table[0][0].text == "message")
            .flat_map(|table| table.into_iter().flat_map(|row| row[0].code.clone()))
            .collect();
        self.inline_code().into_iter().filter(|code| !messages.contains(code)).collect()
    }

    /// Where links lead.
    pub(crate) fn links(&self) -> Vec<String> {
        let link = |event| match event {
            Event::Start(Tag::Link { dest_url, .. }) => Some(dest_url.to_string()),
            _ => None,
        };
        self.events().filter_map(link).collect()
    }

    /// Pictures: where each one is, and the words that stand for it.
    pub(crate) fn pictures(&self) -> Vec<(String, String)> {
        let mut pictures = Vec::new();
        let mut open: Option<(String, String)> = None;
        for event in self.events() {
            match event {
                Event::Start(Tag::Image { dest_url, .. }) => {
                    open = Some((dest_url.to_string(), String::new()))
                }
                Event::Text(text) => {
                    if let Some((_, words)) = &mut open {
                        words.push_str(&text);
                    }
                }
                Event::End(TagEnd::Image) => pictures.extend(open.take()),
                _ => {}
            }
        }
        pictures
    }

    /// The anchors of the headings, as GitHub and GitLab make them.
    pub(crate) fn anchors(&self) -> BTreeSet<String> {
        let mut anchors = BTreeSet::new();
        let mut heading: Option<String> = None;
        for event in self.events() {
            match event {
                Event::Start(Tag::Heading { .. }) => heading = Some(String::new()),
                Event::Text(text) | Event::Code(text) => {
                    if let Some(heading) = &mut heading {
                        heading.push_str(&text);
                    }
                }
                Event::End(TagEnd::Heading(_)) => {
                    let slug = slug(&heading.take().unwrap());
                    assert!(anchors.insert(slug.clone()), "{}: #{slug} twice", self.path.display());
                }
                _ => {}
            }
        }
        anchors
    }

    /// All tables.
    pub(crate) fn tables(&self) -> Vec<Table> {
        let mut tables: Vec<Table> = Vec::new();
        let mut cell: Option<Cell> = None;
        for event in self.events() {
            match event {
                Event::Start(Tag::Table(_)) => tables.push(Vec::new()),
                Event::Start(Tag::TableHead | Tag::TableRow) => tables.last_mut().unwrap().push(Vec::new()),
                Event::Start(Tag::TableCell) => cell = Some(Cell::default()),
                Event::End(TagEnd::TableCell) => {
                    let row = tables.last_mut().unwrap().last_mut().unwrap();
                    row.extend(cell.take());
                }
                Event::Text(text) => {
                    if let Some(cell) = &mut cell {
                        cell.text.push_str(&text);
                    }
                }
                Event::Code(code) => {
                    if let Some(cell) = &mut cell {
                        cell.text.push_str(&code);
                        cell.code.push(code.to_string());
                    }
                }
                _ => {}
            }
        }
        tables
    }

    /// The rows of the tables whose first heading this is.
    pub(crate) fn rows_under(&self, heading: &str) -> Vec<Vec<Cell>> {
        let tables = self.tables().into_iter().filter(|table| table[0][0].text == heading);
        let rows: Vec<_> = tables.flat_map(|table| table.into_iter().skip(1)).collect();
        assert!(!rows.is_empty(), "{}: no table | {heading} |", self.path.display());
        rows
    }
}

fn slug(heading: &str) -> String {
    let kept = heading.chars().filter(|c| c.is_alphanumeric() || " -_".contains(*c));
    kept.flat_map(char::to_lowercase).map(|c| if c == ' ' { '-' } else { c }).collect()
}
