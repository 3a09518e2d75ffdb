//! The pages for people, as bytes: what they may load, what of others is in them, what there is and what is not.

use crate::markup::Page;
use crate::stage::{Answer, Stage};
use rosterd::model::time::Millis;
use rosterd::sim::{Effect, Fault, Peer, scim_error};

const POLICY: &str = "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self'; \
                      base-uri 'none'; form-action 'self'; frame-ancestors 'none'";
const HARM: &str = "</title></script><script>alert(1)</script><img src=x onerror=alert(1)>\" autofocus onfocus='x\u{202e}\u{7}&lt;{{ 7 * 7 }}";
/// An address in which every byte of [`HARM`] stands.
const HARM_IN_AN_ADDRESS: &str = "%3C%2Ftitle%3E%3C%2Fscript%3E%3Cscript%3Ealert(1)%3C%2Fscript%3E%3Cimg%20src%3Dx%20\
                                  onerror%3Dalert(1)%3E%22%20autofocus%20onfocus%3D'x%E2%80%AE%07%26lt%3B%7B%7B%207%20*%207%20%7D%7D";

/// Every kind of page, some of them in the middle of something.
async fn stage() -> Stage {
    let stage = Stage::new().await;
    for number in 0..20 {
        stage.hire(&format!("user{number}"));
    }
    stage.reconcile().await;
    let harmed = stage.hire("zoe");
    stage.sim.world().edit(harmed, |person| {
        person.last_name = Some(HARM.to_owned());
        person.title = Some(HARM.to_owned());
    });
    let refusal = scim_error(400, None, HARM);
    stage.sim.faults().add(Fault::on(Peer::Scim).method("POST").then(Effect::Answer(refusal)));
    stage.reconcile().await;
    stage
}

fn paths() -> Vec<String> {
    let fixed = ["/", "/runs", "/runs?failed=true", "/runs/1", "/runs/2", "/runs/99", "/person", "/nothing"];
    let mut paths: Vec<String> = fixed.map(str::to_owned).to_vec();
    paths.push("/person?who=zoe%40acme.example".to_owned());
    paths.push("/person?who=user1%40acme.example".to_owned());
    paths.push(format!("/person?who={HARM_IN_AN_ADDRESS}"));
    paths.push(format!("/runs?sync={HARM_IN_AN_ADDRESS}"));
    paths
}

/// The values of an attribute, wherever it stands.
fn values(page: &Page, attribute: &str) -> Vec<String> {
    let lead = format!(" {attribute}=\"");
    let shape = page.shape();
    let found = shape.iter().flat_map(|line| line.split(&lead).skip(1));
    found.map(|rest| rest.split('"').next().unwrap().to_owned()).collect()
}

/// An element with the names of its attributes and without their values.
fn bare(line: &str) -> String {
    let mut bare = String::new();
    let (mut quoted, mut escaped) = (false, false);
    for character in line.chars() {
        match character {
            _ if escaped => escaped = false,
            '\\' if quoted => escaped = true,
            '"' => quoted = !quoted,
            _ if quoted => {}
            _ => bare.push(character),
        }
    }
    bare
}

fn is_page(answer: &Answer) {
    assert_eq!(answer.header("content-type"), Some("text/html; charset=utf-8"), "{answer:?}");
    assert_eq!(answer.header("content-security-policy"), Some(POLICY), "{answer:?}");
}

