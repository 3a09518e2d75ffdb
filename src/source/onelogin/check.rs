//! Each right that rosterd needs at OneLogin, asked for on its own.
//!
//! What lives here: one request per right and the sentence about it. What must not: anything a run depends on.

use std::time::Duration;

use reqwest::Method;

use super::OneLogin;
use super::wire::{ErrorBody, FIELDS, Named};
use crate::http::credentials::Credentials;
use crate::http::{Answer, HttpError, Lane, Request};
use crate::source::check::{CheckContext, Cost, RightCheck};
use crate::source::fault::one_line;

/// OneLogin's window lasts an hour.
const WINDOW: Duration = Duration::from_secs(3600);
const CANDIDATES: usize = 10;
const SCOPE_HELP: &str = "create API credentials with the scope `Read All` (Developers, API Credentials); a scope \
                          cannot be changed later";

impl OneLogin {
    /// Every right, in the order in which they depend on each other.
    pub(in crate::source) async fn check(&self, context: &CheckContext) -> Vec<RightCheck> {
        let url = self.url(&["2", "apps", &self.app_id], &[]);
        // Fetches a token and sends nothing else.
        if let Err(error) = self.credentials.authorise(&Method::GET, &url).await {
            let help =
                "check client_id and client_secret in [sync.source], and that `url` is the account's domain";
            return vec![RightCheck::fail("credentials", error.to_string(), help)];
        }
        let mut checks = vec![RightCheck::ok("credentials", "OneLogin gives a token for the credentials")];
        let app = self.ask(&["2", "apps", &self.app_id], &[]).await;
        let exists = !app.as_ref().is_ok_and(|answer| answer.status == 404);
        checks.extend(self.check_app(app).await);
        let mut people = None;
        // Of an app that is not there nothing more can be said.
        if exists {
            let app_users;
            (app_users, people) = self.check_app_users().await;
            checks.push(app_users);
            checks.push(self.check_users(people).await);
        }
        checks.push(self.check_log().await);
        if !self.role_names.is_empty() {
            checks.push(self.check_roles().await);
        }
        checks.extend(self.check_rate(context, people));
        checks
    }

    async fn ask(&self, segments: &[&str], query: &[(&str, &str)]) -> Result<Answer, HttpError> {
        self.client.send(Request::get(self.url(segments, query), Lane::General)).await
    }

