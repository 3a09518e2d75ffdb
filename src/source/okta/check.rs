//! Each right that rosterd needs at Okta, asked for on its own.
//!
//! What lives here: one request per right and the sentence about it. What must not: anything a run depends on.

use std::time::Duration;

use reqwest::Method;

use super::wire::{self, App, AppUser, ErrorBody, WithId, next_link};
use super::{Login, Okta};
use crate::http::{Answer, HttpError, Lane, Request};
use crate::source::check::{CheckContext, Cost, RightCheck};
use crate::source::fault::one_line;

/// Okta's windows last a minute.
const WINDOW: Duration = Duration::from_secs(60);
/// Features of an app that mean that Okta itself writes to the same workspace.
const WRITING_FEATURES: [&str; 3] = ["PUSH_NEW_USERS", "PUSH_PROFILE_UPDATES", "PUSH_USER_DEACTIVATION"];
const CANDIDATES: usize = 10;
const ROLE_HELP: &str = "give the token's owner, or the service app, an admin role that may read (read-only \
                         administrator, or a custom role with apps and users)";

impl Okta {
    /// Every right, in the order in which they depend on each other.
    pub(in crate::source) async fn check(&self, context: &CheckContext) -> Vec<RightCheck> {
        let mut checks = Vec::new();
        // Nothing is sent: this only shows whether a token can be had.
        let url = self.url(&["apps", &self.app_id], &[]);
        if let Err(error) = self.login.credentials().authorise(&Method::GET, &url).await {
            checks.push(self.no_login(&error).await);
            return checks;
        }
        let app = self.ask(&["apps", &self.app_id], &[]).await;
        if let Some(refusal) = login_refused(&app) {
            checks.push(refusal);
            return checks;
        }
        checks.push(RightCheck::ok("credentials", "Okta accepts the credentials"));
        let exists = !app.as_ref().is_ok_and(|answer| answer.status == 404);
        checks.extend(self.check_app(app).await);
        // Of an app that is not there nothing more can be said.
        let people = if exists { self.check_app_users(&mut checks).await } else { None };
        checks.push(self.check_users().await);
        checks.push(self.check_log().await);
        if !self.group_names.is_empty() {
            checks.push(self.check_groups().await);
        }
        checks.extend(self.check_rate(context, people));
        checks
    }

    async fn ask(&self, segments: &[&str], query: &[(&str, &str)]) -> Result<Answer, HttpError> {
        self.client.send(Request::get(self.url(segments, query), Lane::General)).await
    }

    async fn no_login(&self, error: &HttpError) -> RightCheck {
        let message = error.to_string();
        let (sentence, help) = match message.split_once("; help: ") {
            Some((sentence, help)) => (sentence, help),
            None => (&*message, "check the token, or client_id and private_key, in [sync.source]"),
        };
        let mut help = help.to_owned();
        if let Login::ServiceApp(app) = &self.login {
            let missing = app.missing_scopes().await;
            if !missing.is_empty() {
                help = format!(
                    "grant the service app these scopes (Applications, the app, Okta API Scopes): {}",
                    missing.join(", ")
                );
            }
        }
        RightCheck::fail("credentials", sentence, help)
    }

    async fn check_app(&self, app: Result<Answer, HttpError>) -> Vec<RightCheck> {
        let answer = match app {
            Ok(answer) => answer,
            Err(error) => return vec![unreachable("app", &error)],
        };
        match answer.status {
            200 => {}
            403 => return vec![forbidden("app", &answer, "okta.apps.read")],
            404 => {
                let sentence = format!("there is no app `{}`", self.app_id);
                return vec![RightCheck::fail("app", sentence, self.candidates().await)];
            }
            _ => return vec![unexpected("app", &answer)],
        }
        let Ok(app) = wire::json::<App>(&answer) else { return vec![unexpected("app", &answer)] };
        let mut checks = Vec::new();
        if app.status == "ACTIVE" {
            checks.push(RightCheck::ok("app", format!("{} ({}) is active", app.label, app.id)));
        } else {
            let sentence =
                format!("{} ({}) is {}, so nobody counts as assigned", app.label, app.id, app.status);
            checks.push(RightCheck::fail("app", sentence, "activate the app in the Admin Console"));
        }
        let writing: Vec<&str> = WRITING_FEATURES
            .into_iter()
            .filter(|feature| app.features.iter().any(|on| on == feature))
            .collect();
        if !writing.is_empty() {
            checks.push(RightCheck::warn(
                "provisioning",
                format!("Okta itself provisions through this app ({}): two writers", writing.join(", ")),
                "switch off `Provisioning, To App` in the app, or do not use rosterd for it",
            ));
        }
        checks
    }

    async fn candidates(&self) -> String {
        let filter = [("limit", "200"), ("filter", "status eq \"ACTIVE\"")];
        let apps = match self.ask(&["apps"], &filter).await {
            Ok(answer) if answer.status == 200 => wire::json::<Vec<App>>(&answer).unwrap_or_default(),
            Ok(_) | Err(_) => Vec::new(),
        };
        if apps.is_empty() {
            return "correct `app_id` (Applications, the app; the id is in the address bar)".to_owned();
        }
        let shown: Vec<String> =
            apps.iter().take(CANDIDATES).map(|app| format!("{} ({})", app.id, app.label)).collect();
        let more = if apps.len() > CANDIDATES { ", and others" } else { "" };
        format!("correct `app_id`; these credentials see {}{more}", shown.join(", "))
    }

