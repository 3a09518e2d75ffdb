//! The pages of the daemon: the same look as the HTML report, more than one page, and a script that keeps the first
//! of them fresh.
//!
//! Pages are made from what they are given and hold nothing. Templates escape by themselves; what could steer or
//! reorder a line is made visible before it gets here. Style and scripts are files of the daemon, named by their
//! digest, so that a browser may keep them and a new version of the daemon is never seen with old ones.

use std::io;
use std::sync::LazyLock;

use aws_lc_rs::digest::{SHA256, digest};
use minijinja::Environment;
use serde::Serialize;

use super::SyncReport;
use super::html::{self, render, write_section};
use super::safe::visible;
use crate::model::time::Millis;

mod ledger;
mod overview;
mod person;

pub use ledger::RunsPage;
pub use overview::StatusPage;
pub use person::PersonPage;

/// Seconds between two looks of a page that keeps itself fresh.
const REFRESH_SECONDS: u32 = 10;

/// What a browser may do with a page: nothing but the files of the daemon, and nobody may frame it.
pub const POLICY: &str = "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self'; \
                          base-uri 'none'; form-action 'self'; frame-ancestors 'none'";

/// A file that the pages use.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Asset {
    /// Its name in the address.
    pub name: &'static str,
    /// Its media type.
    pub content_type: &'static str,
    /// Its pieces, to be sent one after the other.
    pub pieces: &'static [&'static str],
}

const ASSETS: [Asset; 5] = [
    Asset {
        name: "site.css",
        content_type: "text/css; charset=utf-8",
        pieces: &[html::STYLE, include_str!("site/site.css")],
    },
    Asset {
        name: "site.js",
        content_type: "text/javascript; charset=utf-8",
        pieces: &[include_str!("site/site.js")],
    },
    Asset { name: "report.js", content_type: "text/javascript; charset=utf-8", pieces: &[html::SCRIPT] },
    Asset { name: "well.svg", content_type: "image/svg+xml", pieces: &[include_str!("site/well.svg")] },
    Asset { name: "unwell.svg", content_type: "image/svg+xml", pieces: &[include_str!("site/unwell.svg")] },
];

/// Digest of all the files, as it stands in their addresses.
static VERSION: LazyLock<String> = LazyLock::new(|| {
    let all: String = ASSETS.iter().flat_map(|asset| asset.pieces).copied().collect();
    digest(&SHA256, all.as_bytes()).as_ref().iter().take(8).map(|byte| format!("{byte:02x}")).collect()
});

/// The file at `/assets/VERSION/NAME`. Another version has none: what a browser keeps under an address never changes.
pub fn asset(version: &str, name: &str) -> Option<Asset> {
    (version == VERSION.as_str()).then(|| ASSETS.into_iter().find(|asset| asset.name == name)).flatten()
}

/// Which part of the site a page belongs to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
enum Here {
    Status,
    Runs,
    Person,
    Nowhere,
}

/// What stands around every page.
#[derive(Serialize)]
struct Frame {
    title: String,
    here: Here,
    rosterd: &'static str,
    assets: String,
    /// `well`, or `unwell` where somebody's attention is needed.
    icon: &'static str,
    /// Whether the page has the report's tables of people.
    lists_people: bool,
    refresh: Option<u32>,
    /// What was searched for.
    who: String,
    at: String,
    at_words: String,
}

impl Frame {
    fn new(title: String, here: Here, now: Millis) -> Frame {
        Frame {
            title,
            here,
            rosterd: env!("CARGO_PKG_VERSION"),
            assets: format!("/assets/{}", *VERSION),
            icon: "well",
            lists_people: false,
            refresh: None,
            who: String::new(),
            at: now.rfc3339(),
            at_words: words(now).split_once(' ').map(|(_, time)| time.to_owned()).unwrap_or_default(),
        }
    }
}

/// `2026-11-22 10:00:05 UTC`.
fn words(at: Millis) -> String {
    let text = at.rfc3339();
    match text.strip_suffix('Z').and_then(|text| text.split_once('T')) {
        Some((day, time)) => format!("{day} {time} UTC"),
        None => text,
    }
}

