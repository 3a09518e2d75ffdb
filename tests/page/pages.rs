//! What the pages do: show, search, filter, keep themselves fresh, and say so when they cannot.

use crate::browser::Browser;
use crate::scene::{HARM, busy};
use crate::stage::Stage;
use rosterd::report::visible;

/// Looks again at once, as if somebody had come back to the window.
const COME_BACK: &str = "document.dispatchEvent(new Event('visibilitychange'));";

async fn at(stage: &Stage, path: &str) -> Option<Browser> {
    let browser = Browser::start().await?;
    browser.open(&format!("http://{}{path}", stage.address)).await;
    Some(browser)
}

#[tokio::test]
async fn a_held_run_shows_the_commands_that_release_and_drop_it_and_copies_them() {
    let (stage, _) = busy().await;
    let Some(browser) = at(&stage, "/").await else { return };
    let held = browser.text(".box.held").await;
    for part in [
        "h1: deactivate for 6 people.",
        "Release exactly these:",
        "rosterd approve h1@1",
        "rosterd reject h1",
    ] {
        assert!(held.contains(part), "{part} in {held}");
    }
    assert!(browser.text("h1").await.ends_with("The sync needs attention"));
    let origin = format!("http://{}", stage.address);
    let permission = serde_json::json!({"origin": origin, "permissions": ["clipboardReadWrite", "clipboardSanitizedWrite"]});
    browser.devtools("Browser.grantPermissions", permission).await;
    browser.click("button[data-copy]").await;
    browser.until("document.getElementById('live').textContent === 'Copied: rosterd approve h1@1'").await;
    browser
        .run::<Option<bool>>("navigator.clipboard.readText().then((text) => { window.copied = text; });")
        .await;
    browser.until("window.copied === 'rosterd approve h1@1'").await;
    assert_eq!(browser.complaints().await, Vec::<String>::new());
}

#[tokio::test]
async fn what_means_harm_is_text_and_nothing_else() {
    let (stage, _) = busy().await;
    let Some(browser) = at(&stage, "/").await else { return };
    let words = browser.text("bdi.t-failed").await;
    assert!(words.contains("<script>document.title"), "{words}");
    browser.open(&format!("http://{}/runs/7", stage.address)).await;
    let people = browser.text(".people tbody").await;
    assert!(people.contains(&*visible(HARM)), "{people}");
    for path in [
        "/",
        "/runs",
        "/runs/7",
        "/person?who=zoe%40acme.example",
        "/person?who=%3Cscript%3Ealert(1)%3C/script%3E",
    ] {
        browser.open(&format!("http://{}{path}", stage.address)).await;
        let (title, images): (String, u32) =
            browser.run("return [document.title, document.querySelectorAll('img').length];").await;
        assert!(title.ends_with("rosterd") && images == 0, "{path}: {title}");
        assert_eq!(browser.complaints().await, Vec::<String>::new(), "{path}");
    }
}

#[tokio::test]
async fn each_run_has_a_name_and_leads_to_its_page_where_its_people_can_be_filtered() {
    let (stage, _) = busy().await;
    let Some(browser) = at(&stage, "/").await else { return };
    let ticks = browser.elements(".ticks a").await;
    assert_eq!(ticks.len(), 8);
    let (role, name) = browser.computed(&ticks[0]).await;
    assert_eq!(role, "link");
    assert!(name.starts_with("Run 1: ok, by schedule. 20") && name.contains("24 created"), "{name}");
    let (_, name) = browser.computed(&ticks[1]).await;
    assert!(name.starts_with("Run 2: source unavailable, by schedule."), "{name}");
    browser.click(".ticks li:first-child a").await;
    browser.until("document.querySelector('h1').textContent.startsWith('Run 1 of sync')").await;
    assert!(browser.address().await.ends_with("/runs/1"));
    assert_eq!(browser.elements(".people tbody tr").await.len(), 24);
    browser.run::<()>("document.querySelector('input[name=text]').focus();").await;
    browser.keys("chloe").await;
    browser.until("document.querySelectorAll('.people tbody tr').length === 1").await;
    assert!(browser.text(".people tbody tr").await.contains("chloe@acme.example"));
    assert!(browser.text(".shown").await.contains("1 to 1 of 1, chosen from 24 people."));
    assert_eq!(browser.complaints().await, Vec::<String>::new());
}

#[tokio::test]
async fn the_page_takes_up_a_new_run_by_itself_and_leaves_the_focus_where_it_is() {
    let (stage, _) = busy().await;
    let Some(browser) = at(&stage, "/").await else { return };
    browser
        .run::<()>(
            "document.querySelector('[data-key=tick-3]').focus(); window.kept = document.activeElement; \
             document.querySelector('#who').value = 'half a na'; window.scrollTo(0, 120); window.same = window.scrollY;",
        )
        .await;
    stage.hire("newcomer");
    stage.reconcile().await;
    // Nobody asks: the page looks by itself.
    browser.until("document.querySelector('[data-key=tick-9]')").await;
    let kept: (bool, String, bool, String) = browser
        .run(
            "return [document.activeElement === window.kept, document.activeElement.dataset.key, \
             window.scrollY === window.same, document.querySelector('#who').value];",
        )
        .await;
    assert_eq!(kept, (true, "tick-3".to_owned(), true, "half a na".to_owned()));
    assert_eq!(
        browser.run::<String>("return document.getElementById('live').textContent;").await,
        "",
        "no news to tell"
    );
    assert_eq!(browser.complaints().await, Vec::<String>::new());
}

