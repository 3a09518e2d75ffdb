//! The HTML report as a file, without a network.

use crate::audit::every_view;
use crate::browser::Browser;
use crate::made::{Made, change, ended, guard, hold, joiner, leaver, mover, person, written};
use rosterd::model::plan::Verb;
use rosterd::model::report::{Outcome, RunResult};
use rosterd::report::Format;
use serde_json::json;

/// The report of these runs as a file, opened in a browser that is cut off from every network.
async fn opened(browser: &Browser, runs: &[Made]) -> tempfile::TempDir {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("report.html");
    std::fs::write(&path, written(Format::Html, runs)).unwrap();
    browser.devtools("Network.enable", json!({})).await;
    let offline = json!({"offline": true, "latency": 0, "downloadThroughput": 0, "uploadThroughput": 0});
    browser.devtools("Network.emulateNetworkConditions", offline).await;
    browser.open(&format!("file://{}", path.display())).await;
    directory
}

fn telling() -> Made {
    let refused = "userName is taken by somebody else";
    let mut run = Made::run(
        "default",
        vec![
            leaver("bogdan@acme.example"),
            ended(leaver("chloe@acme.example"), Outcome::Held, None, "6 of 24 accounts are too many"),
            joiner("ann@acme.example", "Ann", "Example", "Engineer"),
            mover("esra@acme.example", "Engineer", "Manager"),
            ended(joiner("zoe@acme.example", "Zoë", "Ünal", "Analyst"), Outcome::Failed, Some(409), refused),
            person(
                "دينا@acme.example",
                Verb::Update,
                "name differs",
                vec![change("name.givenName", Some("Dina"), Some("دينا"))],
            ),
            person("farah@acme.example", Verb::Block, "two accounts have this address", Vec::new()),
        ],
    )
    .ends(RunResult::Held);
    run.facts.guards.push(guard("max_creates", Some(1.0), 2.0, true));
    run.facts.holds = vec![hold(Verb::Deactivate, 1, "6 of 24 accounts are too many")];
    run
}

#[tokio::test]
async fn it_looks_well_and_complains_of_nothing() {
    let Some(browser) = Browser::start().await else { return };
    let _file = opened(&browser, &[telling()]).await;
    every_view(&browser, "report").await;
    assert_eq!(browser.complaints().await, Vec::<String>::new());
}

#[tokio::test]
async fn its_filter_and_its_columns_work_offline() {
    let Some(browser) = Browser::start().await else { return };
    let _file = opened(&browser, &[telling()]).await;
    let people = "return [...document.querySelectorAll('.people .who')].map((one) => one.textContent);";
    let first: Vec<String> = browser.run(people).await;
    assert_eq!(first[0], "bogdan@acme.example");
    browser.run::<()>("document.querySelector('select[name=outcome]').focus();").await;
    browser.keys("failed").await;
    browser.until("document.querySelectorAll('.people tbody tr').length === 1").await;
    assert_eq!(browser.run::<Vec<String>>(people).await, ["zoe@acme.example"]);
    browser.keys("\u{e011}").await;
    browser.until("document.querySelectorAll('.people tbody tr').length === 7").await;
    browser.click(".people th:nth-child(3) button").await;
    browser
        .until("document.querySelector('.people th:nth-child(3)').getAttribute('aria-sort') === 'ascending'")
        .await;
    let sorted: Vec<String> = browser.run(people).await;
    assert_eq!(sorted[0], "ann@acme.example");
    browser.click(".people th:nth-child(3) button").await;
    browser.until("document.querySelector('.people .who').textContent !== 'ann@acme.example'").await;
    assert_eq!(browser.run::<Vec<String>>(people).await.pop().unwrap(), "ann@acme.example");
}

#[tokio::test]
async fn a_hundred_thousand_people_open_and_the_filter_answers() {
    let Some(browser) = Browser::start().await else { return };
    let records =
        (0..100_000).map(|number| mover(&format!("user{number}@acme.example"), "Engineer", "Manager"));
    let _file = opened(&browser, &[Made::run("default", records.collect())]).await;
    browser.until("document.querySelector('.shown').textContent.startsWith('1 to 100 of 100000')").await;
    browser.run::<()>("document.querySelector('input[name=text]').focus();").await;
    browser.keys("user99999@").await;
    browser.until("document.querySelectorAll('.people tbody tr').length === 1").await;
    assert!(browser.text(".people tbody tr").await.contains("user99999@acme.example"));
    browser.picture("report-100000-wide-light").await;
    assert_eq!(browser.complaints().await, Vec::<String>::new());
}
