//! `[sync.source]` and `[sync.target]`: addresses, credentials, pace.

use std::ops::Range;
use std::time::Duration;

use toml::Spanned;
use toml::de::DeValue;
use url::Url;

use super::scalar::{DurationRule, UrlRule};
use super::{MINUTE, SECOND};
use crate::config::raw::{self, Finding, Section};
use crate::config::secret::SecretRef;
use crate::config::{Dialect, Dpop, Source, SourceKind, Target, mask, schema};

/// The vendors, without what they need.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Vendor {
    Okta,
    OneLogin,
}

const VENDORS: &[(&str, Vendor)] = &[("okta", Vendor::Okta), ("onelogin", Vendor::OneLogin)];

const REQUIRED_SOURCE: &str = "write source = { kind = \"okta\", url = \"https://acme.okta.com\", app_id = \"0oa…\", \
                               api_token = { file = \"/etc/rosterd/okta.token\" } }";
const REQUIRED_TARGET: &str = "write target = { url = \"https://…\", token = { file = \"/etc/rosterd/wrike.token\" } }, \
                               with the SCIM base URL exactly as the workspace shows it";

/// Reads the source; `None` only after a finding.
pub(super) fn check_source(sync: &Section<'_>) -> Option<Source> {
    if sync.entry("source").is_none() {
        sync.missing("source", REQUIRED_SOURCE);
    }
    let section = sync.optional_section("source", schema::SOURCE)?;
    if section.entry("kind").is_none() {
        section.missing("kind", "write kind = \"okta\" or kind = \"onelogin\"");
    }
    let vendor = section.text("kind", "okta").and_then(|kind| section.choose("kind", &kind, VENDORS));
    let url = check_source_url(&section, vendor);
    let app_id = check_app_id(&section, vendor);
    let groups = section.names("groups").unwrap_or_default();
    let rate_share_percent = section.integer("rate_share_percent", 1..=100, 50) as u8;
    let proxy = section.url("proxy", &UrlRule::PROXY);
    let ca_file = section.absolute_path("ca_file", "/etc/ssl/certs/acme.pem");
    let kind = match vendor {
        Some(Vendor::Okta) => check_okta(&section),
        Some(Vendor::OneLogin) => check_onelogin(&section),
        None => None,
    };
    Some(Source { kind: kind?, url: url?, app_id: app_id?, groups, rate_share_percent, proxy, ca_file })
}

fn check_source_url(section: &Section<'_>, vendor: Option<Vendor>) -> Option<Url> {
    let example = match vendor {
        Some(Vendor::OneLogin) => "https://acme.onelogin.com",
        Some(Vendor::Okta) | None => UrlRule::SOURCE.example,
    };
    if section.entry("url").is_none() {
        section.missing("url", format!("write url = \"{example}\""));
    }
    let url = section.url("url", &UrlRule { example, ..UrlRule::SOURCE })?;
    // The admin console lives beside the org and answers every API path with a page.
    let console = url.host_str().and_then(|host| host.split_once("-admin.okta"));
    if let Some((org, domain)) = console.filter(|_| vendor == Some(Vendor::Okta)) {
        let span = section.entry("url").map_or(section.span.clone(), |(_, value)| value.span());
        let finding = Finding::new(span, "`url` is the admin console, not the organisation");
        section.report(finding.help(format!("write \"https://{org}.okta{domain}\"")));
        return None;
    }
    Some(url)
}

fn check_app_id(section: &Section<'_>, vendor: Option<Vendor>) -> Option<String> {
    let where_to_look = match vendor {
        Some(Vendor::OneLogin) => "it is the number in the address of the app's page: /apps/NUMBER/edit",
        Some(Vendor::Okta) | None => {
            "it is in the address of the app's page in the Admin Console: /app/NAME/instance/0oa…/"
        }
    };
    if section.entry("app_id").is_none() {
        section.missing("app_id", where_to_look);
        return None;
    }
    let written = section.text("app_id", "0oa1b2c3d4")?;
    let plain = |character: char| character.is_ascii_alphanumeric() || "_-".contains(character);
    let problem = if written.value.is_empty() {
        "`app_id` is empty"
    } else if !written.value.chars().all(plain) || written.value.len() > 100 {
        "`app_id` is not an app's id: letters and digits only"
    } else if vendor == Some(Vendor::OneLogin) && !written.value.bytes().all(|byte| byte.is_ascii_digit()) {
        "`app_id` of OneLogin is a number"
    } else {
        return Some(written.value.to_owned());
    };
    section.report(Finding::new(written.span, problem).help(where_to_look));
    None
}

