//! Each guard at limit - 1, limit and limit + 1, under and over the smallest population, over hours and days.

use crate::config;
use crate::core::guard::{
    Budget, GuardReport, HoldClass, Intent, Ledger, OpenHold, Sent, SentPeople, judge, judge_others,
    judge_removals,
};
use crate::model::attributes::{AttributePath, Scalar};
use crate::model::id::SourceId;
use crate::model::order::{Observation, OrderNumber};
use crate::model::plan::{Change, Disposition, PlannedAction, RemovalCause, RemovalKind, Situation, Verb};
use crate::model::time::Millis;

fn limits() -> config::Guard {
    config::Guard::default()
}

fn action(verb: Verb) -> PlannedAction {
    PlannedAction {
        verb,
        situation: Situation::Confirmed,
        reason: String::new(),
        user: "ann".into(),
        source_id: SourceId::new("1"),
        target_id: None,
        changes: Vec::new(),
        desired: None,
        found: None,
        cause: None,
        activate: false,
        disposition: Disposition::Send,
        observation: Observation::before_numbers(Millis(0)),
        assigned_at: None,
        billable: true,
        source_digest: None,
        kept_from: None,
        predecessor: None,
        deletion_owed: None,
    }
}

fn class(verb: Verb) -> HoldClass {
    HoldClass::of(&action(verb))
}

fn judged(verb: Verb, planned: u64, ledger: Ledger, unattended: bool) -> GuardReport {
    let mut intent = Intent { unattended, ..Intent::default() };
    (0..planned).for_each(|_| intent.add(&action(verb)));
    judge(&intent, &ledger, &limits())
}

fn is_held(verb: Verb, planned: u64, ledger: Ledger) -> bool {
    judged(verb, planned, ledger, true).held(class(verb)).is_some()
}

fn population(peak: u64) -> Ledger {
    Ledger { active_now: peak, active_peak: peak, links: peak, ..Ledger::default() }
}

fn sent_removals(peak: u64, hour: u64, day: u64) -> Ledger {
    Ledger {
        hour: Sent { removals: hour, ..Sent::default() },
        day: Sent { removals: day, ..Sent::default() },
        ..population(peak)
    }
}

#[test]
fn max_removals_trips_only_when_it_is_strictly_exceeded() {
    for (planned, hour, held) in
        [(49, 0, false), (50, 0, false), (51, 0, true), (1, 49, false), (1, 50, true)]
    {
        assert_eq!(
            is_held(Verb::Deactivate, planned, sent_removals(10_000, hour, hour)),
            held,
            "{planned} {hour}"
        );
        assert_eq!(
            is_held(Verb::Delete, planned, sent_removals(10_000, hour, hour)),
            held,
            "{planned} {hour}"
        );
    }
}

#[test]
fn max_removals_percent_trips_above_ten_percent_and_above_three() {
    for (planned, peak, held) in [
        (9, 100, false),
        (10, 100, false),
        (11, 100, true),
        (3, 10, false),
        (4, 10, true),
        (3, 29, false),
        (4, 40, false),
    ] {
        assert_eq!(is_held(Verb::Deactivate, planned, population(peak)), held, "{planned} of {peak}");
    }
}

#[test]
fn a_small_workspace_has_more_than_half_instead() {
    for (planned, peak, held) in
        [(4, 9, false), (5, 9, true), (2, 4, false), (3, 4, true), (1, 2, false), (1, 1, false)]
    {
        assert_eq!(is_held(Verb::Deactivate, planned, population(peak)), held, "{planned} of {peak}");
    }
}

#[test]
fn the_day_budget_counts_what_hours_let_through() {
    for (planned, day, held) in [(5, 15, false), (5, 16, true), (1, 20, true), (1, 19, false)] {
        assert_eq!(
            is_held(Verb::Deactivate, planned, sent_removals(100, 0, day)),
            held,
            "{planned} after {day}"
        );
    }
}

