//! Mapping, as tables.

use std::sync::Arc;

use crate::config::{AttributeMapping, AttributeRule, GroupRule, UserType};
use crate::core::mapping::{InScope, Mapping};
use crate::core::sample_tests::{ann, map, mapping, mapping_of, path, rule, scope, text, values};
use crate::model::attributes::AttributePath;
use crate::model::id::{SourceId, Vendor};
use crate::model::identity::{Identity, Profile};

const ENTERPRISE: &str = "urn:ietf:params:scim:schemas:extension:enterprise:2.0:User";

#[test]
fn everything_that_the_source_has_is_mapped_and_nothing_else() {
    let mapped = map(&mapping(), &ann()).unwrap();
    let expected = values([
        ("userName", "ann@acme.example"),
        ("name.givenName", "Ann"),
        ("name.familyName", "Archer"),
        ("emails[primary eq true].value", "ann@acme.example"),
        ("title", "Engineer"),
        ("phoneNumbers[primary eq true].value", "+15550100"),
        (&format!("{ENTERPRISE}:organization"), "Acme"),
        (&format!("{ENTERPRISE}:department"), "Research"),
        ("externalId", "00uann"),
    ]);
    assert_eq!(mapped.desired.set, expected);
    assert!(mapped.desired.clear.is_empty());
    let bare = Identity {
        profile: Profile { user_name: Some("ann@acme.example".to_owned()), ..Profile::default() },
        ..ann()
    };
    let mapped = map(&mapping(), &bare).unwrap();
    assert_eq!(mapped.desired.set, values([("userName", "ann@acme.example"), ("externalId", "00uann")]));
}

#[test]
fn the_mark_is_the_id_at_okta_and_never_a_bare_number_at_onelogin() {
    for (vendor, id, mark) in
        [(Vendor::Okta, "00uann", "00uann"), (Vendor::OneLogin, "4711", "onelogin:4711")]
    {
        let mapping = mapping_of(vendor, &scope(&[], None), &[], None);
        let mapped = map(&mapping, &Identity { id: SourceId::new(id), ..ann() }).unwrap();
        assert_eq!(mapped.desired.external_id(), mark);
    }
}

#[test]
fn an_override_replaces_adds_or_ends_what_is_built_in() {
    let off = AttributeRule { path: "title".to_owned(), rule: AttributeMapping::Off };
    let rules =
        [off, rule("name.givenName", "user.givenName | upper", false), rule("nickName", "'N'", false)];
    let mapping = mapping_of(Vendor::Okta, &scope(&[], None), &rules, None);
    let set = map(&mapping, &ann()).unwrap().desired.set;
    assert_eq!(set.get(&path("title")), None);
    assert_eq!(set.get(&path("name.givenName")), Some(&text("ANN")));
    assert_eq!(set.get(&path("nickName")), Some(&text("N")));
    let owned = mapping.owned_paths();
    assert!(owned.contains(&path("nickName")) && owned.contains(&AttributePath::external_id()));
    assert!(!owned.contains(&path("title")));
}

#[test]
fn an_override_in_another_spelling_is_the_same_attribute() {
    let mapping = mapping_of(Vendor::Okta, &scope(&[], None), &[rule("TITLE", "'Chief'", false)], None);
    let set = map(&mapping, &ann()).unwrap().desired.set;
    let titles: Vec<_> = set.keys().filter(|path| path.as_str().eq_ignore_ascii_case("title")).collect();
    assert_eq!(titles.len(), 1);
}

#[test]
fn what_is_missing_stays_unless_clearing_is_asked_for_and_may_be_done() {
    let rules = [
        rule("title", "user.title", true),
        rule("name.givenName", "user.givenName", false),
        rule("emails[primary eq true].value", "user.email", true),
    ];
    let mapping = mapping_of(Vendor::Okta, &scope(&[], None), &rules, None);
    let mut identity = ann();
    (identity.profile.title, identity.profile.given_name, identity.profile.email) = (None, None, None);
    let desired = map(&mapping, &identity).unwrap().desired;
    assert_eq!(desired.clear, [path("title")], "an address is never cleared");
    assert_eq!(desired.set.get(&path("name.givenName")), None);
}

#[test]
fn an_expression_that_fails_names_its_attribute() {
    let mapping = mapping_of(Vendor::Okta, &scope(&[], None), &[rule("nickName", "1 // 0", false)], None);
    let problem = map(&mapping, &ann()).unwrap_err();
    assert!(problem.contains("nickName"), "{problem}");
}