#[tokio::test]
async fn whatever_others_have_written_no_page_is_broken_or_steered() {
    let stage = stage().await;
    for path in paths() {
        let answer = stage.get(&path).await;
        is_page(&answer);
        let page = Page::parse(&answer.body);
        assert_eq!(page.errors(), Vec::<String>::new(), "{path}");
        for character in ['\u{202e}', '\u{7}'] {
            assert!(!answer.body.contains(character), "{path}");
        }
        let shape = page.shape();
        assert!(
            shape.iter().all(|line| !bare(line).contains("<img") && !bare(line).contains(" on")),
            "{path}"
        );
        // Scripts are files; what is data is data.
        let scripts = shape.iter().filter(|line| bare(line).contains("<script"));
        for script in scripts {
            let is_file = script.contains(" src=\"/assets/") && script.contains(" defer=");
            assert!(is_file || script.contains(" type=\"application/json\""), "{path}: {script}");
        }
        assert!(
            shape.iter().all(|line| !bare(line).contains(" style") && !bare(line).contains("<style")),
            "{path}"
        );
        assert_eq!(shape.iter().filter(|line| line.starts_with("3 <title")).count(), 1, "{path}");
        assert!(!answer.body.contains(" 49"), "{path}: a template ran what it was given");
    }
    let failing = Page::parse(&stage.get("/").await.body).texts("bdi", "class", "t-failed");
    assert!(failing[0].contains("</title></script><script>alert(1)</script><img src=x"), "{failing:?}");
    let search = stage.get(&format!("/person?who={HARM_IN_AN_ADDRESS}")).await;
    let page = Page::parse(&search.body);
    assert!(page.texts("h1", "", "")[0].contains("onfocus='x\\u{202e}\\u{7}&lt;"), "as text, to the letter");
}

#[tokio::test]
async fn every_page_has_landmarks_one_heading_and_words_for_whoever_does_not_see_it() {
    let stage = stage().await;
    for path in paths() {
        let page = Page::parse(&stage.get(&path).await.body);
        let shape = page.shape();
        let count = |what: &str| shape.iter().filter(|line| line.contains(what)).count();
        assert_eq!(
            (count("<h1"), count("<main"), count("<header"), count("<footer"), count("lang=\"en\"")),
            (1, 1, 1, 1, 1),
            "{path}"
        );
        assert_eq!(count("class=\"skip\" href=\"#content\"").max(count("href=\"#content\"")), 1, "{path}");
        assert_eq!(count("<th "), count("scope=\""), "{path}");
        // Each field of a form has a label.
        let labels = values(&page, "for").len() + page.texts("label", "", "").len() - 1;
        assert_eq!(labels, count("<input") + count("<select"), "{path}");
    }
}

#[tokio::test]
async fn every_link_and_every_file_of_a_page_is_there_and_none_is_elsewhere() {
    let stage = stage().await;
    let mut links: Vec<String> = Vec::new();
    for path in ["/", "/runs", "/runs/1", "/person?who=zoe%40acme.example", "/person?who=user1"] {
        let page = Page::parse(&stage.get(path).await.body);
        for attribute in ["href", "src", "action"] {
            links.extend(values(&page, attribute));
        }
    }
    links.sort();
    links.dedup();
    assert!(links.len() > 12, "{links:?}");
    for link in links.iter().filter(|link| *link != "#content") {
        assert!(link.starts_with('/') && !link.starts_with("//"), "{link}");
        let status = stage.get(link).await.status;
        assert!(status == 200 || link == "/readyz", "{link}: {status}");
    }
}

#[tokio::test]
async fn a_file_may_be_kept_for_ever_because_its_address_is_its_content() {
    let stage = Stage::new().await;
    let page = Page::parse(&stage.get("/").await.body);
    let style = values(&page, "href").into_iter().find(|link| link.ends_with("/site.css")).unwrap();
    for (name, kind) in [
        ("site.css", "text/css; charset=utf-8"),
        ("site.js", "text/javascript; charset=utf-8"),
        ("report.js", "text/javascript; charset=utf-8"),
        ("well.svg", "image/svg+xml"),
        ("unwell.svg", "image/svg+xml"),
    ] {
        let answer = stage.get(&style.replace("site.css", name)).await;
        assert_eq!((answer.status, answer.header("content-type")), (200, Some(kind)), "{name}");
        assert_eq!(answer.header("cache-control"), Some("public, max-age=31536000, immutable"), "{name}");
        assert!(answer.header("etag").is_some_and(|tag| tag.len() == 18), "{name}");
        assert_eq!(answer.header("x-content-type-options"), Some("nosniff"), "{name}");
        assert!(!answer.body.contains("innerHTML") && !answer.body.contains("url("), "{name}");
        let policy = answer.header("content-security-policy").unwrap();
        assert!(
            policy.starts_with("default-src 'none'; base-uri"),
            "opened alone it may do nothing: {policy}"
        );
    }
    for other in
        ["/assets/0000000000000000/site.css", "/assets/site.css", &style.replace("site.css", "..%2Fsite.css")]
    {
        assert_eq!(stage.get(other).await.status, 404, "{other}");
    }
}

