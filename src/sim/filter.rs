//! The SCIM filter language (RFC 7644 section 3.4.2.2), which Okta's `filter` and `search` share. Parsing and
//! evaluation over JSON; what an attribute means is the caller's business.

use serde_json::Value;
use std::cmp::Ordering;

/// A parsed filter.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Filter {
    And(Box<Filter>, Box<Filter>),
    Or(Box<Filter>, Box<Filter>),
    Not(Box<Filter>),
    Compare {
        path: Path,
        operator: Operator,
        value: Value,
    },
    Present(Path),
    /// `emails[type eq "work"]`: some element fulfils the inner filter.
    Some {
        path: Path,
        filter: Box<Filter>,
    },
}

#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Operator {
    Equal,
    NotEqual,
    Contains,
    StartsWith,
    EndsWith,
    Greater,
    GreaterOrEqual,
    Less,
    LessOrEqual,
}

/// An attribute path: an optional schema URN, and names separated by dots.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Path {
    pub(crate) schema: Option<String>,
    pub(crate) names: Vec<String>,
}

impl Path {
    /// The URN ends at the last colon: its version number has a dot of its own.
    pub(crate) fn parse(text: &str) -> Result<Self, String> {
        let (schema, attribute) = match text.rsplit_once(':') {
            Some((schema, attribute)) => (Some(schema.to_owned()), attribute),
            None => (None, text),
        };
        let names: Vec<String> = attribute.split('.').map(str::to_owned).collect();
        let well_formed = |name: &String| {
            name.starts_with(|first: char| first.is_ascii_alphabetic() || first == '$' || first == '_')
                && name.chars().all(|letter| letter.is_ascii_alphanumeric() || "-_$".contains(letter))
        };
        if names.iter().all(well_formed) {
            Ok(Self { schema, names })
        } else {
            Err(format!("no attribute path: {text}"))
        }
    }

    /// Every value the path leads to; lists on the way are walked through.
    fn values<'a>(&self, root: &'a Value) -> Vec<&'a Value> {
        let start = match &self.schema {
            Some(schema) => member(root, schema).unwrap_or(root),
            None => root,
        };
        let mut found = vec![start];
        for name in &self.names {
            found = found.into_iter().flat_map(spread).filter_map(|value| member(value, name)).collect();
        }
        found.into_iter().flat_map(spread).collect()
    }
}

fn spread(value: &Value) -> Vec<&Value> {
    value.as_array().map_or_else(|| vec![value], |items| items.iter().collect())
}

/// A member by its name, in any case.
fn member<'a>(value: &'a Value, name: &str) -> Option<&'a Value> {
    let object = value.as_object()?;
    object
        .get(name)
        .or_else(|| object.iter().find(|(key, _)| key.eq_ignore_ascii_case(name)).map(|(_, value)| value))
}

/// Whether the strings of this path compare with their case.
pub(crate) type CaseExact = fn(&Path) -> bool;

impl Filter {
    pub(crate) fn parse(text: &str) -> Result<Self, String> {
        let mut parser = Parser { tokens: tokens(text)?, position: 0 };
        let filter = parser.any_of()?;
        match parser.next() {
            None => Ok(filter),
            Some(token) => Err(format!("unexpected {token:?} after the filter")),
        }
    }

    pub(crate) fn matches(&self, resource: &Value, case_exact: CaseExact) -> bool {
        match self {
            Self::And(left, right) => {
                left.matches(resource, case_exact) && right.matches(resource, case_exact)
            }
            Self::Or(left, right) => {
                left.matches(resource, case_exact) || right.matches(resource, case_exact)
            }
            Self::Not(inner) => !inner.matches(resource, case_exact),
            Self::Present(path) => path.values(resource).iter().any(|value| is_present(value)),
            Self::Some { path, filter } => {
                path.values(resource).into_iter().any(|element| filter.matches(element, case_exact))
            }
            Self::Compare { path, operator, value } => {
                let exact = case_exact(path);
                let found: Vec<_> = path.values(resource).into_iter().map(simple).collect();
                match operator {
                    // `ne` and `eq null` must also hold for an attribute that is not there.
                    Operator::NotEqual => {
                        !found.iter().any(|found| compare(found, Operator::Equal, value, exact))
                    }
                    Operator::Equal if value.is_null() => found.iter().all(|found| found.is_null()),
                    Operator::Equal
                    | Operator::Contains
                    | Operator::StartsWith
                    | Operator::EndsWith
                    | Operator::Greater
                    | Operator::GreaterOrEqual
                    | Operator::Less
                    | Operator::LessOrEqual => {
                        found.iter().any(|found| compare(found, *operator, value, exact))
                    }
                }
            }
        }
    }
}

