//! Schedules against the calendar: five and six fields, weekdays, gaps and folds.

use std::collections::BTreeSet;

use chrono::{Datelike, Timelike};
use chrono_tz::{America, Asia, Australia, Europe, Pacific};
use proptest::prelude::*;

use super::*;

fn utc(text: &str) -> DateTime<Utc> {
    text.parse().unwrap()
}

fn firings(expression: &str, zone: Tz, from: &str, count: usize) -> Vec<String> {
    let schedule = Schedule::parse(expression).unwrap();
    let mut at = utc(from);
    let mut found = Vec::new();
    for _ in 0..count {
        at = schedule.next_after(at, zone).unwrap();
        found.push(at.with_timezone(&zone).to_rfc3339());
    }
    found
}

#[test]
fn five_fields_get_the_second_zero() {
    assert_eq!(
        firings("*/15 * * * *", Tz::UTC, "2026-11-22T10:07:31Z", 3),
        ["2026-11-22T10:15:00+00:00", "2026-11-22T10:30:00+00:00", "2026-11-22T10:45:00+00:00"]
    );
}

#[test]
fn six_fields_start_with_seconds() {
    assert_eq!(
        firings("30 0 3 * * *", Tz::UTC, "2026-11-22T10:00:00Z", 2),
        ["2026-11-23T03:00:30+00:00", "2026-11-24T03:00:30+00:00"]
    );
}

#[test]
fn a_firing_is_strictly_after_the_instant_asked_about() {
    let schedule = Schedule::parse("0 3 * * *").unwrap();
    let at_three = utc("2026-11-22T03:00:00Z");
    assert_eq!(schedule.next_after(at_three, Tz::UTC), Some(utc("2026-11-23T03:00:00Z")));
    let just_before = at_three - Duration::nanoseconds(1);
    assert_eq!(schedule.next_after(just_before, Tz::UTC), Some(at_three));
}

#[test]
fn numbered_and_named_weekdays_mean_the_same_days() {
    // 2026-11-22 is a Sunday.
    let sunday = ["2026-11-29T00:00:00+00:00", "2026-12-06T00:00:00+00:00"];
    for expression in ["0 0 * * 0", "0 0 * * 7", "0 0 * * SUN", "0 0 * * sunday", "0 0 0 * * 0"] {
        assert_eq!(firings(expression, Tz::UTC, "2026-11-22T00:00:00Z", 2), sunday, "{expression}");
    }
    let monday = ["2026-11-23T00:00:00+00:00", "2026-11-30T00:00:00+00:00"];
    for expression in ["0 0 * * 1", "0 0 * * MON", "0 0 ? * Mon"] {
        assert_eq!(firings(expression, Tz::UTC, "2026-11-22T00:00:00Z", 2), monday, "{expression}");
    }
}

#[test]
fn weekday_ranges_reach_sunday_from_both_ends() {
    let days = |expression| {
        let schedule = Schedule::parse(expression).unwrap();
        let mut at = utc("2026-11-22T12:00:00Z");
        let mut days = BTreeSet::new();
        for _ in 0..7 {
            at = schedule.next_after(at, Tz::UTC).unwrap();
            days.insert(at.weekday().num_days_from_sunday());
        }
        days
    };
    assert_eq!(days("0 0 * * MON-FRI"), BTreeSet::from([1, 2, 3, 4, 5]));
    assert_eq!(days("0 0 * * SAT-SUN"), BTreeSet::from([0, 6]));
    assert_eq!(days("0 0 * * 5-7"), BTreeSet::from([0, 5, 6]));
    assert_eq!(days("0 0 * * 0-2"), BTreeSet::from([0, 1, 2]));
    assert_eq!(days("0 0 * * MON-SUN"), (0..7).collect());
}

#[test]
fn a_day_and_a_weekday_are_alternatives_as_in_crontab() {
    assert_eq!(
        firings("0 0 1 * MON", Tz::UTC, "2026-11-24T00:00:00Z", 3),
        ["2026-11-30T00:00:00+00:00", "2026-12-01T00:00:00+00:00", "2026-12-07T00:00:00+00:00"]
    );
    // A starred field restricts nothing by itself, so here both must hold: Mondays on odd days.
    assert_eq!(
        firings("0 0 */2 * MON", Tz::UTC, "2026-11-22T00:00:00Z", 2),
        ["2026-11-23T00:00:00+00:00", "2026-12-07T00:00:00+00:00"]
    );
}

#[test]
fn a_time_inside_the_gap_fires_right_after_it() {
    // Clocks in Berlin go from 02:00 to 03:00 on 2026-03-29.
    assert_eq!(
        firings("30 2 * * *", Europe::Berlin, "2026-03-28T00:00:00Z", 3),
        ["2026-03-28T02:30:00+01:00", "2026-03-29T03:00:00+02:00", "2026-03-30T02:30:00+02:00"]
    );
}

