//! What parsers that are not ours read in a report, held against the run that it is about.

use crate::made::Made;
use crate::markup::{Document, Page};
use rosterd::model::attributes::Scalar;
use rosterd::model::report::{ActionRecord, RunResult};
use rosterd::report::visible;
use serde_json::Value;

/// The header of the contract.
pub(crate) const HEADER: &str =
    "sync,action,outcome,user,source_id,target_id,path,from,to,reason,status,detail";

/// Every record comes back as it was.
#[track_caller]
pub(crate) fn agrees_json(text: &str, runs: &[Made]) {
    let document: Value = serde_json::from_str(text).unwrap();
    let syncs = document["syncs"].as_array().unwrap();
    assert_eq!(syncs.len(), runs.len());
    for (sync, run) in syncs.iter().zip(runs) {
        assert_eq!(sync["sync"], run.facts.sync.as_str());
        assert_eq!(serde_json::to_value(&run.facts.notes).unwrap(), sync["notes"]);
        let records: Vec<ActionRecord> = serde_json::from_value(sync["actions"].clone()).unwrap();
        assert_eq!(records, run.records);
    }
}

/// A text as a cell holds it: visible, and with an apostrophe where a spreadsheet would compute it.
fn cell(text: &str) -> String {
    let formula = text.trim_start().starts_with(['=', '+', '-', '@', '＝', '＋', '－', '＠']);
    format!("{}{text}", if formula { "'" } else { "" })
}

/// The rows of the records, with all cells, in order.
#[track_caller]
pub(crate) fn agrees_csv(text: &str, runs: &[Made]) {
    let mut reader =
        csv::ReaderBuilder::new().has_headers(false).flexible(false).from_reader(text.as_bytes());
    let rows: Vec<Vec<String>> =
        reader.records().map(|row| row.unwrap().iter().map(str::to_owned).collect()).collect();
    assert_eq!(rows[0].join(","), HEADER);
    // No cell holds a line break, so lines are rows for tools that know nothing of quotes.
    assert_eq!(text.matches("\r\n").count(), rows.len());
    assert_eq!(text.matches('\n').count(), rows.len());
    let mut expected = Vec::new();
    for run in runs {
        run.records.iter().for_each(|record| expected.extend(rows_of(&run.facts.sync, record)));
        let went_through = matches!(run.facts.result, RunResult::Ok | RunResult::Partial | RunResult::Held);
        expected.extend((!went_through).then(|| vec![cell(&visible(&run.facts.sync))]));
    }
    assert_eq!(rows.len() - 1, expected.len(), "{text}");
    for (row, expected) in rows[1..].iter().zip(&expected) {
        assert_eq!(&row[..expected.len()], &expected[..]);
        if expected.len() == 1 {
            assert!(row[1].is_empty() && row[3].is_empty() && !row[2].is_empty() && !row[9].is_empty());
        }
    }
}

fn rows_of(sync: &str, record: &ActionRecord) -> Vec<Vec<String>> {
    let text =
        |scalar: &Option<Scalar>| scalar.as_ref().map(|one| one.as_text().into_owned()).unwrap_or_default();
    let mut changes: Vec<[String; 3]> = record
        .changes
        .iter()
        .map(|change| [change.path.as_str().to_owned(), text(&change.from), text(&change.to)])
        .collect();
    if changes.is_empty() {
        changes.push(Default::default());
    }
    // What is owed stands in words behind the detail: the columns are those of the contract.
    let owed = record.waits_for.map(|_| {
        "owed since 2026-11-22T10:00:00Z (disabled): waits for a proof from the identity provider".to_owned()
    });
    let detail: Vec<String> = record.detail.clone().into_iter().chain(owed).collect();
    let row = |[path, from, to]: [String; 3]| {
        let id = |id: Option<String>| id.unwrap_or_default();
        [
            sync.to_owned(),
            record.action.as_str().to_owned(),
            record.outcome.as_str().to_owned(),
            record.user.clone(),
            id(record.source_id.as_ref().map(ToString::to_string)),
            id(record.target_id.as_ref().map(ToString::to_string)),
            path,
            from,
            to,
            record.reason.clone(),
            record.status.map(|status| status.to_string()).unwrap_or_default(),
            detail.join("; "),
        ]
        .map(|text| cell(&visible(&text)))
        .to_vec()
    };
    changes.into_iter().map(row).collect()
}

/// Nothing that GitHub makes a link, a mention or a reference of stands outside of code, and every login stands in it.
#[track_caller]
pub(crate) fn agrees_markdown(document: &Document, runs: &[Made]) {
    for shape in &document.shape {
        let foreign = ["Link", "Image", "Html", "Footnote", "Math", "Strikethrough", "Metadata", "TaskList"];
        assert!(
            shape == "InlineHtml(Borrowed(\"<br>\"))" || !foreign.iter().any(|word| shape.contains(word)),
            "{shape}"
        );
    }
    // A parser may give one sentence in pieces.
    let prose = document.prose.concat();
    for word in ["@", "://", "www.", "<", "#", "`", "GH-", "$", "[", "!"] {
        assert!(!prose.contains(word), "{word} in {prose:?}");
    }
    // In a table a bar that follows a backslash is told by its number.
    let plain = |text: &str| text.replace("\\u{7c}", "|").trim_matches(' ').to_owned();
    let code: Vec<String> = document.code.iter().map(|code| plain(code)).collect();
    for record in runs.iter().flat_map(|run| &run.records) {
        let user = plain(&visible(&record.user));
        assert!(user.trim().is_empty() || code.contains(&user), "no {user:?} in {code:?}");
    }
}

/// The rows and the data of the page say the same of everybody.
#[track_caller]
pub(crate) fn agrees_html(page: &Page, runs: &[Made]) {
    let records: Vec<&ActionRecord> = runs.iter().flat_map(|run| &run.records).collect();
    let users: Vec<String> = records.iter().map(|record| visible(&record.user).into_owned()).collect();
    assert_eq!(page.texts("bdi", "class", "who"), users);
    let blocks = page.texts("script", "type", "application/json");
    let data: Vec<Value> =
        blocks.iter().flat_map(|block| serde_json::from_str::<Vec<Value>>(block).unwrap()).collect();
    assert!(blocks.iter().all(|block| !block.contains(['<', '>', '&'])));
    assert_eq!(data.len(), records.len());
    for (row, record) in data.iter().zip(records) {
        assert_eq!((&row[0], &row[2]), (&record.action.as_str().into(), &record.outcome.as_str().into()));
        assert_eq!(row[3], visible(&record.user).as_ref());
        assert_eq!(row[5], visible(&record.reason).as_ref());
        let changes = row[7].as_array().unwrap();
        assert_eq!(changes.len(), record.changes.len());
        for (shown, change) in changes.iter().zip(&record.changes) {
            assert_eq!(shown[0], visible(change.path.as_str()).as_ref());
            for (shown, scalar) in [(&shown[1], &change.from), (&shown[2], &change.to)] {
                let expected = scalar.as_ref().map(|scalar| match scalar {
                    Scalar::Text(text) => format!("\"{}\"", visible(text)),
                    Scalar::Flag(_) | Scalar::Integer(_) => scalar.as_text().into_owned(),
                });
                assert_eq!(shown.as_str(), expected.as_deref());
            }
        }
    }
}
