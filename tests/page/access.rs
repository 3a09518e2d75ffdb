//! The first page by keyboard alone, and without its script.

use crate::browser::Browser;
use crate::scene::busy;
use serde_json::json;

const TAB: char = '\u{e004}';
const ENTER: &str = "\u{e007}";

/// Where the focus is, whether it is seen, and its place among all that can have it.
const FOCUS: &str = "const all = [...document.querySelectorAll('a[href], button:not([hidden]), input, select')]; \
                     const here = document.activeElement; const style = getComputedStyle(here); \
                     const box = here.getBoundingClientRect(); \
                     const ring = style.outlineStyle !== 'none' && parseFloat(style.outlineWidth) >= 2; \
                     const inside = box.bottom > 0 && box.top < innerHeight && box.width > 0; \
                     return [all.indexOf(here), all.length, ring && inside, here.outerHTML.slice(0, 120)];";

#[tokio::test]
async fn the_keyboard_reaches_everything_in_the_order_of_the_page_and_shows_where_it_is() {
    let Some(browser) = Browser::start().await else { return };
    let (stage, _) = busy().await;
    browser.open(&format!("http://{}/", stage.address)).await;
    let (_, all, _, _): (i64, usize, bool, String) = browser.run(FOCUS).await;
    assert!(all > 15, "{all}");
    for place in 0..all as i64 {
        browser.keys(&TAB.to_string()).await;
        let (here, _, is_seen, element): (i64, usize, bool, String) = browser.run(FOCUS).await;
        assert_eq!(here, place, "{element}");
        assert!(is_seen, "the focus is not seen on {element}");
    }
}

#[tokio::test]
async fn the_first_key_offers_to_skip_to_the_content_and_a_run_is_a_few_keys_away() {
    let Some(browser) = Browser::start().await else { return };
    let (stage, _) = busy().await;
    browser.open(&format!("http://{}/", stage.address)).await;
    browser.keys(&TAB.to_string()).await;
    assert_eq!(
        browser.run::<String>("return document.activeElement.textContent;").await,
        "Skip to the content"
    );
    browser.keys(ENTER).await;
    browser.until("location.hash === '#content'").await;
    browser.keys(&TAB.to_string()).await;
    let inside: bool = browser.run("return document.activeElement.closest('main') !== null;").await;
    assert!(inside, "the next key is in the content");
    // What needs attention stands first; the last run comes a few keys after it.
    let at_run = "return document.activeElement.pathname === '/runs/8';";
    for _ in 0..8 {
        if browser.run::<bool>(at_run).await {
            break;
        }
        browser.keys(&TAB.to_string()).await;
    }
    browser.keys(ENTER).await;
    browser.until("location.pathname === '/runs/8'").await;
}

#[tokio::test]
async fn a_run_under_the_focus_is_told_in_full() {
    let Some(browser) = Browser::start().await else { return };
    let (stage, _) = busy().await;
    browser.open(&format!("http://{}/", stage.address)).await;
    browser.run::<()>("document.querySelector('[data-key=tick-2]').focus();").await;
    browser.until("getComputedStyle(document.querySelector('[data-key=tick-2] .tip')).opacity === '1'").await;
    let shown: u32 = browser
        .run("return [...document.querySelectorAll('.tip')].filter((tip) => getComputedStyle(tip).opacity === '1').length;")
        .await;
    assert_eq!(shown, 1);
}

#[tokio::test]
async fn without_its_script_the_page_tells_the_same_and_offers_nothing_that_would_not_work() {
    let Some(browser) = Browser::start().await else { return };
    let (stage, _) = busy().await;
    browser.devtools("Emulation.setScriptExecutionDisabled", json!({"value": true})).await;
    browser.open(&format!("http://{}/", stage.address)).await;
    assert!(browser.text(".box.held").await.contains("rosterd approve h1@1"));
    assert_eq!(browser.elements(".ticks a").await.len(), 8);
    let buttons: Vec<String> =
        browser.run("return [...document.querySelectorAll('button')].filter((one) => one.checkVisibility()).map((one) => one.textContent);").await;
    assert_eq!(buttons, ["Explain"]);
}