#[tokio::test]
async fn what_is_not_there_is_a_page_for_people_and_json_for_programs() {
    let stage = Stage::new().await;
    for path in
        ["/runs/1", "/runs/one", "/runs/99999999999999999999", "/nothing", "/../etc/passwd", "/runs/1/2"]
    {
        let answer = stage.get(path).await;
        assert_eq!(answer.status, 404, "{path}");
        is_page(&answer);
    }
    for path in
        ["/runs?before=x", "/runs?who=ann", "/runs?failed=perhaps", "/person?name=ann", "/runs?sync=a&sync=b"]
    {
        let answer = stage.get(path).await;
        assert_eq!(answer.status, 400, "{path}");
        is_page(&answer);
    }
    assert!(stage.get("/api/nothing").await.json()["error"].is_string());
}

#[tokio::test]
async fn the_runs_are_listed_page_by_page_and_none_twice() {
    let stage = Stage::new().await;
    for _ in 0..53 {
        stage.reconcile().await;
    }
    let numbers = |body: &str| -> Vec<i64> {
        let links = values(&Page::parse(body), "href");
        links.iter().filter_map(|link| link.strip_prefix("/runs/")?.parse().ok()).collect()
    };
    let older =
        |body: &str| values(&Page::parse(body), "href").into_iter().find(|link| link.contains("before="));
    let first = stage.get("/runs").await.body;
    assert_eq!(numbers(&first), (4..=53).rev().collect::<Vec<i64>>());
    let next = older(&first).unwrap();
    assert_eq!(next, "/runs?before=4");
    let last = stage.get(&next).await.body;
    assert_eq!(numbers(&last), [3, 2, 1]);
    assert_eq!(older(&last), None);
    let newest = values(&Page::parse(&last), "href").into_iter().filter(|link| link == "/runs").count();
    assert_eq!(newest, 2, "in the navigation, and back to the newest");
    assert_eq!(numbers(&stage.get("/runs?sync=default&failed=true").await.body), [0_i64; 0]);
    assert_eq!(numbers(&stage.get("/runs?sync=&before=3").await.body), [2, 1], "an empty choice is none");
    assert_eq!(older(&stage.get("/runs?sync=default").await.body).unwrap(), "/runs?sync=default&before=4");
}

#[tokio::test]
async fn a_person_is_told_from_what_is_stored_and_an_unknown_one_is_not_made_up() {
    let stage = stage().await;
    let text = |answer: Answer| Page::parse(&answer.body).texts("main", "", "").concat();
    let known = text(stage.get("/person?who=%20USER1%40acme.example%20").await);
    for part in ["Linked account", "active, takes a seat", "Tried last", "create", "applied"] {
        assert!(known.contains(part), "{part} in {known}");
    }
    let unknown = stage.get("/person?who=nobody%40acme.example").await;
    assert_eq!(unknown.status, 200);
    assert!(text(unknown).contains("Nobody of that name is known here."));
    for nobody in ["/person", "/person?who=", "/person?who=%20"] {
        let page = text(stage.get(nobody).await);
        assert!(page.contains("Find a person") && !page.contains("Nobody of that name"), "{page}");
    }
}

#[tokio::test]
async fn the_time_to_revoke_is_told_from_what_is_stored() {
    let stage = Stage::new().await;
    let untold = stage.get("/").await.body;
    assert!(untold.contains("The daemon has not seen anybody leave yet."));
    let tenure = stage.store.tenure("default").await.unwrap();
    stage.store.note_revocations(&tenure, vec![4_000, 20_000], Millis::now()).await.unwrap();
    let page = Page::parse(&stage.get("/").await.body);
    let caption = page.texts("caption", "", "").concat();
    assert_eq!(
        caption,
        "Half of 2 leavers lost access within 4 seconds, 95% within 20 seconds, everybody within 20 seconds."
    );
}
