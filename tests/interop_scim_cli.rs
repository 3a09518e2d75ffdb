//! The conformance tester `scim2-cli` (PyPI) against the SCIM side of the simulation. Needs `.venv`; without it the
//! test says so and passes, unless `ROSTERD_REQUIRE_INTEROP=1` asks it to fail.
#![cfg(feature = "sim")]

use rosterd::sim::{Sim, SimOptions};
use std::path::Path;
use std::process::Command;

#[test]
fn the_scim_side_passes_the_conformance_tester() {
    let tester = Path::new(env!("CARGO_MANIFEST_DIR")).join(".venv/bin/scim");
    if !tester.exists() {
        let message = "NOT RUN: scim2-cli is missing; `bash tests/interop/venv.sh` installs it";
        assert!(std::env::var("ROSTERD_REQUIRE_INTEROP").as_deref() != Ok("1"), "{message}");
        // Straight to the terminal: the test harness swallows the output of tests that pass.
        use std::io::Write as _;
        writeln!(std::io::stderr(), "\n{message}\n").unwrap();
        return;
    }
    let sim = Sim::start_blocking(SimOptions::default()).unwrap();
    sim.world().populate(3);
    let output = Command::new(tester)
        .args(["--url", sim.scim_url(), "test"])
        .env("SCIM_CLI_HEADERS", format!("Authorization: Bearer {}", sim.scim_token()))
        .env("NO_COLOR", "1")
        .output()
        .unwrap();
    let report = String::from_utf8_lossy(&output.stdout).into_owned();
    let errors = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{report}\n{errors}");
    // A run that stopped early must not look green.
    assert!(report.matches("SUCCESS").count() > 50, "too few checks for a full run:\n{report}");
}