fn check_okta(section: &Section<'_>) -> Option<SourceKind> {
    for key in ["client_id", "client_secret"] {
        let help =
            "for Okta write api_token = { … }, or oauth = { client_id = \"0oa…\", private_key = { … } }";
        refuse_foreign(section, key, "okta", help);
    }
    match (section.key_span("api_token"), section.key_span("oauth")) {
        (Some(token), Some(oauth)) => {
            let second = if token.start < oauth.start { oauth } else { token };
            let finding = Finding::new(second, "`api_token` and `oauth` exclude each other");
            section.report(
                finding.label("one login is enough").help("keep one; oauth is the one Okta recommends"),
            );
            // Both are still read for their own mistakes.
            check_secret(section, "api_token");
            check_oauth(section);
            None
        }
        (Some(_), None) => Some(SourceKind::OktaToken { api_token: check_secret(section, "api_token")? }),
        (None, Some(_)) => check_oauth(section),
        (None, None) => {
            let help = "write api_token = { file = \"/etc/rosterd/okta.token\" }, or \
                        oauth = { client_id = \"0oa…\", private_key = { file = \"/etc/rosterd/okta-key.pem\" } }";
            let finding =
                Finding::new(section.span.clone(), "[sync.source] does not say how to log in to Okta");
            section.report(finding.label("`api_token` or `oauth` is required").help(help));
            None
        }
    }
}

fn check_oauth(source: &Section<'_>) -> Option<SourceKind> {
    const DPOP: &[(&str, Dpop)] = &[("auto", Dpop::Auto), ("on", Dpop::On), ("off", Dpop::Off)];
    let section = source.optional_section("oauth", schema::OAUTH)?;
    let client_id = check_id(&section, "client_id", "the client id of the service app: client_id = \"0oa…\"");
    if section.entry("private_key").is_none() {
        section.missing("private_key", "write private_key = { file = \"/etc/rosterd/okta-key.pem\" }");
    }
    let private_key = check_secret(&section, "private_key");
    let key_id =
        section.entry("key_id").and_then(|_| check_id(&section, "key_id", "the `kid` of the public key"));
    let dpop = section.choice("dpop", DPOP, Dpop::Auto);
    Some(SourceKind::OktaOauth { client_id: client_id?, private_key: private_key?, key_id, dpop })
}

fn check_onelogin(section: &Section<'_>) -> Option<SourceKind> {
    for key in ["api_token", "oauth"] {
        let help = "for OneLogin write client_id = \"…\" and client_secret = { … }";
        refuse_foreign(section, key, "onelogin", help);
    }
    let client_id =
        check_id(section, "client_id", "Developers > API Credentials shows it: client_id = \"…\"");
    if section.entry("client_secret").is_none() {
        section.missing("client_secret", "write client_secret = { file = \"/etc/rosterd/onelogin.secret\" }");
    }
    let client_secret = check_secret(section, "client_secret");
    Some(SourceKind::OneLogin { client_id: client_id?, client_secret: client_secret? })
}

fn refuse_foreign(section: &Section<'_>, key: &str, kind: &str, help: &str) {
    if let Some(span) = section.key_span(key) {
        let finding = Finding::new(span, format!("`{key}` does not go with kind = \"{kind}\""));
        section.report(finding.help(help));
    }
}

/// An identifier that is no secret, but is not repeated in a message either.
fn check_id(section: &Section<'_>, key: &str, help: &str) -> Option<String> {
    if section.entry(key).is_none() {
        section.missing(key, help);
        return None;
    }
    let written = section.text(key, "…")?;
    if !written.value.is_empty() && written.value.chars().all(|character| character.is_ascii_graphic()) {
        return Some(written.value.to_owned());
    }
    let finding = Finding::new(written.span, format!("`{key}` is empty or has characters that no id has"));
    section.report(finding.help(help));
    None
}

/// Reads the target; `None` only after a finding.
pub(super) fn check_target(sync: &Section<'_>) -> Option<Target> {
    const DIALECTS: &[(&str, Option<Dialect>)] =
        &[("auto", None), ("wrike", Some(Dialect::Wrike)), ("generic", Some(Dialect::Generic))];
    if sync.entry("target").is_none() {
        sync.missing("target", REQUIRED_TARGET);
    }
    let section = sync.optional_section("target", schema::TARGET)?;
    let url = check_target_url(&section);
    if section.entry("token").is_none() {
        section.missing("token", "write token = { file = \"/etc/rosterd/wrike.token\" }");
    }
    let token = check_secret(&section, "token");
    let dialect = section.choice("dialect", DIALECTS, None);
    let dialect = dialect.unwrap_or_else(|| url.as_ref().map_or(Dialect::Generic, dialect_of));
    let default_pace = match dialect {
        Dialect::Wrike => 400,
        Dialect::Generic => 600,
    };
    let timeout = DurationRule { low: SECOND, high: 10 * MINUTE, example: "30s" };
    let requests_per_minute = section.integer("requests_per_minute", 1..=1_000_000, default_pace);
    let concurrency = section.integer("concurrency", 1..=64, 4) as usize;
    let reserve = section.integer("reserve_for_removals_percent", 0..=90, 20) as u8;
    let timeout = section.duration("timeout", &timeout, Duration::from_secs(30));
    let proxy = section.url("proxy", &UrlRule::PROXY);
    let ca_file = section.absolute_path("ca_file", "/etc/ssl/certs/acme.pem");
    Some(Target {
        url: url?,
        token: token?,
        dialect,
        requests_per_minute,
        concurrency,
        reserve_for_removals_percent: reserve,
        timeout,
        proxy,
        ca_file,
    })
}

