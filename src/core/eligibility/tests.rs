//! Standing, as a table: lifecycle and assignment, then scope, then mapping.

use crate::config::LifecyclePolicy;
use crate::core::eligibility::{Eligibility, ScopeNames, eligibility};
use crate::core::sample_tests::{ann, mapping, mapping_of, okta, onelogin, policy, rule, scope};
use crate::core::situation::EligibilityKind;
use crate::model::id::Vendor;
use crate::model::identity::{Identity, VendorStatus};
use crate::model::plan::RemovalCause;

fn kind(identity: &Identity, linked: bool, policy: &LifecyclePolicy) -> EligibilityKind {
    let mapping = mapping();
    EligibilityKind::from(&eligibility(identity, linked, &mapping, policy, &mut ScopeNames::new(&mapping)))
}

#[test]
fn lifecycle_and_assignment_come_first() {
    use EligibilityKind::{Blocked, Leaver, Pending, Qualifies, Suspended};
    let waits = policy();
    let creates = LifecyclePolicy { create_pending: true, ..policy() };
    // Status, assigned, linked; as it is, and with on_pending = "create".
    let table: [(VendorStatus, bool, bool, EligibilityKind, EligibilityKind); 18] = [
        (okta("ACTIVE"), true, false, Qualifies, Qualifies),
        (okta("ACTIVE"), true, true, Qualifies, Qualifies),
        (okta("ACTIVE"), false, true, Leaver, Leaver),
        (okta("LOCKED_OUT"), true, true, Qualifies, Qualifies),
        (okta("SUSPENDED"), true, true, Suspended, Suspended),
        (okta("SUSPENDED"), false, true, Leaver, Leaver),
        (okta("DEPROVISIONED"), true, true, Leaver, Leaver),
        (okta("DEPROVISIONED"), false, false, Leaver, Leaver),
        (okta("STAGED"), true, false, Pending, Qualifies),
        (okta("STAGED"), true, true, Pending, Pending),
        (okta("STAGED"), false, true, Leaver, Leaver),
        (okta("NEW_WORD"), true, true, Blocked, Blocked),
        (okta("NEW_WORD"), false, true, Blocked, Blocked),
        (VendorStatus::Okta(None), true, true, Blocked, Blocked),
        (VendorStatus::OneLogin(None), true, false, Blocked, Blocked),
        (onelogin(0, 1), true, false, Pending, Qualifies),
        (onelogin(0, 1), true, true, Leaver, Pending),
        (onelogin(1, 3), true, true, Leaver, Leaver),
    ];
    for (status, assigned, linked, as_it_is, with_create) in table {
        let identity = Identity { status: status.clone(), assigned, ..ann() };
        let place = format!("{status:?} assigned {assigned} linked {linked}");
        assert_eq!(kind(&identity, linked, &waits), as_it_is, "{place}");
        assert_eq!(kind(&identity, linked, &creates), with_create, "{place}, on_pending = create");
    }
}

#[test]
fn the_cause_of_leaving_is_known() {
    let mapping = mapping();
    let cause = |status, assigned| {
        let identity = Identity { status, assigned, ..ann() };
        eligibility(&identity, true, &mapping, &policy(), &mut ScopeNames::new(&mapping))
    };
    assert_eq!(cause(okta("DEPROVISIONED"), false), Eligibility::Leaver(RemovalCause::Disabled));
    assert_eq!(cause(okta("ACTIVE"), false), Eligibility::Leaver(RemovalCause::NotAssigned));
    assert_eq!(cause(okta("SUSPENDED"), false), Eligibility::Leaver(RemovalCause::NotAssigned));
}

#[test]
fn an_odd_address_a_failing_filter_or_expression_delays_no_removal() {
    let rules = [rule("nickName", "1 // 0", false)];
    let hopeless = mapping_of(Vendor::Okta, &scope(&["other.example"], Some("1 // 0 == 1")), &rules, None);
    let of = |status, assigned| {
        let identity = Identity { status, assigned, ..ann() };
        EligibilityKind::from(&eligibility(
            &identity,
            true,
            &hopeless,
            &policy(),
            &mut ScopeNames::new(&hopeless),
        ))
    };
    assert_eq!(of(okta("SUSPENDED"), true), EligibilityKind::Suspended);
    assert_eq!(of(okta("DEPROVISIONED"), true), EligibilityKind::Leaver);
    assert_eq!(of(okta("ACTIVE"), false), EligibilityKind::Leaver);
    assert_eq!(of(okta("ACTIVE"), true), EligibilityKind::Blocked);
}