#[test]
fn the_denominator_does_not_shrink_with_the_population() {
    let shrunk = Ledger { active_now: 50, active_peak: 100, links: 100, ..Ledger::default() };
    assert!(!is_held(Verb::Deactivate, 10, shrunk));
}

#[test]
fn a_plan_that_removes_everybody_is_held_whatever_the_limits_say() {
    let generous = config::Guard {
        max_removals: u32::MAX,
        max_removals_percent: 100,
        max_removals_percent_per_day: 100,
        ..limits()
    };
    let held = |planned: u64, ledger: &Ledger| {
        let mut intent = Intent::default();
        (0..planned).for_each(|_| intent.add(&action(Verb::Deactivate)));
        judge(&intent, ledger, &generous).held(class(Verb::Deactivate)).is_some()
    };
    assert!(held(400, &population(400)) && held(200, &sent_removals(400, 200, 200)));
    assert!(!held(399, &population(400)) && !held(1, &population(1)));
}

#[test]
fn max_updates_percent_trips_above_half_and_not_under_ten_accounts() {
    for (planned, links, held) in
        [(9, 9, false), (5, 10, false), (6, 10, true), (50, 100, false), (51, 100, true)]
    {
        assert_eq!(is_held(Verb::Update, planned, population(links)), held, "{planned} of {links}");
    }
}

#[test]
fn max_reactivations_counts_the_hour() {
    for (planned, hour, held) in [(20, 0, false), (21, 0, true), (1, 20, true), (1, 19, false)] {
        let ledger = Ledger { hour: Sent { reactivations: hour, ..Sent::default() }, ..population(1000) };
        assert_eq!(is_held(Verb::Reactivate, planned, ledger), held, "{planned} {hour}");
    }
}

#[test]
fn max_creates_binds_timers_and_not_people() {
    for (planned, hour, held) in [(100, 0, false), (101, 0, true), (1, 100, true)] {
        let ledger = Ledger { hour: Sent { creates: hour, ..Sent::default() }, ..population(1000) };
        assert_eq!(
            judged(Verb::Create, planned, ledger.clone(), true).held(class(Verb::Create)).is_some(),
            held
        );
        assert!(judged(Verb::Create, planned, ledger, false).held(class(Verb::Create)).is_none());
    }
}

#[test]
fn what_trips_is_held_and_the_other_classes_go_on() {
    let guard_report = judged(Verb::Deactivate, 100, population(100), true);
    assert!(guard_report.release(action(Verb::Deactivate), false).is_err());
    assert!(guard_report.release(action(Verb::Create), false).is_ok());
    assert!(guard_report.release(action(Verb::Update), false).is_ok());
}

#[test]
fn an_approved_action_passes_every_guard() {
    let guard_report = judged(Verb::Deactivate, 100, population(100), true);
    assert!(guard_report.release(action(Verb::Deactivate), true).is_ok());
}

#[test]
fn a_class_that_needs_approval_always_waits_for_it() {
    let limits = config::Guard { approval: vec![Verb::Create], ..limits() };
    let guard_report = judge(&Intent::default(), &population(100), &limits);
    let held = guard_report.release(action(Verb::Create), false).unwrap_err();
    assert!(held.reason.contains("guard.approval"));
    assert!(guard_report.release(action(Verb::Create), true).is_ok());
}

#[test]
fn what_is_disabled_or_deferred_does_not_count() {
    let mut intent = Intent::default();
    for _ in 0..200 {
        intent.add(&PlannedAction {
            disposition: Disposition::Disabled(String::new()),
            ..action(Verb::Deactivate)
        });
    }
    assert!(judge(&intent, &population(200), &limits()).held(class(Verb::Deactivate)).is_none());
}

