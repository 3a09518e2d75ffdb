//! What is kept of people for whom nothing is done: one row for as long as a line stays the same.

use crate::support::{Bench, mail};
use rosterd::exit;
use rosterd::model::report::Outcome;
use rosterd::model::time::Millis;
use rosterd::sim::{Effect, Fault, Peer};
use rosterd::store::{Snapshot, Store};

const NO_BOTS: &str = "[sync.scope]\nfilter = \"user.department != 'Bots'\"\n";

async fn snapshot(bench: &Bench) -> Snapshot {
    Snapshot::open(&bench.directory.path().join("state")).await.unwrap()
}

/// Lines on record, and how many of them are still true.
async fn told(bench: &Bench) -> (u64, u64) {
    snapshot(bench).await.told_count("default").await.unwrap()
}

/// Who was listed by a run, with the outcome, in the order in which it is told again.
async fn listed(bench: &Bench, run: i64) -> Vec<String> {
    let mut again = snapshot(bench).await.run_again(run).await.unwrap().unwrap();
    let lines = again.records.iter().unwrap().map(|line| line.unwrap());
    lines.map(|line| format!("{} {}", line.user.split('@').next().unwrap(), line.outcome.as_str())).collect()
}

fn hire_bot(bench: &Bench, name: &str) -> rosterd::sim::PersonId {
    bench.hire_with(name, |person| person.department = Some("Bots".to_owned()))
}

#[tokio::test]
async fn a_line_that_changes_ends_its_row_and_one_that_is_gone_leaves_none_open() {
    for bench in [Bench::okta().await, Bench::onelogin().await] {
        let bench = bench.tables(NO_BOTS);
        bench.staff(["ann", "ben"]);
        let bot = hire_bot(&bench, "bot");
        bench.run().await;
        assert_eq!(told(&bench).await, (1, 1));
        for _ in 0..3 {
            bench.assert_quiet().await;
        }
        assert_eq!(told(&bench).await, (1, 1), "quiet runs write no line");
        bench.world().suspend(bot);
        bench.run().await;
        assert_eq!(told(&bench).await, (2, 1), "another reason is another line");
        bench.world().unsuspend(bot);
        bench.world().edit(bot, |person| person.department = Some("People".to_owned()));
        bench.run().await;
        assert_eq!(told(&bench).await, (2, 0), "whoever has an account has no line");
        assert_eq!(listed(&bench, 1).await, ["ann applied", "ben applied", "bot skipped"]);
        for run in [2, 3, 4, 5] {
            assert_eq!(listed(&bench, run).await, ["bot skipped"], "run {run}");
        }
        assert_eq!(listed(&bench, 6).await, ["bot applied"]);
    }
}

#[tokio::test]
async fn a_run_of_named_people_touches_their_lines_only() {
    let bench = Bench::okta().await.tables(NO_BOTS);
    bench.staff(["ann", "ben"]);
    let [one, two] = ["one", "two"].map(|name| hire_bot(&bench, name));
    bench.run().await;
    for bot in [one, two] {
        bench.world().edit(bot, |person| person.department = Some("People".to_owned()));
    }
    bench.run_for(&["one"]).await;
    assert_eq!(told(&bench).await, (2, 1));
    bench.run_for(&["ann"]).await;
    assert_eq!(told(&bench).await, (2, 1), "somebody without a line has none");
    bench.world().edit(two, |person| person.department = Some("Bots".to_owned()));
    bench.run_for(&["two"]).await;
    assert_eq!(told(&bench).await, (2, 1), "the same line");
    assert_eq!(listed(&bench, 2).await, ["one applied"]);
    assert_eq!(listed(&bench, 3).await, Vec::<String>::new());
    assert_eq!(listed(&bench, 4).await, ["two skipped"]);
}

