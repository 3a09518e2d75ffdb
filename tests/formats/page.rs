//! The page as such: nothing from elsewhere, nothing that its own policy would stop, readable by those who do not see
//! it, and everybody in it however many there are.

use crate::made::{Made, joiner, leaver, mover, written};
use crate::markup::Page;
use aws_lc_rs::digest::{SHA256, digest};
use base64::Engine as _;
use rosterd::report::Format;
use serde_json::Value;

fn page(people: u32) -> (String, Page) {
    let mut records =
        vec![leaver("chloe@acme.example"), joiner("ann@acme.example", "Ann", "Example", "Engineer")];
    records.extend(
        (2..people).map(|number| mover(&format!("user{number}@acme.example"), "Engineer", "Manager")),
    );
    let text = written(Format::Html, &[Made::run("default", records)]);
    let page = Page::parse(&text);
    (text, page)
}

/// The attributes of every element that has this name.
fn having(page: &Page, attribute: &str) -> Vec<String> {
    page.shape().into_iter().filter(|line| line.contains(&format!(" {attribute}="))).collect()
}

#[test]
fn the_policy_names_the_digests_of_the_style_and_the_script_and_allows_nothing_else() {
    let (_, page) = page(2);
    let policy = page.shape().into_iter().find(|line| line.contains("Content-Security-Policy")).unwrap();
    let hash = |text: &str| {
        format!(
            "'sha256-{}'",
            base64::engine::general_purpose::STANDARD.encode(digest(&SHA256, text.as_bytes()))
        )
    };
    let (style, script) = (page.texts("style", "", ""), page.texts("script", "", ""));
    let script = script.last().unwrap();
    assert_eq!(style.len(), 1);
    for directive in [
        "default-src 'none'".to_owned(),
        format!("style-src {}", hash(&style[0])),
        format!("script-src {}", hash(script)),
        "base-uri 'none'".to_owned(),
        "form-action 'none'".to_owned(),
    ] {
        assert!(policy.contains(&directive), "{directive} in {policy}");
    }
    assert_eq!(policy.matches(';').count(), 4, "{policy}");
    // It stands before everything that it is about.
    let shape = page.shape();
    let place = |what: &str| shape.iter().position(|line| line.contains(what)).unwrap();
    assert!(place("Content-Security-Policy") < place("<style") && place("<style") < place("<script"));
}

#[test]
fn nothing_comes_from_elsewhere_and_no_attribute_runs_or_styles_anything() {
    let (text, page) = page(20);
    for attribute in ["src", "href", "style", "srcset", "action", "data", "xlink:href", "background"] {
        assert_eq!(having(&page, attribute), Vec::<String>::new());
    }
    assert!(page.shape().iter().all(|line| !line.contains(" on")), "an event attribute");
    let script = page.texts("script", "", "").pop().unwrap();
    for word in
        ["innerHTML", "outerHTML", "insertAdjacent", "document.write", "eval", "Function(", "fetch", "http"]
    {
        assert!(!script.contains(word), "{word}");
    }
    assert!(!text.contains("@import") && !text.contains("url("));
}

#[test]
fn whoever_does_not_see_it_is_told_what_is_what() {
    let (text, page) = page(20);
    let shape = page.shape();
    let count = |what: &str| shape.iter().filter(|line| line.contains(what)).count();
    assert!(text.contains("<html lang=\"en\">"));
    assert_eq!((count("<main"), count("<h1"), count("3 <title>")), (1, 1, 1));
    assert_eq!(count("<th "), count("<th scope=\"col\""));
    assert_eq!(count("role=\"columnheader\""), 5);
    // The cells of a row say what they are also where the table is a list of cards.
    for label in ["Action", "Outcome", "Person", "Why", "Changes"] {
        assert_eq!(count(&format!("data-label=\"{label}\"")), 20);
    }
    // Each field of the form stands in its label, the bar has a name, and the count of rows is announced.
    assert_eq!(page.texts("label", "", "").len(), count("<input") + count("<select"));
    assert_eq!(count("role=\"img\" aria-labelledby=\"bar-0\""), 1);
    assert_eq!(page.texts("title", "id", "bar-0"), ["1 created, 18 updated, 1 deactivated, 16 unchanged."]);
    assert_eq!(count("role=\"status\""), 1);
    // A colour never stands alone.
    let legend = page.texts("li", "class", "t-deactivate");
    assert!(legend.len() == 1 && legend[0].contains('-') && legend[0].contains("deactivated"), "{legend:?}");
    assert!(page.texts("td", "class", "t-deactivate").iter().all(|cell| cell == "- deactivated"));
}