#[test]
fn the_reason_has_the_numbers_and_the_key() {
    let guard_report = judged(Verb::Deactivate, 30, sent_removals(100, 5, 5), true);
    let reason = guard_report.held(class(Verb::Deactivate)).unwrap();
    for part in ["30 removals planned", "5 sent", "guard.max_removals_percent = 10 %", "100 active accounts"]
    {
        assert!(reason.contains(part), "{part}: {reason}");
    }
}

#[test]
fn what_another_run_has_sent_since_counts_for_the_next_write() {
    let budget = Budget { limits: limits(), unattended: true, as_of: 0, as_of_number: OrderNumber::OLDEST };
    let sent = |removals, reactivations, creates, updates| Ledger {
        hour: Sent { removals, reactivations, creates, updates },
        day: Sent { removals, ..Sent::default() },
        ..population(100)
    };
    for (verb, under, at) in [
        (Verb::Deactivate, sent(9, 0, 0, 0), sent(10, 0, 0, 0)),
        (Verb::Delete, sent(9, 0, 0, 0), sent(10, 0, 0, 0)),
        (Verb::Reactivate, sent(0, 19, 0, 0), sent(0, 20, 0, 0)),
        (Verb::Create, sent(0, 0, 99, 0), sent(0, 0, 100, 0)),
        (Verb::Update, sent(0, 0, 0, 49), sent(0, 0, 0, 50)),
    ] {
        assert_eq!(budget.overrun(&action(verb), &under), None, "{verb:?}");
        assert!(budget.overrun(&action(verb), &at).is_some(), "{verb:?}");
    }
    let adoption = PlannedAction { activate: true, ..action(Verb::Adopt) };
    assert!(budget.overrun(&adoption, &sent(0, 20, 0, 0)).is_some());
    assert_eq!(
        budget.overrun(&action(Verb::Adopt), &sent(50, 20, 100, 50)),
        None,
        "a bare link writes nothing"
    );
}

fn leaver(number: u32, cause: RemovalCause) -> PlannedAction {
    PlannedAction {
        source_id: SourceId::new(number.to_string()),
        cause: Some(cause),
        ..action(Verb::Deactivate)
    }
}

fn held_kinds(leavers: impl IntoIterator<Item = PlannedAction>, ledger: &Ledger) -> [bool; 2] {
    let mut intent = Intent { already_sent: ledger.people.clone(), ..Intent::default() };
    leavers.into_iter().for_each(|leaver| intent.add(&leaver));
    let guard_report = judge(&intent, ledger, &limits());
    [RemovalKind::Terminated, RemovalKind::Unassigned]
        .map(|kind| guard_report.held(HoldClass { verb: Verb::Deactivate, kind: Some(kind) }).is_some())
}

#[test]
fn a_mass_unassignment_that_is_held_does_not_keep_a_dismissal_in() {
    let unassigned = (0..20).map(|number| leaver(number, RemovalCause::NotAssigned));
    let dismissed = [leaver(100, RemovalCause::Disabled)];
    assert_eq!(held_kinds(unassigned.chain(dismissed), &population(100)), [false, true]);
}

#[test]
fn both_kinds_together_never_exceed_a_limit() {
    let both = |terminated: u32, unassigned: u32| {
        let terminated = (0..terminated).map(|number| leaver(number, RemovalCause::Disabled));
        let unassigned = (100..100 + unassigned).map(|number| leaver(number, RemovalCause::NotAssigned));
        held_kinds(terminated.chain(unassigned), &population(100))
    };
    assert_eq!(both(5, 5), [false, false]);
    assert_eq!(both(5, 6), [false, true], "the terminated go, and the others would pass the limit with them");
    assert_eq!(both(11, 5), [true, false], "who is held does not count for the others");
}

#[test]
fn people_count_and_not_writes() {
    let edited = [SourceId::new("1"), SourceId::new("2")];
    let people = SentPeople { updates: edited.into_iter().collect(), ..SentPeople::default() };
    let ledger = Ledger { hour: people.counts(), people, ..population(12) };
    let mut intent = Intent { already_sent: ledger.people.clone(), ..Intent::default() };
    for number in ["1", "2", "3", "4", "5", "6"] {
        intent.add(&PlannedAction { source_id: SourceId::new(number), ..action(Verb::Update) });
    }
    assert!(judge(&intent, &ledger, &limits()).held(class(Verb::Update)).is_none(), "six people of twelve");
}

