//! `rosterd demo`: the real program against the fakes, through a first run, a quiet run, and a joiner, a mover
//! and a leaver. Every report below the headings is what the program prints anywhere else.

use std::fs::OpenOptions;
use std::io::Write;
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

use clap::Parser;
use serde_json::json;

use super::command_context::CommandContext;
use super::console::Console;
use super::runs;
use crate::cli::Cli;
use crate::config::{self, Config, Environment};
use crate::exit;
use crate::sim::{PersonId, Sim, SimOptions};

/// Runs the demonstration. With `keep` the fakes stay until a signal.
pub(super) async fn run(keep: bool) -> u8 {
    match tell(keep).await {
        Ok(()) => exit::OK,
        Err(error) => {
            eprintln!("error: the demonstration failed: {error:#}");
            exit::FAILURE
        }
    }
}

struct Stage {
    sim: Sim,
    directory: tempfile::TempDir,
}

/// The people of the story.
struct Cast {
    mover: PersonId,
    leaver: PersonId,
}

async fn tell(keep: bool) -> anyhow::Result<()> {
    let stage = Stage {
        sim: Sim::start(SimOptions::default()).await?,
        directory: tempfile::Builder::new().prefix("rosterd-demo-").tempdir()?,
    };
    let okta = stage.configuration("okta")?;
    let cast = stage.set();
    say(
        "A small company",
        "Six people are assigned to the app in Okta (a fake of it, on this machine). The workspace already has an \
         account for one of them, and one of a contractor whom Okta does not know.",
    );
    say("1. Before the first run", "What would happen? `rosterd --dry-run` shows it and writes nothing.");
    act(&okta, &["--dry-run"]).await?;
    say("2. The first run", "`rosterd --reconcile-now` does exactly that.");
    act(&okta, &["--reconcile-now"]).await?;
    say("3. A quiet run", "Run it again: nothing changed, so nothing is sent.");
    act(&okta, &["--reconcile-now"]).await?;
    stage.change(&cast);
    say(
        "4. A joiner, a mover and a leaver",
        "Fatima joins, Ben gets another title, Chloé leaves. First as a dry run; Chloé's leaving is checked with Okta \
         once more before it is even shown.",
    );
    act(&okta, &["--dry-run"]).await?;
    say(
        "5. The same, for real",
        "Removals go first. A deactivated account keeps its data and can come back.",
    );
    act(&okta, &["--reconcile-now"]).await?;
    stage.workspace();
    if keep {
        stage.keep(&okta).await?;
    }
    Ok(())
}

impl Stage {
    /// Who works here before the curtain rises.
    fn set(&self) -> Cast {
        let world = self.sim.world();
        let hire = |first: &str, last: &str, title: &str| {
            let email = format!("{}@acme.example", plain(first));
            world.hire_assigned(&email, |person| {
                person.first_name = Some(first.to_owned());
                person.last_name = Some(last.to_owned());
                person.title = Some(title.to_owned());
            })
        };
        hire("Ann", "Archer", "Head of IT");
        let mover = hire("Ben", "Okafor", "Engineer");
        let leaver = hire("Chloé", "Dubois", "Designer");
        hire("Dmitri", "Волков", "Analyst");
        hire("Erin", "O'Neil", "Accountant");
        hire("Gao", "Li", "Engineer");
        world.add_account(&json!({
            "schemas": ["urn:ietf:params:scim:schemas:core:2.0:User"],
            "userName": "Ann@ACME.example", "active": true,
            "name": {"givenName": "Ann", "familyName": "Archer"},
            "emails": [{"value": "ann@acme.example", "type": "work", "primary": true}],
            "title": "IT",
        }));
        world.add_account(&json!({
            "schemas": ["urn:ietf:params:scim:schemas:core:2.0:User"],
            "userName": "contractor@elsewhere.example", "active": true,
            "name": {"givenName": "Casey", "familyName": "Contractor"},
        }));
        Cast { mover, leaver }
    }

