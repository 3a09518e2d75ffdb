//! Single values: durations, addresses, domains, paths.

use std::net::IpAddr;
use std::ops::Range;
use std::path::PathBuf;
use std::time::Duration;

use url::{Host, Url};

use crate::config::mask;
use crate::config::raw::{Finding, Section};

pub(super) const SECOND: u64 = 1;
pub(super) const MINUTE: u64 = 60;
pub(super) const HOUR: u64 = 60 * MINUTE;
pub(super) const DAY: u64 = 24 * HOUR;

/// Bounds of a duration, in seconds.
pub(super) struct DurationRule {
    pub low: u64,
    pub high: u64,
    pub example: &'static str,
}

/// What kind of address a key takes.
pub(super) struct UrlRule {
    /// Only scheme, host and port.
    pub origin: bool,
    /// `?…` is part of the address.
    pub query: bool,
    /// Plain HTTP beyond loopback: a proxy is spoken to in the clear, what goes through it is TLS.
    pub clear_text: bool,
    pub example: &'static str,
}

impl UrlRule {
    pub(super) const SOURCE: Self =
        Self { origin: true, query: false, clear_text: false, example: "https://acme.okta.com" };
    pub(super) const TARGET: Self =
        Self { origin: false, query: false, clear_text: false, example: "https://host/scim/v2" };
    pub(super) const PROXY: Self =
        Self { origin: true, query: false, clear_text: true, example: "http://proxy:3128" };
    pub(super) const WEBHOOK: Self =
        Self { origin: false, query: true, clear_text: false, example: "https://hooks.example/rosterd" };
}

impl Section<'_> {
    /// A duration such as "30s".
    pub(super) fn duration(&self, key: &str, rule: &DurationRule, default: Duration) -> Duration {
        let Some(written) = self.text(key, rule.example) else { return default };
        parse_duration(written.value, rule).unwrap_or_else(|problem| {
            let finding = Finding::new(written.span, format!("`{key}` {problem}"));
            self.report(
                finding.help(format!("write {key} = \"{}\": a number and s, m, h or d", rule.example)),
            );
            default
        })
    }

    /// An absolute path.
    pub(super) fn absolute_path(&self, key: &str, example: &str) -> Option<PathBuf> {
        let written = self.text(key, example)?;
        if written.value.starts_with('/') && !written.value.contains('\0') {
            return Some(PathBuf::from(written.value));
        }
        let problem = format!("`{key}` must be an absolute path");
        let finding = Finding::new(written.span, problem).label("does not begin with /");
        self.report(finding.help(format!("write {key} = \"{example}\"")));
        None
    }

    /// An address; what is wrong with it is reported.
    pub(super) fn url(&self, key: &str, rule: &UrlRule) -> Option<Url> {
        let written = self.text(key, rule.example)?;
        match parse_url(written.value, rule) {
            Ok(url) => Some(url),
            Err((problem, help)) => {
                self.report(Finding::new(written.span, format!("`{key}` {problem}")).help(help));
                None
            }
        }
    }

    /// A list of distinct words, each of a few; `None` where the key is absent.
    pub(super) fn choices<T: Copy>(&self, key: &str, choices: &[(&str, T)]) -> Option<Vec<T>> {
        let list = self.list(key)?;
        if list.value.is_empty() {
            let words: Vec<_> = choices.iter().map(|(word, _)| format!("\"{word}\"")).collect();
            let problem = format!("`{key}` is empty");
            self.report(Finding::new(list.span, problem).help(format!("choose from {}", words.join(", "))));
        }
        self.report_repeated(key, list.value.iter().map(|item| (item.value, item.span.clone())));
        Some(list.value.iter().filter_map(|item| self.choose(key, item, choices)).collect())
    }

    /// A list of distinct, non-empty names.
    pub(super) fn names(&self, key: &str) -> Option<Vec<String>> {
        let list = self.list(key)?;
        for item in &list.value {
            if item.value.trim().is_empty() {
                let problem = format!("`{key}` has an empty name");
                self.report(Finding::new(item.span.clone(), problem).help("remove it"));
            }
        }
        self.report_repeated(key, list.value.iter().map(|item| (item.value, item.span.clone())));
        Some(list.value.iter().map(|item| item.value.to_owned()).collect())
    }

    fn report_repeated<'i>(&self, key: &str, items: impl Iterator<Item = (&'i str, Range<usize>)>) {
        let mut seen = std::collections::BTreeSet::new();
        for (value, span) in items {
            if !seen.insert(value) {
                let problem = format!("`{key}` lists {} twice", mask::echo(value));
                self.report(Finding::new(span, problem).label("again").help("remove one"));
            }
        }
    }
}