fn shown(text: &str) -> String {
    visible(text).into_owned()
}

fn templates() -> io::Result<Environment<'static>> {
    let mut templates = html::templates().map_err(io::Error::other)?;
    for (name, text) in [
        ("site-top", include_str!("site/top.html")),
        ("site-end", include_str!("site/end.html")),
        ("status", include_str!("site/status.html")),
        ("runs", include_str!("site/runs.html")),
        ("person", include_str!("site/person.html")),
        ("notice", include_str!("site/notice.html")),
    ] {
        templates.add_template(name, text).map_err(io::Error::other)?;
    }
    Ok(templates)
}

fn write_page(
    frame: &Frame,
    out: &mut dyn io::Write,
    content: impl FnOnce(&Environment<'_>, &mut dyn io::Write) -> io::Result<()>,
) -> io::Result<()> {
    let templates = templates()?;
    render(&templates, "site-top", frame, out)?;
    content(&templates, out)?;
    render(&templates, "site-end", frame, out)
}

/// Writes `/`.
pub fn write_status_page(page: &StatusPage, now: Millis, out: &mut dyn io::Write) -> io::Result<()> {
    let mut frame = Frame::new(format!("{} – rosterd", page.headline()), Here::Status, now);
    frame.icon = if page.is_healthy() { "well" } else { "unwell" };
    frame.refresh = Some(REFRESH_SECONDS);
    write_page(&frame, out, |templates, out| render(templates, "status", page, out))
}

/// Writes `/runs`.
pub fn write_runs_page(page: &RunsPage, now: Millis, out: &mut dyn io::Write) -> io::Result<()> {
    let frame = Frame::new("Runs – rosterd".to_owned(), Here::Runs, now);
    write_page(&frame, out, |templates, out| render(templates, "runs", page, out))
}

/// Writes `/runs/N`: the report that the run gave.
pub fn write_run_page(report: &mut SyncReport, now: Millis, out: &mut dyn io::Write) -> io::Result<()> {
    let number = report.facts.run.map(|run| format!(" {run}")).unwrap_or_default();
    let mut frame = Frame::new(format!("Run{number} – rosterd"), Here::Runs, now);
    frame.lists_people = true;
    write_page(&frame, out, |templates, out| write_section(templates, report, 0, 1, out))
}

/// Writes `/person`.
pub fn write_person_page(page: &PersonPage, now: Millis, out: &mut dyn io::Write) -> io::Result<()> {
    let who = page.who();
    let title = if who.is_empty() { "Find a person" } else { who };
    let mut frame = Frame::new(format!("{title} – rosterd"), Here::Person, now);
    frame.who = who.to_owned();
    write_page(&frame, out, |templates, out| render(templates, "person", page, out))
}

#[derive(Serialize)]
struct Notice<'a> {
    heading: &'a str,
    text: String,
}

/// Writes a page that says why there is no other one.
pub fn write_notice_page(heading: &str, text: &str, now: Millis, out: &mut dyn io::Write) -> io::Result<()> {
    let frame = Frame::new(format!("{heading} – rosterd"), Here::Nowhere, now);
    let notice = Notice { heading, text: shown(text) };
    write_page(&frame, out, |templates, out| render(templates, "notice", &notice, out))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_has_one_address_and_another_version_has_none() {
        assert_eq!(VERSION.len(), 16);
        let style = asset(&VERSION, "site.css").unwrap();
        assert!(style.pieces.concat().starts_with(html::STYLE));
        assert_eq!(asset("0123456789abcdef", "site.css"), None);
        assert_eq!(asset(&VERSION, "page.css"), None);
    }

    #[test]
    fn a_time_is_told_without_the_letters_of_the_standard() {
        assert_eq!(words(Millis(1_795_341_605_000)), "2026-11-22 10:00:05 UTC");
        assert_eq!(words(Millis(i64::MAX)), format!("{} ms", i64::MAX));
    }
}
