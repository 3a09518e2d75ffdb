//! The sentences, as tables: a line and what is said of it, a memory and what becomes of an attribute.

use std::path::Path;

use crate::config::{self, Environment};
use crate::core::explain::{Explainer, Stored, StoredSync, Told, UntoldRead};
use crate::core::mapping::Mapping;
use crate::core::quarantine::Health;
use crate::core::sample_tests::{NOW, link, owed_removal, path, values};
use crate::model::attributes::Scalar;
use crate::model::digest::DigestKey;
use crate::model::explain::{Fate, LastRead, PersonExplained, PersonHold, PersonPin, SyncExplained};
use crate::model::id::{SourceId, Vendor};
use crate::model::link::{Echo, EchoKind, Link, LinkState, RefusedValue};
use crate::model::owed::{OwedChange, OwedClass, WaitsFor};
use crate::model::plan::{Change, Situation, Verb};
use crate::model::report::{ActionRecord, Outcome};
use crate::model::status::FailingPerson;
use crate::model::time::Millis;

mod seen_tests;

const SITUATIONS: [Situation; 15] = [
    Situation::Confirmed,
    Situation::Returning,
    Situation::Found,
    Situation::Absent,
    Situation::Missing,
    Situation::Relink,
    Situation::Ambiguous,
    Situation::TakenElsewhere,
    Situation::Successor,
    Situation::Waiting,
    Situation::Suspended,
    Situation::Leaver,
    Situation::OutOfScope,
    Situation::Gone,
    Situation::Blocked,
];
const OUTCOMES: [Outcome; 7] = [
    Outcome::Planned,
    Outcome::Applied,
    Outcome::Failed,
    Outcome::Held,
    Outcome::Deferred,
    Outcome::Disabled,
    Outcome::Skipped,
];

fn sync_with(lines: &str) -> config::Sync {
    let text = format!(
        "[[sync]]\n{lines}\nsource = {{ kind = \"okta\", url = \"https://acme.okta.com\", app_id = \"0oa1\", api_token = \
         {{ env = \"T\" }} }}\ntarget = {{ url = \"https://work.example/scim/v2/\", token = {{ env = \"W\" }} }}\n"
    );
    let environment = Environment::fixed([("", ""); 0]);
    config::parse(&text, Path::new("config.toml"), &environment).unwrap().syncs.remove(0)
}

fn record(situation: Situation, action: Verb, outcome: Outcome, reason: &str) -> ActionRecord {
    ActionRecord {
        action,
        user: "ann@acme.example".to_owned(),
        source_id: Some(SourceId::new("00uann")),
        target_id: None,
        situation,
        reason: reason.to_owned(),
        changes: Vec::new(),
        outcome,
        status: None,
        detail: None,
        attempts: 0,
        cause: None,
        waits_for: None,
        owed_since: None,
    }
}

fn with_line(record: ActionRecord) -> Stored {
    let told = Told { record, first_run: 3, since: Some(NOW) };
    Stored { told: Some(told), ..Stored::nothing(SourceId::new("00uann")) }
}

fn part(lines: &str, stored: StoredSync) -> SyncExplained {
    let config = sync_with(lines);
    let key = DigestKey::new([7; 32]);
    let mapping =
        Mapping::compile(Vendor::Okta, &config.scope, &config.attributes, config.user_type.as_ref(), key)
            .unwrap();
    Explainer { config: &config, mapping: &mapping, now: NOW }.offline("ann@acme.example", stored)
}

fn explained(person: Stored) -> PersonExplained {
    part("", StoredSync { people: vec![person], ..StoredSync::default() }).people.remove(0)
}

fn linked(change: impl FnOnce(&mut Link)) -> Stored {
    let mut link = link();
    change(&mut link);
    Stored { link: Some(link), ..Stored::nothing(SourceId::new("00uann")) }
}

fn nobody_stored() -> Stored {
    Stored::nothing(SourceId::new("00uann"))
}

#[test]
fn whatever_a_run_says_there_is_an_answer_and_something_to_do() {
    for situation in SITUATIONS {
        for verb in Verb::ALL {
            for outcome in OUTCOMES {
                for state in [
                    None,
                    Some(LinkState::Active),
                    Some(LinkState::Deactivated(NOW)),
                    Some(LinkState::Gone(NOW)),
                ] {
                    let mut person = with_line(record(situation, verb, outcome, "because"));
                    person.link = state.map(|state| Link { state, ..link() });
                    let person = explained(person);
                    let case = format!("{situation:?} {verb:?} {outcome:?} {state:?}: {person:#?}");
                    assert!(person.answer.starts_with("ha") && !person.answer.ends_with(": "), "{case}");
                    assert!(
                        !person.next.is_empty() && person.next.iter().all(|step| !step.is_empty()),
                        "{case}"
                    );
                }
            }
        }
    }
}