fn check_target_url(section: &Section<'_>) -> Option<Url> {
    if section.entry("url").is_none() {
        section
            .missing("url", "write the SCIM base URL exactly as the workspace shows it: url = \"https://…\"");
    }
    let mut url = section.url("url", &UrlRule::TARGET)?;
    let path = url.path().trim_end_matches('/').to_owned();
    if path.to_ascii_lowercase().ends_with("/users") {
        let span = section.entry("url").map_or(section.span.clone(), |(_, value)| value.span());
        let finding = Finding::new(span, "`url` is the address of the accounts, not the SCIM base URL");
        section.report(finding.help("remove /Users from its end"));
        return None;
    }
    url.set_path(&path);
    Some(url)
}

/// Wrike's data centres are all hosts below wrike.com.
fn dialect_of(url: &Url) -> Dialect {
    let host = url.host_str().unwrap_or_default().trim_end_matches('.');
    let wrike = host == "wrike.com" || host.ends_with(".wrike.com");
    if wrike { Dialect::Wrike } else { Dialect::Generic }
}

/// A reference to a secret. Nothing that was written here is ever repeated.
fn check_secret(section: &Section<'_>, key: &str) -> Option<SecretRef> {
    let (key_span, value) = section.entry(key)?;
    let Some(table) = value.get_ref().as_table() else {
        report_written_secret(section, key, value);
        return None;
    };
    let place = raw::place_of_table(key_span, value);
    let reference = Section::open(section.reading, schema::SECRET, table, place.clone());
    let written: Vec<&str> =
        schema::SECRET.keys.iter().copied().filter(|way| reference.entry(way).is_some()).collect();
    match written.as_slice() {
        [way] => check_reference(&reference, key, way),
        [] => {
            let finding = Finding::new(place, format!("`{key}` does not say where the secret is"));
            section.report(finding.help(ways(key)));
            None
        }
        _ => {
            let finding = Finding::new(place, format!("`{key}` names several places"));
            section.report(finding.help(format!("keep one of {}", written.join(", "))));
            None
        }
    }
}

fn report_written_secret(section: &Section<'_>, key: &str, value: &Spanned<DeValue<'_>>) {
    let is_text = value.get_ref().is_str();
    let problem = if is_text {
        format!("`{key}` holds the secret itself; this file is not the place for it")
    } else {
        format!(
            "`{key}` must be a table that says where the secret is, not {}",
            raw::type_name(value.get_ref())
        )
    };
    section.report(Finding::new(value.span(), problem).label("not shown").help(ways(key)));
}

fn ways(key: &str) -> String {
    let (file, credential, variable) = match key {
        "api_token" => ("/etc/rosterd/okta.token", "okta-token", "OKTA_TOKEN"),
        "private_key" => ("/etc/rosterd/okta-key.pem", "okta-key", "OKTA_PRIVATE_KEY"),
        "client_secret" => ("/etc/rosterd/onelogin.secret", "onelogin-secret", "ONELOGIN_SECRET"),
        _ => ("/etc/rosterd/wrike.token", "wrike-token", "WRIKE_TOKEN"),
    };
    format!(
        "write {key} = {{ file = \"{file}\" }} (mode 600), \
         {{ credential = \"{credential}\" }} or {{ env = \"{variable}\" }}"
    )
}

fn check_reference(reference: &Section<'_>, key: &str, way: &str) -> Option<SecretRef> {
    let written = reference.text(way, "…")?;
    let refuse = |span: Range<usize>, why: &str| {
        reference.report(Finding::new(span, format!("`{way}` of `{key}` {why}")).help(ways(key)));
    };
    match way {
        "file" => {
            let path = reference.absolute_path("file", "/etc/rosterd/secret")?;
            Some(SecretRef::File(path))
        }
        // Who writes the secret itself here must not find it in a message.
        "env" if !SecretRef::is_variable_name(written.value) || mask::is_revealing(written.value) => {
            refuse(written.span, "is not the name of an environment variable");
            None
        }
        "env" => Some(SecretRef::Env(written.value.to_owned())),
        _ if !SecretRef::is_credential_name(written.value) => {
            refuse(written.span, "is not a plain file name");
            None
        }
        _ => Some(SecretRef::Credential(written.value.to_owned())),
    }
}