#[test]
fn a_hold_stays_until_as_many_as_it_had_at_its_largest_would_be_allowed() {
    let people: std::collections::HashSet<SourceId> =
        (0..20).map(|number: u32| SourceId::new(number.to_string())).collect();
    let hold = OpenHold { largest: 20, people };
    let waits = HoldClass { verb: Verb::Deactivate, kind: Some(RemovalKind::Unassigned) };
    let mut intent = Intent { holds: [(waits, hold)].into_iter().collect(), ..Intent::default() };
    (0..12).for_each(|number| intent.add(&leaver(number, RemovalCause::NotAssigned)));
    let wide = config::Guard { max_removals: 12, max_removals_percent: 100, ..limits() };
    assert!(
        judge(&intent, &population(1000), &wide).held(waits).is_some(),
        "eight were assigned again by hand"
    );
    let wider = config::Guard { max_removals: 20, ..wide };
    assert!(judge(&intent, &population(1000), &wider).held(waits).is_none());
}

#[test]
fn a_name_that_nobody_has_holds_whom_the_filter_leaves_out_and_nobody_else() {
    let mut intent =
        Intent { scope_names_nobody_has: vec!["user.departmnt".to_owned()], ..Intent::default() };
    let (out, gone) = (leaver(1, RemovalCause::OutOfScope), leaver(2, RemovalCause::NotAssigned));
    [&out, &gone].into_iter().for_each(|leaver| intent.add(leaver));
    let guard_report = judge(&intent, &population(100), &limits());
    assert!(guard_report.reason_to_hold(&out).is_some_and(|reason| reason.contains("user.departmnt")));
    assert_eq!(guard_report.reason_to_hold(&gone), None);
}

#[test]
fn where_nothing_is_planned_nothing_trips_however_much_was_sent() {
    let many = Sent { removals: 90, updates: 90, reactivations: 90, creates: 900 };
    let ledger = Ledger { hour: many, day: many, ..population(100) };
    let guard_report = judge(&Intent { unattended: true, ..Intent::default() }, &ledger, &limits());
    let tripped: Vec<&str> =
        guard_report.facts().iter().filter(|fact| fact.tripped).map(|fact| &*fact.guard).collect();
    assert!(!guard_report.facts().is_empty() && tripped.is_empty(), "{tripped:?}");
    assert_eq!(guard_report.held(class(Verb::Update)), None);
}

#[test]
fn the_report_has_the_share_with_one_decimal_and_of_two_kinds_the_one_that_trips() {
    let value = |guard_report: &GuardReport, guard: &str| {
        let facts: Vec<_> = guard_report.facts().iter().filter(|fact| fact.guard == guard).collect();
        assert_eq!(facts.len(), 1, "one line a guard: {facts:?}");
        (facts[0].value, facts[0].tripped)
    };
    let guard_report = judged(Verb::Deactivate, 1, population(30), false);
    assert_eq!(value(&guard_report, "max_removals_percent"), (3.3, false));
    assert_eq!(value(&guard_report, "max_removals"), (1.0, false));
    assert_eq!(
        value(&judged(Verb::Deactivate, 1, population(0), false), "max_removals_percent"),
        (0.0, false)
    );
    // Forty unassigned of a hundred trip; the one who is dismissed does not hide that.
    let mut intent = Intent::default();
    intent.add(&leaver(0, RemovalCause::Disabled));
    (1..=40).for_each(|number| intent.add(&leaver(number, RemovalCause::NotAssigned)));
    let guard_report = judge(&intent, &population(100), &limits());
    assert_eq!(value(&guard_report, "max_removals_percent"), (41.0, true));
}