    /// Returns how many people the first page shows, and whether there are more.
    async fn check_app_users(&self, checks: &mut Vec<RightCheck>) -> Option<(u64, bool)> {
        let right = "app users";
        let query = [("limit", super::PAGE_SIZE), ("expand", "user")];
        let answer = match self.ask(&["apps", &self.app_id, "users"], &query).await {
            Ok(answer) => answer,
            Err(error) => {
                checks.push(unreachable(right, &error));
                return None;
            }
        };
        let entries: Vec<AppUser<'_>> = match answer.status {
            200 => serde_json::from_slice(&answer.body).unwrap_or_default(),
            403 => {
                checks.push(forbidden(right, &answer, "okta.apps.read"));
                return None;
            }
            _ => {
                checks.push(unexpected(right, &answer));
                return None;
            }
        };
        let more = next_link(&answer).is_some();
        let without_status = entries.iter().filter(|entry| !entry.has_status()).count();
        checks.push(if entries.is_empty() {
            RightCheck::warn(
                right,
                "Okta answers, and shows nobody: either nobody is assigned, or the admin role is missing",
                ROLE_HELP,
            )
        } else if without_status > 0 {
            RightCheck::fail(
                right,
                format!("{without_status} of {} people come without their status", entries.len()),
                "grant okta.users.read, and an admin role that may see all users",
            )
        } else {
            let least = if more { "at least " } else { "" };
            RightCheck::ok(right, format!("{least}{} people are assigned", entries.len()))
        });
        Some((entries.len() as u64, more))
    }

    async fn check_users(&self) -> RightCheck {
        let right = "users";
        match self.ask(&["users"], &[("limit", "1")]).await {
            Ok(answer) if answer.status == 200 => {
                match serde_json::from_slice::<Vec<WithId<'_>>>(&answer.body) {
                    Ok(users) if users.is_empty() => RightCheck::fail(
                        right,
                        "Okta answers, and shows no user at all, so the admin role is missing",
                        ROLE_HELP,
                    ),
                    Ok(_) => RightCheck::ok(right, "users can be read"),
                    Err(_) => unexpected(right, &answer),
                }
            }
            Ok(answer) if answer.status == 403 => forbidden(right, &answer, "okta.users.read"),
            Ok(answer) => unexpected(right, &answer),
            Err(error) => unreachable(right, &error),
        }
    }

    async fn check_log(&self) -> RightCheck {
        let right = "event log";
        let help = "grant okta.logs.read and a role that may read the System Log; without it changes are seen \
                    at the next scheduled run, and a deleted person is only believed after two reads";
        if let Login::ServiceApp(app) = &self.login
            && !app.has_log_scope().await
        {
            return RightCheck::warn(right, "the service app lacks the scope okta.logs.read", help);
        }
        match self.ask(&["logs"], &[("limit", "1")]).await {
            Ok(answer) if answer.status == 200 => RightCheck::ok(right, "the System Log can be read"),
            Ok(answer) if answer.status == 403 => {
                let words = ErrorBody::words(&answer);
                RightCheck::warn(right, format!("the System Log cannot be read: {words}"), help)
            }
            Ok(answer) => unexpected(right, &answer),
            Err(error) => unreachable(right, &error),
        }
    }

    async fn check_groups(&self) -> RightCheck {
        match self.resolve_groups(Lane::General).await {
            Ok(_) => {
                RightCheck::ok("groups", format!("each of the {} groups exists once", self.group_names.len()))
            }
            Err(error) => RightCheck::fail(
                "groups",
                error.error.to_string(),
                "grant okta.groups.read and a role that may read groups, and compare the names in `groups`",
            ),
        }
    }

    fn check_rate(&self, context: &CheckContext, seen: Option<(u64, bool)>) -> Option<RightCheck> {
        let limit = self.client.pacer().window("apps")?.limit?;
        let people = match (context.people, seen) {
            (Some(known), Some((seen, _))) => known.max(seen),
            (Some(known), None) => known,
            (None, Some((seen, false))) => seen,
            // The first page does not tell how many there are.
            (None, Some((_, true)) | None) => return None,
        };
        let cost = Cost {
            people,
            requests: people.div_ceil(500) + 1,
            limit,
            window: WINDOW,
            rate_share_percent: self.rate_share_percent,
        };
        Some(cost.judge(context.interval))
    }
}

fn login_refused(app: &Result<Answer, HttpError>) -> Option<RightCheck> {
    match app {
        Ok(answer) if answer.status == 401 => Some(RightCheck::fail(
            "credentials",
            format!("Okta refuses the credentials: HTTP 401 {}", ErrorBody::words(answer)),
            "make a new token (Security, API, Tokens) or check the service app; tokens die with their owner and \
             after 30 days without use",
        )),
        Ok(_) => None,
        Err(error) => Some(unreachable("credentials", error)),
    }
}

fn forbidden(right: &'static str, answer: &Answer, scope: &str) -> RightCheck {
    RightCheck::fail(
        right,
        format!("not allowed: HTTP 403 {}", ErrorBody::words(answer)),
        format!("grant the scope {scope}, and {ROLE_HELP}"),
    )
}

fn unexpected(right: &'static str, answer: &Answer) -> RightCheck {
    let words = ErrorBody::words(answer);
    let sentence = one_line(&format!("unexpected answer: HTTP {} {words}", answer.status));
    RightCheck::fail(right, sentence, "check `url` in [sync.source]; it is the Okta domain, without a path")
}

fn unreachable(right: &'static str, error: &HttpError) -> RightCheck {
    RightCheck::fail(right, error.to_string(), "check `url`, `proxy` and `ca_file` in [sync.source]")
}
