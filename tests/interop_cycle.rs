//! The whole cycle (create, quiet, update, leave, rename, return, quiet) for both sources against a SCIM server that
//! is not ours: `scim2-server` (PyPI). Needs `.venv`; without it the tests say so and pass, unless
//! `ROSTERD_REQUIRE_INTEROP=1` asks them to fail.
#![cfg(feature = "sim")]
// The lint's exception for tests covers test functions only, not what they share.
#![allow(clippy::unwrap_used)]

#[path = "binary/support.rs"]
mod support;

use rosterd::sim::World;
use serde_json::Value;
use std::io::{self, Read, Write};
use std::net::{Shutdown, TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::{Arc, Mutex};
use support::{Access, Stage, action_of, count};

const TOKEN: &str = "interop-token-0123456789";

/// The server's program, where it is installed.
fn program() -> Option<PathBuf> {
    let program = Path::new(env!("CARGO_MANIFEST_DIR")).join(".venv/bin/scim2-server");
    if program.exists() {
        return Some(program);
    }
    let message = "NOT RUN: scim2-server is missing; `bash tests/interop/venv.sh` installs it";
    assert!(std::env::var("ROSTERD_REQUIRE_INTEROP").as_deref() != Ok("1"), "{message}");
    // Straight to the terminal: the test harness swallows the output of tests that pass.
    let mut terminal = io::stderr();
    writeln!(terminal, "\n{message}\n").unwrap();
    None
}

/// A running server and, before it, a proxy that notes every request.
struct Workspace {
    server: Child,
    port: u16,
    proxy_port: u16,
    seen: Arc<Mutex<Vec<String>>>,
}

impl Workspace {
    fn start(program: &Path) -> Self {
        // The port is free again as soon as this is dropped, and the server takes it.
        let port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
        let mut server = Command::new(program)
            .args(["--port", &port.to_string(), "--bearer-token", TOKEN])
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        while TcpStream::connect(("127.0.0.1", port)).is_err() {
            assert!(server.try_wait().unwrap().is_none(), "scim2-server ended before it listened");
            std::thread::yield_now();
        }
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let proxy_port = listener.local_addr().unwrap().port();
        let seen = Arc::new(Mutex::new(Vec::new()));
        let notes = Arc::clone(&seen);
        std::thread::spawn(move || {
            for client in listener.incoming() {
                let notes = Arc::clone(&notes);
                // A client that goes away ends its own connection only.
                std::thread::spawn(move || client.and_then(|client| pass_on(client, port, &notes)));
            }
        });
        Self { server, port, proxy_port, seen }
    }

    /// The requests since the last call that were no reads.
    fn writes(&self) -> Vec<String> {
        let mut seen = std::mem::take(&mut *self.seen.lock().unwrap());
        assert!(!seen.is_empty() || self.port > 0);
        seen.retain(|line| !line.starts_with("GET "));
        seen
    }

    /// What the server holds, past the proxy.
    fn users(&self) -> Vec<Value> {
        let mut server = TcpStream::connect(("127.0.0.1", self.port)).unwrap();
        let request =
            format!("GET /v2/Users HTTP/1.0\r\nHost: 127.0.0.1\r\nAuthorization: Bearer {TOKEN}\r\n\r\n");
        server.write_all(request.as_bytes()).unwrap();
        let mut answer = String::new();
        server.read_to_string(&mut answer).unwrap();
        let (head, body) = answer.split_once("\r\n\r\n").unwrap();
        assert!(head.contains(" 200 "), "{answer}");
        serde_json::from_str::<Value>(body).unwrap()["Resources"].as_array().cloned().unwrap_or_default()
    }

    /// Changes a user past the proxy, as somebody in the workspace would.
    fn edit(&self, user_name: &str, edit: impl FnOnce(&mut Value)) {
        let mut user = self.user(user_name);
        edit(&mut user);
        let (path, body) = (format!("/v2/Users/{}", user["id"].as_str().unwrap()), user.to_string());
        let mut server = TcpStream::connect(("127.0.0.1", self.port)).unwrap();
        let request = format!(
            "PUT {path} HTTP/1.0\r\nHost: 127.0.0.1\r\nAuthorization: Bearer {TOKEN}\r\nContent-Type: \
             application/scim+json\r\nContent-Length: {}\r\n\r\n{body}",
            body.len()
        );
        server.write_all(request.as_bytes()).unwrap();
        let mut answer = String::new();
        server.read_to_string(&mut answer).unwrap();
        assert!(answer.lines().next().unwrap_or_default().contains(" 200 "), "{answer}");
    }

    fn user(&self, user_name: &str) -> Value {
        let users = self.users();
        let found: Vec<_> = users.iter().filter(|user| user["userName"] == user_name).collect();
        assert_eq!(found.len(), 1, "{user_name} in {users:#?}");
        found[0].clone()
    }
}

impl Drop for Workspace {
    fn drop(&mut self) {
        // A server that has ended already needs no end.
        let _ = self.server.kill();
        let _ = self.server.wait();
    }
}

/// Takes one request, notes its line, and gives back what the server says; the server closes after each answer.
fn pass_on(mut client: TcpStream, port: u16, notes: &Mutex<Vec<String>>) -> io::Result<()> {
    let mut request = Vec::new();
    let mut piece = [0; 16 * 1024];
    let whole = loop {
        let read = client.read(&mut piece)?;
        if read == 0 {
            return Ok(());
        }
        request.extend_from_slice(&piece[..read]);
        let Some(head) = request.windows(4).position(|window| window == b"\r\n\r\n") else { continue };
        let head = String::from_utf8_lossy(&request[..head + 4]).to_ascii_lowercase();
        let length = head.lines().find_map(|line| line.strip_prefix("content-length:"));
        let length: usize = length.map_or(0, |text| text.trim().parse().unwrap());
        assert!(!head.contains("transfer-encoding"), "bodies are sent with their length: {head}");
        if request.len() >= head.len() + length {
            break head.len() + length;
        }
    };
    assert_eq!(request.len(), whole, "one request at a time");
    let text = String::from_utf8_lossy(&request);
    let line = text.lines().next().unwrap_or_default().to_owned();
    notes.lock().unwrap().push(line);
    let mut server = TcpStream::connect(("127.0.0.1", port))?;
    server.write_all(&request)?;
    io::copy(&mut server, &mut client)?;
    client.shutdown(Shutdown::Both)
}

/// A stage whose target is the server.
fn stage(login: Access, workspace: &Workspace) -> Stage {
    let stage = Stage::with(login, "");
    let token = stage.home.secret("interop.token", TOKEN);
    stage.home.configure(&format!(
        "[[sync]]\nsource = {{ {} }}\ntarget = {{ url = \"http://127.0.0.1:{}/v2\", token = {token}, requests_per_minute = 60000 }}\n",
        stage.source(),
        workspace.proxy_port
    ));
    stage
}

fn hire(world: &World, first: &str, last: &str) -> rosterd::sim::PersonId {
    world.hire_assigned(&format!("{}@acme.example", first.to_lowercase()), |person| {
        person.first_name = Some(first.to_owned());
        person.last_name = Some(last.to_owned());
        person.title = Some("Engineer".to_owned());
        person.department = Some("R&D \"Nord\"".to_owned());
        person.organization = Some("Acme".to_owned());
        person.primary_phone = Some("+49 30 1234567".to_owned());
    })
}

fn cycle(login: Access) {
    let Some(program) = program() else { return };
    let workspace = Workspace::start(&program);
    let stage = stage(login, &workspace);
    let world = stage.sim.world();
    let people: Vec<_> = [("Ann", "Archer"), ("Ben", "O'Neil"), ("Chloé", "Dubois"), ("Dmitri", "Волков")]
        .into_iter()
        .map(|(first, last)| hire(world, &first.replace('é', "e"), last))
        .collect();
    world.edit(people[2], |person| person.first_name = Some("Chloé".to_owned()));
    stage.run(&["check"]).exits(0);

    let dry = stage.run(&["--dry-run", "--format", "json"]).exits(0).sync();
    assert_eq!((count(&dry, "create"), workspace.writes()), (4, vec![]));
    assert_eq!(count(&stage.reconcile(), "create"), 4);
    assert_eq!(workspace.writes().len(), 4);
    let ann = workspace.user("ann@acme.example");
    assert_eq!((ann["title"].as_str(), ann["active"].as_bool()), (Some("Engineer"), Some(true)));
    assert_eq!(ann["emails"][0]["value"], "ann@acme.example");
    let enterprise = &ann["urn:ietf:params:scim:schemas:extension:enterprise:2.0:User"];
    assert_eq!(enterprise["department"], "R&D \"Nord\"", "{ann:#}");
    assert_eq!(workspace.user("chloe@acme.example")["name"]["givenName"], "Chloé");
    quiet(&stage, &workspace, 4);

    world.edit(people[0], |person| person.title = Some("Head of R&D".to_owned()));
    let sync = stage.reconcile();
    assert_eq!(action_of(&sync, "ann@acme.example"), ("update".to_owned(), "applied".to_owned()), "{sync:#}");
    let after = workspace.user("ann@acme.example");
    assert_eq!(after["title"], "Head of R&D");
    assert_eq!((&after["id"], &after["phoneNumbers"]), (&ann["id"], &ann["phoneNumbers"]), "the rest stays");
    quiet(&stage, &workspace, 4);

    world.unassign(people[1]);
    let sync = stage.reconcile();
    assert_eq!(
        action_of(&sync, "ben@acme.example"),
        ("deactivate".to_owned(), "applied".to_owned()),
        "{sync:#}"
    );
    let ben = workspace.user("ben@acme.example");
    assert_eq!((ben["active"].as_bool(), ben["title"].as_str()), (Some(false), Some("Engineer")));
    quiet(&stage, &workspace, 4);

    let id = workspace.user("chloe@acme.example")["id"].clone();
    world.rename(people[2], "chloe.dubois@acme.example");
    assert_eq!(count(&stage.reconcile(), "update"), 1);
    let renamed = workspace.user("chloe.dubois@acme.example");
    assert_eq!(
        (&renamed["id"], renamed["emails"][0]["value"].as_str()),
        (&id, Some("chloe.dubois@acme.example"))
    );
    quiet(&stage, &workspace, 4);

    world.assign(people[1]);
    world.edit(people[1], |person| person.title = Some("Returner".to_owned()));
    let sync = stage.reconcile();
    assert_eq!(
        action_of(&sync, "ben@acme.example"),
        ("reactivate".to_owned(), "applied".to_owned()),
        "{sync:#}"
    );
    let back = workspace.user("ben@acme.example");
    assert_eq!(
        (&back["id"], back["active"].as_bool(), back["title"].as_str()),
        (&ben["id"], Some(true), Some("Returner"))
    );
    quiet(&stage, &workspace, 4);
    assert_eq!(workspace.users().len(), 4);
}

/// A run that has nothing to do sends no write.
#[track_caller]
fn quiet(stage: &Stage, workspace: &Workspace, people: u64) {
    workspace.writes();
    let sync = stage.reconcile();
    assert_eq!(
        (count(&sync, "unchanged"), sync["actions"].as_array().unwrap().len()),
        (people, 0),
        "{sync:#}"
    );
    assert_eq!(workspace.writes(), [""; 0]);
}

#[test]
fn the_whole_cycle_from_okta_to_scim2_server() {
    cycle(Access::OktaToken);
}

#[test]
fn the_whole_cycle_from_onelogin_to_scim2_server() {
    cycle(Access::OneLogin);
}

#[test]
fn lost_links_are_found_again_at_scim2_server_without_a_write() {
    let Some(program) = program() else { return };
    let workspace = Workspace::start(&program);
    let stage = stage(Access::OktaToken, &workspace);
    for name in ["Ann", "Ben", "Cleo", "Dan", "Eve"] {
        hire(stage.sim.world(), name, "Example");
    }
    stage.reconcile();
    std::fs::remove_dir_all(stage.home.state()).unwrap();
    workspace.writes();
    let sync = stage.reconcile();
    assert_eq!((count(&sync, "adopt"), count(&sync, "create")), (5, 0), "{sync:#}");
    assert_eq!(workspace.writes(), [""; 0]);
    quiet(&stage, &workspace, 5);
}

#[test]
fn a_rebuild_from_scim2_server_writes_nothing_there_and_finds_who_left_meanwhile() {
    for login in [Access::OktaToken, Access::OneLogin] {
        let Some(program) = program() else { return };
        let workspace = Workspace::start(&program);
        let stage = stage(login, &workspace);
        let people =
            ["Ann", "Ben", "Cleo", "Dan", "Eve"].map(|name| hire(stage.sim.world(), name, "Example"));
        stage.reconcile();
        std::fs::remove_dir_all(stage.home.state()).unwrap();
        stage.sim.world().unassign(people[1]);
        workspace.writes();
        let document = stage.run(&["rebuild", "--yes", "--format", "json"]).exits(0).json();
        assert_eq!(document["syncs"][0]["linked"], 5, "{document:#}");
        assert_eq!(workspace.writes(), [""; 0]);
        let sync = stage.reconcile();
        let left = action_of(&sync, "ben@acme.example");
        assert_eq!(left, ("deactivate".to_owned(), "applied".to_owned()), "{sync:#}");
        assert_eq!((count(&sync, "unchanged"), workspace.writes().len()), (4, 1), "{sync:#}");
        quiet(&stage, &workspace, 5);
    }
}

#[test]
fn drift_is_found_and_repaired_at_scim2_server() {
    let Some(program) = program() else { return };
    let workspace = Workspace::start(&program);
    let stage = stage(Access::OktaToken, &workspace);
    let world = stage.sim.world();
    let people: Vec<_> =
        ["Ann", "Ben", "Cleo", "Dan", "Eve"].map(|name| hire(world, name, "Example")).into_iter().collect();
    stage.reconcile();
    world.unassign(people[0]);
    stage.reconcile();
    stage.run(&["verify", "--detailed-exitcode"]).exits(0);
    workspace.edit("ann@acme.example", |ann| ann["active"] = true.into());
    workspace.edit("ben@acme.example", |ben| ben["title"] = "Boss".into());
    workspace.edit("cleo@acme.example", |cleo| cleo["active"] = false.into());
    workspace.writes();
    let told = stage.run(&["verify", "--detailed-exitcode", "--format", "json"]).exits(2).json();
    let found: Vec<String> = told["syncs"][0]["findings"]
        .as_array()
        .unwrap()
        .iter()
        .map(|one| format!("{} {}", one["finding"].as_str().unwrap(), one["user"].as_str().unwrap()))
        .collect();
    let expected =
        ["attributes ben@acme.example", "leaver_active ann@acme.example", "switched_off cleo@acme.example"];
    assert_eq!(std::collections::BTreeSet::from_iter(&found), expected.map(str::to_owned).iter().collect());
    assert_eq!(workspace.writes(), [""; 0]);
    stage.run(&["verify", "--repair"]).exits(0);
    assert_eq!(workspace.user("ann@acme.example")["active"], false);
    assert_eq!(workspace.user("ben@acme.example")["title"], "Engineer");
    assert_eq!(workspace.user("cleo@acme.example")["active"], false, "nobody is fought");
    quiet(&stage, &workspace, 5);
}
