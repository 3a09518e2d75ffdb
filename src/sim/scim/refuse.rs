//! A refusal inside the SCIM server, and the many forms in which servers tell it.

use super::habits::ErrorForm;
use crate::sim::call::Reply;
use crate::sim::refusal::{scim_error, scim_json};
use serde_json::json;

/// Why a request is refused.
#[derive(Clone, Debug)]
pub(super) struct Refusal {
    pub(super) status: u16,
    /// RFC 7644 table 9.
    pub(super) scim_type: Option<&'static str>,
    /// Wrike's REST code, for [`ErrorForm::Wrike`].
    pub(super) code: &'static str,
    pub(super) detail: String,
}

impl Refusal {
    pub(super) fn new(status: u16, scim_type: Option<&'static str>, detail: impl Into<String>) -> Self {
        let code = match status {
            400 => "invalid_parameter",
            401 => "not_authorized",
            403 => "access_forbidden",
            404 => "resource_not_found",
            429 => "too_many_requests",
            500 => "server_error",
            _ => "invalid_request",
        };
        Self { status, scim_type, code, detail: detail.into() }
    }

    pub(super) fn bad(scim_type: &'static str, detail: impl Into<String>) -> Self {
        Self::new(400, Some(scim_type), detail)
    }

    pub(super) fn not_found(id: &str) -> Self {
        Self::new(404, None, format!("Resource {id} not found"))
    }

    /// What Wrike calls a limit of licence or quota, or a person who may not be touched.
    pub(super) fn not_allowed(detail: impl Into<String>) -> Self {
        Self { code: "not_allowed", ..Self::new(403, None, detail) }
    }

    pub(super) fn reply(&self, form: ErrorForm) -> Reply {
        let Self { status, scim_type, code, detail } = self;
        match form {
            ErrorForm::Scim => scim_error(*status, *scim_type, detail),
            ErrorForm::NumberStatus => {
                let mut reply = scim_error(*status, *scim_type, detail);
                reply.edit_json(|body| body["status"] = json!(status));
                reply
            }
            ErrorForm::Wrike => {
                let mut reply = scim_json(*status, &json!({"errorDescription": detail, "error": code}));
                reply.set_header("content-type", "application/json");
                reply
            }
            ErrorForm::PlainText => {
                Reply::empty(*status).with("content-type", "text/plain").with_body(detail.clone())
            }
            ErrorForm::Html => Reply::empty(*status)
                .with("content-type", "text/html")
                .with_body(format!("<html><body><h1>Error {status}</h1></body></html>")),
            ErrorForm::Empty => Reply::empty(*status),
        }
    }
}