fn is_present(value: &Value) -> bool {
    match value {
        Value::Null => false,
        Value::String(text) => !text.is_empty(),
        Value::Array(items) => !items.is_empty(),
        Value::Object(members) => !members.is_empty(),
        Value::Bool(_) | Value::Number(_) => true,
    }
}

/// A complex value compares by its `value` (RFC 7644: `emails eq "…"`).
fn simple(value: &Value) -> &Value {
    if value.is_object() { member(value, "value").unwrap_or(value) } else { value }
}

fn compare(found: &Value, operator: Operator, wanted: &Value, exact: bool) -> bool {
    if let (Value::String(found), Value::String(wanted)) = (found, wanted) {
        let fold = |text: &str| if exact { text.to_owned() } else { text.to_lowercase() };
        let (found, wanted) = (fold(found), fold(wanted));
        return match operator {
            Operator::Contains => found.contains(&wanted),
            Operator::StartsWith => found.starts_with(&wanted),
            Operator::EndsWith => found.ends_with(&wanted),
            Operator::Equal
            | Operator::NotEqual
            | Operator::Greater
            | Operator::GreaterOrEqual
            | Operator::Less
            | Operator::LessOrEqual => in_order(found.cmp(&wanted), operator),
        };
    }
    match (found, wanted) {
        (Value::Number(found), Value::Number(wanted)) => found
            .as_f64()
            .zip(wanted.as_f64())
            .and_then(|(found, wanted)| found.partial_cmp(&wanted))
            .is_some_and(|order| in_order(order, operator)),
        (found, wanted) => operator == Operator::Equal && found == wanted,
    }
}

fn in_order(order: Ordering, operator: Operator) -> bool {
    match operator {
        Operator::Equal => order.is_eq(),
        Operator::Greater => order.is_gt(),
        Operator::GreaterOrEqual => order.is_ge(),
        Operator::Less => order.is_lt(),
        Operator::LessOrEqual => order.is_le(),
        Operator::NotEqual => order.is_ne(),
        Operator::Contains | Operator::StartsWith | Operator::EndsWith => false,
    }
}

#[derive(Clone, Debug, PartialEq)]
enum Token {
    Open,
    Close,
    OpenBracket,
    CloseBracket,
    Word(String),
    Text(String),
}

fn tokens(text: &str) -> Result<Vec<Token>, String> {
    let mut tokens = Vec::new();
    let mut rest = text;
    while let Some(first) = rest.chars().next() {
        let width = match first {
            '(' => push(&mut tokens, Token::Open),
            ')' => push(&mut tokens, Token::Close),
            '[' => push(&mut tokens, Token::OpenBracket),
            ']' => push(&mut tokens, Token::CloseBracket),
            '"' => {
                // A comparison value is a JSON string, escapes included.
                let mut stream = serde_json::Deserializer::from_str(rest).into_iter::<String>();
                let value =
                    stream.next().and_then(Result::ok).ok_or("a string is not closed or has a bad escape")?;
                let width = stream.byte_offset();
                push(&mut tokens, Token::Text(value));
                width
            }
            space if space.is_whitespace() => space.len_utf8(),
            _ => {
                let end =
                    rest.find(|c: char| c.is_whitespace() || "()[]\"".contains(c)).unwrap_or(rest.len());
                push(&mut tokens, Token::Word(rest[..end].to_owned()));
                end
            }
        };
        rest = &rest[width..];
    }
    Ok(tokens)
}

fn push(tokens: &mut Vec<Token>, token: Token) -> usize {
    tokens.push(token);
    1
}

struct Parser {
    tokens: Vec<Token>,
    position: usize,
}

impl Parser {
    fn next(&mut self) -> Option<Token> {
        let token = self.tokens.get(self.position).cloned();
        self.position += 1;
        token
    }

    fn at_word(&self, word: &str) -> bool {
        matches!(self.tokens.get(self.position), Some(Token::Word(found)) if found.eq_ignore_ascii_case(word))
    }

    fn take(&mut self, wanted: &Token) -> bool {
        let here = self.tokens.get(self.position) == Some(wanted);
        self.position += usize::from(here);
        here
    }

    fn any_of(&mut self) -> Result<Filter, String> {
        let mut filter = self.all_of()?;
        while self.at_word("or") {
            self.position += 1;
            filter = Filter::Or(Box::new(filter), Box::new(self.all_of()?));
        }
        Ok(filter)
    }

    fn all_of(&mut self) -> Result<Filter, String> {
        let mut filter = self.one()?;
        while self.at_word("and") {
            self.position += 1;
            filter = Filter::And(Box::new(filter), Box::new(self.one()?));
        }
        Ok(filter)
    }

