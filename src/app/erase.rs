//! `history --erase`: one person disappears from the history. What rosterd needs of somebody who has an active account
//! is no history, and stays.

use std::collections::BTreeSet;
use std::path::Path;

use super::command_context::CommandContext;
use super::command_error::{CommandError, state_complaint};
use crate::exit;
use crate::model::id::SourceId;
use crate::model::time::Millis;
use crate::report::visible;
use crate::store::{Erasure, KnownAs};

/// Erases a person after it was confirmed.
pub(super) async fn erase(context: &CommandContext<'_>, who: &str, yes: bool) -> Result<(), CommandError> {
    context.list_format()?;
    let found = {
        let snapshot = context.read().await?;
        // A sync that is not configured any more has a history too, so the names are taken as they are.
        snapshot.known_as(who, context.cli.run.sync.clone()).await.map_err(state_complaint)?
    };
    let person = one_person(&found, who)?;
    for known in &found {
        tell(context, known);
    }
    let question = "Erase this? It cannot be brought back.";
    if context.cli.dry_run || (!yes && !context.console.confirmed(question).await?) {
        context.console.say("nothing was erased");
        return Ok(());
    }
    let store = context.write().await?;
    let (syncs, by) = (found.iter().map(|known| known.sync.clone()).collect(), context.console.who());
    let erased = store.erase(person, syncs, &by, Millis::now()).await.map_err(state_complaint)?;
    let Some(Erasure { entries, runs, others }) = erased else {
        let text = format!(
            "a write for this person is not settled yet, so nothing was erased\nhelp: repeat this after `rosterd \
             --reconcile-now --user {person}`, or give that write up first: `rosterd forget {person} --unsettled`"
        );
        return Err((text, exit::FAILURE));
    };
    // From here on it is done, whatever becomes of the file.
    let scrubbed = store.scrub().await.map_err(|error| error.to_string());
    tracing::info!(entries, runs, others, by, "somebody was erased from the history");
    let closed = store.close().await.map_err(|(text, _)| text);
    context.console.say(&format!(
        "erased: {} of the history, {}; the chain still fits, as `rosterd history --verify` shows",
        number(entries, "entry", "entries"),
        number(others, "other record", "other records")
    ));
    if let Some(text) = left_in_the_file(scrubbed.and_then(|whole| closed.map(|()| whole))) {
        context.console.say(&text);
    }
    if found.iter().any(frees_no_seat) {
        context.console.say(
            "the seat of an account whose link went is not counted any more, and is paid for until the account is \
             deleted in the workspace",
        );
    }
    let directory = &context.config.state_dir;
    context.console.say("not erased: backups of the state, saved reports and plans, and the log");
    for name in copies_beside(directory) {
        let path = directory.join(name);
        context
            .console
            .say(&format!("not erased: {}, an earlier state; delete it", visible(&path.to_string_lossy())));
    }
    Ok(())
}

/// What is to be said where bytes of what was erased may still be in the file.
fn left_in_the_file(written: Result<bool, String>) -> Option<String> {
    match written {
        Ok(true) => None,
        Ok(false) => Some(
            "somebody reads the state just now, so that bytes of it may be left in the file: the next run removes them"
                .to_owned(),
        ),
        Err(error) => {
            // Its own help is about what could not be done, and this is done.
            let why = error.split("\nhelp: ").next().unwrap_or_default();
            Some(format!(
                "the file could not be written anew, so that bytes of it may be left there: {why}\nhelp: free disk \
                 space, as much as the database takes; the next run tries again, and then one each day"
            ))
        }
    }
}

/// Whether the account is not active, has a seat that is paid for, and loses its link.
fn frees_no_seat(known: &KnownAs) -> bool {
    known.takes_a_seat && !known.is_provisioned()
}

/// Names of earlier states in the directory: damaged ones that were moved aside, and those from before a migration.
fn copies_beside(directory: &Path) -> Vec<String> {
    let entries = std::fs::read_dir(directory).into_iter().flatten().flatten();
    let names = entries.map(|entry| entry.file_name().to_string_lossy().into_owned());
    let mut copies: Vec<String> =
        names.filter(|name| name.starts_with("rosterd.db.damaged-") || name.ends_with(".backup")).collect();
    copies.sort();
    copies
}

/// The only person among those found.
fn one_person<'a>(found: &'a [KnownAs], who: &str) -> Result<&'a SourceId, CommandError> {
    let people: BTreeSet<_> = found.iter().map(|known| (&known.origin, &known.source_id)).collect();
    let mut people = people.into_iter();
    match (people.next(), people.next()) {
        (Some((_, only)), None) => Ok(only),
        (None, _) => {
            let text = format!(
                "nothing about {} is on record\nhelp: give a login, a source id or an account id, as it was then",
                visible(who)
            );
            Err((text, exit::USAGE))
        }
        (Some(_), Some(_)) => {
            let lines: Vec<String> = found.iter().map(|known| format!("  {}", line(known))).collect();
            let text = format!(
                "{} means more than one person:\n{}\nhelp: give the source id, and --sync where it is the same in several; \
                 where all of them are one person, one after the other",
                visible(who),
                lines.join("\n")
            );
            Err((text, exit::USAGE))
        }
    }
}