/// A line, a part of the answer, and a part of what to do.
type Said = (ActionRecord, &'static str, &'static str);

fn assert_said(table: Vec<Said>) {
    for (record, answer, next) in table {
        let person = explained(with_line(record));
        assert!(person.answer.contains(answer), "{answer:?} in {:?}", person.answer);
        assert!(person.next.iter().any(|step| step.contains(next)), "{next:?} in {:?}", person.next);
    }
}

#[test]
fn why_somebody_is_blocked_leads_to_its_remedy() {
    let table = [
        ("a@b.c is outside scope.domains", "add its domain to scope.domains"),
        (
            "no userName: the source has no login or e-mail for this person",
            "a login or an e-mail address in Okta",
        ),
        ("user type \"X\" is not one of Regular", "add it to user_type.values"),
        ("another person maps to the userName ann@acme.example too", "two people of the app"),
        ("another person maps to the same userName", "two people of the app"),
        ("scope.filter failed: invalid operation", "correct the expression"),
        ("the expression for title failed: invalid operation", "correct the expression"),
        ("cannot take the userName bo@acme.example: account 7 has it", "who has that login at the target"),
        ("Okta says status NEW, which is not a documented one", "the next run looks again"),
    ];
    for (reason, next) in table {
        let blocked = record(Situation::Blocked, Verb::Block, Outcome::Skipped, reason);
        let person = explained(with_line(blocked));
        assert_eq!(person.answer, format!("has no account: blocked: {reason}"));
        assert!(person.next[0].contains(next), "{next:?} in {:?}", person.next);
    }
}

#[test]
fn somebody_for_whom_nothing_is_done_is_told_why_in_plain_words() {
    use Situation as S;
    let skipped = |situation, reason: &str| record(situation, Verb::Skip, Outcome::Skipped, reason);
    let blocked = |situation, reason: &str| record(situation, Verb::Block, Outcome::Skipped, reason);
    assert_said(vec![
        (skipped(S::Gone, "left, and has no account of ours"), "has no account: left", "assign this person"),
        (
            skipped(S::Gone, "suspended at the source, and has no account of ours"),
            "has no account: suspended at the source",
            "end the suspension in Okta",
        ),
        (skipped(S::Waiting, "x"), "has no account: not activated in Okta yet", "lifecycle.on_pending"),
        (blocked(S::Missing, "x"), "has no account: x", "lifecycle.recreate = true"),
        (blocked(S::Ambiguous, "2 accounts match"), "2 accounts match", "leave one of the matching"),
        (blocked(S::TakenElsewhere, "account 7 belongs to Bo"), "belongs to Bo", "`rosterd forget`"),
    ]);
}

#[test]
fn what_becomes_of_a_write_is_told_with_what_stops_it() {
    let creation = |outcome, detail: &str| ActionRecord {
        detail: Some(detail.to_owned()).filter(|detail| !detail.is_empty()),
        ..record(Situation::Absent, Verb::Create, outcome, "assigned and has no account")
    };
    assert_said(vec![
        (
            creation(Outcome::Planned, ""),
            "has no account: assigned; the next run sends the create",
            "--reconcile-now --user 00uann",
        ),
        (
            creation(Outcome::Disabled, "lifecycle.create = false"),
            "the create is switched off: lifecycle.create = false",
            "lifecycle.create = false in the configuration",
        ),
        (
            creation(Outcome::Held, "no seat: 5 of 5"),
            "the create waits: no seat: 5 of 5",
            "raise guard.max_seats",
        ),
        (creation(Outcome::Failed, "taken"), "the create was refused: taken", "nothing"),
        (creation(Outcome::Deferred, "later"), "the create is put off: later", "a later run does it"),
    ]);
}