#[test]
fn the_parts_of_the_bar_fill_it_and_none_is_too_small_to_be_seen() {
    let mut run = Made::run("default", vec![leaver("chloe@acme.example")]);
    run.facts.summary.unchanged = 99_999;
    let page = Page::parse(&written(Format::Html, &[run]));
    let number = |line: &str, name: &str| -> f64 {
        let (_, rest) = line.split_once(&format!(" {name}=\"")).unwrap();
        rest.split('"').next().unwrap().parse().unwrap()
    };
    let parts: Vec<(f64, f64)> = page
        .shape()
        .iter()
        .filter(|line| line.contains("<rect"))
        .map(|line| (number(line, "x"), number(line, "width")))
        .collect();
    assert_eq!(parts.len(), 2);
    assert!(parts[0].0 == 0.0 && parts[0].1 > 10.0, "{parts:?}");
    assert!(
        (parts[1].0 - parts[0].1).abs() < 0.2 && (parts[1].0 + parts[1].1 - 1000.0).abs() < 0.2,
        "{parts:?}"
    );
}

#[test]
fn of_many_people_the_first_are_rows_and_all_are_data() {
    let (_, page) = page(10_001);
    assert_eq!(page.texts("bdi", "class", "who").len(), 200);
    let told = page.texts("p", "class", "shown");
    assert!(told[0].starts_with("The first 200 of 10001 people."), "{told:?}");
    let blocks = page.texts("script", "type", "application/json");
    let sizes: Vec<usize> =
        blocks.iter().map(|block| serde_json::from_str::<Vec<Value>>(block).unwrap().len()).collect();
    assert_eq!(sizes, [10_000, 1]);
}

/// The relative luminance of `#rrggbb` (WCAG 2.2).
fn luminance(colour: &str) -> f64 {
    let part = |at: usize| {
        let value = f64::from(u8::from_str_radix(&colour[at..at + 2], 16).unwrap()) / 255.0;
        if value <= 0.04045 { value / 12.92 } else { ((value + 0.055) / 1.055).powf(2.4) }
    };
    0.2126 * part(1) + 0.7152 * part(3) + 0.0722 * part(5)
}

#[test]
fn every_colour_is_readable_on_both_backgrounds_in_light_and_dark() {
    let (_, page) = page(2);
    let style = page.texts("style", "", "").concat();
    let palettes: Vec<_> = style.split(":root {").skip(1).take(2).collect();
    assert_eq!(palettes.len(), 2);
    for palette in palettes {
        let colours: Vec<(&str, &str)> = palette
            .split('}')
            .next()
            .unwrap()
            .split(';')
            .filter_map(|line| line.trim().strip_prefix("--")?.split_once(": "))
            .collect();
        assert_eq!(colours.len(), 17);
        let of = |name: &str| colours.iter().find(|(found, _)| *found == name).unwrap().1;
        for (name, colour) in colours.iter().filter(|(name, _)| !["bg", "soft", "line"].contains(name)) {
            for background in ["bg", "soft"] {
                let (one, other) = (luminance(colour), luminance(of(background)));
                let contrast = (one.max(other) + 0.05) / (one.min(other) + 0.05);
                // WCAG 2.2, 1.4.3: text of any size.
                assert!(contrast >= 4.5, "{name} {colour} on {background}: {contrast:.2}");
            }
        }
    }
}