#[test]
fn nobody_is_mapped_without_a_login_or_outside_the_approved_domains() {
    let domains = ["acme.example", "xn--bcher-kva.example"];
    // What it is about, login, address, the problem.
    type Row = (&'static str, Option<&'static str>, Option<&'static str>, Option<&'static str>);
    let table: [Row; 9] = [
        ("an approved address", Some("ann@acme.example"), Some("ann@acme.example"), None),
        ("another case", Some("ann@ACME.Example"), None, None),
        ("the domain in Unicode", Some("ann@bücher.example"), None, None),
        ("no login", None, Some("ann@acme.example"), Some("no userName")),
        (
            "another domain",
            Some("ann@other.example"),
            None,
            Some("ann@other.example is outside scope.domains"),
        ),
        ("a domain below", Some("ann@mail.acme.example"), None, Some("outside scope.domains")),
        ("a longer domain", Some("ann@notacme.example"), None, Some("outside scope.domains")),
        (
            "the address elsewhere",
            Some("ann@acme.example"),
            Some("ann@home.example"),
            Some("ann@home.example"),
        ),
        ("a login that is no address", Some("ann"), Some("ann@acme.example"), None),
    ];
    let mapping = mapping_of(Vendor::Okta, &scope(&domains, None), &[], None);
    for (name, login, email, problem) in table {
        let mut identity = ann();
        identity.profile.user_name = login.map(str::to_owned);
        identity.profile.email = email.map(str::to_owned);
        match (map(&mapping, &identity), problem) {
            (Ok(_), None) => {}
            (Err(told), Some(problem)) => assert!(told.contains(problem), "{name}: {told}"),
            (mapped, _) => panic!("{name}: {mapped:?}"),
        }
    }
}

fn user_type() -> UserType {
    let group = |group: &str, value: &str| GroupRule { group: group.to_owned(), value: value.to_owned() };
    UserType {
        path: "userType".to_owned(),
        from: Some("user.userType".to_owned()),
        default: "Regular".to_owned(),
        values: ["Regular", "External", "Collaborator"].map(str::to_owned).to_vec(),
        billable: ["Regular", "External"].map(str::to_owned).to_vec(),
        groups: vec![group("Guests", "External"), group("Helpers", "Collaborator")],
    }
}

