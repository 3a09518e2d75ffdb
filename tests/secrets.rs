//! The canary: every credential is a value that can be found again. Whatever is run, and however it fails, none of
//! them (nor what is made from them: assertions, access tokens, proofs, Basic pairs) may be in an output, a log, a
//! report file or the state directory.
#![cfg(feature = "sim")]
// The lint's exception for tests covers test functions only, not what they share.
#![allow(clippy::unwrap_used)]

#[path = "binary/support.rs"]
mod support;

use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD_NO_PAD, URL_SAFE_NO_PAD};
use rosterd::sim::{Effect, Fault, KeyKind, Peer, Reply};
use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use support::{Access, Ran, Stage};

const OKTA_TOKEN: &str = "00canary+okta/token~with=signs-4b1e9a";
const ONELOGIN_SECRET: &str = "canary+onelogin/secret~with=signs-77c0d2";
const SCIM_TOKEN: &str = "canary+workspace/token~with=signs-e5f813";
/// Shorter texts are not distinctive: a piece of a token of this length is still useless to a thief.
const SHORTEST: usize = 16;

/// Everything that must never be seen, in every form in which it might be.
struct Canaries(BTreeSet<String>);

impl Canaries {
    fn new() -> Self {
        Self(BTreeSet::new())
    }

    fn add(&mut self, secret: &str) {
        if secret.len() < SHORTEST {
            return;
        }
        self.0.insert(secret.to_owned());
        self.0.insert(
            percent_encoding::utf8_percent_encode(secret, percent_encoding::NON_ALPHANUMERIC).to_string(),
        );
        self.0.insert(url::form_urlencoded::byte_serialize(secret.as_bytes()).collect());
        self.0.insert(secret.bytes().map(|byte| format!("{byte:02x}")).collect());
        // In Base64 the same bytes look different at each of three offsets; what hangs over at either end is cut.
        for offset in 0..3 {
            let mut bytes = vec![b' '; offset];
            bytes.extend(secret.bytes());
            bytes.truncate(bytes.len() / 3 * 3);
            for text in [STANDARD_NO_PAD.encode(&bytes), URL_SAFE_NO_PAD.encode(&bytes)] {
                self.0.insert(text[if offset == 0 { 0 } else { 4 }..].to_owned());
            }
        }
    }

    /// The credentials that the stage was set up with.
    fn add_given(&mut self, stage: &Stage) {
        for secret in [OKTA_TOKEN, ONELOGIN_SECRET, SCIM_TOKEN] {
            self.add(secret);
        }
        for kind in [KeyKind::Rs256, KeyKind::Es256] {
            let pem = stage.sim.okta_private_key_pem(kind);
            pem.lines().filter(|line| !line.starts_with("-----")).for_each(|line| self.add(line));
            let jwk: serde_json::Value = serde_json::from_str(&stage.sim.okta_private_key_jwk(kind)).unwrap();
            for member in ["d", "p", "q", "dp", "dq", "qi"] {
                jwk[member].as_str().iter().for_each(|value| self.add(value));
            }
        }
    }

    /// What was sent: Authorization values, DPoP proofs, client assertions.
    fn add_sent(&mut self, stage: &Stage) -> usize {
        let before = self.0.len();
        for request in stage.sim.all_requests() {
            if let Some(value) = request.headers.get("authorization") {
                self.add(value.split_once(' ').map_or(value.as_str(), |(_, credential)| credential));
            }
            request.headers.get("dpop").iter().for_each(|proof| self.add(proof));
            for (name, value) in url::form_urlencoded::parse(request.body.as_bytes()) {
                if name == "client_assertion" {
                    self.add(&value);
                    // The signature alone, and the claims alone.
                    value.split('.').for_each(|part| self.add(part));
                }
            }
        }
        self.0.len() - before
    }

    #[track_caller]
    fn assert_absent(&self, text: &[u8], place: &str) {
        let text = String::from_utf8_lossy(text);
        let found = self.0.iter().find(|canary| text.contains(canary.as_str()));
        assert_eq!(found, None, "{place} shows a secret:\n{text}");
    }
}

