//! Tests of the simulation itself: that it does what the vendors and the RFCs say, and that its faults happen.
#![cfg(feature = "sim")]
// The lint's exception for tests covers test functions only, not what they share.
#![allow(clippy::unwrap_used)]

mod faults;
mod okta;
mod okta_auth;
mod onelogin;
mod scim;
mod scim_habits;
mod specs;
mod world;

use reqwest::Method;
use rosterd::sim::{Sim, SimOptions};
use serde_json::Value;

/// A reply, read to its end.
#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) status: u16,
    pub(crate) headers: reqwest::header::HeaderMap,
    pub(crate) body: String,
}

impl Answer {
    pub(crate) fn json(&self) -> Value {
        serde_json::from_str(&self.body).unwrap_or_else(|error| panic!("{error}: {}", self.body))
    }

    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name).map(|value| value.to_str().unwrap())
    }

    /// The URL of the `Link` header with `rel="next"`.
    pub(crate) fn next(&self) -> Option<String> {
        let links = self.headers.get_all("link").iter().map(|value| value.to_str().unwrap());
        let next = links.filter(|link| link.ends_with("rel=\"next\"")).collect::<Vec<_>>();
        assert!(next.len() <= 1);
        Some(next.first()?.strip_prefix('<')?.split_once('>')?.0.to_owned())
    }

    /// The members with this name, one a row.
    pub(crate) fn column(&self, name: &str) -> Vec<String> {
        let text = |row: &Value| match &row[name] {
            Value::String(text) => text.clone(),
            other => other.to_string(),
        };
        self.json().as_array().unwrap().iter().map(text).collect()
    }
}

pub(crate) fn client() -> reqwest::Client {
    reqwest::Client::builder().no_proxy().redirect(reqwest::redirect::Policy::none()).build().unwrap()
}

/// Sends a request with these headers.
pub(crate) async fn send(
    method: &str,
    url: &str,
    headers: &[(&str, &str)],
    body: Option<&str>,
) -> Result<Answer, reqwest::Error> {
    let mut request = client().request(method.parse::<Method>().unwrap(), url);
    for (name, value) in headers {
        request = request.header(*name, *value);
    }
    if let Some(body) = body {
        request = request.body(body.to_owned());
    }
    let response = request.send().await?;
    let (status, headers) = (response.status().as_u16(), response.headers().clone());
    Ok(Answer { status, headers, body: response.text().await? })
}

pub(crate) async fn start() -> Sim {
    Sim::start(SimOptions { seed: 7, ..SimOptions::default() }).await.unwrap()
}

/// Asks Okta with the API token; a path is put behind the origin, a URL stays.
pub(crate) async fn okta(sim: &Sim, path: &str) -> Answer {
    let url = if path.starts_with("http") { path.to_owned() } else { format!("{}{path}", sim.okta_url()) };
    send("GET", &url, &[("authorization", &format!("SSWS {}", sim.okta_token()))], None).await.unwrap()
}

/// A OneLogin token, got with HTTP Basic.
pub(crate) async fn onelogin_token(sim: &Sim) -> Answer {
    use base64::Engine as _;
    let pair = format!("{}:{}", sim.onelogin_client_id(), sim.onelogin_client_secret());
    let basic = format!("Basic {}", base64::engine::general_purpose::STANDARD.encode(pair));
    let headers = [("authorization", basic.as_str()), ("content-type", "application/json")];
    let url = format!("{}/auth/oauth2/v2/token", sim.onelogin_url());
    send("POST", &url, &headers, Some(r#"{"grant_type":"client_credentials"}"#)).await.unwrap()
}

/// Asks OneLogin with the token in force.
pub(crate) async fn onelogin(sim: &Sim, path: &str) -> Answer {
    let token = onelogin_token(sim).await.json()["access_token"].as_str().unwrap().to_owned();
    let url = format!("{}{path}", sim.onelogin_url());
    send("GET", &url, &[("authorization", &format!("bearer {token}"))], None).await.unwrap()
}

/// Sends a SCIM request with the bearer token.
pub(crate) async fn scim(sim: &Sim, method: &str, path: &str, body: Option<&Value>) -> Answer {
    let authorization = format!("Bearer {}", sim.scim_token());
    let mut headers = vec![("authorization", authorization.as_str())];
    if body.is_some() {
        headers.push(("content-type", "application/scim+json"));
    }
    let text = body.map(Value::to_string);
    send(method, &format!("{}{path}", sim.scim_url()), &headers, text.as_deref()).await.unwrap()
}

/// Percent-encodes a query value.
pub(crate) fn encoded(text: &str) -> String {
    percent_encoding::utf8_percent_encode(text, percent_encoding::NON_ALPHANUMERIC).to_string()
}
