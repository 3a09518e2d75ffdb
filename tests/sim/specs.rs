//! Replies of the simulated vendors against the vendors' own OpenAPI documents.

use crate::{okta, onelogin, onelogin_token, start};
use rosterd::sim::Sim;
use serde_json::{Value, json};
use std::collections::BTreeSet;

struct Document(Value);

impl Document {
    fn okta() -> Self {
        Self(serde_json::from_str(include_str!("../specs/okta-extract.json")).unwrap())
    }

    fn onelogin() -> Self {
        Self(serde_json::from_str(include_str!("../specs/onelogin-extract.json")).unwrap())
    }

    /// Panics where the reply does not fit the schema of this operation and status.
    fn check(&self, operation: &str, reply: &Value) {
        let schema = &self.0["operations"][operation];
        assert!(schema.is_object(), "{operation} is not in the extract");
        let schema = json!({"allOf": [schema], "components": self.0["components"]});
        let validator = jsonschema::validator_for(&schema).unwrap();
        let errors: Vec<String> =
            validator.iter_errors(reply).map(|error| format!("{}: {error}", error.instance_path())).collect();
        assert!(errors.is_empty(), "{operation}: {errors:#?}\n{reply:#}");
    }

    /// The property names that a component has, those of what it refers to included.
    fn properties(&self, component: &str) -> BTreeSet<String> {
        let mut names = BTreeSet::new();
        self.collect(&self.0["components"][component], &mut names);
        names
    }

    fn collect(&self, schema: &Value, names: &mut BTreeSet<String>) {
        if let Some(target) = schema["$ref"].as_str() {
            self.collect(&self.0["components"][target.rsplit('/').next().unwrap()], names);
        }
        names.extend(schema["properties"].as_object().into_iter().flatten().map(|(name, _)| name.clone()));
        for part in ["allOf", "anyOf"] {
            schema[part].as_array().into_iter().flatten().for_each(|one| self.collect(one, names));
        }
    }

    /// Panics where an object has a member that the document does not know.
    fn knows(&self, component: &str, object: &Value) {
        let known = self.properties(component);
        let unknown: Vec<&String> =
            object.as_object().unwrap().keys().filter(|name| !known.contains(*name)).collect();
        assert!(unknown.is_empty(), "{component} has no {unknown:?}");
    }
}

/// Both documents call fields plain strings that their vendors' samples show as `null`: such members are left out.
fn without_nulls(value: &Value) -> Value {
    match value {
        Value::Array(items) => items.iter().map(without_nulls).collect(),
        Value::Object(members) => Value::Object(
            members
                .iter()
                .filter(|(_, value)| !value.is_null())
                .map(|(name, value)| (name.clone(), without_nulls(value)))
                .collect(),
        ),
        other => other.clone(),
    }
}

/// A world in which every shape occurs.
async fn eventful() -> Sim {
    let sim = start().await;
    let world = sim.world();
    world.populate(30);
    let group = world.add_group("Wrike users");
    world.assign_group(group);
    let ann = world.hire("ann@acme.example", |person| {
        person.mobile_phone = Some("+1 555 1".to_owned());
        person.custom_attributes.insert("food".to_owned(), json!("chicken"));
    });
    world.add_member(group, ann);
    for (verb, name) in [
        (rosterd::sim::World::suspend as fn(&_, _), "sus@acme.example"),
        (rosterd::sim::World::lock, "loc@acme.example"),
        (rosterd::sim::World::stage, "sta@acme.example"),
        (rosterd::sim::World::deactivate, "dea@acme.example"),
        (rosterd::sim::World::delete, "del@acme.example"),
    ] {
        verb(world, world.hire_assigned(name, |_| {}));
    }
    sim
}

