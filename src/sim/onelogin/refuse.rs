//! OneLogin's error shapes: three, depending on endpoint and age.

use crate::sim::call::Reply;
use serde_json::{Value, json};

/// The form in which errors are told.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum ErrorShape {
    /// `{"statusCode": …, "name": …, "message": …}`.
    #[default]
    V2,
    /// `{"status": {"error": true, "code": …, "type": …, "message": …}}`.
    V1,
    /// As `V1`, with an object as message.
    V1WithObject,
    /// `{"error": true, "code": …, "type": …, "message": …}`.
    Flat,
}

/// Why a request is refused.
#[derive(Debug)]
pub(super) struct Refusal {
    status: u16,
    name: &'static str,
    message: String,
}

impl Refusal {
    pub(super) fn new(status: u16, name: &'static str, message: impl Into<String>) -> Self {
        Self { status, name, message: message.into() }
    }

    pub(super) fn not_found() -> Self {
        Self::new(404, "NotFoundError", "Not Found")
    }

    pub(super) fn reply(&self, shape: ErrorShape) -> Reply {
        let Self { status, name, message } = self;
        let kind = name.trim_end_matches("Error");
        let body = match shape {
            ErrorShape::V2 => json!({"statusCode": status, "name": name, "message": message}),
            ErrorShape::V1 => {
                json!({"status": {"error": true, "code": status, "type": kind, "message": message}})
            }
            ErrorShape::V1WithObject => {
                let message = json!({"description": message, "attribute": "id"});
                json!({"status": {"error": true, "code": status, "type": kind, "message": message}})
            }
            ErrorShape::Flat => json!({"error": true, "code": status, "type": kind, "message": message}),
        };
        Reply::json(*status, &body)
    }
}

/// The `status` member of a v1 reply that went well.
pub(super) fn success() -> Value {
    json!({"error": false, "code": 200, "type": "success", "message": "Success"})
}
