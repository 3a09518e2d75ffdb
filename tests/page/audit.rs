//! What must hold for every page at every width and in both colour schemes, by the browser's own reckoning.

use crate::browser::{Browser, Width};
use std::time::Duration;

/// Every combination in which a page is looked at, with its name.
pub(crate) const VIEWS: [(Width, bool, &str); 4] = [
    (Width::Wide, false, "wide-light"),
    (Width::Wide, true, "wide-dark"),
    (Width::Narrow, false, "narrow-light"),
    (Width::Narrow, true, "narrow-dark"),
];

/// Contrast of every text, labels, headings, names of tables, sizes of targets, no scrolling sideways.
pub(crate) async fn is_in_order(browser: &Browser, page: &str) {
    let (texts, wrong): (u32, Vec<String>) = browser.run(include_str!("audit.js")).await;
    assert!(texts > 5, "{page}: the audit saw {texts} texts");
    assert_eq!(wrong, Vec::<String>::new(), "{page}");
}

/// Everything that can be operated has a role and a name, as assistive technology gets them.
pub(crate) async fn everything_has_a_name(browser: &Browser, page: &str) {
    let selector = "a[href], button:not([hidden], [hidden] *), input, select, textarea, summary, table, nav, form[role], svg[role]";
    let elements = browser.elements(selector).await;
    assert!(elements.len() > 3, "{page}");
    for element in elements {
        let (role, name) = browser.computed(&element).await;
        // A form that is hidden until its script works has no role yet.
        assert!(role != "generic" && !name.trim().is_empty(), "{page}: role {role:?}, name {name:?}");
    }
}

/// In all widths and colour schemes: in order, and a picture for people.
pub(crate) async fn every_view(browser: &Browser, page: &str) {
    for (width, dark, view) in VIEWS {
        browser.see(width, dark).await;
        is_in_order(browser, &format!("{page}, {view}")).await;
        browser.picture(&format!("{page}-{view}")).await;
    }
    browser.see(Width::Wide, false).await;
    // A page that draws itself for ever would never come to an end of this.
    tokio::time::timeout(Duration::from_secs(60), everything_has_a_name(browser, page)).await.unwrap();
}

/// A page with one of each mistake.
const BAD: &str = "<!doctype html><html lang=en><title>bad</title><style>:root { color-scheme: light dark } p { color: \
                   #949494 } div { width: 3000px }</style><main><h1>a</h1><h3>b</h3><p>too pale</p><input \
                   name=text><table><tr><th>c</th></tr></table><button>x</button><div id=twice>d</div><i \
                   id=twice>e</i><button style='height: 9px'></button></main>";

#[tokio::test]
async fn the_audit_sees_what_it_looks_for() {
    let Some(browser) = Browser::start().await else { return };
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("bad.html");
    std::fs::write(&path, BAD).unwrap();
    browser.open(&format!("file://{}", path.display())).await;
    let (_, wrong): (u32, Vec<String>) = browser.run(include_str!("audit.js")).await;
    for part in [
        "contrast 3.03 of <p",
        "no label: <input",
        "h3 after h1",
        "no header",
        "an id stands twice",
        "a th without scope",
        "x9: <button",
        "scrolls sideways: <div",
    ] {
        assert!(wrong.iter().any(|one| one.contains(part)), "{part} in {wrong:?}");
    }
}