#[tokio::test]
async fn neither_a_dry_run_nor_one_that_could_not_read_says_that_a_line_is_no_more() {
    let bench = Bench::okta().await.tables(NO_BOTS);
    bench.staff(["ann", "ben"]);
    let bot = hire_bot(&bench, "bot");
    bench.run().await;
    bench.world().edit(bot, |person| person.department = Some("People".to_owned()));
    bench.dry().await;
    assert_eq!(told(&bench).await, (1, 1));
    let broken = Effect::answer(500, "application/json", "{}");
    bench.sim.faults().add(Fault::on(Peer::Okta).path("/users").then(broken));
    assert_eq!(bench.run().await.code, exit::SOURCE);
    bench.sim.faults().clear();
    assert_eq!(told(&bench).await, (1, 1));
    assert_eq!(listed(&bench, 2).await, Vec::<String>::new(), "it listed nobody");
    let known = snapshot(&bench).await.explained("default", &mail("bot"), Millis::now()).await.unwrap();
    let line = known.people[0].told.as_ref().unwrap();
    assert_eq!((line.first_run, line.record.outcome), (1, Outcome::Skipped));
    assert_eq!(known.last_read.unwrap().run, 1, "only a complete read is one");
}

#[tokio::test]
async fn thousands_of_lines_are_kept_compared_and_ended() {
    let bench = Bench::okta().await.tables(NO_BOTS);
    bench.staff(["ann", "ben"]);
    let bots: Vec<_> = (0..4100).map(|number| hire_bot(&bench, &format!("bot{number}"))).collect();
    bench.run().await;
    assert_eq!(told(&bench).await, (4100, 4100));
    bench.run().await;
    assert_eq!(told(&bench).await, (4100, 4100));
    bots.iter().skip(50).for_each(|bot| bench.world().unassign(*bot));
    bench.run().await;
    assert_eq!(told(&bench).await, (4100, 50));
    assert_eq!(listed(&bench, 2).await.len(), 4100);
    assert_eq!(listed(&bench, 3).await.len(), 50);
}

#[tokio::test]
async fn one_persons_lines_can_be_erased_and_old_ones_forgotten() {
    let bench = Bench::okta().await.tables(NO_BOTS);
    bench.staff(["ann", "ben"]);
    let [one, two] = ["one", "two"].map(|name| hire_bot(&bench, name));
    bench.run().await;
    bench.world().suspend(one);
    bench.world().suspend(two);
    bench.run_for(&["one", "two"]).await;
    assert_eq!(told(&bench).await, (4, 2));
    let store = Store::open(&bench.directory.path().join("state"), false).await.unwrap();
    assert_eq!(store.erase_told("default", &bench.source_id(one)).await.unwrap(), 2);
    assert_eq!(store.prune_told(2).await.unwrap(), 1, "only what had ended");
    assert_eq!(store.prune_told(2).await.unwrap(), 0);
    store.close().await.unwrap();
    assert_eq!(told(&bench).await, (1, 1));
    assert_eq!(listed(&bench, 2).await, ["two skipped"]);
    let known = snapshot(&bench).await.explained("default", &mail("one"), Millis::now()).await.unwrap();
    assert!(known.people.is_empty(), "nothing is left of somebody who was erased");
}

#[tokio::test]
async fn somebody_is_known_by_mail_by_an_earlier_login_and_by_nearly_the_same_spelling() {
    let bench = Bench::okta()
        .await
        .tables("[sync.attributes]\nuserName = \"'u-' ~ user.email\"\n[sync.lifecycle]\ncreate = true\n");
    let ann = bench.hire("ann");
    bench.begin().await;
    let id = bench.source_id(ann);
    for who in [mail("ann"), mail("u-ann"), mail("U-ANN"), id.to_string()] {
        let known = snapshot(&bench).await.explained("default", &who, Millis::now()).await.unwrap();
        assert_eq!(known.people.len(), 1, "{who}");
        assert_eq!(known.people[0].source_id, id, "{who}");
    }
    bench.world().rename(ann, &mail("anna"));
    bench.run().await;
    for who in [mail("ann"), mail("u-ann")] {
        let known = snapshot(&bench).await.explained("default", &who, Millis::now()).await.unwrap();
        let found: Vec<_> = known.people.iter().map(|person| person.source_id.clone()).collect();
        let expected = if who.starts_with("u-") { vec![id.clone()] } else { Vec::new() };
        assert_eq!(found, expected, "{who}");
    }
    let known = snapshot(&bench).await.explained("default", &mail("u-anma"), Millis::now()).await.unwrap();
    assert_eq!(known.similar, [mail("u-anna")]);
}