#[test]
fn the_user_type_is_the_attributes_else_the_first_groups_else_the_default() {
    let config = user_type();
    let mapping = mapping_of(Vendor::Okta, &scope(&[], None), &[], Some(&config));
    // The attribute, the groups, the type or the problem.
    type Row = (Option<&'static str>, &'static [&'static str], Result<&'static str, &'static str>);
    let table: [Row; 8] = [
        (None, &[], Ok("Regular")),
        (Some("External"), &[], Ok("External")),
        (Some("eXTERNAL"), &[], Ok("External")),
        (None, &["Helpers"], Ok("Collaborator")),
        (None, &["Helpers", "Guests"], Ok("External")),
        (Some("Collaborator"), &["Guests"], Ok("Collaborator")),
        (None, &["guests"], Ok("Regular")),
        (Some("Superuser"), &["Guests"], Err("Superuser")),
    ];
    for (attribute, groups, expected) in table {
        let mut identity = ann();
        identity.profile.user_type = attribute.map(str::to_owned);
        identity.groups = groups.iter().map(|group| Arc::from(*group)).collect();
        let mapped = map(&mapping, &identity).unwrap();
        let place = format!("{attribute:?} {groups:?}");
        match expected {
            Ok(value) => {
                assert_eq!(mapped.user_type.as_deref(), Some(value), "{place}");
                assert_eq!(mapped.desired.set.get(&path("userType")), Some(&text(value)), "{place}");
                assert_eq!(mapped.user_type_problem, None, "{place}");
            }
            Err(problem) => {
                assert!(mapped.user_type_problem.unwrap().contains(problem), "{place}");
                assert_eq!(mapped.desired.set.get(&path("userType")), None, "{place}");
            }
        }
    }
}

#[test]
fn seats_are_taken_by_the_listed_types_and_by_everybody_where_there_are_no_types() {
    let config = user_type();
    let typed = mapping_of(Vendor::Okta, &scope(&[], None), &[], Some(&config));
    let table =
        [(Some("Regular"), true), (Some("External"), true), (Some("Collaborator"), false), (None, true)];
    for (value, billable) in table {
        assert_eq!(typed.is_billable(value), billable, "{value:?}");
        assert!(mapping().is_billable(value));
    }
}

#[test]
fn a_digest_changes_with_every_value_and_with_nothing_else() {
    let digest = |mapping: &Mapping, identity: &Identity| map(mapping, identity).unwrap().desired.digest;
    let first = digest(&mapping(), &ann());
    assert_eq!(first, digest(&mapping(), &ann()));
    let mut later = ann();
    (later.observation, later.assigned_at) =
        (crate::model::order::Observation::now(), Some(crate::model::time::Millis(6)));
    later.groups = vec![Arc::from("a group that nothing uses")];
    assert_eq!(first, digest(&mapping(), &later), "what is not mapped does not count");
    let edits: [fn(&mut Profile); 4] = [
        |profile| profile.title = Some("Engineer ".to_owned()),
        |profile| profile.title = None,
        |profile| profile.user_name = Some("Ann@acme.example".to_owned()),
        |profile| {
            (profile.given_name, profile.family_name) = (Some("AnnA".to_owned()), Some("rcher".to_owned()))
        },
    ];
    for edit in edits {
        let mut identity = ann();
        edit(&mut identity.profile);
        assert_ne!(first, digest(&mapping(), &identity), "{:?}", identity.profile);
    }
    let mut untitled = ann();
    untitled.profile.title = None;
    let clears = mapping_of(Vendor::Okta, &scope(&[], None), &[rule("title", "user.title", true)], None);
    assert_ne!(digest(&clears, &untitled), digest(&mapping(), &untitled), "clearing is something to do");
}

#[test]
fn the_scope_is_true_false_or_failed() {
    let table = [
        (None, InScope::Yes),
        (Some("user.department == 'Research'"), InScope::Yes),
        (Some("user.department != 'Research'"), InScope::No),
        (Some("profile.nobodyHasThis == 'x'"), InScope::No),
        (Some("'Bots' not in user.groups"), InScope::Yes),
    ];
    for (filter, expected) in table {
        let mapping = mapping_of(Vendor::Okta, &scope(&[], filter), &[], None);
        let names = mapping.names(&ann(), "active").unwrap();
        assert_eq!(mapping.in_scope(names.as_ref()), expected, "{filter:?}");
    }
    let mapping = mapping_of(Vendor::Okta, &scope(&[], Some("1 // 0 == 1")), &[], None);
    let names = mapping.names(&ann(), "active").unwrap();
    assert!(
        matches!(mapping.in_scope(names.as_ref()), InScope::Failed(problem) if problem.contains("scope.filter"))
    );
}

#[test]
fn the_names_of_a_filter_are_known() {
    let filter = "user.department == 'x' or profile.badge and 'Bots' not in user.groups";
    let mapping =
        mapping_of(Vendor::Okta, &scope(&[], Some(filter)), &[rule("nickName", "app.x", false)], None);
    assert_eq!(mapping.scope_names(), ["profile.badge", "user.department", "user.groups"]);
}

#[test]
fn what_cannot_be_compiled_names_its_place() {
    let key = crate::model::digest::DigestKey::new([7; 32]);
    let bad = [rule("nickName", "user.title |", false)];
    let error = Mapping::compile(Vendor::Okta, &scope(&[], None), &bad, None, key.clone()).unwrap_err();
    assert!(error.to_string().starts_with("nickName: "), "{error}");
    let error = Mapping::compile(Vendor::Okta, &scope(&[], Some("user.")), &[], None, key).unwrap_err();
    assert!(error.to_string().starts_with("scope.filter: "), "{error}");
}

#[test]
fn the_mapping_tells_where_each_value_comes_from() {
    let config = user_type();
    let off = AttributeRule { path: "title".to_owned(), rule: AttributeMapping::Off };
    let rules = [off, rule("nickName", "user.givenName", true), rule("displayName", "1 // 0", false)];
    let mapping = mapping_of(Vendor::Okta, &scope(&[], None), &rules, Some(&config));
    let names = mapping.names(&ann(), "active").unwrap();
    let traced = mapping.trace(&ann(), names.as_ref());
    let of = |at: &str| traced.iter().find(|evaluated| evaluated.path == path(at)).unwrap();
    let nick = of("nickName");
    assert_eq!(
        (&*nick.expression, &nick.value, nick.clear_when_missing),
        ("user.givenName", &Ok(Some(text("Ann"))), true)
    );
    assert!(of("displayName").value.is_err());
    assert_eq!(
        (&*of("externalId").expression, &of("externalId").value),
        ("user.id", &Ok(Some(text("00uann"))))
    );
    let kind = of("userType");
    let expression = "user.userType, else the first matching group of user_type.groups, else \"Regular\"";
    assert_eq!((&*kind.expression, &kind.value), (expression, &Ok(Some(text("Regular")))));
    let rules: Vec<_> = traced.into_iter().map(|evaluated| (evaluated.path, evaluated.expression)).collect();
    assert_eq!(mapping.rules(), rules, "the same, asked without a person");
    assert_eq!(mapping.switched_off(), [(path("title"), "user.title".to_owned())]);
    let plain = UserType { from: None, groups: Vec::new(), ..config };
    let mapping = mapping_of(Vendor::Okta, &scope(&[], None), &[], Some(&plain));
    assert!(mapping.rules().contains(&(path("userType"), "\"Regular\"".to_owned())));
    assert_eq!(mapping.switched_off(), []);
    assert_eq!(mapping.user_type_path(), Some(&path("userType")));
}

#[test]
fn the_names_of_a_filter_are_told_with_what_they_hold_for_one_person() {
    let filter = "user.department == 'x' or user.status == 'active' or profile.badge";
    let mapping = mapping_of(Vendor::Okta, &scope(&[], Some(filter)), &[], None);
    let names = mapping.names(&ann(), "active").unwrap().unwrap();
    let held: Vec<_> = mapping.scope_values(&names).into_iter().collect();
    let of = |name: &str, value: Option<&str>| (name.to_owned(), value.map(str::to_owned));
    assert_eq!(
        held,
        [
            of("profile.badge", None),
            of("user.department", Some("Research")),
            of("user.status", Some("active"))
        ]
    );
}
