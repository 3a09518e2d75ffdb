//! Reading the TOML tree: types, unknown keys, places.
//!
//! What lives here: a small typed reader that records what is wrong and reads on, so that all mistakes of a file
//! are told at once (serde stops at the first). What must not: rules about values (see `check`), and any value
//! inside a message, unless the caller has made sure that it is no secret.

use std::cell::RefCell;
use std::ops::{Range, RangeInclusive};

use toml::Spanned;
use toml::de::{DeTable, DeValue};

use super::mask;
use super::schema::{self, Schema};

/// One mistake, at its place.
#[derive(Debug, Clone)]
pub(super) struct Finding {
    /// Bytes of the file.
    pub span: Range<usize>,
    /// What is wrong.
    pub problem: String,
    /// Shown at the place itself.
    pub label: Option<String>,
    /// What to write instead.
    pub help: Vec<String>,
}

impl Finding {
    /// A mistake at these bytes.
    pub(super) fn new(span: Range<usize>, problem: impl Into<String>) -> Self {
        Self { span, problem: problem.into(), label: None, help: Vec::new() }
    }

    /// Shown at the place itself.
    pub(super) fn label(mut self, label: impl Into<String>) -> Self {
        self.label = Some(label.into());
        self
    }

    /// What to write instead.
    pub(super) fn help(mut self, help: impl Into<String>) -> Self {
        self.help.push(help.into());
        self
    }
}

/// A value and where it was written.
#[derive(Debug, Clone)]
pub(super) struct At<T> {
    pub value: T,
    pub span: Range<usize>,
}

/// The file being read, and what was found so far.
pub(super) struct Reading<'t> {
    pub text: &'t str,
    findings: RefCell<Vec<Finding>>,
}

impl<'t> Reading<'t> {
    pub(super) fn new(text: &'t str) -> Self {
        Self { text, findings: RefCell::new(Vec::new()) }
    }

    /// Records a mistake.
    pub(super) fn report(&self, finding: Finding) {
        self.findings.borrow_mut().push(finding);
    }

    pub(super) fn into_findings(self) -> Vec<Finding> {
        self.findings.into_inner()
    }
}

/// One table of the file, or the absence of one (every key then has its default).
#[derive(Clone)]
pub(super) struct Section<'t> {
    pub reading: &'t Reading<'t>,
    pub schema: Schema,
    /// Where the table starts; what is missing is reported there.
    pub span: Range<usize>,
    table: Option<&'t DeTable<'t>>,
}

impl<'t> Section<'t> {
    /// Opens a table and reports every key that does not belong there.
    pub(super) fn open(
        reading: &'t Reading<'t>,
        schema: Schema,
        table: &'t DeTable<'t>,
        span: Range<usize>,
    ) -> Self {
        for key in table.keys() {
            let name = key.get_ref().as_ref();
            if !schema.keys.contains(&name) {
                let problem = format!("unknown key {} in {}", mask::echo(name), schema.name);
                let label = format!("not a key of {}", schema.name);
                let help = if mask::is_revealing(name) {
                    format!("{} has these keys: {}", schema.name, schema.keys.join(", "))
                } else {
                    schema.help_for(name)
                };
                reading.report(Finding::new(key.span(), problem).label(label).help(help));
            }
        }
        Self { reading, schema, span, table: Some(table) }
    }

    fn absent(&self, schema: Schema) -> Self {
        Self { reading: self.reading, schema, span: self.span.clone(), table: None }
    }

    pub(super) fn report(&self, finding: Finding) {
        self.reading.report(finding);
    }

    /// The key and the value as written.
    pub(super) fn entry(&self, key: &str) -> Option<(Range<usize>, &'t Spanned<DeValue<'t>>)> {
        let (key, value) = self.table?.get_key_value(key)?;
        Some((key.span(), value))
    }

    /// Where the key was written.
    pub(super) fn key_span(&self, key: &str) -> Option<Range<usize>> {
        self.entry(key).map(|(span, _)| span)
    }