/// Reads "90s", "15m", "2h" or "30d"; the error continues "`key` …".
pub(super) fn parse_duration(text: &str, rule: &DurationRule) -> Result<Duration, String> {
    let not_one = || format!("cannot be {}", mask::echo(text));
    let unit = match text.chars().next_back() {
        Some('s') => SECOND,
        Some('m') => MINUTE,
        Some('h') => HOUR,
        Some('d') => DAY,
        _ => return Err(not_one()),
    };
    let digits = text.get(..text.len() - 1).unwrap_or_default();
    if digits.is_empty() || !digits.bytes().all(|byte| byte.is_ascii_digit()) {
        return Err(not_one());
    }
    let seconds = digits.parse::<u64>().ok().and_then(|number| number.checked_mul(unit));
    match seconds {
        Some(seconds) if seconds < rule.low => Err(format!("must be at least {}", show_seconds(rule.low))),
        Some(seconds) if seconds <= rule.high => Ok(Duration::from_secs(seconds)),
        _ => Err(format!("must be at most {}", show_seconds(rule.high))),
    }
}

fn show_seconds(seconds: u64) -> String {
    let units = [(DAY, "d"), (HOUR, "h"), (MINUTE, "m")];
    let whole = units.iter().find(|(unit, _)| seconds >= *unit && seconds.is_multiple_of(*unit));
    whole.map_or_else(|| format!("{seconds}s"), |(unit, name)| format!("{}{name}", seconds / unit))
}

/// The error is the end of "`key` …", and what to write instead; neither repeats the address.
fn parse_url(text: &str, rule: &UrlRule) -> Result<Url, (String, String)> {
    let example = format!("write an address such as \"{}\"", rule.example);
    if text.contains('…') {
        return Err((
            "is still a placeholder".to_owned(),
            "replace it with the address you were given".to_owned(),
        ));
    }
    let url = Url::parse(text).map_err(|error| (format!("is not a URL: {error}"), example.clone()))?;
    if !matches!(url.scheme(), "http" | "https") {
        let either = if rule.clear_text { "http:// or https://" } else { "https://" };
        return Err((format!("must begin with {either}"), example));
    }
    let Some(host) = url.host() else { return Err(("names no host".to_owned(), example)) };
    if url.scheme() == "http" && !rule.clear_text && !is_loopback(&host) {
        let problem = "must be https: http is accepted for loopback addresses only".to_owned();
        return Err((problem, "write https://".to_owned()));
    }
    if !url.username().is_empty() || url.password().is_some() {
        let problem = "carries a user name or password; addresses get into logs".to_owned();
        return Err((problem, "remove what stands before the @".to_owned()));
    }
    if url.fragment().is_some() || (url.query().is_some() && !rule.query) {
        let problem = "must end before ? and #".to_owned();
        return Err((problem, example));
    }
    if rule.origin && url.path() != "/" {
        let origin = url.origin().ascii_serialization();
        return Err(("must have no path".to_owned(), format!("write \"{origin}\"")));
    }
    Ok(url)
}