fn stage(login: Access) -> Stage {
    let stage = Stage::with(login, "");
    stage.sim.okta(|okta| OKTA_TOKEN.clone_into(&mut okta.api_token));
    stage.sim.onelogin(|onelogin| ONELOGIN_SECRET.clone_into(&mut onelogin.client_secret));
    stage.sim.scim(|scim| SCIM_TOKEN.clone_into(&mut scim.token));
    stage.configure("");
    stage.hire_all(&["Ann", "Ben", "Cleo"]);
    stage
}

const LOGINS: [Access; 6] = [
    Access::OktaToken,
    Access::OktaOauth { key: KeyKind::Rs256, jwk: false, dpop: "off" },
    Access::OktaOauth { key: KeyKind::Rs256, jwk: true, dpop: "auto" },
    Access::OktaOauth { key: KeyKind::Es256, jwk: false, dpop: "on" },
    Access::OktaOauth { key: KeyKind::Es256, jwk: true, dpop: "auto" },
    Access::OneLogin,
];

/// As talkative as it can be made, libraries included.
fn loudest(stage: &Stage, arguments: &[&str]) -> Ran {
    let mut command = stage.home.command(arguments);
    Ran::of(command.arg("-vv").env("RUST_LOG", "trace").env("RUST_BACKTRACE", "full").output().unwrap())
}

/// Every file of a directory and below.
fn files(directory: &Path) -> Vec<PathBuf> {
    let entries = std::fs::read_dir(directory).into_iter().flatten().map(|entry| entry.unwrap().path());
    entries.flat_map(|path| if path.is_dir() { files(&path) } else { vec![path] }).collect()
}

/// Runs every command that talks to somebody, and gives what they said with their names.
fn everything(stage: &Stage) -> Vec<(String, Ran)> {
    let report = stage.home.path().join("reports/report.json");
    std::fs::create_dir_all(report.parent().unwrap()).unwrap();
    let report = report.to_str().unwrap();
    let all: [&[&str]; 13] = [
        &["check"],
        &["check", "--offline"],
        &["--dry-run"],
        &["--dry-run", "--format", "json", "--output", report],
        &["--reconcile-now", "--log-format", "json"],
        &["--reconcile-now", "--format", "json"],
        &["--dry-run", "--user", "ann@acme.example", "--log-format", "json"],
        &["--dry-run", "--sync", "nobody"],
        &["status"],
        &["status", "--format", "json"],
        &["history"],
        &["history", "--format", "json", "--user", "ann@acme.example"],
        &["history", "--run", "1"],
    ];
    all.iter().map(|arguments| (arguments.join(" "), loudest(stage, arguments))).collect()
}

/// Asserts that nothing secret was said or written.
#[track_caller]
fn assert_discreet(stage: &Stage, said: &[(String, Ran)], case: &str) {
    let mut canaries = Canaries::new();
    canaries.add_given(stage);
    canaries.add_sent(stage);
    for (arguments, ran) in said {
        canaries.assert_absent(ran.stdout.as_bytes(), &format!("{case}: stdout of {arguments}"));
        canaries.assert_absent(ran.stderr.as_bytes(), &format!("{case}: stderr of {arguments}"));
    }
    for place in ["state", "reports", "tmp"] {
        for path in files(&stage.home.path().join(place)) {
            canaries.assert_absent(&std::fs::read(&path).unwrap(), &format!("{case}: {}", path.display()));
        }
    }
}

#[test]
fn no_login_leaves_a_secret_in_any_output_or_file() {
    for login in LOGINS {
        let stage = stage(login);
        if matches!(login, Access::OktaOauth { dpop: "on" | "auto", .. }) {
            stage.sim.okta(|okta| okta.dpop = rosterd::sim::Dpop::Required);
        }
        let said = everything(&stage);
        let codes: Vec<_> = said.iter().map(|(_, ran)| ran.code).collect();
        assert_eq!(codes, [0, 0, 0, 0, 0, 0, 0, 64, 0, 0, 0, 0, 0].map(Some), "{login:?} {said:#?}");
        assert!(Canaries::new().add_sent(&stage) > 0, "credentials were sent and seen");
        assert_discreet(&stage, &said, &format!("{login:?}"));
    }
}