    fn one(&mut self) -> Result<Filter, String> {
        if self.at_word("not") && self.tokens.get(self.position + 1) == Some(&Token::Open) {
            self.position += 1;
            return Ok(Filter::Not(Box::new(self.one()?)));
        }
        if self.take(&Token::Open) {
            let filter = self.any_of()?;
            return if self.take(&Token::Close) {
                Ok(filter)
            } else {
                Err("a parenthesis is not closed".to_owned())
            };
        }
        let Some(Token::Word(path)) = self.next() else { return Err("an attribute is missing".to_owned()) };
        let path = Path::parse(&path)?;
        if self.take(&Token::OpenBracket) {
            let filter = Box::new(self.any_of()?);
            let closed = self.take(&Token::CloseBracket);
            return if closed {
                Ok(Filter::Some { path, filter })
            } else {
                Err("a bracket is not closed".to_owned())
            };
        }
        let Some(Token::Word(operator)) = self.next() else {
            return Err("an operator is missing".to_owned());
        };
        if operator.eq_ignore_ascii_case("pr") {
            return Ok(Filter::Present(path));
        }
        let operator = operator_named(&operator)?;
        let value = match self.next() {
            Some(Token::Text(text)) => Value::String(text),
            Some(Token::Word(word)) => {
                serde_json::from_str(&word).map_err(|_| format!("{word} is no comparison value"))?
            }
            _ => return Err("a comparison value is missing".to_owned()),
        };
        Ok(Filter::Compare { path, operator, value })
    }
}

fn operator_named(name: &str) -> Result<Operator, String> {
    Ok(match name.to_ascii_lowercase().as_str() {
        "eq" => Operator::Equal,
        "ne" => Operator::NotEqual,
        "co" => Operator::Contains,
        "sw" => Operator::StartsWith,
        "ew" => Operator::EndsWith,
        "gt" => Operator::Greater,
        "ge" => Operator::GreaterOrEqual,
        "lt" => Operator::Less,
        "le" => Operator::LessOrEqual,
        other => return Err(format!("unknown operator {other}")),
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn found(filter: &str) -> bool {
        let ann = json!({
            "userName": "Ann@Acme.example", "active": true, "id": "AbC", "title": "", "level": 7,
            "name": {"givenName": "Ann"},
            "emails": [{"value": "ann@acme.example", "type": "work"}, {"value": "a@home.example", "type": "home"}],
            "urn:ietf:params:scim:schemas:extension:enterprise:2.0:User": {"department": "Sales"},
            "meta": {"lastModified": "2024-05-05T00:00:00Z"}
        });
        Filter::parse(filter).unwrap().matches(&ann, |path| path.names == ["id"])
    }

    #[test]
    fn every_operator_does_what_the_rfc_says() {
        for yes in [
            r#"userName eq "ann@acme.example""#,
            r#"USERNAME EQ "ANN@acme.example""#,
            r#"id eq "AbC""#,
            r#"userName ne "bob""#,
            r#"nickName ne "bob""#,
            r#"nickName eq null"#,
            r#"userName co "@ac" and userName sw "ann" and userName ew "EXAMPLE""#,
            r#"name.givenName pr"#,
            r#"level gt 6 and level ge 7 and level lt 8 and level le 7"#,
            r#"meta.lastModified gt "2024-01-01T00:00:00Z""#,
            r#"emails[type eq "work" and value co "acme"]"#,
            r#"emails.value eq "a@home.example""#,
            r#"emails eq "a@home.example""#,
            r#"active eq true and not (active eq false)"#,
            r#"(userName eq "x" or active eq true) and id pr"#,
            r#"urn:ietf:params:scim:schemas:extension:enterprise:2.0:User:department eq "sales""#,
            r#"urn:ietf:params:scim:schemas:core:2.0:User:userName sw "ANN""#,
            r#"title eq """#,
        ] {
            assert!(found(yes), "{yes}");
        }
        for no in [
            r#"id eq "abc""#,
            r#"title pr"#,
            r#"emails[type eq "home" and value co "acme"]"#,
            r#"active eq false"#,
            r#"userName eq "a\"b\\c""#,
        ] {
            assert!(!found(no), "{no}");
        }
    }

    #[test]
    fn and_binds_closer_than_or() {
        assert!(found(r#"active eq true or active eq false and active eq false"#));
    }

    #[test]
    fn what_is_no_filter_is_refused() {
        for text in [
            "",
            "userName",
            "userName eq",
            "userName zz \"a\"",
            "(userName pr",
            "emails[type eq \"a\"",
            "1a pr",
            "userName eq \"open",
            "userName eq ann",
            "a pr b pr",
        ] {
            assert!(Filter::parse(text).is_err(), "{text}");
        }
    }
}