#[test]
fn without_a_line_the_link_and_the_past_tell() {
    let table = [
        (linked(|_| {}), "has an active account: nothing differs"),
        (
            linked(|link| link.state = LinkState::Deactivated(NOW)),
            "this person left, and rosterd deactivated it on",
        ),
        (linked(|link| link.state = LinkState::Inactive), "it was so when rosterd took it over"),
        (linked(|link| link.state = LinkState::Gone(NOW)), "had an account, which is gone from the target"),
        (
            linked(|link| link.absent_since = Some(NOW)),
            "the last complete read did not list this person any more",
        ),
    ];
    for (person, answer) in table {
        let person = explained(person);
        assert!(person.answer.contains(answer), "{answer:?} in {:?}", person.answer);
        assert_eq!((person.action, person.record), (None, None));
    }
    let failing = FailingPerson {
        user: "ann@acme.example".to_owned(),
        source_id: SourceId::new("00uann"),
        failures: 2,
        since: NOW,
        wait_runs: 3,
        detail: "no such luck".to_owned(),
    };
    let person = explained(Stored { failing: Some(failing), ..Stored::nothing(SourceId::new("00uann")) });
    assert_eq!(person.answer, "has no account: the last write was refused: no such luck");
    assert!(person.next[0].contains("tried again after 3 more full runs"), "{:?}", person.next);
}

#[test]
fn what_is_remembered_of_a_value_says_what_becomes_of_it() {
    let person = explained(linked(|link| {
        link.acknowledged =
            values([("userName", "ann@acme.example"), ("title", "Lead"), ("name.givenName", "ANN")]);
        let echo = |returned: Option<&str>, kind| Echo {
            sent: "Ann".into(),
            returned: returned.map(Scalar::from),
            kind,
        };
        link.memory.echoes.insert(path("name.givenName"), echo(Some("ANN"), EchoKind::Normalised));
        link.memory.echoes.insert(path("name.familyName"), echo(None, EchoKind::Ignored));
        let refused = |at| RefusedValue { sent: "Chief".into(), at, detail: "too long".to_owned() };
        link.memory.refusals.insert(path("title"), refused(NOW));
    }));
    let fate = |name: &str| {
        let step = person.mappings.iter().find(|step| step.path == path(name)).unwrap();
        (step.fate, step.why.clone())
    };
    assert_eq!(fate("userName").0, Fate::Kept);
    assert_eq!(fate("name.givenName").0, Fate::Kept);
    assert_eq!(fate("name.familyName").0, Fate::Ignored);
    assert_eq!(fate("title").0, Fate::Refused);
    assert!(fate("title").1.contains("too long"), "{:?}", fate("title"));
    assert_eq!(fate("phoneNumbers[primary eq true].value").0, Fate::Omitted);
    assert!(
        person.next.iter().any(|step| step.contains("does not keep name.familyName")),
        "{:?}",
        person.next
    );
}

#[test]
fn what_waits_to_be_sent_is_told_with_its_value() {
    let change = Change { path: path("title"), from: Some("Engineer".into()), to: Some("Lead".into()) };
    let table = [
        (Outcome::Held, Fate::Waits),
        (Outcome::Deferred, Fate::Waits),
        (Outcome::Disabled, Fate::Waits),
        (Outcome::Failed, Fate::Failed),
        (Outcome::Skipped, Fate::NotSent),
    ];
    for (outcome, fate) in table {
        let line = ActionRecord {
            changes: vec![change.clone()],
            ..record(Situation::Confirmed, Verb::Update, outcome, "title differs")
        };
        let person = explained(Stored { link: Some(link()), ..with_line(line) });
        let step = person.mappings.iter().find(|step| step.path == path("title")).unwrap();
        assert_eq!((step.fate, step.value.clone()), (fate, Some("Lead".into())), "{outcome:?}");
    }
}

#[test]
fn what_concerns_the_whole_sync_is_said_of_each_person() {
    let trouble = |paused_until, failed_runs| {
        let health = Health {
            failed_runs,
            failed_at: Some(NOW),
            reason: Some("HTTP 500\nhelp: wait".to_owned()),
            ..Health::default()
        };
        part("", StoredSync { paused_until, health, ..StoredSync::default() }).troubles
    };
    assert_eq!(trouble(None, 0), Vec::<String>::new());
    assert_eq!(trouble(None, 1), ["the last run failed: HTTP 500"]);
    assert_eq!(trouble(None, 3), ["the last 3 runs failed: HTTP 500"]);
    assert!(trouble(None, 9)[0].starts_with("in quarantine until "), "{:?}", trouble(None, 9));
    assert_eq!(trouble(Some(Millis(i64::MAX)), 0), ["paused: nothing is written until `rosterd resume`"]);
    assert!(trouble(Some(NOW), 0)[0].starts_with("paused: nothing is written until 20"));
}