#[tokio::test]
async fn what_is_news_is_told_and_nothing_else_is_announced() {
    let stage = Stage::new().await;
    stage.hire("ann");
    stage.reconcile().await;
    let Some(browser) = at(&stage, "/").await else { return };
    assert!(browser.text("h1").await.ends_with("The sync is healthy"));
    let refusal = rosterd::sim::okta_error(401, "E0000011", "Invalid token provided");
    let fault = rosterd::sim::Fault::on(rosterd::sim::Peer::Okta).then(rosterd::sim::Effect::Answer(refusal));
    stage.sim.faults().add(fault);
    // One failed run is a line; five in a row are a quarantine.
    for _ in 0..5 {
        stage.reconcile().await;
    }
    browser.run::<()>(COME_BACK).await;
    browser.until("document.getElementById('live').textContent.includes('needs attention')").await;
    let (title, icon): (String, String) =
        browser.run("return [document.title, document.querySelector('link[rel=icon]').href];").await;
    assert!(title.starts_with("The sync needs attention") && icon.ends_with("/unwell.svg"), "{title} {icon}");
    let live: (String, String) =
        browser.run("const live = document.getElementById('live'); return [live.getAttribute('role'), live.parentElement.localName];").await;
    assert_eq!(live, ("status".to_owned(), "header".to_owned()));
    assert_eq!(browser.elements("[aria-live], [role=alert]").await.len(), 0, "nothing else is announced");
}

#[tokio::test]
async fn whoever_pauses_it_is_left_alone() {
    let stage = Stage::new().await;
    let Some(browser) = at(&stage, "/").await else { return };
    browser.click("#pause").await;
    stage.hire("ann");
    stage.reconcile().await;
    browser.run::<()>(COME_BACK).await;
    let pressed: String =
        browser.run("return document.getElementById('pause').getAttribute('aria-pressed');").await;
    assert_eq!(pressed, "true");
    assert_eq!(browser.elements(".ticks li").await.len(), 0);
    browser.click("#pause").await;
    browser.until("document.querySelectorAll('.ticks li').length === 1").await;
}

#[tokio::test]
async fn when_the_daemon_is_gone_the_page_says_since_when() {
    let (stage, _) = busy().await;
    let Some(browser) = at(&stage, "/").await else { return };
    let since = browser.text("#as-of").await;
    stage.stop.send_replace(true);
    stage.server.await.unwrap().unwrap();
    browser.run::<()>(COME_BACK).await;
    browser.until("document.body.classList.contains('stale')").await;
    let told = browser.text("#live").await;
    assert_eq!(
        told,
        format!("No answer since {since}: the daemon does not answer. What is shown is from then.")
    );
    assert!(browser.run::<String>("return document.title;").await.starts_with("No answer"));
    assert!(browser.text(".box.held").await.contains("rosterd approve h1@1"), "what was known stays");
    browser.picture("status-no-answer-wide-light").await;
}

#[tokio::test]
async fn the_list_of_runs_is_filtered_by_its_form() {
    let (stage, _) = busy().await;
    let Some(browser) = at(&stage, "/runs").await else { return };
    assert_eq!(browser.elements(".people tbody tr").await.len(), 8);
    browser.click("input[name=failed]").await;
    browser.click(".tools button").await;
    browser.until("location.search.includes('failed=true')").await;
    browser.until("document.querySelectorAll('.people tbody tr').length === 3").await;
    let rows: Vec<String> = browser
        .run(
            "return [...document.querySelectorAll('[data-label=Run]')].map((cell) => cell.innerText.trim());",
        )
        .await;
    assert_eq!(rows, ["run 8", "run 7", "run 2"]);
    assert!(browser.run::<bool>("return document.querySelector('input[name=failed]').checked;").await);
    assert_eq!(browser.complaints().await, Vec::<String>::new());
}

#[tokio::test]
async fn a_search_explains_one_person_from_what_is_stored() {
    let (stage, _) = busy().await;
    let Some(browser) = at(&stage, "/").await else { return };
    stage.sim.clear_requests();
    browser.run::<()>("document.getElementById('who').focus();").await;
    browser.keys("chloe@acme.example\u{e007}").await;
    browser.until("location.pathname === '/person' && document.querySelector('.answer')").await;
    assert_eq!(browser.text("h1").await, "chloe@acme.example");
    let page = browser.text("main").await;
    for part in ["What to do", "rosterd approve h1@1", "Linked account", "Tried last", "+ create", "applied"]
    {
        assert!(page.contains(part), "{part} in {page}");
    }
    assert!(stage.sim.all_requests().is_empty(), "neither side was asked");
    assert_eq!(browser.complaints().await, Vec::<String>::new());
}

#[tokio::test]
async fn whoever_is_not_known_is_told_what_is_spelled_nearly_so() {
    let (stage, _) = busy().await;
    let Some(browser) = at(&stage, "/person?who=cloe%40acme.example").await else { return };
    assert!(browser.text("main").await.contains("Nobody of that name is known here."));
    browser.click("main a[href^='/person?who=']").await;
    browser.until("document.querySelector('h1').textContent === 'chloe@acme.example'").await;
    assert!(!browser.text(".answer").await.is_empty());
}