    /// Reports a key that must be there.
    pub(super) fn missing(&self, key: &str, help: impl Into<String>) {
        let problem = format!("{} lacks `{key}`", self.schema.name);
        self.report(
            Finding::new(self.span.clone(), problem).label(format!("`{key}` is required")).help(help),
        );
    }

    fn wrong_type(&self, key: &str, wanted: &str, value: &Spanned<DeValue<'_>>, help: String) {
        let problem = format!("`{key}` must be {wanted}, not {}", type_name(value.get_ref()));
        self.report(Finding::new(value.span(), problem).label(format!("expected {wanted}")).help(help));
    }

    /// A string.
    pub(super) fn text(&self, key: &str, example: &str) -> Option<At<&'t str>> {
        let (_, value) = self.entry(key)?;
        let text = value.get_ref().as_str();
        if text.is_none() {
            self.wrong_type(key, "a string", value, format!("write {key} = \"{example}\""));
        }
        Some(At { value: text?, span: value.span() })
    }

    /// `true` or `false`.
    pub(super) fn boolean(&self, key: &str, default: bool) -> bool {
        let Some((_, value)) = self.entry(key) else { return default };
        value.get_ref().as_bool().unwrap_or_else(|| {
            self.wrong_type(key, "true or false", value, format!("write {key} = {default}, without quotes"));
            default
        })
    }

    /// A whole number within bounds.
    pub(super) fn integer(&self, key: &str, allowed: RangeInclusive<u32>, default: u32) -> u32 {
        let Some((_, value)) = self.entry(key) else { return default };
        let help = format!("write a whole number from {} to {}", allowed.start(), allowed.end());
        let Some(integer) = value.get_ref().as_integer() else {
            self.wrong_type(key, "a whole number", value, format!("{help}: {key} = {default}"));
            return default;
        };
        match u32::from_str_radix(integer.as_str(), integer.radix()) {
            Ok(number) if allowed.contains(&number) => number,
            _ => {
                let problem = format!("`{key}` is out of range");
                let label = format!("must be {} to {}", allowed.start(), allowed.end());
                self.report(Finding::new(value.span(), problem).label(label).help(help));
                default
            }
        }
    }

    /// One of a few words; `default` where the key is absent or wrong.
    pub(super) fn choice<T: Copy>(&self, key: &str, choices: &[(&str, T)], default: T) -> T {
        let example = choices.first().map_or("", |(word, _)| word);
        match self.text(key, example) {
            Some(written) => self.choose(key, &written, choices).unwrap_or(default),
            None => default,
        }
    }

    /// The meaning of a word, or a finding that lists the words.
    pub(super) fn choose<T: Copy>(&self, key: &str, written: &At<&str>, choices: &[(&str, T)]) -> Option<T> {
        let found = choices.iter().find(|(word, _)| *word == written.value);
        if found.is_none() {
            let words: Vec<_> = choices.iter().map(|(word, _)| *word).collect();
            let listed: Vec<_> = words.iter().map(|word| format!("\"{word}\"")).collect();
            let problem = format!("`{key}` cannot be {}", mask::echo(written.value));
            let mut finding =
                Finding::new(written.span.clone(), problem).help(format!("write {}", listed.join(" or ")));
            if let Some(near) = schema::nearest(written.value, words) {
                finding = finding.label(format!("did you mean \"{near}\"?"));
            }
            self.report(finding);
        }
        found.map(|(_, meaning)| *meaning)
    }

    /// A list of strings with the place of the list; `None` where the key is absent or no list.
    pub(super) fn list(&self, key: &str) -> Option<At<Vec<At<&'t str>>>> {
        let (_, value) = self.entry(key)?;
        let help = || format!("write {key} = [\"…\", \"…\"]");
        let Some(array) = value.get_ref().as_array() else {
            self.wrong_type(key, "a list of strings", value, help());
            return None;
        };
        let mut items = Vec::new();
        for item in array.iter() {
            match item.get_ref().as_str() {
                Some(text) => items.push(At { value: text, span: item.span() }),
                None => {
                    let given = type_name(item.get_ref());
                    let problem = format!("each of `{key}` must be a string, not {given}");
                    self.report(Finding::new(item.span(), problem).help(help()));
                }
            }
        }
        Some(At { value: items, span: value.span() })
    }

    /// A nested table; an absent one has the defaults, a wrong one is reported and treated as absent.
    pub(super) fn section(&self, key: &str, schema: Schema) -> Section<'t> {
        self.optional_section(key, schema).unwrap_or_else(|| self.absent(schema))
    }

    /// A nested table where its absence means something.
    pub(super) fn optional_section(&self, key: &str, schema: Schema) -> Option<Section<'t>> {
        let (key_span, value) = self.entry(key)?;
        let Some(table) = value.get_ref().as_table() else {
            let help = if schema.name.starts_with('[') {
                format!("write a table {} or {key} = {{ … }}", schema.name)
            } else {
                format!("write {key} = {{ {} }}", example_keys(schema))
            };
            self.wrong_type(key, "a table", value, help);
            return None;
        };
        Some(Section::open(self.reading, schema, table, place_of_table(key_span, value)))
    }

    /// A nested table whose keys are free; `None` where it is absent or no table.
    pub(super) fn free_section(&self, key: &str) -> Option<Section<'t>> {
        let (key_span, value) = self.entry(key)?;
        let table = value.get_ref().as_table()?;
        let span = place_of_table(key_span, value);
        Some(Section { reading: self.reading, schema: self.schema, span, table: Some(table) })
    }

    /// Whether the key holds an empty list.
    pub(super) fn list_is_empty(&self, key: &str) -> bool {
        self.entry(key)
            .and_then(|(_, value)| value.get_ref().as_array())
            .is_some_and(|array| array.iter().next().is_none())
    }

    /// A list of tables; each with its own place.
    pub(super) fn sections(&self, key: &str, schema: Schema) -> Vec<Section<'t>> {
        let Some((key_span, value)) = self.entry(key) else { return Vec::new() };
        let Some(array) = value.get_ref().as_array() else {
            self.wrong_type(
                key,
                "a list of tables",
                value,
                format!("write {key} = [{{ {} }}]", example_keys(schema)),
            );
            return Vec::new();
        };
        let mut sections = Vec::new();
        for item in array.iter() {
            match item.get_ref().as_table() {
                Some(table) => {
                    let span = place_of_table(key_span.clone(), item);
                    sections.push(Section::open(self.reading, schema, table, span));
                }
                None => self.wrong_type(
                    key,
                    "a list of tables",
                    item,
                    format!("write {{ {} }}", example_keys(schema)),
                ),
            }
        }
        sections
    }

    /// All entries in file order.
    pub(super) fn entries(&self) -> Vec<(At<&'t str>, &'t Spanned<DeValue<'t>>)> {
        let entries = self.table.into_iter().flat_map(|table| table.iter());
        let mut entries: Vec<_> = entries
            .map(|(key, value)| (At { value: key.get_ref().as_ref(), span: key.span() }, value))
            .collect();
        entries.sort_by_key(|(key, _)| key.span.start);
        entries
    }
}

/// Where to point when something about a whole table is wrong: at the table, or at its name where its own place
/// is empty (tables that dotted keys imply).
pub(super) fn place_of_table(key: Range<usize>, value: &Spanned<DeValue<'_>>) -> Range<usize> {
    if value.span().is_empty() { key } else { value.span() }
}

fn example_keys(schema: Schema) -> String {
    let keys: Vec<_> = schema.keys.iter().map(|key| format!("{key} = …")).collect();
    keys.join(", ")
}

/// What TOML calls it, with its article.
pub(super) fn type_name(value: &DeValue<'_>) -> &'static str {
    match value {
        DeValue::String(_) => "a string",
        DeValue::Integer(_) => "a whole number",
        DeValue::Float(_) => "a decimal number",
        DeValue::Boolean(_) => "true or false",
        DeValue::Datetime(_) => "a date",
        DeValue::Array(_) => "a list",
        DeValue::Table(_) => "a table",
    }
}