    async fn check_app(&self, app: Result<Answer, HttpError>) -> Vec<RightCheck> {
        let answer = match app {
            Ok(answer) => answer,
            Err(error) => return vec![unreachable("app", &error)],
        };
        match answer.status {
            200 => {}
            404 => {
                let sentence = format!("there is no app `{}`", self.app_id);
                return vec![RightCheck::fail("app", sentence, self.candidates().await)];
            }
            _ => return vec![refused("app", &answer)],
        }
        let Ok(app) = serde_json::from_slice::<Named<'_>>(&answer.body) else {
            return vec![refused("app", &answer)];
        };
        let name = app.name.get().unwrap_or("the app");
        let mut checks = vec![RightCheck::ok("app", format!("{name} ({}) exists", self.app_id))];
        if app.provisioning.as_ref().is_some_and(|provisioning| provisioning.enabled == Some(true)) {
            checks.push(RightCheck::warn(
                "provisioning",
                format!("OneLogin itself provisions through {name}: two writers"),
                "switch off `Enable provisioning` in the app, or do not use rosterd for it",
            ));
        }
        checks
    }

    async fn candidates(&self) -> String {
        let apps = match self.ask(&["2", "apps"], &[("limit", "100")]).await {
            Ok(answer) if answer.status == 200 => answer,
            Ok(_) | Err(_) => return no_candidates(),
        };
        let apps: Vec<Named<'_>> = serde_json::from_slice(&apps.body).unwrap_or_default();
        let shown: Vec<String> = apps
            .iter()
            .filter_map(|app| Some(format!("{} ({})", app.id()?, app.name.get()?)))
            .take(CANDIDATES)
            .collect();
        if shown.is_empty() {
            return no_candidates();
        }
        let more = if apps.len() > CANDIDATES { ", and others" } else { "" };
        format!("correct `app_id`; these credentials see {}{more}", shown.join(", "))
    }

    async fn check_app_users(&self) -> (RightCheck, Option<u64>) {
        let right = "app users";
        let answer = match self.ask(&["2", "apps", &self.app_id, "users"], &[("limit", "1")]).await {
            Ok(answer) if answer.status == 200 => answer,
            Ok(answer) => return (refused(right, &answer), None),
            Err(error) => return (unreachable(right, &error), None),
        };
        match total(&answer) {
            None => {
                let sentence = "the answer has no Total-Count, so no read can be proven complete";
                (RightCheck::fail(right, sentence, "is a proxy in between that drops headers?"), None)
            }
            Some(0) => (
                RightCheck::warn(
                    right,
                    "nobody is assigned to the app",
                    "assign somebody, or correct `app_id`",
                ),
                Some(0),
            ),
            Some(count) => (RightCheck::ok(right, format!("{count} people are assigned")), Some(count)),
        }
    }

    async fn check_users(&self, assigned: Option<u64>) -> RightCheck {
        let right = "users";
        let query = [("app_id", &*self.app_id), ("fields", FIELDS), ("limit", "1")];
        let answer = match self.ask(&["2", "users"], &query).await {
            Ok(answer) if answer.status == 200 => answer,
            Ok(answer) => return refused(right, &answer),
            Err(error) => return unreachable(right, &error),
        };
        match (total(&answer), assigned) {
            (Some(details), Some(assigned)) if details != assigned => RightCheck::warn(
                right,
                format!(
                    "the app lists {assigned} people and the users' list {details}; the others are blocked"
                ),
                "compare both lists in OneLogin; a delegated administrator may not see everybody",
            ),
            (Some(_) | None, _) => RightCheck::ok(right, "users can be read"),
        }
    }

    async fn check_log(&self) -> RightCheck {
        let right = "event log";
        match self.ask(&["1", "events"], &[("limit", "1")]).await {
            Ok(answer) if answer.status == 200 => RightCheck::ok(right, "events can be read"),
            Ok(answer) if matches!(answer.status, 401 | 403) => RightCheck::warn(
                right,
                format!("events cannot be read: {}", ErrorBody::words(&answer)),
                "use credentials with `Read All`; without events changes are seen at the next scheduled run, and a \
                 deleted person is only believed after two reads",
            ),
            Ok(answer) => refused(right, &answer),
            Err(error) => unreachable(right, &error),
        }
    }

    async fn check_roles(&self) -> RightCheck {
        match self.resolve_roles(Lane::General).await {
            Ok(_) => {
                RightCheck::ok("groups", format!("each of the {} roles exists once", self.role_names.len()))
            }
            Err(error) => RightCheck::fail(
                "groups",
                error.error.to_string(),
                "compare the names in `groups` with the roles in OneLogin, and use credentials with `Read All`",
            ),
        }
    }

    fn check_rate(&self, context: &CheckContext, assigned: Option<u64>) -> Option<RightCheck> {
        let limit = self.client.pacer().window("all")?.limit?;
        let people = context.people.max(assigned)?;
        let cost = Cost {
            people,
            requests: people.div_ceil(1000) + people.div_ceil(50) + 1,
            limit,
            window: WINDOW,
            rate_share_percent: self.rate_share_percent,
        };
        Some(cost.judge(context.interval))
    }
}

fn no_candidates() -> String {
    "correct `app_id` (Applications, the app; the id is in the address bar)".to_owned()
}

fn total(answer: &Answer) -> Option<u64> {
    answer.header("total-count")?.trim().parse().ok()
}

fn refused(right: &'static str, answer: &Answer) -> RightCheck {
    let sentence = one_line(&format!("HTTP {} {}", answer.status, ErrorBody::words(answer)));
    match answer.status {
        401 | 403 => RightCheck::fail(right, format!("not allowed: {sentence}"), SCOPE_HELP),
        _ => {
            RightCheck::fail(right, sentence, "check `url` in [sync.source]; it is the account's own domain")
        }
    }
}

fn unreachable(right: &'static str, error: &HttpError) -> RightCheck {
    RightCheck::fail(right, error.to_string(), "check `url`, `proxy` and `ca_file` in [sync.source]")
}
