//! Attributes one by one: for a refusal that does not say what it is about.

use crate::http::Lane;
use crate::model::id::TargetId;
use crate::model::plan::Change;
use crate::scim::create::DROPS_MAXIMUM;
use crate::scim::service::Service;
use crate::scim::target::{Acknowledgement, Refusal, RefusalClass, WriteOutcome};

/// Attributes that are tried one by one.
const SINGLES_MAXIMUM: usize = 12;

impl Service {
    /// Essential attributes and `active` together, then each optional attribute by itself: for a refusal that
    /// does not say what it is about. Each answer is definite before the next request.
    pub(crate) async fn update_singly(
        &self,
        id: &TargetId,
        changes: &[Change],
        activate: bool,
    ) -> WriteOutcome {
        let (essential, optional): (Vec<Change>, Vec<Change>) =
            changes.iter().cloned().partition(|change| change.path.is_essential());
        let mut groups: Vec<Vec<Change>> = Vec::new();
        if activate || !essential.is_empty() {
            groups.push(essential);
        }
        let (tried, left): (Vec<_>, Vec<_>) =
            optional.into_iter().enumerate().partition(|(index, _)| *index < SINGLES_MAXIMUM);
        groups.extend(tried.into_iter().map(|(_, change)| vec![change]));
        let mut done =
            Acknowledgement { status: 0, account: None, refused: Vec::new(), attempts: 0, seen: true };
        let mut last_refusal: Option<Refusal> = None;
        for group in groups {
            let is_optional = group.iter().any(|change| !change.path.is_essential());
            let mut update = self.prepare(id, &group, activate && !is_optional);
            update.drops = DROPS_MAXIMUM;
            if update.changes.is_empty() && !update.activate {
                done.refused.append(&mut update.refused);
                continue;
            }
            update.keeps_style = true;
            // One attribute alone is never taken apart again, so this ends.
            match Box::pin(self.carry_out(&mut update)).await {
                WriteOutcome::Applied(acknowledgement) => {
                    done.status = acknowledgement.status;
                    done.attempts += acknowledgement.attempts;
                    done.account = acknowledgement.account.or(done.account);
                }
                WriteOutcome::Refused(refusal) if is_optional && refusal.class == RefusalClass::Invalid => {
                    done.attempts += refusal.attempts;
                    done.refused
                        .extend(group.into_iter().map(|change| (change.path, refusal.detail.clone())));
                    last_refusal = Some(refusal);
                }
                WriteOutcome::Refused(refusal) => {
                    let attempts = done.attempts + refusal.attempts;
                    return WriteOutcome::Refused(Refusal { attempts, ..refusal });
                }
                WriteOutcome::Unknown { message, status, attempts } => {
                    return WriteOutcome::Unknown { message, status, attempts: done.attempts + attempts };
                }
            }
        }
        let untried = "not tried: too many attributes were refused before it";
        done.refused.extend(left.into_iter().map(|(_, change)| (change.path, untried.to_owned())));
        match last_refusal {
            Some(refusal) if done.status == 0 => WriteOutcome::Refused(Refusal {
                attempts: done.attempts,
                attributes: done.refused,
                ..refusal
            }),
            _ => WriteOutcome::Applied(self.looked_at(id, done).await),
        }
    }

    /// The account after the last of several writes, so that the caller sees the whole result.
    async fn looked_at(&self, id: &TargetId, mut done: Acknowledgement) -> Acknowledgement {
        if let Ok(Some(account)) = self.account(id, Lane::General).await {
            done.account = Some(account);
        }
        done
    }
}
