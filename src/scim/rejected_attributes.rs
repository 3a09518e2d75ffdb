//! Which of the attributes that were sent a 400 complains about.
//!
//! What lives here: reading names out of a server's sentence. What must not: the decision to leave an
//! attribute out (`provision`, `update`).

use crate::model::attributes::{AttributePath, Scalar};
use crate::scim::fault::Fault;

/// Sub-attributes whose names are ordinary words, so that their mention names nothing.
const ORDINARY_WORDS: [&str; 6] = ["value", "type", "display", "primary", "name", "formatted"];

/// The attributes among `sent` that the fault names. Optional ones alone where it names any: an essential one
/// is often mentioned only to say whose request it was.
pub(crate) fn blamed<'a>(
    fault: &Fault,
    sent: impl IntoIterator<Item = (&'a AttributePath, Option<&'a Scalar>)>,
) -> Vec<AttributePath> {
    let sent: Vec<_> = sent.into_iter().collect();
    let mut text = fault.detail.to_lowercase();
    for (_, value) in &sent {
        // "Title Insurance" as a department must not blame the title.
        if let Some(value) =
            value.map(|value| value.as_text().to_lowercase()).filter(|value| value.len() >= 3)
        {
            text = without_phrase(&text, &value);
        }
    }
    let words = names_in(&text);
    let whole: Vec<&AttributePath> =
        sent.iter().map(|(path, _)| *path).filter(|path| is_named(path, &words)).collect();
    let named = if whole.is_empty() { of_named_schemas(&sent, &text) } else { whole };
    let (essential, optional): (Vec<_>, Vec<_>) = named.into_iter().partition(|path| path.is_essential());
    if optional.is_empty() { essential } else { optional }.into_iter().cloned().collect()
}

/// The text without a phrase, where that stands by itself: "ann" is no part of "manner".
fn without_phrase(text: &str, phrase: &str) -> String {
    let mut rest = text;
    let mut kept = String::new();
    while let Some(start) = rest.find(phrase) {
        let (before, behind) = (&rest[..start], &rest[start + phrase.len()..]);
        kept.push_str(before);
        let joins = |c: Option<char>| c.is_some_and(char::is_alphanumeric);
        let stands_alone = !joins(kept.chars().last()) && !joins(behind.chars().next());
        kept.push_str(if stands_alone { " " } else { phrase });
        rest = behind;
    }
    kept.push_str(rest);
    kept
}

fn of_named_schemas<'a>(
    sent: &[(&'a AttributePath, Option<&'a Scalar>)],
    text: &str,
) -> Vec<&'a AttributePath> {
    let in_named_schema =
        |path: &&AttributePath| path.schema().is_some_and(|urn| text.contains(&urn.to_lowercase()));
    sent.iter().map(|(path, _)| *path).filter(in_named_schema).collect()
}

/// The words of a text, plus every two neighbours joined ("phone number" is `phoneNumber`); underscores are
/// dropped (Python servers write `phone_numbers`).
fn names_in(text: &str) -> Vec<String> {
    let words: Vec<String> = text
        .split(|c: char| !c.is_alphanumeric() && c != '_')
        .map(|word| word.replace('_', ""))
        .filter(|word| !word.is_empty())
        .collect();
    let pairs: Vec<String> = words.windows(2).map(|pair| pair.concat()).collect();
    words.into_iter().chain(pairs).collect()
}

fn is_named(path: &AttributePath, words: &[String]) -> bool {
    let has = |name: &str| words.iter().any(|word| word == name);
    let has_either_number = |name: &str| has(name) || name.strip_suffix('s').is_some_and(has);
    let attribute = path.attribute().to_lowercase();
    match path.sub_attribute().map(str::to_lowercase) {
        None => has_either_number(&attribute),
        // "name" alone is too common a word; its parts are named by their own names.
        Some(sub) if !ORDINARY_WORDS.contains(&sub.as_str()) => {
            has(&sub) || (path.selector().is_some() && has_either_number(&attribute))
        }
        Some(_) => !ORDINARY_WORDS.contains(&attribute.as_str()) && has_either_number(&attribute),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::attributes::ENTERPRISE_USER;

    #[test]
    fn the_attribute_that_a_refusal_names_is_found() {
        let phone = "phoneNumbers[primary eq true].value";
        let email = "emails[primary eq true].value";
        let department = format!("{ENTERPRISE_USER}:department");
        let manager = format!("{ENTERPRISE_USER}:manager.value");
        let sent: Vec<(AttributePath, Scalar)> = [
            ("userName", "ann@acme.com"),
            (email, "ann@acme.com"),
            ("name.givenName", "Ann"),
            ("name.familyName", "Given"),
            ("title", "Head of Phone Numbers"),
            (phone, "+1"),
            (department.as_str(), "Title Insurance"),
            (manager.as_str(), "m1"),
        ]
        .map(|(path, value)| (AttributePath::parse(path).unwrap(), Scalar::from(value)))
        .to_vec();
        let cases: [(&str, &[&str]); 15] = [
            ("Input should be a valid string: title", &["title"]),
            ("no value of 'phone_numbers' matches the path filter", &[phone]),
            ("Invalid phone number '+1'", &[phone]),
            ("phoneNumbers[0].value is malformed", &[phone]),
            ("Extra inputs are not permitted: name.givenName", &["name.givenName"]),
            ("userName ann@acme.com: title is too long", &["title"]),
            ("userName must be an e-mail address", &["userName", email]),
            ("Email address is not valid", &[email]),
            ("department 'Title Insurance' is not known", &[&department]),
            (&format!("{ENTERPRISE_USER}:department is read-only"), &[&department]),
            (&format!("unknown schema {ENTERPRISE_USER}"), &[&department, &manager]),
            ("the manager does not exist", &[&manager]),
            ("the name or value is wrong", &[]),
            ("Bad Request", &[]),
            ("entitled users only", &[]),
        ];
        for (detail, expected) in cases {
            let fault = Fault::read(400, detail.as_bytes());
            let found = blamed(&fault, sent.iter().map(|(path, value)| (path, Some(value))));
            let found: Vec<&str> = found.iter().map(AttributePath::as_str).collect();
            assert_eq!(found, expected, "{detail}");
        }
    }
}
