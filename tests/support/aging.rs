//! Making what is stored older than it is.

use serde_json::Value;

/// Makes every `at` in a stored JSON text older.
pub fn age_texts(database: &rusqlite::Connection, table: &str, column: &str, by: i64) {
    let mut select =
        database.prepare(&format!("SELECT rowid, {column} FROM {table} WHERE {column} IS NOT NULL")).unwrap();
    let rows: Vec<(i64, String)> =
        select.query_map([], |row| Ok((row.get(0)?, row.get(1)?))).unwrap().map(Result::unwrap).collect();
    for (row, text) in rows {
        let mut value: Value = serde_json::from_str(&text).unwrap();
        age(&mut value, by);
        database
            .execute(&format!("UPDATE {table} SET {column} = ?2 WHERE rowid = ?1"), (row, value.to_string()))
            .unwrap();
    }
}

fn age(value: &mut Value, by: i64) {
    match value {
        Value::Object(members) => {
            for (name, member) in members.iter_mut() {
                match member.as_i64() {
                    Some(at) if name == "at" => *member = Value::from(at - by),
                    _ => age(member, by),
                }
            }
        }
        Value::Array(items) => items.iter_mut().for_each(|item| age(item, by)),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => {}
    }
}