#[test]
fn a_decision_that_stands_comes_first() {
    let pin = PersonPin {
        reason: "forgotten by root".to_owned(),
        verb: None,
        lift: "rosterd forget --lift 00uann".to_owned(),
    };
    let line =
        record(Situation::Absent, Verb::Skip, Outcome::Skipped, "forgotten by root; not planned again");
    let person = explained(Stored { pin: Some(pin), ..with_line(line) });
    assert_eq!(person.answer, "has no account: forgotten by root; not planned again");
    assert_eq!(person.next.len(), 1, "{:?}", person.next);
    assert!(person.next[0].starts_with("`rosterd forget --lift 00uann` lifts"), "{:?}", person.next);
    let line = record(Situation::Absent, Verb::Skip, Outcome::Skipped, "protected by guard.protected");
    let stored = StoredSync { people: vec![with_line(line)], ..StoredSync::default() };
    let person = part("guard.protected = [\"ann@*\"]", stored).people.remove(0);
    assert_eq!(person.guards.protected.as_deref(), Some("protected by guard.protected"));
    assert_eq!(person.next.len(), 1, "{:?}", person.next);
}

#[test]
fn nobody_of_that_name_is_told_with_the_read_that_would_know() {
    let read = LastRead { run: 41, started_at: NOW, people: 7 };
    let stored = StoredSync {
        last_read: Some(read),
        similar: vec!["anna@acme.example".to_owned()],
        ..StoredSync::default()
    };
    let nobody = part("", stored).nobody.unwrap();
    assert!(nobody.why[1].contains("the last complete read (run 41 at "), "{:?}", nobody.why);
    assert!(nobody.next[0].contains("check the spelling"), "{:?}", nobody.next);
    let nobody = part("", StoredSync::default()).nobody.unwrap();
    assert!(
        nobody.why[1].contains("no complete read of the app's people is on record yet"),
        "{:?}",
        nobody.why
    );
}

#[test]
fn a_newer_read_whose_run_told_of_nobody_is_said_and_nobody_is_called_not_assigned() {
    let untold = UntoldRead {
        run: 91,
        started_at: NOW,
        of_some: false,
        problem: Some("the workspace did not answer\nhelp: try again".to_owned()),
    };
    let stored =
        |last_read| StoredSync { last_read, untold_read: Some(untold.clone()), ..StoredSync::default() };
    for last_read in [None, Some(LastRead { run: 41, started_at: NOW, people: 7 })] {
        let listed = last_read.is_some();
        let part = part("", stored(last_read));
        let trouble = part.troubles.last().unwrap();
        assert!(trouble.starts_with("run 91 read everybody at "), "{trouble}");
        assert!(trouble.ends_with("could not be finished: the workspace did not answer"), "{trouble}");
        let why = &part.nobody.unwrap().why[1];
        assert!(why.contains("run 91 read everybody"), "{why}");
        assert_eq!(why.contains("(run 41 at "), listed, "{why}");
        assert!(!why.contains("this person: not assigned"), "{why}");
    }
    let of_some = UntoldRead { of_some: true, ..untold.clone() };
    let part = part("", StoredSync { untold_read: Some(of_some), ..StoredSync::default() });
    assert!(part.troubles[0].ends_with("and was to tell of some people only"), "{:?}", part.troubles);
}

#[test]
fn a_line_whose_first_run_is_pruned_is_as_old_as_the_last_read_or_of_no_known_age() {
    let mut person = with_line(record(Situation::OutOfScope, Verb::Skip, Outcome::Skipped, "out of scope"));
    person.told.as_mut().unwrap().since = None;
    let read = LastRead { run: 41, started_at: NOW, people: 7 };
    for (last_read, expected) in [(Some(read), Some(NOW)), (None, None)] {
        let stored = StoredSync { people: vec![person.clone()], last_read, ..StoredSync::default() };
        let explained = part("", stored).people.remove(0);
        assert_eq!((explained.as_of, explained.told_by_run), (expected, Some(3)));
    }
}

#[test]
fn a_hold_and_a_decision_come_before_what_a_run_made_of_the_action() {
    let hold = |approved| PersonHold {
        id: "h7".to_owned(),
        revision: 1,
        class: Verb::Create,
        reason: "too many".to_owned(),
        approved,
        since: NOW,
        expires_at: NOW,
        approve: "rosterd approve h7@1".to_owned(),
        reject: "rosterd reject h7".to_owned(),
    };
    let creation = || with_line(record(Situation::Absent, Verb::Create, Outcome::Planned, "assigned"));
    let held = explained(Stored { holds: vec![hold(false)], ..creation() });
    assert!(held.answer.ends_with("the create waits for an approval in h7: too many"), "{}", held.answer);
    assert!(held.next[0].starts_with("`rosterd approve h7@1` releases the create"), "{:?}", held.next);
    assert_eq!(held.next.len(), 1);
    let approved = explained(Stored { holds: vec![hold(true)], ..creation() });
    assert!(
        approved.answer.ends_with("the create is approved, and the next run sends it"),
        "{}",
        approved.answer
    );
    let pin = |verb| PersonPin { reason: "rejected by root".to_owned(), verb, lift: "lift".to_owned() };
    let pinned = explained(Stored { pin: Some(pin(Some(Verb::Create))), ..creation() });
    assert!(pinned.answer.ends_with("the create is not sent: rejected by root"), "{}", pinned.answer);
    let other = explained(Stored { pin: Some(pin(Some(Verb::Deactivate))), ..creation() });
    assert!(other.answer.ends_with("the next run sends the create"), "{}", other.answer);
    let left = with_line(record(Situation::Gone, Verb::Skip, Outcome::Skipped, "left"));
    let next = explained(Stored { pin: Some(pin(None)), ..left }).next;
    assert_eq!(next.len(), 1, "what was decided is all that matters: {next:?}");
}

