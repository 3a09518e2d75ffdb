//! How fast people are mapped, digested and planned: the pure core, without input or output.
//!
//! `cargo bench --bench planning`; `ROSTERD_BENCH_PEOPLE=1000000` chooses another size.

use std::hint::black_box;
use std::time::{Duration, Instant};

use rosterd::config::{self, Environment};
use rosterd::core::eligibility::{Eligibility, ScopeNames, eligibility};
use rosterd::core::mapping::Mapping;
use rosterd::core::planner::{Decision, Match, Person, Policy, plan};
use rosterd::model::digest::DigestKey;
use rosterd::model::id::{SourceId, TargetId, Vendor};
use rosterd::model::identity::{Identity, Profile, RawProfiles, VendorStatus};
use rosterd::model::link::{AttributeMemory, Link, LinkState};
use rosterd::model::order::Observation;
use rosterd::model::time::Millis;

type Failure = Box<dyn std::error::Error>;

const ROUNDS: usize = 5;
const NOW: Millis = Millis(1_795_000_000_000);
const CONFIGURATION: &str = r#"
    [[sync]]
    source = { kind = "okta", url = "https://acme.okta.com", app_id = "0oa1", api_token = { env = "T" } }
    target = { url = "https://scim.example/v2", token = { env = "T" } }
"#;
/// As an organisation would have it that leaves some people out and writes a display name.
const EXPRESSIONS: &str = r#"
    [sync.scope]
    filter = "user.department != 'Contractors' and user.title != 'Bot'"
    [sync.attributes]
    "displayName" = "user.givenName ~ ' ' ~ user.familyName"
"#;

fn main() -> Result<(), Failure> {
    let people: usize = match std::env::var("ROSTERD_BENCH_PEOPLE") {
        Ok(text) => text.parse()?,
        Err(_) => 100_000,
    };
    println!("{people} people, one thread, median of {ROUNDS}\n");
    let identities: Vec<Identity> = (0..people).map(identity).collect();
    measure("built-in mapping", CONFIGURATION, &identities)?;
    measure("with a filter and an expression", &format!("{CONFIGURATION}{EXPRESSIONS}"), &identities)
}

fn measure(name: &str, configuration: &str, identities: &[Identity]) -> Result<(), Failure> {
    let environment = Environment::fixed(Vec::<(String, String)>::new());
    let config = config::parse(configuration, "bench.toml".as_ref(), &environment)?;
    let sync = &config.syncs[0];
    let key = DigestKey::new([7; 32]);
    let mapping = Mapping::compile(Vendor::Okta, &sync.scope, &sync.attributes, None, key)?;
    let policy = Policy { lifecycle: &sync.lifecycle, adopt: &sync.adopt, mapping: &mapping };
    let map = |linked| -> Vec<Eligibility> {
        let mut names = ScopeNames::new(&mapping);
        let eligibility = |identity| eligibility(identity, linked, &mapping, &sync.lifecycle, &mut names);
        identities.iter().map(eligibility).collect()
    };
    row(name, "map and digest", identities.len(), || map(true));
    let standings = map(true);
    let links: Vec<Link> = identities.iter().zip(&standings).enumerate().map(link).collect();
    row(name, "plan, nobody linked: create", identities.len(), || {
        decide(identities, &standings, |_| None, &policy)
    });
    row(name, "plan, everybody linked: one title differs", identities.len(), || {
        decide(identities, &standings, |index| links.get(index), &policy)
    });
    Ok(())
}

fn decide<'a>(
    identities: &[Identity],
    standings: &[Eligibility],
    link: impl Fn(usize) -> Option<&'a Link>,
    policy: &Policy<'_>,
) -> usize {
    let mut actions = 0;
    for (index, (identity, eligibility)) in identities.iter().zip(standings).enumerate() {
        let person = Person {
            id: &identity.id,
            user: identity.profile.user_name.as_deref().unwrap_or_default(),
            eligibility,
            link: link(index),
            hits: &Match::None,
            waits: None,
            owed_deletion: None,
            observation: Observation::before_numbers(NOW),
            assigned_at: None,
        };
        match black_box(plan(&person, policy, NOW)) {
            Decision::Act(_) => actions += 1,
            Decision::Unchanged { .. } => {}
        }
    }
    actions
}

fn row<T>(configuration: &str, step: &str, people: usize, mut work: impl FnMut() -> T) {
    let mut times: Vec<Duration> = (0..ROUNDS)
        .map(|_| {
            let started = Instant::now();
            black_box(work());
            started.elapsed()
        })
        .collect();
    times.sort_unstable();
    let median = times[ROUNDS / 2].as_secs_f64();
    println!(
        "{configuration:<33} {step:<43} {:>8.1} ms {:>10.0} people/s",
        median * 1000.0,
        people as f64 / median
    );
}

fn identity(number: usize) -> Identity {
    let email = format!("given.family.{number}@acme.example");
    Identity {
        id: SourceId::new(format!("00u{number:017}")),
        assigned: true,
        status: VendorStatus::Okta(Some("ACTIVE".into())),
        profile: Profile {
            user_name: Some(email.clone()),
            email: Some(email),
            given_name: Some("Given".to_owned()),
            family_name: Some(format!("Family {number}")),
            display_name: None,
            title: Some("Engineer".to_owned()),
            phone: Some(format!("+1 555 {number:07}")),
            organization: Some("Acme".to_owned()),
            department: Some("Engineering".to_owned()),
            user_type: None,
        },
        raw: RawProfiles::default(),
        groups: Vec::new(),
        assigned_at: None,
        observation: Observation::before_numbers(NOW),
    }
}

/// A link whose stored digest is stale and whose title is another one.
fn link((number, (identity, eligibility)): (usize, (&Identity, &Eligibility))) -> Link {
    let mut acknowledged = match eligibility {
        Eligibility::Qualifies(mapped) => mapped.desired.set.clone(),
        Eligibility::Pending
        | Eligibility::Suspended
        | Eligibility::Leaver(_)
        | Eligibility::OutOfScope
        | Eligibility::Blocked(_)
        | Eligibility::Unknown(_) => Default::default(),
    };
    acknowledged.retain(|path, _| path.as_str() != "title");
    Link {
        source_id: identity.id.clone(),
        target_id: TargetId::new(number.to_string()),
        user_name: identity.profile.user_name.clone().unwrap_or_default(),
        acknowledged,
        state: LinkState::Active,
        digest: None,
        memory: AttributeMemory::default(),
        absent_since: None,
        last_listed_at: None,
        removal_seen: true,
        cause: None,
        billable: true,
        observation: Observation::before_numbers(NOW),
    }
}
