//! The target's part of `check`: one line for each thing that can be wrong, and what to do.
//!
//! What lives here: GET requests and their sentences. What must not: any write.

use serde_json::{Map, Value};

use crate::config::Dialect;
use crate::http::Lane;
use crate::model::attributes::{ENTERPRISE_USER, member};
use crate::model::check::RightCheck;
use crate::scim::control::Unread;
use crate::scim::listing::PageError;
use crate::scim::service::Service;
use crate::scim::target::{Criterion, ListCursor, TargetError};
use crate::scim::{filter, wire};

/// What a discovery endpoint gave.
enum Discovered {
    Document(Map<String, Value>),
    /// 404, 501, 401 and the like: a server may have no discovery, or keep it from us.
    Nothing(String),
}

impl Service {
    /// All lines, in the order in which things can go wrong.
    pub(super) async fn check(&self) -> Vec<RightCheck> {
        let mut lines = self.check_reading().await;
        if lines.iter().any(|line| line.level == crate::model::check::CheckLevel::Fail) {
            return lines;
        }
        lines.push(self.check_lookup().await);
        lines.push(match self.discover("ServiceProviderConfig").await {
            Ok(Discovered::Document(document)) => {
                RightCheck::ok("target capabilities", capabilities(&document))
            }
            Ok(Discovered::Nothing(reason)) => RightCheck::ok(
                "target capabilities",
                format!("not told ({reason}); they are learned from the answers"),
            ),
            Err(error) => discovery_failed("target capabilities", &error),
        });
        lines.push(match self.discover("Schemas").await {
            Ok(Discovered::Document(document)) => RightCheck::ok("target schemas", schemas(&document)),
            Ok(Discovered::Nothing(reason)) => RightCheck::ok(
                "target schemas",
                format!("not told ({reason}); an attribute that the target refuses is left out and reported"),
            ),
            Err(error) => discovery_failed("target schemas", &error),
        });
        lines.extend(match self.discover("ResourceTypes").await {
            Ok(Discovered::Document(document)) => resource_types(&document),
            Ok(Discovered::Nothing(_)) => None,
            Err(error) => Some(discovery_failed("target resource types", &error)),
        });
        lines.push(RightCheck::ok("target writes", self.ways_to_write()));
        lines
    }

    async fn check_reading(&self) -> Vec<RightCheck> {
        let url = match self.url(&["Users"], &[("startIndex", "1"), ("count", "1")]) {
            Ok(url) => url,
            Err(message) => return vec![RightCheck::fail("target read", message, "correct target.url")],
        };
        let error = match self.read(url, Lane::General).await {
            Ok(Ok(answer)) => {
                return vec![match wire::list_page(&answer.body) {
                    Ok(page) => {
                        let total =
                            page.total.map_or_else(String::new, |total| format!(", {total} accounts told"));
                        RightCheck::ok("target read", format!("{} answers{total}", self.place()))
                    }
                    Err(reason) => RightCheck::fail(
                        "target read",
                        format!("{} answered 200, but {reason}", self.place()),
                        "copy the SCIM base URL exactly as the workspace shows it into target.url",
                    ),
                }];
            }
            // One server fails on every `count`; the listing then goes without.
            Ok(Err(fault)) if fault.may_blame_count() && self.reads_without_count().await => {
                return vec![RightCheck::warn(
                    "target read",
                    format!("{} answers, but fails on `count`: {}", self.place(), fault.detail),
                    "nothing to do: lists are read without it",
                )];
            }
            Ok(Err(fault)) => self.read_error(&fault),
            Err(unread) => unread.into_error(),
        };
        let (right, message) = match &error {
            TargetError::Credentials(message) => ("target credentials", message),
            TargetError::Unavailable(message) | TargetError::Unanswerable(message) => {
                ("target read", message)
            }
        };
        let (detail, help) = match message.split_once("; help: ") {
            Some((detail, help)) => (detail.to_owned(), help.to_owned()),
            None => (message.clone(), "check target.url, target.token and the network in between".to_owned()),
        };
        vec![RightCheck::fail(right, detail, help)]
    }

    async fn reads_without_count(&self) -> bool {
        let Ok(url) = self.url(&["Users"], &[("startIndex", "1")]) else { return false };
        let reads = matches!(self.read(url, Lane::General).await, Ok(Ok(_)));
        if reads {
            self.learn(|profile| profile.count_refused = true);
        }
        reads
    }

    /// Asks for somebody who cannot exist: a server that shows people all the same ignores filters.
    async fn check_lookup(&self) -> RightCheck {
        let nobody = Criterion::UserName("nobody@rosterd.invalid".to_owned());
        let by_name = match self.narrows(&nobody).await {
            Ok(narrows) => narrows,
            Err(error) => {
                let help = "nothing to do: the whole listing is read instead, which takes longer";
                return RightCheck::warn("target lookup", error.to_string(), help);
            }
        };
        let name =
            if by_name { "filters by userName" } else { "ignores filters, so the listing is read instead" };
        let by_mark = match self.dialect {
            Dialect::Wrike => "externalId cannot be searched (wrike searches by e-mail address only)",
            Dialect::Generic => {
                match self.narrows(&Criterion::ExternalId("rosterd-nobody".to_owned())).await {
                    Ok(true) if by_name => "filters by externalId",
                    Ok(_) | Err(_) => "externalId cannot be searched",
                }
            }
        };
        RightCheck::ok("target lookup", format!("{name}; {by_mark}"))
    }

