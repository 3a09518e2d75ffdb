//! What one world's configuration says, and how its workspace behaves: drawn from the seed, written as the
//! configuration file that the program reads.

use std::fmt::Write;

use super::dice::Dice;
use super::history::plays;

/// What a removal does.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Removal {
    Deactivate,
    Delete,
    Keep,
}

impl Removal {
    fn word(self) -> &'static str {
        match self {
            Removal::Deactivate => "deactivate",
            Removal::Delete => "delete",
            Removal::Keep => "keep",
        }
    }
}

/// What is sent to the workspace.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Verb {
    Create,
    Adopt,
    Update,
    Reactivate,
    Deactivate,
    Delete,
}

impl Verb {
    pub const ALL: [Verb; 6] =
        [Verb::Create, Verb::Adopt, Verb::Update, Verb::Reactivate, Verb::Deactivate, Verb::Delete];

    pub fn word(self) -> &'static str {
        match self {
            Verb::Create => "create",
            Verb::Adopt => "adopt",
            Verb::Update => "update",
            Verb::Reactivate => "reactivate",
            Verb::Deactivate => "deactivate",
            Verb::Delete => "delete",
        }
    }

    pub fn removes(self) -> bool {
        matches!(self, Verb::Deactivate | Verb::Delete)
    }
}

#[derive(Debug, Clone)]
pub struct Rules {
    pub okta: bool,
    /// People of the department "Contractors" are out of scope.
    pub scope_filter: bool,
    pub on_unassigned: Removal,
    pub on_deleted: Removal,
    pub on_suspended: Removal,
    pub recreate: bool,
    pub match_email: bool,
    pub adopt_hold: bool,
    pub max_removals: u64,
    pub max_removals_percent: u64,
    pub max_removals_percent_per_day: u64,
    pub max_updates_percent: u64,
    pub max_reactivations: u64,
    pub max_creates: u64,
    pub approval: Vec<Verb>,
    pub protected: Vec<String>,
    /// The workspace takes a second account of the same login.
    pub takes_twins: bool,
    pub finds_external_id: bool,
    /// The workspace's filter tells upper from lower case.
    pub case_exact: bool,
    /// The workspace answers a change without a body.
    pub quiet: bool,
    /// Lookups that answer everybody.
    pub lookups_are_cheap: bool,
    pub concurrency: u64,
    /// DELETE is not offered.
    pub no_delete: bool,
    /// Accounts are shown without `active`.
    pub hides_active: bool,
    pub max_seats: Option<u64>,
    /// Two syncs from the same people to the same workspace.
    pub two_syncs: bool,
}

impl Rules {
    pub fn draw(dice: &mut Dice) -> Rules {
        let removal = |dice: &mut Dice| {
            dice.weighted(&[(8, Removal::Deactivate), (2, Removal::Delete), (1, Removal::Keep)])
        };
        let on_unassigned = removal(dice);
        Rules {
            okta: dice.chance(60),
            scope_filter: dice.chance(50),
            on_unassigned,
            on_deleted: if dice.chance(70) || !plays("differing verbs") {
                on_unassigned
            } else {
                removal(dice)
            },
            on_suspended: dice.weighted(&[(4, Removal::Deactivate), (1, Removal::Keep)]),
            recreate: dice.chance(30),
            match_email: dice.chance(30),
            adopt_hold: dice.chance(15),
            max_removals: dice.weighted(&[(4, 50), (2, 3), (2, 2), (2, 1)]),
            max_removals_percent: dice.weighted(&[(3, 100), (2, 40), (1, 10)]),
            max_removals_percent_per_day: dice.weighted(&[(3, 100), (2, 60), (1, 20)]),
            max_updates_percent: dice.weighted(&[(3, 100), (1, 50), (1, 30)]),
            max_reactivations: dice.weighted(&[(3, 20), (2, 1)]),
            max_creates: dice.weighted(&[(3, 100), (2, 3), (1, 1)]),
            approval: draw_approval(dice),
            protected: if dice.chance(15) { vec!["p1*".to_owned()] } else { Vec::new() },
            takes_twins: dice.chance(40),
            finds_external_id: dice.chance(65),
            case_exact: dice.chance(20) && plays("case"),
            quiet: dice.chance(30),
            lookups_are_cheap: dice.chance(85),
            concurrency: dice.weighted(&[(2, 1), (3, 4), (1, 2)]),
            no_delete: dice.chance(15) && plays("no delete"),
            hides_active: dice.chance(10) && plays("hides active"),
            max_seats: (dice.chance(15) && plays("seats")).then(|| dice.between(2, 8) as u64),
            two_syncs: dice.chance(15) && plays("two syncs"),
        }
    }

