//! A simulated workspace with its habits, and the adapter on it.

use rosterd::config::Dialect;
use rosterd::model::id::TargetId;
use rosterd::scim::adapter::{Provisioner, ScimTarget};
use rosterd::scim::dialect::Profile;
use rosterd::sim::{Effect, Fault, Peer, Request, ScimQuirks, Sim, SimOptions};
use serde_json::{Value, json};

use super::support::{check_body, target_at};

pub struct Workspace {
    pub sim: Sim,
    pub target: ScimTarget,
    pub provisioner: Provisioner,
}

impl Workspace {
    pub async fn with(habits: ScimQuirks) -> Workspace {
        Workspace::speaking(habits, Dialect::Generic).await
    }

    pub async fn speaking(habits: ScimQuirks, dialect: Dialect) -> Workspace {
        let sim = Sim::start(SimOptions { scim: habits, ..SimOptions::default() }).await.unwrap();
        let target = target_at(sim.scim_url(), &sim.scim_token(), dialect, Profile::default());
        let provisioner = target.provisioner();
        Workspace { sim, target, provisioner }
    }

    /// Somebody who is there already.
    pub fn account(&self, resource: Value) -> TargetId {
        TargetId::new(self.sim.world().add_account(&resource))
    }

    pub fn accounts(&self, count: usize) {
        for number in 0..count {
            self.account(json!({"userName": format!("p{number}@acme.com"), "active": true}));
        }
    }

    /// What the workspace stores at a JSON pointer.
    pub fn stored(&self, id: &TargetId, pointer: &str) -> Value {
        self.sim.world().account_by_id(id.as_str()).unwrap().at(pointer)
    }

    pub fn requests(&self) -> Vec<Request> {
        self.sim.requests(Peer::Scim)
    }

    /// Methods and paths of everything that was sent, without the base path.
    pub fn lines(&self) -> Vec<String> {
        self.requests().iter().map(|request| request.line().replace("/scim/v2", "")).collect()
    }

    /// Method and status of each write.
    pub fn writes(&self) -> Vec<(String, u16)> {
        self.sim.writes().into_iter().map(|request| (request.method, request.status.unwrap_or(0))).collect()
    }

    pub fn forget(&self) {
        self.sim.clear_requests();
    }

    pub fn fault(&self, fault: Fault) -> usize {
        self.sim.faults().add(fault)
    }

    /// The nth write from now with this method is answered so.
    pub fn answer(&self, method: &str, nth: u64, status: u16, body: &str) {
        let effect = Effect::answer(status, "application/scim+json", body);
        self.fault(Fault::on(Peer::Scim).method(method).nth(nth).then(effect));
    }
}

impl Drop for Workspace {
    /// Whatever a test is about: every body that was sent is checked by the oracle, and every request goes to the
    /// base URL with the headers that the servers need.
    fn drop(&mut self) {
        if std::thread::panicking() {
            return;
        }
        for request in self.requests() {
            assert!(request.path.starts_with("/scim/v2/"), "{}", request.line());
            assert_eq!(request.headers["accept"], "application/scim+json, application/json");
            let content_type = request.headers.get("content-type").map(String::as_str);
            let expected = (!request.body.is_empty()).then_some("application/scim+json");
            assert_eq!(content_type, expected, "{}", request.line());
            check_body(&request.method, &request.body);
        }
    }
}