    fn change(&self, cast: &Cast) {
        let world = self.sim.world();
        world.hire_assigned("fatima@acme.example", |person| {
            person.first_name = Some("Fatima".to_owned());
            person.last_name = Some("Zahra".to_owned());
            person.title = Some("Recruiter".to_owned());
        });
        world.edit(cast.mover, |person| person.title = Some("Engineering Manager".to_owned()));
        world.unassign(cast.leaver);
    }

    fn workspace(&self) {
        println!("The workspace now:");
        for account in self.sim.world().accounts() {
            let state = if account.active() { "active" } else { "inactive" };
            println!("  {:<32} {state}", crate::report::visible(account.user_name()));
        }
    }

    /// Writes a configuration for one vendor, secrets in files of their own.
    fn configuration(&self, vendor: &str) -> anyhow::Result<PathBuf> {
        let directory = self.directory.path();
        let sim = &self.sim;
        let token = secret(directory, "workspace.token", &sim.scim_token())?;
        let source = match vendor {
            "okta" => format!(
                "kind = \"okta\"\nurl = \"{}\"\napp_id = \"{}\"\napi_token = {{ file = {:?} }}\n",
                sim.okta_url(),
                sim.okta_app_id(),
                secret(directory, "okta.token", &sim.okta_token())?
            ),
            _ => format!(
                "kind = \"onelogin\"\nurl = \"{}\"\napp_id = \"{}\"\nclient_id = \"{}\"\nclient_secret = {{ file = {:?} }}\n",
                sim.onelogin_url(),
                sim.onelogin_app_id(),
                sim.onelogin_client_id(),
                secret(directory, "onelogin.secret", &sim.onelogin_client_secret())?
            ),
        };
        let path = directory.join(format!("{vendor}.toml"));
        let state = directory.join(format!("state-{vendor}"));
        let text = format!(
            "state_dir = {state:?}\n\n[[sync]]\n\n[sync.source]\n{source}\n[sync.target]\nurl = \"{}\"\n\
             token = {{ file = {token:?} }}\n# The fake is on this machine: no need to go easy on it.\n\
             requests_per_minute = 60000\n",
            sim.scim_url()
        );
        std::fs::write(&path, text)?;
        Ok(path)
    }

    async fn keep(&self, okta: &Path) -> anyhow::Result<()> {
        let onelogin = self.configuration("onelogin")?;
        println!(
            "\nThe fakes stay until you press Ctrl-C. In another terminal:\n  rosterd --dry-run -c {}\n  rosterd check \
             -c {}\nThe same company as OneLogin shows it, with a state of its own:\n  rosterd --dry-run -c {}",
            okta.display(),
            okta.display(),
            onelogin.display()
        );
        tokio::signal::ctrl_c().await?;
        Ok(())
    }
}

/// Runs the program as its command line would.
async fn act(configuration: &Path, arguments: &[&str]) -> anyhow::Result<()> {
    let path = configuration.to_string_lossy();
    let mut words = vec!["rosterd", "--config", &path, "--quiet"];
    words.extend(arguments);
    let cli = Cli::try_parse_from(words)?;
    let config: Config = config::load(configuration, &Environment::fixed(Vec::<(String, String)>::new()))
        .map_err(|errors| anyhow::anyhow!("{errors}"))?;
    let context = CommandContext { cli: &cli, config: &config, console: &Console::Here, daemon: None };
    match runs::run(&context).await {
        exit::OK => Ok(()),
        code => anyhow::bail!("`rosterd {}` ended with exit code {code}", arguments.join(" ")),
    }
}

fn say(title: &str, text: &str) {
    let bold = anstyle::Style::new().bold().underline();
    anstream::println!("\n{bold}{title}{bold:#}");
    anstream::println!("{text}\n");
}

fn secret(directory: &Path, name: &str, value: &str) -> anyhow::Result<PathBuf> {
    let path = directory.join(name);
    let mut file = OpenOptions::new().write(true).create(true).truncate(true).mode(0o600).open(&path)?;
    file.write_all(value.as_bytes())?;
    Ok(path)
}

/// The local part of an address for a first name.
fn plain(first: &str) -> String {
    first.to_lowercase().replace('é', "e")
}
