//! Secrets: how they are read, and whether they can be.

use std::sync::Arc;

use super::command_error::{first_line, help_of};
use crate::config::{Environment, SourceKind, Sync};
use crate::model::check::RightCheck;
use crate::source::ResolveSecret;

/// How secrets are read, whenever one is needed.
pub(super) fn secrets() -> ResolveSecret {
    Arc::new(|reference| reference.resolve(&Environment::process()).map_err(|error| error.to_string()))
}

/// One line a secret: whether it can be read, never what it is.
pub(super) fn secrets_of(sync: &Sync) -> Vec<RightCheck> {
    let resolve = secrets();
    let source = match &sync.source.kind {
        SourceKind::OktaToken { api_token } => ("source.api_token", api_token),
        SourceKind::OktaOauth { private_key, .. } => ("source.oauth.private_key", private_key),
        SourceKind::OneLogin { client_secret, .. } => ("source.client_secret", client_secret),
    };
    [source, ("target.token", &sync.target.token)]
        .into_iter()
        .map(|(key, reference)| match resolve(reference) {
            Ok(_) => RightCheck::ok("secret", format!("{key} is readable ({reference})")),
            Err(error) => {
                RightCheck::fail("secret", format!("{key}: {}", first_line(&error)), help_of(&error))
            }
        })
        .collect()
}