#[test]
fn who_was_sent_something_is_counted_by_what_was_sent() {
    let people = |count: u32| (0..count).map(|number| SourceId::new(number.to_string())).collect();
    let sent =
        SentPeople { removals: people(1), updates: people(2), reactivations: people(3), creates: people(4) };
    assert_eq!(sent.counts(), Sent { removals: 1, updates: 2, reactivations: 3, creates: 4 });
}

#[test]
fn a_hold_of_the_terminated_stays_as_long_as_one_of_the_unassigned() {
    let people = (0..20).map(|number: u32| SourceId::new(number.to_string())).collect();
    let waits = HoldClass { verb: Verb::Deactivate, kind: Some(RemovalKind::Terminated) };
    let hold = OpenHold { largest: 20, people };
    let mut intent = Intent { holds: [(waits, hold)].into_iter().collect(), ..Intent::default() };
    (0..12).for_each(|number| intent.add(&leaver(number, RemovalCause::Disabled)));
    let wide = config::Guard { max_removals: 12, max_removals_percent: 100, ..limits() };
    assert!(
        judge(&intent, &population(1000), &wide).held(waits).is_some(),
        "eight were enabled again by hand"
    );
    let wider = config::Guard { max_removals: 20, ..wide };
    assert!(judge(&intent, &population(1000), &wider).held(waits).is_none());
}

#[test]
fn a_name_that_nobody_has_takes_nobody_else_out_of_the_count() {
    let planned = |names: &[&str], cause| {
        let names = names.iter().map(|name| (*name).to_owned()).collect();
        let mut intent = Intent { scope_names_nobody_has: names, ..Intent::default() };
        (0..20).for_each(|number| intent.add(&leaver(number, cause)));
        let unassigned = HoldClass { verb: Verb::Deactivate, kind: Some(RemovalKind::Unassigned) };
        judge(&intent, &population(100), &limits()).held(unassigned).is_some()
    };
    assert!(
        planned(&["user.departmnt"], RemovalCause::NotAssigned),
        "twenty of a hundred, whatever the filter"
    );
    assert!(planned(&[], RemovalCause::OutOfScope), "the filter's own, where its names are known");
    assert!(
        !planned(&["user.departmnt"], RemovalCause::OutOfScope),
        "they wait for the filter, and not twice"
    );
}

#[test]
fn where_nobody_else_is_listed_only_what_is_planned_waits() {
    let mut intent = Intent { nobody_to_compare: true, ..Intent::default() };
    intent.add(&leaver(1, RemovalCause::NotAssigned));
    let guard_report = judge(&intent, &population(100), &limits());
    let held = |kind| guard_report.held(HoldClass { verb: Verb::Deactivate, kind: Some(kind) });
    assert!(held(RemovalKind::Unassigned).is_some_and(|reason| reason.contains("nobody else is listed")));
    assert_eq!(held(RemovalKind::Terminated), None);
}

#[test]
fn one_line_a_guard_shows_the_kind_that_trips_and_a_plan_of_nobody_shows_them_all() {
    let line = |guard_report: &GuardReport, guard: &str| {
        guard_report.facts().iter().find(|fact| fact.guard == guard).map(|fact| (fact.value, fact.tripped))
    };
    let mut intent = Intent::default();
    (0..11).for_each(|number| intent.add(&leaver(number, RemovalCause::Disabled)));
    (11..16).for_each(|number| intent.add(&leaver(number, RemovalCause::NotAssigned)));
    let guard_report = judge(&intent, &population(100), &limits());
    assert_eq!(line(&guard_report, "max_removals_percent"), Some((11.0, true)), "the five do not hide it");
    let mut intent = Intent::default();
    (0..5).for_each(|number| intent.add(&leaver(number, RemovalCause::Disabled)));
    let guard_report = judge(&intent, &population(100), &limits());
    assert_eq!(line(&guard_report, "max_removals"), Some((5.0, false)));
    let guard_report = judge(&Intent::default(), &sent_removals(100, 4, 4), &limits());
    assert_eq!(
        line(&guard_report, "max_removals"),
        Some((4.0, false)),
        "what was sent is shown all the same"
    );
}