/// The canaries themselves must be found where they are, else the test above shows nothing.
#[test]
fn a_canary_is_found_in_every_form() {
    let mut canaries = Canaries::new();
    canaries.add(ONELOGIN_SECRET);
    let seen = |text: &str| canaries.0.iter().any(|canary| text.contains(canary.as_str()));
    assert!(seen(&format!("x{ONELOGIN_SECRET}y")));
    for prefix in ["", "a", "id:", "user"] {
        let pair = format!("{prefix}{ONELOGIN_SECRET}");
        assert!(seen(&base64::engine::general_purpose::STANDARD.encode(&pair)), "{prefix}");
        assert!(seen(&URL_SAFE_NO_PAD.encode(format!("{pair}!"))), "{prefix}");
    }
    assert!(seen("canary%2Bonelogin%2Fsecret%7Ewith%3Dsigns%2D77c0d2"));
    assert!(!seen("canary"));
}

type Sabotage = (&'static str, fn(&Stage));

/// What can go wrong on either side while credentials are at hand.
const FAILURES: [Sabotage; 8] = [
    ("the source refuses the credentials", |stage| {
        stage.sim.okta(|okta| okta.api_token_valid = false);
        for peer in [Peer::Okta, Peer::OneLogin] {
            let body = serde_json::json!({"error": "invalid_client", "error_description": "no", "errorCode": "E0000011"});
            stage.sim.faults().add(Fault::on(peer).then(Effect::Answer(Reply::json(401, &body))));
        }
    }),
    ("the token endpoint answers something else", |stage| {
        for peer in [Peer::Okta, Peer::OneLogin] {
            let page = Effect::answer(200, "application/json", "{\"access_token\": 17, \"token_type\": ");
            stage.sim.faults().add(Fault::on(peer).path("token").then(page));
        }
    }),
    ("the source sends bad JSON", |stage| {
        for peer in [Peer::Okta, Peer::OneLogin] {
            let page = Effect::answer(200, "application/json", "[{\"id\": \"00u1\", \"profile\": {]");
            stage.sim.faults().add(Fault::on(peer).path("/users").then(page));
        }
    }),
    ("the source redirects", |stage| {
        for peer in [Peer::Okta, Peer::OneLogin] {
            let away = Reply::empty(302).with("location", "http://127.0.0.1:1/login");
            stage.sim.faults().add(Fault::on(peer).path("/users").then(Effect::Answer(away)));
        }
    }),
    ("the workspace refuses the token", |stage| stage.sim.scim(|scim| scim.token = "another".to_owned())),
    ("the workspace sends bad JSON", |stage| {
        stage.sim.faults().add(Fault::on(Peer::Scim).then(Effect::answer(
            200,
            "application/scim+json",
            "{\"Resources\": [",
        )));
    }),
    ("the workspace refuses every write", |stage| {
        let refusal = rosterd::sim::scim_error(400, Some("invalidValue"), "not this one");
        stage.sim.faults().add(Fault::on(Peer::Scim).method("POST").then(Effect::Answer(refusal)));
    }),
    ("the workspace cuts the connection in mid-reply", |stage| {
        let cut = Effect::Cut(rosterd::sim::Cut::InBody(10));
        stage.sim.faults().add(Fault::on(Peer::Scim).method("POST").then(cut));
    }),
];

#[test]
fn no_failure_shows_a_secret() {
    for login in [LOGINS[0], LOGINS[4], LOGINS[5]] {
        for (case, sabotage) in FAILURES {
            let stage = stage(login);
            sabotage(&stage);
            let said = everything(&stage);
            let harmless = (login == Access::OktaToken && case.starts_with("the token endpoint"))
                || case == "the workspace cuts the connection in mid-reply";
            assert_eq!(said[4].1.code == Some(0), harmless, "{case}: {said:#?}");
            assert_discreet(&stage, &said, &format!("{login:?}, {case}"));
        }
    }
}

#[test]
fn a_server_that_repeats_what_it_was_sent_does_not_make_us_show_it() {
    for login in [LOGINS[0], LOGINS[5]] {
        let okta = format!("Authorization: SSWS {OKTA_TOKEN}");
        let workspace = format!("got Bearer {SCIM_TOKEN} at /Users?token={SCIM_TOKEN}");
        let pair = format!("{}:{ONELOGIN_SECRET}", Stage::new().sim.onelogin_client_id());
        let basic = base64::engine::general_purpose::STANDARD.encode(pair);
        let onelogin = format!("Authorization: Basic {basic} with secret {ONELOGIN_SECRET}");
        for (peer, status, words) in [
            (Peer::Okta, 401, &okta),
            (Peer::Okta, 400, &okta),
            (Peer::OneLogin, 401, &onelogin),
            (Peer::OneLogin, 400, &onelogin),
            (Peer::Scim, 401, &workspace),
            (Peer::Scim, 400, &workspace),
            (Peer::Scim, 500, &workspace),
        ] {
            let stage = stage(login);
            let body =
                serde_json::json!({"detail": words, "errorSummary": words, "message": words, "error": words});
            let token_endpoint = |path: &str| path.contains("token");
            let mut rule =
                Fault::on(peer).when(move |path, _| peer != Peer::OneLogin || token_endpoint(path));
            if status == 500 {
                // A read would be repeated with growing pauses; a write is settled by reading.
                rule = rule.method("POST");
            }
            stage.sim.faults().add(rule.then(Effect::Answer(Reply::json(status, &body))));
            let said: Vec<_> = [&["check"][..], &["--reconcile-now"], &["--dry-run", "--format", "json"]]
                .iter()
                .map(|arguments| (arguments.join(" "), stage.run(arguments)))
                .collect();
            assert_discreet(&stage, &said, &format!("{login:?}, {peer:?} repeats with {status}"));
        }
    }
}

#[test]
fn secrets_that_cannot_be_used_are_not_shown() {
    for (name, value) in [
        ("two lines", format!("{OKTA_TOKEN}\nsecond line {SCIM_TOKEN}")),
        ("spaces", format!("  {OKTA_TOKEN}  ")),
        ("control characters", format!("{OKTA_TOKEN}\u{7}")),
        ("a broken key", format!("-----BEGIN PRIVATE KEY-----\n{OKTA_TOKEN}\n-----END PRIVATE KEY-----\n")),
        ("a broken JWK", format!("{{\"kty\": \"RSA\", \"d\": \"{OKTA_TOKEN}\"")),
    ] {
        for (login, file) in
            [(LOGINS[0], "okta.token"), (LOGINS[3], "okta.key"), (LOGINS[5], "onelogin.secret")]
        {
            let stage = stage(login);
            stage.home.secret(file, &value);
            let said = everything(&stage);
            assert!(said[0].1.code != Some(0) || login == LOGINS[0], "{name} {login:?}");
            assert_discreet(&stage, &said, &format!("{login:?}, {name}"));
        }
    }
}

#[test]
fn secrets_written_into_the_configuration_or_the_environment_are_not_shown() {
    let stage = stage(Access::OktaToken);
    stage.home.configure(&format!(
        "[[sync]]\nsource = {{ kind = \"okta\", url = \"https://u:{SCIM_TOKEN}@acme.okta.com\", app_id = \"a\", api_token = \"{OKTA_TOKEN}\", \
         apitoken = \"{OKTA_TOKEN}\" }}\ntarget = {{ url = \"https://x.example\", token = {{ env = \"{SCIM_TOKEN}\" }} }}\n"
    ));
    let said = everything(&stage);
    assert!(said.iter().all(|(_, ran)| ran.code == Some(78)), "{said:#?}");
    assert_discreet(&stage, &said, "in the configuration");
    let source = stage.source().replace(&stage.home.secret("okta.token", OKTA_TOKEN), "{ env = \"CANARY\" }");
    stage.home.configure(&format!("[[sync]]\nsource = {{ {source} }}\n{}\n", stage.target("")));
    let mut command = stage.home.command(&["--reconcile-now", "-vv"]);
    let ran = Ran::of(command.env("CANARY", OKTA_TOKEN).env("RUST_LOG", "trace").output().unwrap()).exits(0);
    assert_discreet(&stage, &[("with the environment".to_owned(), ran)], "in the environment");
}
