//! Lists of accounts: filter, paging, projection (RFC 7644 sections 3.4.2 and 3.4.3).

use super::habits::{FilterHabit, PagingHabit};
use super::path::project;
use super::refuse::Refusal;
use super::{Context, render};
use crate::sim::call::{Call, Reply};
use crate::sim::filter::{Filter, Operator, Path};
use crate::sim::refusal::scim_json;
use crate::sim::world::{Account, Accounts};
use serde_json::{Value, json};

/// What a list request asks for, from a query or a search body.
#[derive(Default)]
pub(super) struct Wish {
    filter: Option<String>,
    start_index: Option<i64>,
    count: Option<i64>,
    pub(super) attributes: Vec<String>,
    pub(super) excluded: Vec<String>,
}

impl Wish {
    pub(super) fn from_query(call: &Call) -> Self {
        let names = |name: &str| call.given(name).map(split).unwrap_or_default();
        Self {
            filter: call.given("filter").map(str::to_owned),
            start_index: call.number("startIndex"),
            count: call.number("count"),
            attributes: names("attributes"),
            excluded: names("excludedAttributes"),
        }
    }

    pub(super) fn from_body(body: &Value) -> Self {
        let names = |name: &str| {
            body[name]
                .as_array()
                .into_iter()
                .flatten()
                .filter_map(|item| item.as_str().map(str::to_owned))
                .collect()
        };
        Self {
            filter: body["filter"].as_str().map(str::to_owned),
            start_index: body["startIndex"].as_i64(),
            count: body["count"].as_i64(),
            attributes: names("attributes"),
            excluded: names("excludedAttributes"),
        }
    }
}

fn split(text: &str) -> Vec<String> {
    text.split(',').map(|part| part.trim().to_owned()).filter(|part| !part.is_empty()).collect()
}

/// Ids are exact (RFC 7643 section 3.1), names and addresses are not.
fn exact_ids(path: &Path) -> bool {
    matches!(path.names.last().map(String::as_str), Some("id" | "externalId" | "$ref" | "version"))
}

fn always_exact(_: &Path) -> bool {
    true
}

pub(super) fn list(context: &Context<'_>, wish: &Wish) -> Result<Reply, Refusal> {
    let paging = context.habits.paging;
    if paging == PagingHabit::CountFails && wish.count.is_some() {
        return Err(Refusal::new(500, None, "internal server error"));
    }
    context.world.with(|state| {
        let found = chosen(context, &state.accounts, wish.filter.as_deref())?;
        let total = found.len();
        if total == 0 && wish.filter.is_some() && context.habits.nobody_is_404 {
            return Err(Refusal::new(404, None, "no user was found"));
        }
        let (start, count) = window(context, wish, total);
        let rows: Vec<Value> = found[start..start + count]
            .iter()
            .map(|account| project(render(context, account), &wish.attributes, &wish.excluded))
            .collect();
        let mut body = json!({
            "schemas": ["urn:ietf:params:scim:api:messages:2.0:ListResponse"],
            "totalResults": total,
            "itemsPerPage": rows.len(),
            "startIndex": start + 1,
        });
        match paging {
            PagingHabit::Ignored => {
                if let Some(body) = body.as_object_mut() {
                    body.remove("itemsPerPage");
                    body.remove("startIndex");
                }
            }
            PagingHabit::TotalIsPageSize => {
                body["totalResults"] = json!(rows.len());
                body["startIndex"] = json!(start);
            }
            PagingHabit::Full
            | PagingHabit::FirstPageBeyondEnd
            | PagingHabit::CountFails
            | PagingHabit::OnlyWhenAsked => {}
        }
        body["Resources"] = Value::Array(rows);
        Ok(scim_json(200, &body))
    })
}

/// First row (from 0) and number of rows.
fn window(context: &Context<'_>, wish: &Wish, total: usize) -> (usize, usize) {
    let habits = context.habits;
    if habits.paging == PagingHabit::Ignored {
        return (0, total);
    }
    if habits.paging == PagingHabit::OnlyWhenAsked && (wish.start_index.is_none() || wish.count.is_none()) {
        return (0, 0);
    }
    let mut start = usize::try_from(wish.start_index.unwrap_or(1).max(1) - 1).unwrap_or(usize::MAX);
    if start >= total && habits.paging == PagingHabit::FirstPageBeyondEnd {
        start = 0;
    }
    let start = start.min(total);
    let asked = match wish.count {
        Some(count) => usize::try_from(count.max(0)).unwrap_or(usize::MAX),
        None => habits.default_page.unwrap_or(usize::MAX),
    };
    let count = habits.page_cap.map_or(asked, |cap| asked.min(cap)).min(total - start);
    (start, count)
}

fn chosen<'a>(
    context: &Context<'_>,
    accounts: &'a Accounts,
    filter: Option<&str>,
) -> Result<Vec<&'a Account>, Refusal> {
    let habits = context.habits;
    let visible = |account: &&Account| !habits.inactive_invisible || account.active();
    let everybody = || accounts.iter().collect();
    let Some(text) = filter else { return Ok(everybody()) };
    let exact_name = text.strip_prefix("userName eq \"").and_then(|rest| rest.strip_suffix('"'));
    match habits.filter {
        FilterHabit::Ignored => Ok(everybody()),
        FilterHabit::UserNameOnly => Ok(match exact_name {
            Some(name) => {
                accounts.named(name).filter(|account| account.user_name() == name).filter(visible).collect()
            }
            None => everybody(),
        }),
        FilterHabit::EmailOnly if exact_name.is_none_or(|name| !name.contains('@')) => {
            Err(Refusal::bad("invalidFilter", "search is supported only by email address"))
        }
        FilterHabit::NoEscapes if text.contains('\\') => {
            Err(Refusal::bad("invalidFilter", "the filter cannot be read"))
        }
        FilterHabit::Full | FilterHabit::CaseSensitive | FilterHabit::EmailOnly | FilterHabit::NoEscapes => {
            let filter = Filter::parse(text).map_err(|why| Refusal::bad("invalidFilter", why))?;
            let exact = if habits.filter == FilterHabit::CaseSensitive { always_exact } else { exact_ids };
            Ok(candidates(accounts, &filter)
                .into_iter()
                .filter(visible)
                .filter(|account| filter.matches(&render(context, account), exact))
                .collect())
        }
    }
}

/// The accounts among which the filter's matches are: by the index where the filter asks for one name or id.
fn candidates<'a>(accounts: &'a Accounts, filter: &Filter) -> Vec<&'a Account> {
    if let Filter::Compare {
        path: Path { schema: None, names },
        operator: Operator::Equal,
        value: Value::String(text),
    } = filter
        && let [name] = names.as_slice()
    {
        if name.eq_ignore_ascii_case("userName") {
            return accounts.named(text).collect();
        }
        if name.eq_ignore_ascii_case("externalId") {
            return accounts.with_external_id(text).collect();
        }
    }
    accounts.iter().collect()
}