/// 127.0.0.0/8, `::1` and `localhost` (RFC 6761 section 6.3).
fn is_loopback(host: &Host<&str>) -> bool {
    match host {
        Host::Domain(name) => name.eq_ignore_ascii_case("localhost"),
        Host::Ipv4(address) => IpAddr::V4(*address).is_loopback(),
        Host::Ipv6(address) => IpAddr::V6(*address).is_loopback(),
    }
}

/// An e-mail domain as lower-case A-labels (RFC 5890).
pub(super) fn parse_domain(text: &str) -> Result<String, (String, String)> {
    let shown = mask::echo(text);
    if let Some((_, domain)) = text.rsplit_once('@') {
        let help = if mask::is_revealing(domain) || domain.is_empty() {
            "write the domain alone, such as \"acme.com\"".to_owned()
        } else {
            format!("write \"{domain}\"")
        };
        return Err((format!("{shown} is an address or begins with @, not a domain"), help));
    }
    if text.starts_with("*.") {
        let help = "list each domain by itself: a domain does not include those below it".to_owned();
        return Err((format!("{shown} is a pattern, not a domain"), help));
    }
    match idna::domain_to_ascii_strict(text) {
        Ok(domain) if !domain.is_empty() => Ok(domain.to_ascii_lowercase()),
        _ => Err((format!("{shown} is not a domain"), "write a domain such as \"acme.com\"".to_owned())),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_have_one_unit_and_bounds() {
        let rule = DurationRule { low: 5, high: 2 * DAY, example: "30s" };
        assert_eq!(parse_duration("5s", &rule), Ok(Duration::from_secs(5)));
        assert_eq!(parse_duration("15m", &rule), Ok(Duration::from_secs(900)));
        assert_eq!(parse_duration("2h", &rule), Ok(Duration::from_secs(7200)));
        assert_eq!(parse_duration("2d", &rule), Ok(Duration::from_secs(172_800)));
        assert_eq!(parse_duration("4s", &rule), Err("must be at least 5s".to_owned()));
        assert_eq!(parse_duration("49h", &rule), Err("must be at most 2d".to_owned()));
        assert_eq!(parse_duration("99999999999999999999d", &rule), Err("must be at most 2d".to_owned()));
        for wrong in ["", "s", "5", "5 s", "-5s", "+5s", "1.5h", "5S", "1h30m", "5ms", "fünf", "5ß"] {
            assert!(parse_duration(wrong, &rule).unwrap_err().starts_with("cannot be"), "{wrong}");
        }
    }

    #[test]
    fn domains_become_lower_case_a_labels() {
        assert_eq!(parse_domain("Acme.COM").unwrap(), "acme.com");
        assert_eq!(parse_domain("Bücher.example").unwrap(), "xn--bcher-kva.example");
        assert_eq!(parse_domain("xn--bcher-kva.example").unwrap(), "xn--bcher-kva.example");
        for wrong in [
            "",
            "ann@acme.com",
            "@acme.com",
            "*.acme.com",
            "acme com",
            "acme..com",
            ".",
            "a/b",
            "https://a.b",
        ] {
            assert!(parse_domain(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn only_loopback_may_be_clear_text() {
        for good in [
            "http://127.0.0.1:80",
            "http://127.9.9.9",
            "http://[::1]:9",
            "http://localhost:1",
            "https://a.example",
        ] {
            assert!(parse_url(good, &UrlRule::TARGET).is_ok(), "{good}");
        }
        for bad in [
            "http://a.example",
            "http://10.0.0.1",
            "http://localhost.a.example",
            "http://[::2]",
            "http://127.0.0.1.a.example",
            "ftp://127.0.0.1",
            "https://ann:pw@a.example",
            "https://ann@a.example",
            "https://a.example/?q=1",
            "https://a.example/#f",
            "a.example",
            "https://",
            "data:text/plain,x",
        ] {
            assert!(parse_url(bad, &UrlRule::TARGET).is_err(), "{bad}");
        }
    }
}
