//! Every page in light and dark, narrow and wide: without a complaint of the browser, readable, and kept as a picture
//! in `target/screenshots`.

use crate::audit::every_view;
use crate::browser::Browser;
use crate::scene::busy;
use crate::stage::Stage;

async fn looks_well(browser: &Browser, stage: &Stage, path: &str, name: &str) {
    browser.open(&format!("http://{}{path}", stage.address)).await;
    every_view(browser, name).await;
    assert_eq!(browser.complaints().await, Vec::<String>::new(), "{name}");
}

#[tokio::test]
async fn a_sync_that_needs_attention() {
    let Some(browser) = Browser::start().await else { return };
    let (stage, _) = busy().await;
    stage.reload(&["default", "contractors"]);
    looks_well(&browser, &stage, "/", "status-busy").await;
}

#[tokio::test]
async fn a_sync_that_is_well() {
    let Some(browser) = Browser::start().await else { return };
    let stage = Stage::new().await;
    for name in ["ann", "ben", "cleo"] {
        stage.hire(name);
        stage.reconcile().await;
    }
    looks_well(&browser, &stage, "/", "status-well").await;
}

#[tokio::test]
async fn a_sync_that_never_ran() {
    let Some(browser) = Browser::start().await else { return };
    let stage = Stage::new().await;
    looks_well(&browser, &stage, "/", "status-empty").await;
    looks_well(&browser, &stage, "/runs", "runs-empty").await;
}

#[tokio::test]
async fn runs_and_one_run() {
    let Some(browser) = Browser::start().await else { return };
    let (stage, _) = busy().await;
    looks_well(&browser, &stage, "/runs", "runs").await;
    looks_well(&browser, &stage, "/runs/1", "run").await;
    looks_well(&browser, &stage, "/runs/2", "run-failed").await;
    looks_well(&browser, &stage, "/runs/8", "run-held").await;
}

#[tokio::test]
async fn a_page_that_is_not_there() {
    let Some(browser) = Browser::start().await else { return };
    let stage = Stage::new().await;
    browser.open(&format!("http://{}/runs/99", stage.address)).await;
    every_view(&browser, "not-there").await;
    assert_eq!(browser.text("h1").await, "There is no such run");
}

#[tokio::test]
async fn one_person() {
    let Some(browser) = Browser::start().await else { return };
    let (stage, _) = busy().await;
    looks_well(&browser, &stage, "/person?who=chloe%40acme.example", "person-held").await;
    looks_well(&browser, &stage, "/person?who=zoe%40acme.example", "person-failing").await;
    looks_well(&browser, &stage, "/person?who=cloe%40acme.example", "person-unknown").await;
    looks_well(&browser, &stage, "/person", "person-search").await;
}