#[test]
fn a_verdict_remembers_up_to_where_the_journal_was_counted_and_whether_it_stands_for_one_action() {
    let ledger = Ledger { as_of: 7, ..population(100) };
    let (intent, limits) = (Intent::default(), limits());
    for guard_report in [
        judge(&intent, &ledger, &limits),
        judge_others(&intent, &ledger, &limits),
        judge_removals(&intent, &ledger, &limits),
    ] {
        assert_eq!(guard_report.as_of(), 7);
    }
    for judged_alone in [true, false] {
        let guard_report = GuardReport { judged_alone, ..GuardReport::default() };
        for is_approved in [true, false] {
            let released = guard_report.release(action(Verb::Update), is_approved).unwrap();
            assert_eq!(released.approved.is_judged_alone(), judged_alone, "approved {is_approved}");
        }
    }
}

/// An adoption of an inactive account with another title and no mark.
fn adoption() -> PlannedAction {
    let change = |path: AttributePath, to: Scalar| Change { path, from: None, to: Some(to) };
    PlannedAction {
        activate: true,
        changes: vec![
            change(AttributePath::active(), Scalar::Flag(true)),
            change(AttributePath::external_id(), Scalar::from("1")),
            change(AttributePath::parse("title").unwrap(), Scalar::from("Engineer")),
        ],
        ..action(Verb::Adopt)
    }
}

fn names_of(changes: &[Change]) -> Vec<String> {
    changes.iter().map(|change| change.path.to_string()).collect()
}

#[test]
fn an_adoption_counts_for_each_part_that_it_writes() {
    let mark = PlannedAction {
        activate: false,
        changes: adoption()
            .changes
            .into_iter()
            .filter(|change| change.path == AttributePath::external_id())
            .collect(),
        ..adoption()
    };
    let counted = |action: &PlannedAction| {
        let mut intent = Intent::default();
        intent.add(action);
        (intent.adoptions, intent.counts.updates, intent.counts.reactivations)
    };
    assert_eq!(counted(&adoption()), (1, 1, 1));
    assert_eq!(counted(&PlannedAction { activate: false, ..adoption() }), (1, 1, 0));
    assert_eq!(counted(&mark), (1, 0, 0), "our own mark alone rewrites nobody");
}

#[test]
fn an_adoption_whose_parts_wait_still_links_and_writes_the_mark() {
    let parts = |approval: &[Verb]| {
        let limits = config::Guard { approval: approval.to_vec(), ..limits() };
        let guard_report = judge(&Intent::default(), &population(100), &limits);
        let released = guard_report.release(adoption(), false).unwrap();
        let left_out: Vec<_> =
            released.left_out.iter().map(|part| (part.verb, names_of(&part.changes))).collect();
        let action = released.approved.into_action();
        (names_of(&action.changes), action.activate, left_out)
    };
    let all = ["active", "externalId", "title"].map(str::to_owned);
    assert_eq!(parts(&[]), (all.to_vec(), true, Vec::new()));
    let title = (Verb::Update, vec!["title".to_owned()]);
    assert_eq!(parts(&[Verb::Update]), (all[..2].to_vec(), true, vec![title.clone()]));
    let activation = (Verb::Reactivate, vec!["active".to_owned()]);
    assert_eq!(parts(&[Verb::Reactivate]), (all[1..].to_vec(), false, vec![activation]));
    let both = (Verb::Reactivate, vec!["active".to_owned(), "title".to_owned()]);
    let waiting = parts(&[Verb::Update, Verb::Reactivate]);
    assert_eq!(
        waiting,
        (vec![all[1].clone()], false, vec![title, both]),
        "a later activation writes the values too"
    );
}