#[test]
fn scope_comes_before_mapping() {
    let out = mapping_of(Vendor::Okta, &scope(&["other.example"], Some("false")), &[], None);
    let found = eligibility(&ann(), true, &out, &policy(), &mut ScopeNames::new(&out));
    assert_eq!(found, Eligibility::OutOfScope, "who is out of scope needs no good address");
}

#[test]
fn a_bad_user_type_stops_only_people_without_an_account() {
    let config = crate::config::UserType {
        path: "userType".to_owned(),
        from: Some("'Superuser'".to_owned()),
        default: "Regular".to_owned(),
        values: vec!["Regular".to_owned()],
        billable: vec!["Regular".to_owned()],
        groups: Vec::new(),
    };
    let typed = mapping_of(Vendor::Okta, &scope(&[], None), &[], Some(&config));
    for (linked, expected) in [(false, EligibilityKind::Blocked), (true, EligibilityKind::Qualifies)] {
        let found = eligibility(&ann(), linked, &typed, &policy(), &mut ScopeNames::new(&typed));
        assert_eq!(EligibilityKind::from(&found), expected, "linked {linked}");
    }
}

#[test]
fn a_name_is_seen_once_anybody_who_is_read_has_it() {
    let filter = "user.department == 'x' and user.phone and profile.badge";
    let mapping = mapping_of(Vendor::Okta, &scope(&[], Some(filter)), &[], None);
    let mut seen = ScopeNames::new(&mapping);
    assert_eq!(seen.never_seen(), ["profile.badge", "user.department", "user.phone"]);
    let mut silent = ann();
    silent.profile.phone = None;
    eligibility(&silent, false, &mapping, &policy(), &mut seen);
    assert_eq!(seen.never_seen(), ["profile.badge", "user.phone"]);
    eligibility(&Identity { status: okta("SUSPENDED"), ..ann() }, false, &mapping, &policy(), &mut seen);
    assert_eq!(seen.never_seen(), ["profile.badge"], "a suspended person has names too");
}

#[test]
fn a_filter_can_ask_for_the_state_at_the_source() {
    for (state, status) in [("active", "LOCKED_OUT"), ("pending", "STAGED")] {
        let only =
            mapping_of(Vendor::Okta, &scope(&[], Some(&format!("user.status == '{state}'"))), &[], None);
        let early = LifecyclePolicy { create_pending: true, ..policy() };
        for asked in ["ACTIVE", "STAGED"] {
            let identity = Identity { status: okta(asked), ..ann() };
            let found = eligibility(&identity, false, &only, &early, &mut ScopeNames::new(&only));
            let fits = (asked == "STAGED") == (status == "STAGED");
            let expected = if fits { EligibilityKind::Qualifies } else { EligibilityKind::OutOfScope };
            assert_eq!(EligibilityKind::from(&found), expected, "{asked} asked for {state}");
        }
    }
}

#[test]
fn a_profile_that_cannot_be_read_blocks_who_works_and_keeps_nobody_in() {
    let badge = mapping_of(Vendor::Okta, &scope(&[], Some("profile.badge == 1")), &[], None);
    let of = |status| {
        let mut identity = Identity { status: okta(status), ..ann() };
        identity.raw.profile = Some(serde_json::value::RawValue::from_string("1e999".to_owned()).unwrap());
        eligibility(&identity, true, &badge, &policy(), &mut ScopeNames::new(&badge))
    };
    assert!(matches!(of("ACTIVE"), Eligibility::Blocked(why) if why.contains("profile.* is not readable")));
    assert_eq!(of("DEPROVISIONED"), Eligibility::Leaver(RemovalCause::Disabled));
    assert_eq!(of("SUSPENDED"), Eligibility::Suspended);
}

#[test]
fn a_state_that_nobody_knows_is_told_as_the_source_says_it() {
    let told = |status| {
        let mapping = mapping();
        let identity = Identity { status, ..ann() };
        match eligibility(&identity, true, &mapping, &policy(), &mut ScopeNames::new(&mapping)) {
            Eligibility::Unknown(why) => why,
            other => panic!("{other:?}"),
        }
    };
    assert_eq!(told(okta("NEW_WORD")), "Okta says status NEW_WORD, which is not a documented one");
    assert!(told(VendorStatus::Okta(None)).contains("left out the user's own record"));
    assert_eq!(told(onelogin(9, 1)), "OneLogin says status 9, state 1, which is not documented");
    assert!(told(VendorStatus::OneLogin(None)).contains("in only one of"));
}