#[test]
fn what_the_gap_swallows_fires_once_together() {
    assert_eq!(
        firings("*/20 2,3 * * *", Europe::Berlin, "2026-03-29T00:00:00Z", 3),
        ["2026-03-29T03:00:00+02:00", "2026-03-29T03:20:00+02:00", "2026-03-29T03:40:00+02:00"]
    );
}

#[test]
fn a_time_in_the_fold_fires_once() {
    // Clocks in Berlin go from 03:00 back to 02:00 on 2026-10-25.
    assert_eq!(
        firings("30 2 * * *", Europe::Berlin, "2026-10-24T12:00:00Z", 2),
        ["2026-10-25T02:30:00+02:00", "2026-10-26T02:30:00+01:00"]
    );
    // Asked in the middle of the second pass, too.
    assert_eq!(
        firings("*/30 * * * *", Europe::Berlin, "2026-10-25T01:10:00Z", 1),
        ["2026-10-25T03:00:00+01:00"]
    );
}

#[test]
fn a_gap_of_half_an_hour_and_one_of_a_day_are_gaps_too() {
    assert_eq!(
        firings("15 2 * * *", Australia::Lord_Howe, "2026-10-03T00:00:00Z", 1),
        ["2026-10-04T02:30:00+11:00"]
    );
    // Samoa had no 30 December 2011.
    assert_eq!(
        firings("0 12 30 12 *", Pacific::Apia, "2011-12-01T00:00:00Z", 2),
        ["2011-12-31T00:00:00+14:00", "2012-12-30T12:00:00+14:00"]
    );
}

#[test]
fn the_leap_day_waits_for_its_year() {
    assert_eq!(
        firings("0 0 29 2 *", Tz::UTC, "2026-01-01T00:00:00Z", 2),
        ["2028-02-29T00:00:00+00:00", "2032-02-29T00:00:00+00:00"]
    );
}

#[test]
fn a_mistake_is_told_with_its_field() {
    let cases = [
        ("", "a schedule has five fields, or six with seconds first, not 0"),
        ("* * * *", "a schedule has five fields, or six with seconds first, not 4"),
        ("0 0 * * * * 2026", "a schedule has five fields, or six with seconds first, not 7"),
        ("@daily", "nicknames such as `@daily` are not supported"),
        ("60 * * * *", "the minute field cannot be `60`"),
        ("* 24 * * *", "the hour field cannot be `24`"),
        ("0 0 0 * *", "the day of month field cannot be `0`"),
        ("0 0 * 13 *", "the month field cannot be `13`"),
        ("0 0 * * 8", "the weekday field cannot be `8`"),
        ("0 0 * * MOO", "the weekday field cannot be `MOO`"),
        ("0 0 * foo *", "the month field cannot be `foo`"),
        ("1,,2 * * * *", "the minute field is empty"),
        ("+5 * * * *", "the minute field cannot be `+5`"),
        ("*/0 * * * *", "the step of the minute field must be a number from 1 to 59"),
        ("*/x * * * *", "the step of the minute field must be a number from 1 to 59"),
        ("50-10 * * * *", "the minute range 50-10 runs backwards"),
        ("0 0 * * FRI-MON", "the weekday range FRI-MON runs backwards"),
        ("0 0 30 2 *", "this never fires: no month has such a day"),
    ];
    for (expression, problem) in cases {
        assert_eq!(Schedule::parse(expression).unwrap_err().problem, problem, "{expression}");
    }
    let help = Schedule::parse("0 0 * * FRI-MON").unwrap_err().help.unwrap();
    assert_eq!(help, "write it as two: FRI-SAT,SUN-MON");
    assert!(Schedule::parse("0 0 * * FRI-SAT,SUN-MON").is_ok());
}

/// Every firing in a window, found the slow way: each civil minute in turn, resolved and deduplicated.
fn reference(
    minutes: &BTreeSet<u32>,
    hours: &BTreeSet<u32>,
    zone: Tz,
    from: DateTime<Utc>,
    to: DateTime<Utc>,
) -> Vec<DateTime<Utc>> {
    let mut civil = (from - Duration::days(3)).naive_utc().with_second(0).unwrap();
    let mut found = BTreeSet::new();
    while civil < (to + Duration::days(3)).naive_utc() {
        if minutes.contains(&civil.minute()) && hours.contains(&civil.hour()) {
            // In a gap: walk on, a minute at a time, to a civil time that exists.
            let mut shown = civil;
            let at = loop {
                match zone.from_local_datetime(&shown).earliest() {
                    Some(at) => break at.with_timezone(&Utc),
                    None => shown += Duration::minutes(1),
                }
            };
            if from < at && at <= to {
                found.insert(at);
            }
        }
        civil += Duration::minutes(1);
    }
    found.into_iter().collect()
}

