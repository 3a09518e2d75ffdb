//! What follows on a refusal, as a table.

use super::*;
use crate::model::attributes::Scalar;

fn update<'a>(id: &'a TargetId, paths: &[&str]) -> Update<'a> {
    let change = |path: &&str| Change {
        path: AttributePath::parse(path).unwrap(),
        from: Some(Scalar::from("old")),
        to: Some(Scalar::from("new")),
    };
    Update {
        id,
        changes: paths.iter().map(change).collect(),
        activate: false,
        style: WriteStyle::PatchPath,
        tried: vec![WriteStyle::PatchPath],
        known: None,
        refused: Vec::new(),
        attempts: 1,
        drops: 0,
        after_failure: false,
        active_by_path: false,
        keeps_style: false,
        partly: None,
    }
}

fn fault(status: u16, scim_type: &str, detail: &str) -> Fault {
    let schema = "urn:ietf:params:scim:api:messages:2.0:Error";
    let body = serde_json::json!({"schemas": [schema], "scimType": scim_type, "detail": detail});
    Fault::read(status, body.to_string().as_bytes())
}

const EMAIL: &str = "emails[primary eq true].value";

#[test]
fn each_refusal_has_one_next_step() {
    let id = TargetId::new("1");
    let title = AttributePath::known("title");
    let cases: Vec<(Fault, &[&str], Step)> = vec![
        (fault(405, "", "no"), &["title"], Step::Style(WriteStyle::Put)),
        (fault(501, "", "no"), &["title"], Step::Style(WriteStyle::Put)),
        (fault(400, "", "PATCH is not supported"), &["title"], Step::Style(WriteStyle::Put)),
        (fault(404, "", "not found"), &["title"], Step::CheckPresence),
        (fault(400, "noTarget", "no match"), &[EMAIL], Step::ReadFirst),
        (fault(400, "noTarget", "no match"), &["title"], Step::Style(WriteStyle::PatchValue)),
        (fault(400, "invalidPath", "title"), &["title"], Step::Style(WriteStyle::PatchValue)),
        (fault(400, "invalidValue", "title is too long"), &["title", EMAIL], Step::Drop(vec![title])),
        (fault(400, "invalidValue", "emails must be unique"), &["title", EMAIL], Step::Refuse),
        (fault(400, "invalidValue", "email is malformed"), &["title", EMAIL], Step::Refuse),
        (fault(400, "", "Bad Request"), &["title", EMAIL], Step::Style(WriteStyle::PatchValue)),
        (fault(500, "", "oops"), &["title"], Step::Settle),
        (fault(503, "", "busy"), &["title"], Step::Doubt),
        (fault(504, "", "late"), &["title"], Step::Doubt),
        (fault(409, "", "taken"), &["userName"], Step::Refuse),
        (fault(500, "", "userName already exists"), &["userName"], Step::Refuse),
        (fault(403, "", "no"), &["title"], Step::Refuse),
        (fault(401, "", "no"), &["title"], Step::Refuse),
        (fault(429, "", "slow"), &["title"], Step::Refuse),
    ];
    for (fault, paths, expected) in cases {
        assert_eq!(
            next_step(&fault, &update(&id, paths), &Profile::default()),
            expected,
            "{fault:?} {paths:?}"
        );
    }
}

#[test]
fn a_style_that_has_worked_is_not_doubted_for_one_bad_value() {
    let id = TargetId::new("1");
    let mut profile = Profile::default();
    profile.attributes_took(WriteStyle::PatchPath, [&AttributePath::known("name.givenName")]);
    let unnamed = fault(400, "", "Bad Request");
    assert_eq!(next_step(&unnamed, &update(&id, &["title", EMAIL]), &profile), Step::Singly);
    assert_eq!(next_step(&unnamed, &update(&id, &["title"]), &profile), Step::Refuse);
    assert_eq!(next_step(&unnamed, &update(&id, &[EMAIL]), &profile), Step::Refuse);
}

#[test]
fn every_way_has_an_end() {
    let id = TargetId::new("1");
    let all = [WriteStyle::PatchPath, WriteStyle::PatchValue, WriteStyle::Put];
    for status in [400, 404, 405, 500, 501] {
        let mut exhausted = update(&id, &["title"]);
        exhausted.tried = all.to_vec();
        exhausted.drops = DROPS_MAXIMUM;
        exhausted.style = WriteStyle::Put;
        let step = next_step(&fault(status, "noTarget", "no"), &exhausted, &Profile::default());
        assert!(matches!(step, Step::Refuse | Step::Doubt), "{status}: {step:?}");
        let mut endless = update(&id, &["title"]);
        endless.attempts = SENDS_MAXIMUM;
        let step = next_step(&fault(status, "", "title"), &endless, &Profile::default());
        assert!(matches!(step, Step::Refuse | Step::Doubt), "{status}: {step:?}");
    }
}
