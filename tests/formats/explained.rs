//! Whatever is in a record, an answer or a name: a page about one person keeps its lines, and its JSON its words.

use crate::hostile::{record, text};
use proptest::prelude::*;
use rosterd::model::attributes::{AttributePath, Scalar};
use rosterd::model::explain::{
    Basis, Explanation, Fate, Guards, Judged, LastRead, LinkExplained, MappingStep, MatchCandidate, MatchKey,
    Nobody, OwedExplained, PersonExplained, PersonHold, PersonPin, Remembered, ScopeStep, SourceRecord,
    SyncExplained,
};
use rosterd::model::history::{Attempt, AttemptOutcome};
use rosterd::model::id::{SourceId, TargetId};
use rosterd::model::owed::{OwedClass, WaitsFor};
use rosterd::model::plan::Verb;
use rosterd::model::report::ActionRecord;
use rosterd::model::status::{FailingPerson, QuarantineStatus, SeatCount, SourceWords, TargetWords};
use rosterd::model::time::Millis;
use rosterd::report::{write_explanation, write_explanation_json};

const NOW: Millis = Millis(1_795_341_600_000);

/// Words by number, so that the same page can be made of other words.
struct Words(Vec<String>);

impl Words {
    fn get(&self, number: usize) -> String {
        self.0[number % self.0.len()].clone()
    }

    fn scalar(&self, number: usize) -> Option<Scalar> {
        Some(Scalar::Text(self.get(number)))
    }

    fn person(&self, action: Option<ActionRecord>) -> PersonExplained {
        let judged = |number| Some(Judged { value: self.get(number), why: self.get(number + 1) });
        PersonExplained {
            user: self.get(0),
            source_id: SourceId::new(self.get(1)),
            answer: self.get(2),
            as_of: Some(NOW),
            told_by_run: Some(4),
            heard_at: Some(NOW),
            record: Some(SourceRecord {
                status: self.get(3),
                attributes: [("user.title".to_owned(), self.get(4))].into(),
                groups: vec![self.get(5)],
                assigned_at: Some(NOW),
                raw: Some(serde_json::json!({"profile": {"title": self.get(6)}})),
            }),
            lifecycle: judged(7),
            assignment: judged(8),
            scope: Some(ScopeStep {
                filter: Some(self.get(9)),
                names: [("user.title".to_owned(), Some(self.get(10)))].into(),
                domains: vec![self.get(11)],
                value: "in",
                why: self.get(12),
            }),
            mappings: [Fate::Sent, Fate::Kept, Fate::Ignored, Fate::Failed, Fate::Omitted, Fate::NotSent]
                .map(|fate| self.mapping(fate))
                .into(),
            link: Some(self.link()),
            matches: [MatchKey::Link, MatchKey::Email].map(|key| self.candidate(key)).into(),
            action,
            guards: self.guards(),
            failing: Some(FailingPerson {
                user: self.get(13),
                source_id: SourceId::new(self.get(14)),
                failures: 2,
                since: NOW,
                wait_runs: 1,
                detail: self.get(15),
            }),
            owed: vec![OwedExplained {
                class: OwedClass::Removal,
                verb: Some(Verb::Deactivate),
                cause: Some("disabled"),
                since: NOW,
                waits_for: WaitsFor::Retry,
                next_try: Some(NOW),
                attempts: 2,
                detail: self.get(18),
                command: Some(self.get(19)),
            }],
            attempts: vec![self.attempt()],
            next: vec![self.get(16), self.get(17)],
        }
    }

    fn mapping(&self, fate: Fate) -> MappingStep {
        MappingStep {
            path: AttributePath::parse("title").unwrap(),
            expression: self.get(18),
            value: self.scalar(19),
            at_target: self.scalar(20),
            fate,
            why: self.get(21),
        }
    }

    fn link(&self) -> LinkExplained {
        LinkExplained {
            target_id: TargetId::new(self.get(22)),
            user_name: self.get(23),
            state: "active",
            since: Some(NOW),
            billable: true,
            absent_since: Some(NOW),
            acknowledged: [(AttributePath::parse("title").unwrap(), Scalar::Text(self.get(24)))].into(),
            remembered: vec![Remembered {
                path: AttributePath::parse("title").unwrap(),
                kind: "refused",
                sent: self.scalar(25),
                returned: self.scalar(26),
                detail: Some(self.get(27)),
                at: Some(NOW),
            }],
        }
    }