    /// Whether a login is one that nothing may touch.
    pub fn protects(&self, login: &str) -> bool {
        self.protected.iter().any(|pattern| login.to_lowercase().starts_with(pattern.trim_end_matches('*')))
    }

    /// The configuration file.
    pub fn configuration(&self) -> String {
        let mut text = "state_dir = \"/nowhere\"\n".to_owned();
        self.write_sync(&mut text, "main");
        if self.two_syncs {
            self.write_sync(&mut text, "other");
        }
        text
    }

    fn write_sync(&self, text: &mut String, name: &str) {
        let source = if self.okta {
            "kind = \"okta\"\nurl = \"https://sim.okta.com\"\napp_id = \"0oa1\"\napi_token = { env = \"SECRET\" }"
        } else {
            "kind = \"onelogin\"\nurl = \"https://sim.onelogin.com\"\napp_id = \"17\"\nclient_id = \"c\"\nclient_secret = { env = \"SECRET\" }"
        };
        let approval: Vec<String> = self.approval.iter().map(|verb| format!("\"{}\"", verb.word())).collect();
        let protected: Vec<String> = self.protected.iter().map(|login| format!("\"{login}\"")).collect();
        let ladder = if self.match_email {
            "[\"externalId\", \"userName\", \"email\"]"
        } else {
            "[\"externalId\", \"userName\"]"
        };
        let scope = if self.scope_filter { "filter = \"user.department != 'Contractors'\"" } else { "" };
        write!(
            text,
            "[[sync]]\nname = \"{name}\"\n[sync.source]\n{source}\n\
             [sync.target]\nurl = \"https://sim.example/scim/v2\"\ntoken = {{ env = \"SECRET\" }}\nconcurrency = {}\n\
             [sync.scope]\n{scope}\n[sync.lifecycle]\non_unassigned = \"{}\"\non_deleted = \"{}\"\n\
             on_suspended = \"{}\"\nrecreate = {}\n[sync.guard]\nmax_removals = {}\nmax_removals_percent = {}\n\
             max_removals_percent_per_day = {}\nmax_updates_percent = {}\nmax_reactivations = {}\n\
             max_creates = {}\nmax_seats = {}\napproval = [{}]\nprotected = [{}]\n[sync.adopt]\nmatch = {ladder}\nmode = \"{}\"\n",
            self.concurrency,
            self.on_unassigned.word(),
            self.on_deleted.word(),
            self.on_suspended.word(),
            self.recreate,
            self.max_removals,
            self.max_removals_percent,
            self.max_removals_percent_per_day,
            self.max_updates_percent,
            self.max_reactivations,
            self.max_creates,
            self.max_seats.map_or_else(|| "\"off\"".to_owned(), |seats| seats.to_string()),
            approval.join(", "),
            protected.join(", "),
            if self.adopt_hold { "hold" } else { "auto" },
        )
        .expect("text can be written to");
    }
}

fn draw_approval(dice: &mut Dice) -> Vec<Verb> {
    if dice.chance(75) {
        return Vec::new();
    }
    let mut verbs = vec![dice.pick(&Verb::ALL)];
    if dice.chance(30) {
        verbs.push(dice.pick(&Verb::ALL));
    }
    verbs.sort();
    verbs.dedup();
    verbs
}
