//! The program gives each format on stdout, in a file and through the daemon's socket, also where the run failed.

use crate::markup::{Document, Page};
use crate::parsed::HEADER;
use crate::service::Service;
use crate::support::{Access, Ran, Stage, run_bare};
use rosterd::sim::{Effect, Fault, Peer};
use std::fs;

/// Whether a text is a document of this format.
#[track_caller]
fn assert_is(format: &str, text: &str) {
    match format {
        "markdown" => {
            let document = Document::parse(text);
            assert!(text.starts_with("## rosterd: ") && document.shape.len() > 10, "{text}");
        }
        "csv" => {
            let mut reader = csv::Reader::from_reader(text.as_bytes());
            assert_eq!(reader.headers().unwrap().iter().collect::<Vec<_>>().join(","), HEADER);
            assert!(reader.records().all(|row| row.is_ok()), "{text}");
        }
        "html" => {
            let page = Page::parse(text);
            assert_eq!(page.errors(), Vec::<String>::new());
            assert!(text.starts_with("<!doctype html>") && text.ends_with("</html>\n"));
        }
        "json" => assert!(serde_json::from_str::<serde_json::Value>(text).is_ok(), "{text}"),
        other => assert!(other == "text" && text.contains("Seats: "), "{text}"),
    }
}

const FORMATS: [&str; 5] = ["text", "json", "markdown", "csv", "html"];

/// The text without what differs between two runs of the same.
fn without_time(stage: &Stage, text: &str) -> String {
    stage.redact(text)
}

#[test]
fn stdout_and_a_file_say_the_same() {
    let stage = Stage::new();
    stage.hire_all(&["Ann", "Ben"]);
    for format in FORMATS {
        let shown = stage.run(&["--dry-run", "--format", format]).exits(0);
        assert_is(format, &shown.stdout);
        assert!(shown.stdout.contains("ann@acme.example"), "{shown:?}");
        let path = stage.home.path().join(format);
        let file = path.to_str().unwrap();
        let ran = stage.run(&["--dry-run", "--format", format, "--output", file]).exits(0);
        assert!(ran.stdout.is_empty() && ran.stderr.contains("2 to create"), "{ran:?}");
        let written = fs::read_to_string(&path).unwrap();
        if format != "json" {
            assert_eq!(without_time(&stage, &written), without_time(&stage, &shown.stdout));
        }
    }
}

#[test]
fn a_run_that_failed_is_a_document_in_every_format() {
    let stage = Stage::with(Access::OneLogin, "");
    stage.hire_all(&["Ann", "Ben"]);
    let short = Fault::on(Peer::OneLogin).path("/apps/").path("/users").then(Effect::ShiftTotal(3));
    stage.sim.faults().add(short);
    for format in FORMATS {
        let ran = stage.run(&["--dry-run", "--format", format]).exits(5);
        assert_is(format, &ran.stdout);
        assert!(ran.stdout.contains("Total-Count says 5 and 2 came"), "{format}: {}", ran.stdout);
    }
}

#[test]
fn several_syncs_are_in_one_document_with_one_header() {
    let stage = Stage::new();
    stage.hire("Ann", "Engineer");
    let sides = stage.sides();
    stage.home.configure(&format!("[[sync]]\nname = \"one\"\n{sides}\n[[sync]]\nname = \"two\"\n{sides}\n"));
    for format in FORMATS {
        let ran = stage.run(&["--dry-run", "--format", format]).exits(0);
        assert_is(format, &ran.stdout);
        assert!(ran.stdout.contains("one") && ran.stdout.contains("two"), "{}", ran.stdout);
        assert!(ran.stdout.matches(HEADER).count() == usize::from(format == "csv"));
    }
}

#[test]
fn a_past_run_and_an_approval_are_told_in_every_format() {
    let stage = Stage::new();
    let people = stage.hire_all(&["Ann", "Ben", "Cleo"]);
    stage.reconcile();
    for format in FORMATS {
        assert_is(format, &stage.run(&["history", "--run", "1", "--format", format]).exits(0).stdout);
    }
    people.iter().for_each(|person| stage.sim.world().unassign(*person));
    let held = stage.run(&["--reconcile-now", "--format", "markdown"]).exits(4);
    held.says(&["rosterd approve h1@1", "rosterd reject h1"]);
    let approved = stage.run(&["approve", "h1", "--yes", "--format", "html"]).exits(0);
    assert!(approved.stdout.contains("deactivated"), "{}", approved.stdout);
}

#[test]
fn a_daemon_serves_every_format() {
    let stage = Stage::with(Access::OktaToken, "schedule = \"0 0 1 1 *\"\nwatch = \"off\"");
    stage.hire_all(&["Ann", "Ben"]);
    let service = Service::start(&stage);
    service.until("the first run", || service.runs().0 == 1);
    stage.hire("Cleo", "<b>Engineer</b>");
    for format in FORMATS {
        let mut command = stage.home.command(&["--dry-run", "--format", format]);
        command.env("RUNTIME_DIRECTORY", stage.home.path());
        let ran = Ran::of(command.output().unwrap()).exits(0);
        assert_is(format, &ran.stdout);
        assert!(ran.stdout.contains("cleo@acme.example"), "{ran:?}");
        let path = stage.home.path().join(format);
        let mut command = stage.home.command(&["--dry-run", "--format", format, "--output"]);
        command.env("RUNTIME_DIRECTORY", stage.home.path()).arg(&path);
        let filed = Ran::of(command.output().unwrap()).exits(0);
        assert!(filed.stdout.is_empty() && filed.stderr.contains("1 to create"), "{filed:?}");
        assert_is(format, &fs::read_to_string(&path).unwrap());
    }
    // It was the daemon that answered.
    assert_eq!(service.log().matches("a client asks").count(), 2 * FORMATS.len(), "{}", service.log());
    service.stop();
}

#[test]
fn a_list_has_two_formats_and_says_so() {
    let stage = Stage::new();
    for arguments in [&["status"][..], &["history"], &["history", "--user", "ann@acme.example"]] {
        for format in ["markdown", "csv", "html"] {
            let ran = stage.run(&[arguments, &["--format", format]].concat()).exits(64);
            assert!(ran.stdout.is_empty());
            ran.complains(&["text or json", "help: "]);
        }
    }
    run_bare(&["--dry-run", "--format", "pdf"]).exits(64).complains(&["markdown", "csv", "html"]);
}