    fn candidate(&self, key: MatchKey) -> MatchCandidate {
        MatchCandidate {
            target_id: TargetId::new(self.get(28)),
            user_name: Some(self.get(29)),
            active: Some(false),
            key,
            accepted: key == MatchKey::Link,
            why: self.get(30),
        }
    }

    fn guards(&self) -> Guards {
        Guards {
            protected: Some(self.get(31)),
            holds: vec![PersonHold {
                id: "h7".to_owned(),
                revision: 1,
                class: Verb::Update,
                reason: self.get(32),
                approved: false,
                since: NOW,
                expires_at: NOW,
                approve: "rosterd approve h7@1".to_owned(),
                reject: "rosterd reject h7".to_owned(),
            }],
            pin: Some(PersonPin { reason: self.get(33), verb: Some(Verb::Update), lift: self.get(34) }),
            paused: true,
            paused_until: None,
            quarantine: Some(QuarantineStatus { until: NOW, reason: self.get(35) }),
            seats: SeatCount { billable: 3, limit: Some(4) },
            limits: Vec::new(),
        }
    }

    fn attempt(&self) -> Attempt {
        Attempt {
            at: NOW,
            ended_at: Some(NOW),
            run: 3,
            sync: self.get(36),
            action: Verb::Update,
            user: self.get(37),
            source_id: SourceId::new(self.get(38)),
            target_id: Some(TargetId::new(self.get(39))),
            reason: self.get(40),
            changes: Vec::new(),
            approved_by: Some(self.get(41)),
            outcome: AttemptOutcome::Refused,
            status: Some(409),
            detail: Some(self.get(42)),
            requests: 1,
        }
    }

    fn explanation(&self, action: Option<ActionRecord>) -> Explanation {
        let nobody = Nobody {
            why: vec![self.get(43)],
            similar: vec![self.get(44)],
            accounts: vec![self.candidate(MatchKey::UserName)],
            next: vec![self.get(45)],
        };
        let sync = SyncExplained {
            name: self.get(46),
            source: SourceWords { kind: "okta", url: self.get(47), app_id: self.get(48) },
            target: TargetWords { dialect: "generic", url: self.get(49) },
            basis: Basis::Fresh,
            last_read: Some(LastRead { run: 3, started_at: NOW, people: 4 }),
            troubles: vec![self.get(50)],
            people: vec![self.person(action)],
            nobody: Some(nobody),
        };
        Explanation::new(&self.get(51), NOW, vec![sync])
    }
}

fn page(explanation: &Explanation) -> String {
    let mut bytes = Vec::new();
    write_explanation(explanation, &mut bytes).unwrap();
    anstream::adapter::strip_str(&String::from_utf8(bytes).unwrap()).to_string()
}

fn is_steering(character: char) -> bool {
    let bidi = ['\u{200e}', '\u{200f}', '\u{61c}', '\u{2028}', '\u{2029}', '\u{feff}'];
    character.is_control()
        || bidi.contains(&character)
        || ('\u{202a}'..='\u{202e}').contains(&character)
        || ('\u{2066}'..='\u{2069}').contains(&character)
}

/// The same line with harmless words.
fn harmless(action: &ActionRecord) -> ActionRecord {
    let mut action = action.clone();
    (action.user, action.reason) = ("x".to_owned(), "x".to_owned());
    action.detail = action.detail.map(|_| "x".to_owned());
    action
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 64, ..ProptestConfig::default() })]

    #[test]
    fn a_page_about_one_person_is_neither_broken_nor_steered(
        words in prop::collection::vec(text(), 52),
        action in prop::option::of(record()),
    ) {
        let hostile = Words(words).explanation(action.clone());
        let plain = Words(vec!["x".to_owned()]).explanation(action.as_ref().map(harmless));
        let (shown, expected) = (page(&hostile), page(&plain));
        prop_assert!(!shown.chars().any(|character| character != '\n' && is_steering(character)), "{shown:?}");
        prop_assert_eq!(shown.lines().count(), expected.lines().count(), "{}\n{}", shown, expected);
        let mut json = Vec::new();
        write_explanation_json(&hostile, &mut json).unwrap();
        let json = String::from_utf8(json).unwrap();
        prop_assert!(!json.trim_end_matches('\n').chars().any(is_steering), "{json:?}");
        let read: serde_json::Value = serde_json::from_str(&json).unwrap();
        prop_assert_eq!(read, serde_json::to_value(&hostile).unwrap());
    }
}