#[test]
fn what_to_do_follows_from_the_link_the_refusal_and_the_block() {
    let next = |person: Stored| explained(person).next;
    assert_eq!(next(linked(|_| {})), ["nothing"]);
    assert!(
        next(linked(|link| link.state = LinkState::Inactive))[0].starts_with("to give access back: assign")
    );
    assert!(next(nobody_stored())[0].starts_with("assign this person to the app"));
    let taken = record(Situation::Confirmed, Verb::Block, Outcome::Skipped, "cannot take the userName bo");
    assert!(next(with_line(taken))[0].contains("who has that login at the target"));
    let failing = FailingPerson {
        user: "ann@acme.example".to_owned(),
        source_id: SourceId::new("00uann"),
        failures: 1,
        since: NOW,
        wait_runs: 0,
        detail: "no such luck".to_owned(),
    };
    let refused = next(Stored { failing: Some(failing), ..nobody_stored() });
    assert_eq!(refused.len(), 1, "the refusal is what has to be mended: {refused:?}");
}

fn owed(class: OwedClass, waits_for: WaitsFor) -> OwedChange {
    OwedChange { class, ..owed_removal(waits_for) }
}

#[test]
fn access_that_is_to_end_is_told_with_since_when_and_for_what_it_waits() {
    let said =
        |class| explained(Stored { owed: vec![owed(class, WaitsFor::Retry)], ..linked(|_| {}) }).answer;
    let removal = said(OwedClass::Removal);
    assert!(removal.contains("; access is to end since 2023-11-14T22:13:20Z: waits for"), "{removal}");
    assert!(!said(OwedClass::Attributes).contains("access is to end"));
}

#[test]
fn each_wait_has_the_command_that_ends_it_and_the_advice_that_nothing_else_gives() {
    let hold = PersonHold {
        id: "h7".to_owned(),
        revision: 1,
        class: Verb::Deactivate,
        reason: "too many".to_owned(),
        approved: false,
        since: NOW,
        expires_at: NOW,
        approve: "rosterd approve h7@1".to_owned(),
        reject: "rosterd reject h7".to_owned(),
    };
    let said = |class, waits_for, hold: PersonHold| {
        let person =
            explained(Stored { owed: vec![owed(class, waits_for)], holds: vec![hold], ..linked(|_| {}) });
        (person.owed[0].command.clone(), person.next.join("\n"))
    };
    let by_hand = "rosterd --reconcile-now --user 00uann";
    let table = [
        (WaitsFor::Look, Some(by_hand), "looks at once"),
        (WaitsFor::Proof, Some(by_hand), "gives no proof (503)"),
        (
            WaitsFor::Unsettled,
            Some("rosterd forget 00uann --unsettled"),
            "what became of an earlier write (503)",
        ),
        (WaitsFor::Approval, Some("rosterd approve h7@1"), "`rosterd keep 00uann --for 30d`"),
        (WaitsFor::Pause, Some("rosterd resume"), ""),
        (WaitsFor::Seat, None, "free a seat"),
        (WaitsFor::Date, None, "nothing before its date (503)"),
    ];
    for (waits_for, command, advice) in table {
        let (told, next) = said(OwedClass::Removal, waits_for, hold.clone());
        assert_eq!(told.as_deref(), command, "{waits_for:?}");
        assert!(next.contains(advice), "{advice:?} in {next}");
    }
    let (told, next) = said(OwedClass::Access, WaitsFor::Approval, hold.clone());
    assert_eq!(told, None, "that hold is of removals");
    assert!(!next.contains("rosterd keep"), "nobody has to be kept who joins: {next}");
    let approved = PersonHold { approved: true, ..hold };
    assert_eq!(said(OwedClass::Removal, WaitsFor::Approval, approved).0, None, "it is approved already");
}
