//! `history --erase`: one person disappears from the history. What rosterd needs of somebody who has an active account
//! is no history, and stays.

use std::collections::BTreeSet;

use super::desk::Desk;
use super::{Complaint, state_complaint};
use crate::exit;
use crate::model::id::SourceId;
use crate::model::time::Millis;
use crate::report::visible;
use crate::store::{Erasure, KnownAs};

/// Erases a person after it was confirmed.
pub(super) async fn erase(desk: &Desk<'_>, who: &str, yes: bool) -> Result<(), Complaint> {
    desk.list_format()?;
    let found = {
        let snapshot = desk.read().await?;
        // A sync that is not configured any more has a history too, so the names are taken as they are.
        snapshot.known_as(who, desk.cli.run.sync.clone()).await.map_err(state_complaint)?
    };
    let person = one_person(&found, who)?;
    for known in &found {
        tell(desk, known);
    }
    let question = "Erase this? It cannot be brought back.";
    if desk.cli.dry_run || (!yes && !desk.console.confirmed(question).await?) {
        desk.console.say("nothing was erased");
        return Ok(());
    }
    let store = desk.write().await?;
    let (syncs, by) = (found.iter().map(|known| known.sync.clone()).collect(), desk.console.who());
    let erased = store.erase(person, syncs, &by, Millis::now()).await.map_err(state_complaint)?;
    let Some(Erasure { entries, runs, others }) = erased else {
        let text = format!(
            "a write for this person is not settled yet, so nothing was erased\nhelp: repeat this after `rosterd \
             --reconcile-now --user {person}`"
        );
        return Err((text, exit::FAILURE));
    };
    let scrubbed = store.scrub().await.map_err(state_complaint)?;
    tracing::info!(entries, runs, others, by, "somebody was erased from the history");
    store.close().await?;
    desk.console.say(&format!(
        "erased: {} of the history, {}; the chain still fits, as `rosterd history --verify` shows",
        number(entries, "entry", "entries"),
        number(others, "other record", "other records")
    ));
    if !scrubbed {
        desk.console.say(
            "somebody reads the state just now, so that bytes of it may be left in the file: the next run removes them",
        );
    }
    desk.console.say("not erased: backups of the state, saved reports and plans, and the log");
    Ok(())
}

/// The only person among those found.
fn one_person<'a>(found: &'a [KnownAs], who: &str) -> Result<&'a SourceId, Complaint> {
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
fn tell(desk: &Desk<'_>, known: &KnownAs) {
    let say = |text: &str| desk.console.say(text);
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
}
