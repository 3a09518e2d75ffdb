//! `/ServiceProviderConfig`, `/Schemas` and `/ResourceTypes` (RFC 7644 section 4).

use super::habits::{PatchHabit, ScimQuirks};
use super::refuse::Refusal;
use super::schema;
use crate::sim::call::{Call, Reply};
use crate::sim::refusal::scim_json;
use axum::http::Method;
use serde_json::{Value, json};

pub(super) fn answer(habits: &ScimQuirks, base: &str, call: &Call, parts: &[&str]) -> Result<Reply, Refusal> {
    if habits.without_discovery {
        return Err(Refusal::new(404, None, "not found"));
    }
    if call.method != Method::GET {
        return Err(Refusal::new(405, None, "method not allowed"));
    }
    if call.given("filter").is_some() {
        // RFC 7644 section 4: a filter on these endpoints is answered 403.
        return Err(Refusal::new(403, None, "discovery cannot be filtered"));
    }
    match parts {
        ["ServiceProviderConfig"] => Ok(scim_json(200, &service_provider_config(habits, base))),
        ["Schemas"] => {
            Ok(list(schema::documents().iter().map(|schema| schema_document(schema, base)).collect()))
        }
        ["ResourceTypes"] => Ok(list(vec![resource_type(base)])),
        ["ResourceTypes", "User"] => Ok(scim_json(200, &resource_type(base))),
        ["Schemas", id] => schema::documents()
            .iter()
            .find(|schema| schema["id"] == *id)
            .map(|schema| scim_json(200, &schema_document(schema, base)))
            .ok_or_else(|| Refusal::not_found(id)),
        _ => Err(Refusal::new(404, None, "no such endpoint")),
    }
}

fn list(resources: Vec<Value>) -> Reply {
    scim_json(
        200,
        &json!({"schemas": ["urn:ietf:params:scim:api:messages:2.0:ListResponse"], "totalResults": resources.len(),
                "itemsPerPage": resources.len(), "startIndex": 1, "Resources": resources}),
    )
}

fn service_provider_config(habits: &ScimQuirks, base: &str) -> Value {
    let patch = !matches!(habits.patch, PatchHabit::Missing | PatchHabit::NotImplemented);
    json!({
        "schemas": ["urn:ietf:params:scim:schemas:core:2.0:ServiceProviderConfig"],
        "documentationUri": "https://www.rfc-editor.org/rfc/rfc7644",
        "patch": {"supported": patch},
        "bulk": {"supported": false, "maxOperations": 0, "maxPayloadSize": 0},
        "filter": {"supported": true, "maxResults": habits.page_cap.unwrap_or(1_000_000)},
        "changePassword": {"supported": false},
        "sort": {"supported": false},
        "etag": {"supported": true},
        "authenticationSchemes": [{"type": "oauthbearertoken", "name": "Bearer token", "primary": true,
                                   "description": "A permanent token in the Authorization header",
                                   "specUri": "https://www.rfc-editor.org/rfc/rfc6750"}],
        "meta": {"resourceType": "ServiceProviderConfig", "location": format!("{base}/ServiceProviderConfig")}
    })
}

fn resource_type(base: &str) -> Value {
    let extensions: Vec<Value> =
        schema::extensions().iter().map(|schema| json!({"schema": schema.id, "required": false})).collect();
    json!({
        "schemas": ["urn:ietf:params:scim:schemas:core:2.0:ResourceType"],
        "id": "User", "name": "User", "endpoint": "/Users", "description": "User account",
        "schema": schema::CORE,
        "schemaExtensions": extensions,
        "meta": {"resourceType": "ResourceType", "location": format!("{base}/ResourceTypes/User")}
    })
}

fn schema_document(schema: &Value, base: &str) -> Value {
    let mut document = schema.clone();
    let id = schema["id"].as_str().unwrap_or_default();
    document["meta"] = json!({"resourceType": "Schema", "location": format!("{base}/Schemas/{id}")});
    document
}