    /// Whether a filter that nobody matches leaves nobody. Teaches the profile.
    async fn narrows(&self, nobody: &Criterion) -> Result<bool, TargetError> {
        let Some(text) = filter::filter(nobody, self.dialect) else { return Ok(false) };
        let received = match self.page(Some(&text), &mut ListCursor::default()).await {
            Ok(page) => page.map_or(0, |page| page.received),
            Err(PageError::Denied(fault)) if fault.status == 404 => 0,
            Err(PageError::Denied(fault)) => return Err(self.read_error(&fault)),
            Err(PageError::Failed(unread)) => return Err(unread.into_error()),
        };
        if received > 0 {
            self.learn(|profile| match nobody {
                Criterion::ExternalId(_) => profile.external_id_searchable = Some(false),
                Criterion::UserName(_) | Criterion::Email(_) => profile.filter_trusted = Some(false),
            });
        }
        Ok(received == 0)
    }

    async fn discover(&self, endpoint: &str) -> Result<Discovered, TargetError> {
        let url = self.url(&[endpoint], &[]).map_err(TargetError::Unanswerable)?;
        Ok(match self.read(url, Lane::General).await.map_err(Unread::into_error)? {
            Err(fault) => Discovered::Nothing(format!("{} {}", fault.status, fault.detail)),
            Ok(answer) => match wire::json(&answer.body) {
                Ok(Value::Object(document)) => Discovered::Document(document),
                Ok(Value::Array(items)) => {
                    Discovered::Document(Map::from_iter([("Resources".to_owned(), Value::Array(items))]))
                }
                Ok(_) => Discovered::Nothing("the answer is no object".to_owned()),
                Err(reason) => Discovered::Nothing(reason),
            },
        })
    }

    fn ways_to_write(&self) -> String {
        self.known(|profile| {
            let mut text = format!(
                "attributes by {}, active by {}",
                profile.attributes.as_str(),
                profile.active.as_str()
            );
            if profile.stored.is_empty() {
                text.push_str(" (the first try; the way that works is remembered)");
            }
            let names = |paths: Vec<&str>| paths.join(", ");
            if !profile.ignored.is_empty() {
                let ignored = profile.ignored.iter().map(|path| path.as_str()).collect();
                text.push_str(&format!("; ignored: {}", names(ignored)));
            }
            if !profile.unknown.is_empty() {
                let unknown = profile.unknown.keys().map(|path| path.as_str()).collect();
                text.push_str(&format!("; refused: {}", names(unknown)));
            }
            if profile.deactivation_unshown {
                text.push_str("; a deactivation cannot be seen at this target");
            }
            text
        })
    }
}

fn discovery_failed(right: &str, error: &TargetError) -> RightCheck {
    RightCheck::warn(right, error.to_string(), "nothing to do: discovery is not needed")
}

fn capabilities(document: &Map<String, Value>) -> String {
    let supported = |name: &str| {
        let told =
            member(document, name).and_then(Value::as_object).and_then(|object| member(object, "supported"));
        match told {
            Some(Value::Bool(true)) => "yes",
            Some(Value::Bool(false)) => "no",
            Some(_) | None => "not told",
        }
    };
    format!(
        "as told (not relied on): patch {}, filter {}, etag {}",
        supported("patch"),
        supported("filter"),
        supported("etag")
    )
}

fn schemas(document: &Map<String, Value>) -> String {
    let ids: Vec<&str> = match member(document, "Resources") {
        Some(Value::Array(items)) => items
            .iter()
            .filter_map(|item| member(item.as_object()?, "id")?.as_str())
            .filter(|id| id.ends_with(":User") || id.ends_with(":user"))
            .collect(),
        Some(_) | None => Vec::new(),
    };
    let others: Vec<String> = ids
        .iter()
        .filter(|id| !id.eq_ignore_ascii_case(ENTERPRISE_USER) && !id.contains(":core:2.0:"))
        .take(5)
        .map(|id| wire::one_line(id))
        .collect();
    let enterprise = ids.iter().any(|id| id.eq_ignore_ascii_case(ENTERPRISE_USER));
    let mut text = format!("enterprise extension {}", if enterprise { "told" } else { "not told" });
    if !others.is_empty() {
        text.push_str(&format!(
            "; further user schemas, usable in [sync.user_type] path: {}",
            others.join(", ")
        ));
    }
    text
}

/// Speaks up only where the target lists its resource types and the users are not among them.
fn resource_types(document: &Map<String, Value>) -> Option<RightCheck> {
    let items = member(document, "Resources")?.as_array()?;
    let endpoints: Vec<&str> =
        items.iter().filter_map(|item| member(item.as_object()?, "endpoint")?.as_str()).collect();
    let has_users = endpoints.iter().any(|endpoint| endpoint.trim_end_matches('/').ends_with("Users"));
    (!endpoints.is_empty() && !has_users).then(|| {
        RightCheck::warn(
            "target resource types",
            format!("the target lists no /Users among: {}", wire::one_line(&endpoints.join(", "))),
            "check that target.url is the SCIM base URL for users",
        )
    })
}
