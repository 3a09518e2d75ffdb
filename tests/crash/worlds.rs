//! Worlds in which something is to be done, and what they must come to.

use crate::aftermath::Wanted;
use crate::support::{Access, Stage};
use rosterd::sim::{DuplicateHabit, Effect, Fault, FilterHabit, Peer};
use serde_json::json;

/// A stage before the run that is going to be disturbed.
pub(crate) struct World {
    pub(crate) stage: Stage,
    pub(crate) wanted: Wanted,
    /// The account whose removal the workspace refuses for as long as its fault stands.
    pub(crate) refused: Option<String>,
    /// Whether it is the daemon that is disturbed.
    pub(crate) is_daemons: bool,
}

/// Limits that let everything through: these worlds are small, and the limits have tests of their own.
const NO_LIMITS: &str = "[sync.guard]\nmax_removals_percent = 100\nmax_removals_percent_per_day = 100\n\
                         max_updates_percent = 100\n";
const DELETING: &str = "[sync.lifecycle]\non_deleted = \"delete\"\n";

const NAMES: [&str; 6] = ["Ann", "Ben", "Cleo", "Dan", "Eve", "Fay"];

fn mail(name: &str) -> String {
    format!("{name}@acme.example")
}

/// These people active with this title.
pub(crate) fn active(names: &[&str], title: &str) -> Wanted {
    names.iter().map(|name| (mail(name), (true, title.to_owned()))).collect()
}

/// Everybody active with this title, but for those named.
pub(crate) fn everybody(title: &str, others: &[(&str, (bool, &str))]) -> Wanted {
    let mut wanted = active(&["ann", "ben", "cleo", "dan", "eve", "fay"], title);
    wanted.extend(others.iter().map(|(name, (active, title))| (mail(name), (*active, (*title).to_owned()))));
    wanted
}

/// An account that somebody made by hand.
pub(crate) fn account_by_hand(stage: &Stage, name: &str, active: bool) {
    stage.sim.world().add_account(&json!({
        "userName": mail(name), "active": active, "title": "By hand",
        "name": {"givenName": name, "familyName": "Hand"},
        "emails": [{"value": mail(name), "type": "work", "primary": true}],
    }));
}

impl World {
    pub(crate) fn new(stage: Stage, wanted: Wanted) -> World {
        World { stage, wanted, refused: None, is_daemons: false }
    }

    /// Every verb in one run: ann is updated, ben deactivated, cleo renamed, dan reactivated, eve created, fay adopted,
    /// gus deleted; hal's removal is refused; the others stay as they are, so that nobody's leaving is a mass removal.
    pub(crate) fn of_every_verb(access: Access) -> World {
        let stage = Stage::with(access, &format!("{DELETING}{NO_LIMITS}"));
        let people =
            stage.hire_all(&["Ann", "Ben", "Cleo", "Dan", "Gus", "Hal", "Ida", "Jon", "Kim", "Lea", "Mia"]);
        let world = stage.sim.world();
        stage.reconcile();
        world.unassign(people[3]);
        stage.reconcile();
        world.edit(people[0], |person| person.title = Some("Manager".to_owned()));
        world.unassign(people[1]);
        world.rename(people[2], "cleopatra@acme.example");
        world.assign(people[3]);
        stage.hire_all(&["Eve", "Fay"]);
        account_by_hand(&stage, "fay", true);
        world.delete(people[4]);
        world.unassign(people[5]);
        let hal = world.account(&mail("hal")).unwrap().id;
        stage.sim.faults().add(Fault::on(Peer::Scim).method("PATCH").path(&hal).then(Effect::answer(
            403,
            "text/plain",
            "this account is not yours to change",
        )));
        let mut wanted =
            active(&["cleopatra", "dan", "eve", "fay", "ida", "jon", "kim", "lea", "mia"], "Engineer");
        wanted.insert(mail("ann"), (true, "Manager".to_owned()));
        wanted.insert(mail("ben"), (false, "Engineer".to_owned()));
        wanted.insert(mail("hal"), (false, "Engineer".to_owned()));
        stage.sim.clear_requests();
        World { refused: Some(hal), ..World::new(stage, wanted) }
    }

    /// Joiners at a workspace that makes an account for every creation and whose filter finds everybody.
    pub(crate) fn of_joiners_where_duplicates_are_made() -> World {
        let stage = Stage::new();
        stage.sim.scim(|scim| {
            scim.duplicates = DuplicateHabit::Accepted;
            scim.filter = FilterHabit::Ignored;
        });
        stage.hire_all(&NAMES);
        World::new(stage, everybody("Engineer", &[]))
    }

    /// Leavers and joiners at a workspace where every third request goes wrong for a while.
    pub(crate) fn of_an_unreliable_workspace(seed: u64) -> World {
        let stage = Stage::with(Access::OktaToken, NO_LIMITS);
        let people = stage.hire_all(&["Ann", "Ben", "Cleo", "Dan"]);
        stage.reconcile();
        people[..2].iter().for_each(|person| stage.sim.world().unassign(*person));
        stage.hire_all(&["Eve", "Fay"]);
        stage.sim.clear_requests();
        let trouble = Fault::on(Peer::Scim).chance(0.3, seed);
        stage.sim.faults().add(trouble.then(Effect::answer(503, "text/plain", "busy")));
        let gone = (false, "Engineer");
        World::new(stage, everybody("Engineer", &[("ann", gone), ("ben", gone)]))
    }

    /// The daemon's first run, with the verbs of every day.
    pub(crate) fn of_a_daemon() -> World {
        let mut world = World::of_every_verb(Access::OktaToken);
        let home = &world.stage.home;
        home.configure(&format!(
            "[daemon]\nsocket = {:?}\n\n[[sync]]\nschedule = \"0 0 1 1 *\"\nwatch = \"off\"\n{}\n{DELETING}{NO_LIMITS}",
            home.path().join("control.sock"),
            world.stage.sides()
        ));
        world.is_daemons = true;
        world
    }

    /// The arguments of what is disturbed.
    pub(crate) fn arguments(&self) -> &'static [&'static str] {
        if self.is_daemons { &["daemon"] } else { &["--reconcile-now"] }
    }
}
