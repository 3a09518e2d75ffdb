//! The adapter against a real service provider: `scim2-server` (PyPI). Needs `.venv`; without it the test says so
//! and passes, unless `ROSTERD_REQUIRE_INTEROP=1` asks it to fail.
#![cfg(feature = "sim")]
#![allow(clippy::unwrap_used)]

#[path = "scim/support.rs"]
#[allow(dead_code)]
mod support;

use std::io::Write as _;
use std::net::TcpListener;
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use rosterd::config::Dialect;
use rosterd::http::Lane;
use rosterd::model::check::CheckLevel;
use rosterd::model::plan::Verb;
use rosterd::scim::adapter::ScimTarget;
use rosterd::scim::dialect::{Profile, WriteStyle};
use rosterd::scim::target::{Criterion, Observe, RefusalClass};
use support::{
    EMAIL, PHONE, ThroughTheDoor, applied, bare, change, department, desired, everybody, path, proven,
    refused, target_at, text,
};

const TOKEN: &str = "interop-token-0123456789";

struct Server {
    process: Child,
    url: String,
}

impl Server {
    /// Starts the server and waits until it answers; `None` where it is not installed.
    async fn start() -> Option<Server> {
        let program = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join(".venv/bin/scim2-server");
        if !program.exists() {
            let message = "NOT RUN: scim2-server is missing; `bash tests/interop/venv.sh` installs it";
            assert!(std::env::var_os("ROSTERD_REQUIRE_INTEROP").is_none(), "{message}");
            // Straight to the terminal: the test harness swallows the output of tests that pass.
            let _ = writeln!(std::io::stderr(), "\n{message}\n");
            return None;
        }
        let port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
        let process = Command::new(program)
            .args(["--port", &port.to_string(), "--bearer-token", TOKEN])
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let server = Server { process, url: format!("http://127.0.0.1:{port}/v2") };
        let deadline = Instant::now() + Duration::from_secs(30);
        while tokio::net::TcpStream::connect(("127.0.0.1", port)).await.is_err() {
            assert!(Instant::now() < deadline, "scim2-server did not start within 30 s");
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        Some(server)
    }

    fn target(&self) -> ScimTarget {
        target_at(&self.url, TOKEN, Dialect::Generic, Profile::default())
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

#[tokio::test]
async fn the_whole_life_of_an_account_at_a_real_server() {
    let Some(server) = Server::start().await else { return };
    let target = server.target();
    let provisioner = target.provisioner();
    let login = Criterion::UserName("ann@acme.com".to_owned());
    assert!(target.find(&login).await.unwrap().accounts.is_empty());

    let created = applied(provisioner.create(&desired("Ann@acme.com")).await);
    assert_eq!((created.status, created.refused.as_slice(), created.attempts), (201, [].as_slice(), 1));
    let id = created.account.unwrap().id;

    let mark = Criterion::ExternalId("ext-ann@acme.com".to_owned());
    for criterion in [&login, &mark, &Criterion::Email("ANN@ACME.COM".to_owned())] {
        let found = target.find(criterion).await.unwrap().accounts;
        assert_eq!(found.iter().map(|account| &account.id).collect::<Vec<_>>(), [&id], "{criterion:?}");
    }
    assert_eq!(target.profile().external_id_searchable, Some(true));

    let twice = refused(provisioner.create(&desired("ANN@acme.com")).await);
    assert_eq!((twice.class, twice.status), (RefusalClass::Conflict, 409));

    let changes = [
        change("name.familyName", Some("Lee"), Some("Smith")),
        change("title", Some("Engineer"), None),
        change(PHONE, Some("+15550100200"), Some("+15550100201")),
        change(EMAIL, Some("Ann@acme.com"), Some("ann.smith@acme.com")),
        change("userName", Some("Ann@acme.com"), Some("ann.smith@acme.com")),
        change(&department(), Some("Sales"), Some("Legal")),
    ];
    let updated = applied(provisioner.update(&id, &changes, false).await);
    assert_eq!((updated.refused.as_slice(), updated.attempts), ([].as_slice(), 1));
    let account = target.get(&id, Lane::General).await.unwrap().unwrap();
    for change in &changes {
        assert_eq!(account.value(&change.path), change.to, "{}", change.path);
    }
    assert_eq!(text(&account, "name.givenName").as_deref(), Some("Ann"));
    assert!(target.find(&login).await.unwrap().accounts.is_empty(), "the old login is free");

    applied(provisioner.deactivate(proven(&id, Verb::Deactivate)).await);
    let account = target.get(&id, Lane::General).await.unwrap().unwrap();
    assert_eq!(account.active(), Some(false));

    let back = [change("title", None, Some("Manager"))];
    let returned = applied(provisioner.update(&id, &back, true).await);
    let account = returned.account.unwrap();
    assert_eq!((account.active(), text(&account, "title").as_deref()), (Some(true), Some("Manager")));

    applied(provisioner.delete(proven(&id, Verb::Delete)).await);
    assert_eq!(target.get(&id, Lane::General).await.unwrap(), None);
    // Whether another account stands in its place is asked by whoever sent this.
    let again = refused(provisioner.delete(proven(&id, Verb::Delete)).await);
    assert_eq!((again.class, again.status), (RefusalClass::NotFound, 404), "already gone");
    let gone = refused(provisioner.deactivate(proven(&id, Verb::Deactivate)).await);
    assert_eq!(gone.class, RefusalClass::NotFound);
    let gone = refused(provisioner.update(&id, &back, false).await);
    assert_eq!(gone.class, RefusalClass::NotFound);

    let profile = target.profile();
    assert_eq!((profile.attributes, profile.active), (WriteStyle::PatchPath, WriteStyle::PatchValue));
}

#[tokio::test]
async fn elements_that_are_missing_or_unmarked_are_written_without_touching_their_neighbours() {
    let Some(server) = Server::start().await else { return };
    let target = server.target();
    let provisioner = target.provisioner();
    let id = applied(provisioner.create(&bare("bob@acme.com")).await).account.unwrap().id;
    applied(provisioner.update(&id, &[change(PHONE, None, Some("+15550100200"))], false).await);
    // The link believes in a number that is not there any more: `noTarget`.
    applied(provisioner.update(&id, &[change(PHONE, Some("+15550100200"), None)], false).await);
    let changes = [change(PHONE, Some("+15550100200"), Some("+15550100999"))];
    applied(provisioner.update(&id, &changes, false).await);
    let account = target.get(&id, Lane::General).await.unwrap().unwrap();
    assert_eq!(text(&account, PHONE).as_deref(), Some("+15550100999"));
    assert_eq!(account.emails(), ["bob@acme.com"]);
    assert!(target.profile().reads_before_patch);
}

#[tokio::test]
async fn an_attribute_that_a_strict_server_refuses_is_left_out_and_told() {
    let Some(server) = Server::start().await else { return };
    let target = server.target();
    let provisioner = target.provisioner();
    let mut cat = desired("cat@acme.com");
    cat.set.insert(path("favouriteColour"), "red".into());
    let created = applied(provisioner.create(&cat).await);
    assert_eq!(created.refused.iter().map(|(at, _)| at.as_str()).collect::<Vec<_>>(), ["favouriteColour"]);
    assert_eq!(created.attempts, 2);
    let account = created.account.unwrap();
    assert_eq!(text(&account, "title").as_deref(), Some("Engineer"));

    let mut dan = desired("dan@acme.com");
    dan.set.insert(path("favouriteColour"), "red".into());
    let created = applied(provisioner.create(&dan).await);
    assert_eq!(
        (created.refused.len(), created.attempts),
        (1, 1),
        "the second person costs no second request"
    );

    let alone = [change("favouriteColour", None, Some("blue"))];
    let refusal = refused(provisioner.update(&account.id, &alone, false).await);
    assert_eq!((refusal.class, refusal.attributes.len()), (RefusalClass::Invalid, 1));
}

#[tokio::test]
async fn a_listing_holds_everybody_once() {
    let Some(server) = Server::start().await else { return };
    let target = server.target();
    let provisioner = target.provisioner();
    for number in 0..25 {
        applied(provisioner.create(&bare(&format!("p{number}@acme.com"))).await);
    }
    assert_eq!(everybody(&target).await.len(), 25);
    let quoted = "o\"brien\\x@acme.com";
    let id = applied(provisioner.create(&bare(quoted)).await).account.unwrap().id;
    let found = target.find(&Criterion::UserName(quoted.to_owned())).await.unwrap().accounts;
    assert_eq!(found.iter().map(|account| &account.id).collect::<Vec<_>>(), [&id]);
}

#[tokio::test]
async fn check_tells_what_the_server_can_do_and_names_a_wrong_token() {
    let Some(server) = Server::start().await else { return };
    let lines = server.target().check().await;
    assert!(lines.iter().all(|line| line.level == CheckLevel::Ok), "{lines:#?}");
    assert!(lines.iter().any(|line| line.detail.contains("patch yes")), "{lines:#?}");
    let stranger = target_at(&server.url, "wrong-token-0123456789", Dialect::Generic, Profile::default());
    let lines = stranger.check().await;
    assert_eq!((lines.len(), lines[0].level), (1, CheckLevel::Fail));
    assert_eq!(lines[0].right, "target credentials");
    assert!(!format!("{lines:?}").contains("wrong-token"), "{lines:?}");
}
