//! A browser, by the WebDriver protocol (W3C) and what ChromeDriver has beside it. No expectation lives here, but that
//! the browser does what it is told.

use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::{Duration, Instant};

use base64::Engine as _;
use serde::de::DeserializeOwned;
use serde_json::{Value, json};
use tokio::io::{AsyncBufReadExt, BufReader};
use tokio::process::{Child, Command};
use tokio::sync::{Mutex, MutexGuard};

/// Longer than anything here takes on a busy machine: reaching it is the failure.
const PATIENCE: Duration = Duration::from_secs(60);
const LOOK_AGAIN: Duration = Duration::from_millis(20);
/// The key of an element's reference (WebDriver, section 12.1).
const ELEMENT: &str = "element-6066-11e4-a52e-4f735466cecf";
/// Notes what the page's policy stopped, from before its first byte.
const LISTEN: &str = "window.violations = []; document.addEventListener('securitypolicyviolation', (event) => \
                      window.violations.push(event.violatedDirective + ' ' + event.blockedURI));";

/// One browser at a time: the machine that runs this may be a small one.
static TURN: Mutex<()> = Mutex::const_new(());

/// A running browser with one window.
pub(crate) struct Browser {
    driver: Child,
    client: reqwest::Client,
    session: String,
    _profile: tempfile::TempDir,
    _turn: MutexGuard<'static, ()>,
}

/// The widths at which pages are looked at, in CSS pixels.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Width {
    Narrow,
    Wide,
}

impl Width {
    pub(crate) fn pixels(self) -> u32 {
        match self {
            Width::Narrow => 360,
            Width::Wide => 1440,
        }
    }
}

fn found(names: &[&str]) -> Option<PathBuf> {
    let path = std::env::var_os("PATH").unwrap_or_default();
    let places: Vec<PathBuf> = std::env::split_paths(&path).collect();
    names.iter().flat_map(|name| places.iter().map(move |place| place.join(name))).find(|file| file.is_file())
}

impl Browser {
    /// Starts it; `None` where it is not installed.
    pub(crate) async fn start() -> Option<Browser> {
        let programs = (found(&["chromedriver"]), found(&["chromium", "google-chrome", "chrome"]));
        let (Some(driver), Some(browser)) = programs else {
            let message =
                "NOT RUN: Chromium or ChromeDriver is missing; `apt-get install chromium chromium-driver`";
            let required = std::env::var("ROSTERD_REQUIRE_BROWSER").is_ok_and(|value| value == "1");
            assert!(!required, "{message}");
            // Straight to the terminal: the test harness swallows the output of tests that pass.
            let _ = writeln!(std::io::stderr(), "\n{message}\n");
            return None;
        };
        let turn = TURN.lock().await;
        let profile = tempfile::tempdir().unwrap();
        let mut driver = Command::new(driver)
            .arg("--port=0")
            .env("HOME", profile.path())
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .process_group(0)
            .spawn()
            .unwrap();
        let port = port(&mut driver).await;
        let client = reqwest::Client::builder().no_proxy().timeout(PATIENCE).build().unwrap();
        let data = format!("--user-data-dir={}", profile.path().join("data").display());
        let arguments = [
            "--headless",
            "--no-sandbox",
            "--disable-gpu",
            "--disable-dev-shm-usage",
            "--disable-quic",
            "--no-first-run",
            "--disable-background-networking",
            "--disable-component-update",
            "--disable-sync",
            "--hide-scrollbars",
            "--window-size=1440,1000",
            &data,
        ];
        let wanted = json!({"capabilities": {"alwaysMatch": {
            "browserName": "chrome",
            "goog:chromeOptions": {"binary": browser, "args": arguments},
            "goog:loggingPrefs": {"browser": "ALL"},
        }}});
        let mut started = Browser {
            driver,
            client,
            session: format!("http://127.0.0.1:{port}/session"),
            _profile: profile,
            _turn: turn,
        };
        let session = started.post("", wanted).await;
        started.session = format!("{}/{}", started.session, session["sessionId"].as_str().unwrap());
        started.devtools("Page.enable", json!({})).await;
        started.devtools("Page.addScriptToEvaluateOnNewDocument", json!({"source": LISTEN})).await;
        started.see(Width::Wide, false).await;
        Some(started)
    }

    async fn post(&self, path: &str, body: Value) -> Value {
        let request = self.client.post(format!("{}{path}", self.session)).body(body.to_string());
        answered(request.header("content-type", "application/json"), path).await
    }

    async fn ask(&self, path: &str) -> Value {
        answered(self.client.get(format!("{}{path}", self.session)), path).await
    }

    /// A command of the DevTools protocol.
    pub(crate) async fn devtools(&self, command: &str, parameters: Value) -> Value {
        self.post("/goog/cdp/execute", json!({"cmd": command, "params": parameters})).await
    }

    /// Sets the width and the colour scheme.
    pub(crate) async fn see(&self, width: Width, dark: bool) {
        let size = json!({"width": width.pixels(), "height": 900, "deviceScaleFactor": 1, "mobile": false});
        self.devtools("Emulation.setDeviceMetricsOverride", size).await;
        let scheme = if dark { "dark" } else { "light" };
        let features = json!([
            {"name": "prefers-color-scheme", "value": scheme},
            {"name": "prefers-reduced-motion", "value": "reduce"},
        ]);
        self.devtools("Emulation.setEmulatedMedia", json!({"features": features})).await;
    }