#[tokio::test]
async fn okta_replies_fit_oktas_document() {
    let document = Document::okta();
    let sim = eventful().await;
    for native in [false, true] {
        let feature = if native {
            vec!["PUSH_NEW_USERS".to_owned(), "PUSH_USER_DEACTIVATION".to_owned()]
        } else {
            vec![]
        };
        sim.world().edit_app(|app| app.features = feature);
        let app = sim.okta_app_id();
        let person = sim.world().assigned()[0].okta_id.clone();
        let group = sim.world().group(*sim.world().people()[30].groups.first().unwrap()).okta_id;
        for (operation, path) in [
            ("GET /api/v1/apps", "/api/v1/apps".to_owned()),
            ("GET /api/v1/apps/{appId}", format!("/api/v1/apps/{app}")),
            ("GET /api/v1/apps/{appId}/users", format!("/api/v1/apps/{app}/users?expand=user&limit=500")),
            (
                "GET /api/v1/apps/{appId}/users/{userId}",
                format!("/api/v1/apps/{app}/users/{person}?expand=user"),
            ),
            ("GET /api/v1/apps/{appId}/groups", format!("/api/v1/apps/{app}/groups")),
            ("GET /api/v1/users", "/api/v1/users?filter=status%20pr".to_owned()),
            ("GET /api/v1/users/{id}", format!("/api/v1/users/{person}")),
            ("GET /api/v1/users/{id}", "/api/v1/users/me".to_owned()),
            ("GET /api/v1/users/{id}/groups", format!("/api/v1/users/{person}/groups")),
            ("GET /api/v1/groups", "/api/v1/groups".to_owned()),
            ("GET /api/v1/groups/{groupId}", format!("/api/v1/groups/{group}")),
            ("GET /api/v1/groups/{groupId}/users", format!("/api/v1/groups/{group}/users")),
        ] {
            let reply = okta(&sim, &path).await;
            assert_eq!(reply.status, 200, "{path}");
            document.check(&format!("{operation} 200"), &reply.json());
        }
        let users = okta(&sim, &format!("/api/v1/apps/{app}/users?expand=user&limit=500")).await.json();
        for row in users.as_array().unwrap() {
            document.knows("AppUser", row);
            document.check("GET /api/v1/users/{id} 200", &row["_embedded"]["user"]);
            document.knows("User", &row["_embedded"]["user"]);
        }
        document.knows("SamlApplication", &okta(&sim, &format!("/api/v1/apps/{app}")).await.json());
        document.knows("Group", &okta(&sim, &format!("/api/v1/groups/{group}")).await.json());
    }
}

#[tokio::test]
async fn okta_events_fit_oktas_document() {
    let document = Document::okta();
    let sim = eventful().await;
    let events = okta(&sim, "/api/v1/logs?limit=1000").await.json();
    assert!(events.as_array().unwrap().len() > 15);
    document.check("GET /api/v1/logs 200", &without_nulls(&events));
    events.as_array().unwrap().iter().for_each(|event| document.knows("LogEvent", event));
}

#[tokio::test]
async fn okta_refusals_fit_oktas_document() {
    let document = Document::okta();
    let sim = start().await;
    let missing = okta(&sim, "/api/v1/users/nobody").await;
    document.check("GET /api/v1/users/{id} 404", &missing.json());
    document.knows("Error", &missing.json());
    let bad = okta(&sim, "/api/v1/logs?since=x").await;
    document.check("GET /api/v1/logs 400", &bad.json());
    sim.okta(|options| options.denied.insert("apps"));
    document.check("GET /api/v1/apps 403", &okta(&sim, "/api/v1/apps").await.json());
    sim.okta(|options| options.rate_limits.users = 0);
    document.check("GET /api/v1/users 429", &okta(&sim, "/api/v1/users").await.json());
}

#[tokio::test]
async fn onelogin_replies_fit_onelogins_document() {
    let document = Document::onelogin();
    let sim = eventful().await;
    let app = sim.onelogin_app_id();
    let person = sim.world().people()[30].clone();
    let (user, role) = (person.onelogin_id, sim.world().group(*person.groups.first().unwrap()).onelogin_id);
    document.check("POST /auth/oauth2/v2/token 200", &onelogin_token(&sim).await.json());
    for (operation, path) in [
        ("GET /auth/rate_limit", "/auth/rate_limit".to_owned()),
        ("GET /api/2/apps", "/api/2/apps".to_owned()),
        ("GET /api/2/apps/{app_id}", format!("/api/2/apps/{app}")),
        ("GET /api/2/apps/{app_id}/users", format!("/api/2/apps/{app}/users?limit=1000")),
        ("GET /api/2/users", "/api/2/users".to_owned()),
        ("GET /api/2/users/{user_id}/apps", format!("/api/2/users/{user}/apps")),
        ("GET /api/2/roles", "/api/2/roles?fields=users,apps,admins".to_owned()),
        ("GET /api/2/roles/{role_id}", format!("/api/2/roles/{role}")),
        ("GET /api/2/roles/{role_id}/users", format!("/api/2/roles/{role}/users")),
        ("GET /api/1/events", "/api/1/events".to_owned()),
        ("GET /api/1/events/types", "/api/1/events/types".to_owned()),
    ] {
        let reply = onelogin(&sim, &path).await;
        assert_eq!(reply.status, 200, "{path}");
        document.check(&format!("{operation} 200"), &without_nulls(&reply.json()));
    }
    let whole = onelogin(&sim, &format!("/api/2/users/{user}")).await.json();
    document.check("GET /api/2/users/{user_id} 200", &without_nulls(&whole));
    let events = onelogin(&sim, "/api/1/events").await.json();
    events["data"].as_array().unwrap().iter().for_each(|event| document.knows("event", event));
    document.check("GET /api/2/apps/{app_id} 404", &onelogin(&sim, "/api/2/apps/1").await.json());
    sim.onelogin(|options| options.errors = rosterd::sim::ErrorShape::Flat);
    document.check("GET /api/2/users/{user_id} 404", &onelogin(&sim, "/api/2/users/1").await.json());
}
