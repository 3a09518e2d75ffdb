//! Who of one plan claims which account. Two people who reach one account by the same rung of the ladder are ambiguous,
//! both; by different rungs the higher one has it, and the other is taken elsewhere in this run and planned afresh in the
//! next.
//!
//! What lives here: comparing the matches of everybody without a link. What must not: finding them (`look`).

use std::collections::HashMap;

use serde::{Deserialize, Serialize};

use crate::config::MatchBy;
use crate::core::planner::Match;
use crate::engine::error::RunError;
use crate::engine::gather::read_set::Candidate;
use crate::model::account::Account;
use crate::model::id::{SourceId, TargetId};
use crate::model::link::Link;
use crate::spool::Spool;

/// One person and what was found for them.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct MatchedPerson {
    pub candidate: Candidate,
    pub link: Option<Link>,
    pub hits: Match,
    /// An account without a link that this person reached, and that bears the mark of somebody else.
    pub marked: Option<(SourceId, Account)>,
}

/// The best claim to an account so far.
#[derive(Debug)]
struct BestClaim {
    rung: u8,
    people: Vec<SourceId>,
}

/// The matches of everybody without a link.
#[derive(Debug, Default)]
pub(crate) struct AccountClaims {
    people: Spool<MatchedPerson>,
    best: HashMap<TargetId, BestClaim>,
    /// Accounts by the person whose mark they bear, found on the way to somebody else.
    marked: HashMap<SourceId, Account>,
}

impl AccountClaims {
    /// Takes one person in.
    pub(crate) fn push(&mut self, person: MatchedPerson) -> Result<(), RunError> {
        if let Some((account, rung)) = claimed(&person.hits) {
            let id = person.candidate.id.clone();
            let best = self.best.entry(account).or_insert_with(|| BestClaim { rung, people: Vec::new() });
            if rung < best.rung {
                *best = BestClaim { rung, people: vec![id] };
            } else if rung == best.rung {
                best.people.push(id);
            }
        }
        if let Some((id, account)) = &person.marked {
            self.marked.insert(id.clone(), account.clone());
        }
        self.people.push(&person)?;
        Ok(())
    }

    /// Gives each person with the match that stands once everybody was compared.
    pub(crate) fn eligibility(mut self) -> Result<Spool<MatchedPerson>, RunError> {
        let mut eligibility = Spool::default();
        for person in self.people.iter()? {
            let MatchedPerson { candidate, link, mut hits, marked: _ } = person?;
            // A workspace that cannot search marks shows an account only to whoever has its login.
            if let (Match::None, Some(account)) = (&hits, self.marked.remove(&candidate.id)) {
                hits = Match::One { account, by: MatchBy::ExternalId };
            }
            let stands = match claimed(&hits).and_then(|(account, _)| self.best.get(&account)) {
                Some(best) if !best.people.contains(&candidate.id) => {
                    let account = claimed(&hits).map(|(account, _)| account.to_string()).unwrap_or_default();
                    Match::LinkedElsewhere(format!(
                        "account {account} belongs to {} by a closer match in this run",
                        names(&best.people)
                    ))
                }
                Some(best) if best.people.len() > 1 => {
                    let others: Vec<SourceId> =
                        best.people.iter().filter(|id| **id != candidate.id).cloned().collect();
                    Match::Several(format!("{} would have the same account", names(&others)))
                }
                Some(_) | None => hits,
            };
            eligibility.push(&MatchedPerson { candidate, link, hits: stands, marked: None })?;
        }
        Ok(eligibility)
    }
}

/// The account that a match reaches, and by which rung; the mark is the highest.
fn claimed(hits: &Match) -> Option<(TargetId, u8)> {
    let (account, by) = hits.account()?;
    let rung = match by {
        MatchBy::ExternalId => 0,
        MatchBy::UserName => 1,
        MatchBy::Email => 2,
    };
    Some((account.id.clone(), rung))
}

fn names(people: &[SourceId]) -> String {
    const NAMED: usize = 3;
    let mut names: Vec<&str> = people.iter().take(NAMED).map(SourceId::as_str).collect();
    if people.len() > NAMED {
        names.push("others");
    }
    names.join(", ")
}
