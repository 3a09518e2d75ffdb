//! A 409 on a creation: look again and plan the adoption, which goes back through guards and door like any other action;
//! else blocked. Never a failure of the run.

use crate::core::eligibility::Eligibility;
use crate::core::mapping::Mapped;
use crate::core::planner::{Decision, Match, Person, Policy, plan};
use crate::engine::apply::live_writer::{LiveWriter, WriteResult};
use crate::engine::apply::writer::{ActionResult, StopReason, blocked, record};
use crate::engine::gather::account_owner::{AccountOwner, owner_by_mark};
use crate::engine::gather::lookup::{climb_after_conflict, judge_hits};
use crate::model::link::Link;
use crate::model::owed::WaitsFor;
use crate::model::plan::{DesiredAccount, PlannedAction, Verb};
use crate::model::report::Outcome;
use crate::model::time::Millis;
use crate::scim::target::{Observe, Provision, Refusal};
use crate::store::{IntentId, IntentOutcome, LinkWrite};

impl<O: Observe, P: Provision> LiveWriter<'_, O, P> {
    /// Settles the creation, and gives the adoption that is to be decided next, where the ladder allows one.
    pub(crate) async fn adopt_instead(
        &self,
        id: IntentId,
        action: PlannedAction,
        refusal: &Refusal,
    ) -> ActionResult {
        let Some(desired) = action.desired.clone() else {
            let ending = self.refused(&action, refusal, None);
            return self.end(id, record(&action, Outcome::Failed, None), ending).await;
        };
        let ladder = &self.context.config.adopt.ladder;
        let found = match climb_after_conflict(self.context.target, ladder, &desired).await {
            Ok(found) => found,
            Err(error) => return self.without_adoption(id, &action, refusal, &error.to_string()).await,
        };
        let mut owners = std::collections::HashMap::new();
        for account in found.iter().flat_map(|(_, accounts)| accounts) {
            let linked = self.context.snapshot.owner_of_account(&self.context.target_url, &account.id).await;
            let owner = match linked {
                Ok(Some((sync, link))) => {
                    AccountOwner::Living(format!("{} in sync \"{sync}\"", link.user_name))
                }
                Ok(None) => owner_by_mark(self.context, &action.source_id, account).await,
                Err(error) => return self.without_adoption(id, &action, refusal, &error.to_string()).await,
            };
            owners.insert(account.id.clone(), owner);
        }
        let hits = judge_hits(found, &owners);
        let reason = match &hits {
            Match::None => {
                "exists but not visible: the target refuses it as a duplicate and shows no such account"
            }
            Match::One { .. } => "created meanwhile",
            Match::Several(text) | Match::LinkedElsewhere(text) | Match::Unreadable(text) => text,
            Match::LinkedToGone { .. } | Match::UnknownMark { .. } => {
                "there already, and marked for somebody else"
            }
        };
        // What waits for approval is planned too, so that there is something to approve.
        let is_one =
            matches!(hits, Match::One { .. } | Match::LinkedToGone { .. } | Match::UnknownMark { .. });
        let ending = WriteResult {
            settled: if is_one { IntentOutcome::NotSent } else { IntentOutcome::Refused },
            outcome: Outcome::Skipped,
            detail: Some(refusal.detail.clone()),
            waits_for: is_one.then_some(WaitsFor::Retry),
            ..WriteResult::applied(Some(refusal.status), refusal.attempts, LinkWrite::Keep)
        };
        let done = self.end(id, blocked(&action, reason.to_owned()), ending).await;
        if done.stop.is_some() || !is_one {
            return done;
        }
        let link = match self.link_of(&action).await {
            Ok(link) => link,
            Err(error) => return ActionResult { stop: Some(StopReason::State(error.to_string())), ..done },
        };
        let next = self.replan_as_adoption(&action, link.as_ref(), &desired, &hits).map(Box::new);
        ActionResult { next, ..done }
    }

    /// The creation is over, and nobody can tell what stands in its way.
    async fn without_adoption(
        &self,
        id: IntentId,
        action: &PlannedAction,
        refusal: &Refusal,
        why: &str,
    ) -> ActionResult {
        let ending = WriteResult {
            detail: Some(format!("{}; looking it up failed: {why}", refusal.detail)),
            ..self.refused(action, refusal, None)
        };
        self.end(id, record(action, Outcome::Failed, None), ending).await
    }

    /// `link` is there where the account that it names is gone.
    fn replan_as_adoption(
        &self,
        action: &PlannedAction,
        link: Option<&Link>,
        desired: &DesiredAccount,
        hits: &Match,
    ) -> Option<PlannedAction> {
        let mapped = Mapped { desired: desired.clone(), user_type: None, user_type_problem: None };
        let eligibility = Eligibility::Qualifies(Box::new(mapped));
        let person = Person {
            id: &action.source_id,
            user: &action.user,
            eligibility: &eligibility,
            link,
            hits,
            waits: None,
            owed_deletion: None,
            observation: action.observation,
            assigned_at: action.assigned_at,
        };
        let policy = Policy {
            lifecycle: &self.context.config.lifecycle,
            adopt: &self.context.config.adopt,
            mapping: self.context.mapping,
        };
        match plan(&person, &policy, Millis::now()) {
            Decision::Act(adoption) if adoption.verb == Verb::Adopt => Some(PlannedAction {
                billable: action.billable,
                source_digest: action.source_digest,
                ..*adoption
            }),
            Decision::Act(_) | Decision::Unchanged { .. } => None,
        }
    }
}
