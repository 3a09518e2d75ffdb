//! The worked numbers of docs/semantics.md, judged by the program's own guards.

use rosterd::config::Guard;
use rosterd::core::guard::{HoldClass, Intent, Ledger, Sent, judge};
use rosterd::model::plan::{RemovalKind, Verb};

use crate::pages::page;

fn removals(count: u64) -> Sent {
    Sent { removals: count, ..Sent::default() }
}

#[test]
fn the_worked_removals_are_judged_as_the_page_says() {
    let rows = page("docs/semantics.md").rows_under("active accounts");
    for row in &rows {
        let number = |column: usize| row[column].text.parse::<u64>().unwrap();
        // Where everybody leaves, nobody is listed to compare with.
        let nobody_to_compare = number(3) >= number(0);
        let intent = Intent { counts: removals(number(3)), nobody_to_compare, ..Intent::default() };
        let ledger = Ledger {
            hour: removals(number(1)),
            day: removals(number(2)),
            active_now: number(0),
            active_peak: number(0),
            links: number(0),
            ..Ledger::default()
        };
        // Nobody of these is terminated, so all of them are judged in one kind.
        let class = HoldClass { verb: Verb::Deactivate, kind: Some(RemovalKind::Unassigned) };
        let held = judge(&intent, &ledger, &Guard::default()).held(class).is_some();
        let told = match row[4].text.as_str() {
            "sent" => false,
            "held" => true,
            other => panic!("{other}"),
        };
        assert_eq!(held, told, "{:?}", row.iter().map(|cell| &cell.text).collect::<Vec<_>>());
    }
    assert!(rows.len() >= 12);
}

#[test]
fn the_other_worked_limits_are_judged_as_the_page_says() {
    let held = |counts: Sent, links: u64, unattended: bool, verb: Verb| {
        let intent = Intent { counts, unattended, ..Intent::default() };
        let ledger = Ledger { active_now: links, active_peak: links, links, ..Ledger::default() };
        judge(&intent, &ledger, &Guard::default()).held(HoldClass::plain(verb)).is_some()
    };
    let updates = |updates: u64| Sent { updates, ..Sent::default() };
    let reactivations = |reactivations: u64| Sent { reactivations, ..Sent::default() };
    let creates = |creates: u64| Sent { creates, ..Sent::default() };
    let text = crate::pages::text_of("docs/semantics.md");
    for shown in ["200 pass, 201 wait", "20 pass, 21 wait", "all 250 wait", "400 adopted"] {
        assert!(text.contains(shown), "{shown}");
    }
    assert!(!held(updates(200), 400, false, Verb::Update) && held(updates(201), 400, false, Verb::Update));
    assert!(!held(updates(9), 9, false, Verb::Update));
    assert!(!held(reactivations(20), 400, false, Verb::Reactivate));
    assert!(held(reactivations(21), 400, false, Verb::Reactivate));
    assert!(held(creates(250), 400, true, Verb::Create) && !held(creates(250), 400, false, Verb::Create));
    // The first contact: adoptions count as the links to be, and those that rewrite as updates.
    let first = |rewriting: u64| {
        let intent = Intent { counts: updates(rewriting), adoptions: 400, ..Intent::default() };
        judge(&intent, &Ledger::default(), &Guard::default()).held(HoldClass::plain(Verb::Update)).is_some()
    };
    assert!(!first(150) && first(250));
}

#[test]
fn the_defaults_in_the_prose_are_those_of_the_program() {
    let Guard {
        max_removals,
        max_removals_percent,
        max_removals_percent_per_day,
        max_updates_percent,
        max_reactivations,
        max_creates,
        ..
    } = Guard::default();
    let code = page("docs/semantics.md").inline_code();
    for (key, value) in [
        ("max_removals", max_removals),
        ("max_removals_percent", u32::from(max_removals_percent)),
        ("max_removals_percent_per_day", u32::from(max_removals_percent_per_day)),
    ] {
        assert!(code.contains(&format!("{key} = {value}")), "{key}");
    }
    let rows = page("docs/semantics.md").rows_under("limit");
    for (key, value) in [
        ("max_updates_percent", u32::from(max_updates_percent)),
        ("max_reactivations", max_reactivations),
        ("max_creates", max_creates),
    ] {
        assert!(rows.iter().any(|row| row[0].text == format!("{key} {value}")), "{key}");
    }
}