fn line(known: &KnownAs) -> String {
    let KnownAs { sync, source_id, logins, entries, last_at, .. } = known;
    let logins: Vec<String> = logins.iter().map(|login| visible(login).into_owned()).collect();
    let last = last_at.map(|at| format!(", the last of {}", at.rfc3339())).unwrap_or_default();
    let entries = number(*entries, "entry", "entries");
    let (id, sync, names) = (source_id.as_str(), visible(sync), logins.join(", "));
    format!("{} of sync \"{sync}\" ({names}): {entries} of the history{last}", visible(id))
}

fn number(count: u64, one: &str, more: &str) -> String {
    format!("{count} {}", if count == 1 { one } else { more })
}

/// What goes, and what stays and why.
fn tell(context: &CommandContext<'_>, known: &KnownAs) {
    let say = |text: &str| context.console.say(text);
    say(&line(known));
    if let Some((account, state)) = &known.account {
        let account = visible(account.as_str());
        let keeps_no_more =
            "rosterd does nothing about it any more, so delete it in the workspace if it is to go, too";
        match (known.is_provisioned(), state.as_str()) {
            (true, _) => say(&format!(
                "  the link to account {account} stays, because the account is active and rosterd keeps it: login, ids and \
                 the values written last. Once the person has left, repeat this; `rosterd forget` drops a link at once"
            )),
            (false, "gone") => say(&format!("  the link to account {account}, which is deleted, goes")),
            (false, _) => {
                say(&format!("  the link to account {account}, which is not active, goes: {keeps_no_more}"));
            }
        }
    }
    if known.open_holds > 0 {
        say("  what waits for approval about this person stays until it is decided: `rosterd holds`");
    }
    if known.pinned && !known.is_provisioned() {
        say("  the pin stays with the source id alone: it keeps rosterd from this person until it is lifted");
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn known(sync: &str, id: &str, origin: &str) -> KnownAs {
        KnownAs {
            sync: sync.to_owned(),
            source_id: SourceId::new(id),
            origin: Some(origin.to_owned()),
            logins: BTreeSet::from(["ann@acme.example".to_owned()]),
            entries: 1,
            last_at: None,
            account: None,
            takes_a_seat: false,
            open_holds: 0,
            pinned: false,
        }
    }

    #[test]
    fn one_id_in_several_syncs_is_one_person_only_where_it_is_of_one_organisation() {
        let acme = "https://acme.okta.com";
        let both = [known("wrike", "7", acme), known("other", "7", acme)];
        assert_eq!(one_person(&both, "ann").unwrap().as_str(), "7");
        for others in [known("other", "7", "https://umbrella.okta.com"), known("wrike", "8", acme)] {
            let (text, code) = one_person(&[known("wrike", "7", acme), others], "ann").unwrap_err();
            assert_eq!(code, exit::USAGE);
            assert!(text.contains("more than one person") && text.contains("--sync"), "{text}");
        }
        assert_eq!(one_person(&[], "ann").unwrap_err().1, exit::USAGE);
    }

    #[test]
    fn a_file_that_cannot_be_written_anew_is_said_and_is_no_failure_of_the_erasure() {
        assert_eq!(left_in_the_file(Ok(true)), None);
        assert!(left_in_the_file(Ok(false)).unwrap().contains("the next run removes them"));
        let full = crate::store::StoreError::Database("database or disk is full".to_owned()).to_string();
        let text = left_in_the_file(Err(full)).unwrap();
        assert!(text.contains(
            "bytes of it may be left there: the state database failed: database or disk is full\n"
        ));
        assert!(text.contains("help: free disk space") && text.matches("help: ").count() == 1, "{text}");
    }

    #[test]
    fn a_seat_that_is_paid_and_not_counted_any_more_is_one_whose_link_goes() {
        let with = |state: &str, takes_a_seat| KnownAs {
            account: Some((crate::model::id::TargetId::new("a"), state.to_owned())),
            takes_a_seat,
            ..known("wrike", "7", "https://acme.okta.com")
        };
        assert!(frees_no_seat(&with("deactivated", true)));
        assert!(!frees_no_seat(&with("deactivated", false)) && !frees_no_seat(&with("active", true)));
    }

    #[test]
    fn earlier_states_in_the_directory_are_found() {
        let directory = tempfile::tempdir().unwrap();
        for name in
            ["rosterd.db", "rosterd.db-wal", "rosterd.v1.backup", "rosterd.db.damaged-20260101T000000Z-wal"]
        {
            std::fs::write(directory.path().join(name), "").unwrap();
        }
        let expected = ["rosterd.db.damaged-20260101T000000Z-wal", "rosterd.v1.backup"];
        assert_eq!(copies_beside(directory.path()), expected);
        assert_eq!(copies_beside(&directory.path().join("missing")), [""; 0]);
    }
}