    pub(crate) async fn open(&self, address: &str) {
        self.post("/url", json!({"url": address})).await;
    }

    pub(crate) async fn address(&self) -> String {
        self.ask("/url").await.as_str().unwrap().to_owned()
    }

    /// What a function body of the page returns.
    pub(crate) async fn run<T: DeserializeOwned>(&self, script: &str) -> T {
        let value = self.post("/execute/sync", json!({"script": script, "args": []})).await;
        serde_json::from_value(value.clone()).unwrap_or_else(|error| panic!("{error}: {value} from {script}"))
    }

    /// Waits until an expression of the page is true.
    pub(crate) async fn until(&self, what: &str) {
        let began = Instant::now();
        while !self.run::<bool>(&format!("return Boolean({what});")).await {
            if began.elapsed() > PATIENCE {
                let page: String = self.run("return document.body.innerText;").await;
                panic!("waited in vain until {what}:\n{page}");
            }
            tokio::time::sleep(LOOK_AGAIN).await;
        }
    }

    /// The text that is seen of the first element that a selector names.
    pub(crate) async fn text(&self, selector: &str) -> String {
        let script =
            format!("const found = document.querySelector({selector:?}); return found && found.innerText;");
        let text: Option<String> = self.run(&script).await;
        text.unwrap_or_else(|| panic!("there is no {selector}"))
    }

    /// Every element that a selector names.
    pub(crate) async fn elements(&self, selector: &str) -> Vec<String> {
        let found = self.post("/elements", json!({"using": "css selector", "value": selector})).await;
        found.as_array().unwrap().iter().map(|one| one[ELEMENT].as_str().unwrap().to_owned()).collect()
    }

    /// Role and name of an element, as assistive technology gets them.
    pub(crate) async fn computed(&self, element: &str) -> (String, String) {
        let role = self.ask(&format!("/element/{element}/computedrole")).await;
        let name = self.ask(&format!("/element/{element}/computedlabel")).await;
        (role.as_str().unwrap().to_owned(), name.as_str().unwrap().to_owned())
    }

    pub(crate) async fn click(&self, selector: &str) {
        let element = self.elements(selector).await.into_iter().next();
        let element = element.unwrap_or_else(|| panic!("there is no {selector}"));
        self.post(&format!("/element/{element}/click"), json!({})).await;
    }

    /// Presses and lets go of each key, wherever the focus is.
    pub(crate) async fn keys(&self, keys: &str) {
        let press =
            |key: char| [json!({"type": "keyDown", "value": key}), json!({"type": "keyUp", "value": key})];
        let actions: Vec<Value> = keys.chars().flat_map(press).collect();
        self.post("/actions", json!({"actions": [{"type": "key", "id": "keys", "actions": actions}]})).await;
    }

    /// What the console of the page says since somebody asked last, and what the policy stopped.
    pub(crate) async fn complaints(&self) -> Vec<String> {
        let log = self.post("/se/log", json!({"type": "browser"})).await;
        let said = |entry: &Value| format!("{} {}", entry["level"], entry["message"]);
        let mut complaints: Vec<String> = log.as_array().unwrap().iter().map(said).collect();
        complaints.extend(self.run::<Vec<String>>("return window.violations;").await);
        complaints
    }

    /// Keeps a picture of the whole page for people to look at.
    pub(crate) async fn picture(&self, name: &str) -> PathBuf {
        let size = self.devtools("Page.getLayoutMetrics", json!({})).await["cssContentSize"].clone();
        let clip = json!({"x": 0, "y": 0, "width": size["width"], "height": size["height"], "scale": 1});
        let options = json!({"format": "png", "captureBeyondViewport": true, "clip": clip});
        let picture = self.devtools("Page.captureScreenshot", options).await;
        let bytes =
            base64::engine::general_purpose::STANDARD.decode(picture["data"].as_str().unwrap()).unwrap();
        let directory = Path::new(env!("CARGO_TARGET_TMPDIR")).with_file_name("screenshots");
        std::fs::create_dir_all(&directory).unwrap();
        let path = directory.join(format!("{name}.png"));
        std::fs::write(&path, bytes).unwrap();
        path
    }
}

impl Drop for Browser {
    fn drop(&mut self) {
        // The driver and the browsers that it started.
        let Some(group) = self.driver.id().and_then(|id| rustix::process::Pid::from_raw(id.cast_signed()))
        else {
            return;
        };
        let _ = rustix::process::kill_process_group(group, rustix::process::Signal::KILL);
    }
}

/// The port that the driver chose.
async fn port(driver: &mut Child) -> u16 {
    let mut lines = BufReader::new(driver.stdout.take().unwrap()).lines();
    while let Some(line) = lines.next_line().await.unwrap() {
        let port = line
            .rsplit_once("started successfully on port ")
            .map(|(_, port)| port.trim_end_matches('.').parse());
        if let Some(Ok(port)) = port {
            return port;
        }
    }
    panic!("ChromeDriver ended without telling its port");
}

async fn answered(request: reqwest::RequestBuilder, path: &str) -> Value {
    let answer = request.send().await.unwrap();
    let (status, body) = (answer.status(), answer.bytes().await.unwrap());
    let value: Value = serde_json::from_slice(&body).unwrap();
    assert!(status.is_success(), "{path}: {value}");
    value["value"].clone()
}
