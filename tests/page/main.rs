//! The daemon's pages and the HTML report in a real browser: Chromium, driven by ChromeDriver. Without them these
//! tests say `NOT RUN` and pass, unless `ROSTERD_REQUIRE_BROWSER=1` asks them to fail.
#![cfg(feature = "sim")]
#![allow(clippy::unwrap_used)]

mod access;
mod audit;
mod browser;
mod file;
mod looks;
#[path = "../formats/made.rs"]
#[allow(dead_code)]
mod made;
mod pages;
mod scene;
// Each test crate takes what it needs.
#[allow(dead_code)]
#[path = "../status_server/stage.rs"]
mod stage;