/// The instant that a civil time means: the first of two, and in a gap the first after it, found the slow way.
fn meant(zone: Tz, civil: chrono::NaiveDateTime) -> DateTime<Utc> {
    let mut shown = civil;
    loop {
        match zone.from_local_datetime(&shown).earliest() {
            Some(at) => return at.with_timezone(&Utc),
            None => shown += Duration::minutes(1),
        }
    }
}

#[test]
fn over_twenty_years_in_five_zones_firings_increase_and_every_civil_match_fires_once() {
    // With gaps and folds at two, at three and at midnight, of half an hour, of an hour and of a whole day.
    let zones = [Europe::Berlin, America::New_York, America::Sao_Paulo, Australia::Lord_Howe, Pacific::Apia];
    let times = [(0, 0), (0, 30), (1, 59), (2, 0), (2, 30), (3, 0), (12, 15), (23, 45)];
    for zone in zones {
        for (hour, minute) in times {
            let schedule = Schedule::parse(&format!("{minute} {hour} * * *")).unwrap();
            let first = chrono::NaiveDate::from_ymd_opt(2007, 1, 1).unwrap();
            let days = first.iter_days().take_while(|day| day.year() < 2027);
            let matches: Vec<_> =
                days.map(|day| meant(zone, day.and_hms_opt(hour, minute, 0).unwrap())).collect();
            assert_eq!(matches.len(), 7305);
            let mut at = matches[0] - Duration::seconds(1);
            let mut found = Vec::new();
            loop {
                let next = schedule.next_after(at, zone).unwrap();
                assert!(next > at, "{zone} {hour}:{minute} {at} {next}");
                at = next;
                if at > matches[matches.len() - 1] {
                    break;
                }
                found.push(at);
            }
            // A day that a zone leaves out has its firing together with that of the day after.
            let mut expected = matches;
            expected.dedup();
            assert!(expected.len() >= 7304);
            assert_eq!(found, expected, "{zone} {hour}:{minute}");
        }
    }
}

fn list(numbers: &BTreeSet<u32>) -> String {
    numbers.iter().map(u32::to_string).collect::<Vec<_>>().join(",")
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 48, ..ProptestConfig::default() })]

    #[test]
    fn firings_increase_and_every_civil_match_fires_once(
        minutes in prop::collection::btree_set(0_u32..60, 1..5),
        hours in prop::collection::btree_set(0_u32..24, 1..8),
        (zone, near) in prop::sample::select(vec![
            (Europe::Berlin, "2026-03-29T00:00:00Z"),
            (Europe::Berlin, "2026-10-25T00:00:00Z"),
            (America::New_York, "2026-03-08T06:00:00Z"),
            (America::New_York, "2026-11-01T05:00:00Z"),
            (Australia::Lord_Howe, "2026-04-04T14:00:00Z"),
            (Australia::Lord_Howe, "2026-10-03T15:00:00Z"),
            (America::Sao_Paulo, "2018-11-04T02:00:00Z"),
            (Asia::Kolkata, "2026-06-01T00:00:00Z"),
            (Pacific::Apia, "2011-12-30T09:00:00Z"),
        ]),
        offset_seconds in -40_000_i64..40_000,
    ) {
        let from = utc(near) + Duration::seconds(offset_seconds);
        let to = from + Duration::hours(30);
        let schedule = Schedule::parse(&format!("{} {} * * *", list(&minutes), list(&hours))).unwrap();
        let mut found = Vec::new();
        let mut at = from;
        loop {
            let next = schedule.next_after(at, zone).unwrap();
            prop_assert!(next > at);
            if next > to {
                break;
            }
            found.push(next);
            at = next;
        }
        prop_assert_eq!(found, reference(&minutes, &hours, zone, from, to));
    }

    #[test]
    fn arbitrary_text_is_never_a_panic(text in "[-*?/,0-9A-Za-z@ ]{0,40}|\\PC{0,20}") {
        let _ = Schedule::parse(&text);
    }
}

#[test]
fn the_shortest_gap_of_a_week_is_what_is_told_of_a_schedule() {
    let monday: DateTime<Utc> = "2026-11-23T10:02:00Z".parse().unwrap();
    let minutes = |expression: &str| {
        shortest_interval(expression, chrono_tz::UTC, monday).map(|interval| interval.as_secs() / 60)
    };
    assert_eq!([minutes("*/15 * * * *"), minutes("0,10 * * * *")], [Some(15), Some(10)]);
    assert_eq!([minutes("0 3 * * *"), minutes("no schedule")], [Some(24 * 60), None]);
}

#[test]
fn a_field_that_has_names_says_which_they_are() {
    let help = |expression: &str| Schedule::parse(expression).unwrap_err().help.unwrap();
    assert!(help("0 0 * * 8").contains("0-7 (0 and 7 are Sunday) or MON-SUN"), "{}", help("0 0 * * 8"));
    assert!(help("0 0 * 13 *").contains("1-12 or JAN-DEC"), "{}", help("0 0 * 13 *"));
    assert!(help("60 * * * *").contains("it takes 0-59, `*`"), "{}", help("60 * * * *"));
}
