//! HTML: one page that needs nothing else, readable on a phone, in print, in the dark and without its script.
//!
//! The first people are rows of the page; all of them are data in it that its script shows a hundred at a time, so
//! that a hundred thousand open too. Templates escape by themselves and nothing in them is exempt; the policy of the
//! page lets no style and no script run but its own two, named by their digests.

use std::io::{self, Write};

use aws_lc_rs::digest::{SHA256, digest};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use minijinja::value::Serde;
use minijinja::{AutoEscape, Environment, UndefinedBehavior};
use serde::Serialize;

pub(super) use self::page::result_class;
use self::page::{Head, Row, Section};
use super::SyncReport;
use crate::model::report::{ActionRecord, RunFacts};
use crate::model::time::Millis;
use crate::spool::Spool;

mod page;

pub(super) const STYLE: &str = include_str!("html/page.css");
pub(super) const SCRIPT: &str = include_str!("html/page.js");

/// People who are rows of the page also without its script.
const LISTED: u64 = 200;
/// People in one block of data, so that a browser parses no text of a hundred megabytes at once.
const ROWS_OF_A_BLOCK: usize = 10_000;

/// Writes the page.
pub fn write_html(reports: &mut [SyncReport], out: &mut dyn io::Write) -> io::Result<()> {
    let templates = templates().map_err(io::Error::other)?;
    let syncs: Vec<&RunFacts> = reports.iter().map(|report| &report.facts).collect();
    let head = Head::new(&syncs, policy(), Millis::now());
    render(&templates, "head", &head, out)?;
    write!(out, "<style>{STYLE}</style>\n</head>\n<body>\n")?;
    render(&templates, "top", &head, out)?;
    for (index, report) in reports.iter_mut().enumerate() {
        write_section(&templates, report, index, 2, out)?;
    }
    write!(out, "</main>\n<script>{SCRIPT}</script>\n</body>\n</html>\n")
}

/// One sync's part of a page, under a heading of this level.
pub(super) fn write_section(
    templates: &Environment<'_>,
    report: &mut SyncReport,
    index: usize,
    level: u8,
    out: &mut dyn io::Write,
) -> io::Result<()> {
    let SyncReport { facts, records } = report;
    render(templates, "sync", &Section::new(facts, index, level, (records.len(), LISTED)), out)?;
    if !records.is_empty() {
        write_people(templates, facts, records, out)?;
    }
    writeln!(out, "</section>")
}

/// Begins a page of another kind, with the same style and policy and without the script.
pub(super) fn open_page(
    templates: &Environment<'_>,
    title: &str,
    now: Millis,
    out: &mut dyn io::Write,
) -> io::Result<()> {
    let head = Head::titled(title, policy(), now);
    render(templates, "head", &head, out)?;
    write!(out, "<style>{STYLE}</style>\n</head>\n<body>\n")?;
    render(templates, "top", &head, out)
}

pub(super) fn templates() -> Result<Environment<'static>, minijinja::Error> {
    let mut templates = Environment::new();
    templates.set_auto_escape_callback(|_| AutoEscape::Html);
    templates.set_undefined_behavior(UndefinedBehavior::Strict);
    templates.add_template("head", include_str!("html/head.html"))?;
    templates.add_template("top", include_str!("html/top.html"))?;
    templates.add_template("sync", include_str!("html/sync.html"))?;
    templates.add_template("row", include_str!("html/row.html"))?;
    templates.add_template("verify", include_str!("html/verify.html"))?;
    templates.add_template("finding", include_str!("html/finding.html"))?;
    Ok(templates)
}

pub(super) fn render(
    templates: &Environment<'_>,
    name: &str,
    context: &impl Serialize,
    out: &mut dyn io::Write,
) -> io::Result<()> {
    let text = templates.get_template(name).and_then(|template| template.render(Serde(context)));
    writeln!(out, "{}", text.map_err(io::Error::other)?)
}

/// Nothing from anywhere, and of what is in the page its style and its script alone.
fn policy() -> String {
    let hash = |text: &str| STANDARD.encode(digest(&SHA256, text.as_bytes()));
    format!(
        "default-src 'none'; style-src 'sha256-{}'; script-src 'sha256-{}'; base-uri 'none'; form-action 'none'",
        hash(STYLE),
        hash(SCRIPT)
    )
}

fn write_people(
    templates: &Environment<'_>,
    facts: &RunFacts,
    records: &mut Spool<ActionRecord>,
    out: &mut dyn io::Write,
) -> io::Result<()> {
    for record in records.iter()?.take(usize::try_from(LISTED).unwrap_or(usize::MAX)) {
        render(templates, "row", &Row::new(&record?, facts), out)?;
    }
    writeln!(out, "</tbody>\n</table>")?;
    for (index, record) in records.iter()?.enumerate() {
        let first = index % ROWS_OF_A_BLOCK == 0;
        let lead = match (first, index) {
            (true, 0) => "<script type=\"application/json\">[\n",
            (true, _) => "\n]</script>\n<script type=\"application/json\">[\n",
            (false, _) => ",\n",
        };
        out.write_all(lead.as_bytes())?;
        serde_json::to_writer(InScript(&mut *out), &Row::new(&record?, facts).data())?;
    }
    writeln!(out, "\n]</script>")
}

/// JSON within a `script` element: what could end the element, or begin a comment in it, is written as an escape. In
/// JSON these characters stand in strings only.
struct InScript<'a>(&'a mut dyn io::Write);

impl Write for InScript<'_> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.write_all(bytes).map(|()| bytes.len())
    }

    fn write_all(&mut self, mut bytes: &[u8]) -> io::Result<()> {
        while let Some(place) = bytes.iter().position(|byte| matches!(byte, b'<' | b'>' | b'&')) {
            self.0.write_all(&bytes[..place])?;
            write!(self.0, "\\u{:04x}", bytes[place])?;
            bytes = &bytes[place + 1..];
        }
        self.0.write_all(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.0.flush()
    }
}
