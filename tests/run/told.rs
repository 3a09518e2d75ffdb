//! What is kept of people for whom nothing is done: one row for as long as a line stays the same.

use crate::support::{Bench, mail};
use rosterd::exit;
use rosterd::model::id::SourceId;
use rosterd::model::report::{ActionRecord, Outcome, Trigger};
use rosterd::model::time::Millis;
use rosterd::sim::{Effect, Fault, Peer};
use rosterd::spool::Spool;
use rosterd::store::{LineScope, Snapshot, Store, Tenure};

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
async fn one_persons_lines_can_be_erased() {
    let bench = Bench::okta().await.tables(NO_BOTS);
    bench.staff(["ann", "ben"]);
    let [one, two] = ["one", "two"].map(|name| hire_bot(&bench, name));
    bench.run().await;
    bench.world().suspend(one);
    bench.world().suspend(two);
    bench.run_for(&["one", "two"]).await;
    assert_eq!(told(&bench).await, (4, 2));
    let store = Store::open(&bench.directory.path().join("state"), false).await.unwrap();
    let syncs = vec!["default".to_owned()];
    let erased = store.erase(&bench.source_id(one), syncs, "uid 7", Millis::now()).await.unwrap().unwrap();
    assert!(erased.others >= 2, "{erased:?}");
    assert_eq!(told(&bench).await, (2, 1));
    store.close().await.unwrap();
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

#[tokio::test]
async fn held_people_keep_their_rows_while_the_words_of_the_guard_change() {
    let mut bench = Bench::okta().await.tables("[sync.guard]\nmax_creates = 10\n");
    bench.trigger = Some(rosterd::model::report::Trigger::Watch);
    bench.staff(["ann", "ben"]);
    bench.begin().await;
    bench.unattended = true;
    for number in 0..40 {
        bench.hire(&format!("new{number}"));
    }
    let first = bench.run().await;
    let before = first.of("new7").detail.clone().unwrap();
    assert_eq!(told(&bench).await, (40, 40), "{first:?}");
    for other in ["cleo", "dan", "eve"] {
        bench.hire(other);
        assert_eq!(bench.run_for(&[other]).await.facts.summary.create, 1);
        let ended = bench.run().await;
        let now = ended.of("new7").detail.clone().unwrap();
        assert_ne!(now, before, "the words are others now");
        assert_eq!(told(&bench).await, (40, 40), "and the rows are the same");
        let known = snapshot(&bench).await.explained("default", &mail("new7"), Millis::now()).await.unwrap();
        let line = known.people[0].told.as_ref().unwrap();
        assert_eq!((line.first_run, &line.record.detail), (first.facts.run.unwrap(), &Some(now)));
    }
    assert_eq!(listed(&bench, first.facts.run.unwrap()).await.len(), 40);
}

#[tokio::test]
async fn a_joiner_who_was_read_while_the_workspace_was_down_is_not_called_unassigned() {
    let bench = Bench::okta().await;
    bench.staff(["ann", "ben"]);
    bench.begin().await;
    let known = snapshot(&bench).await.explained("default", &mail("zoe"), Millis::now()).await.unwrap();
    let read = known.last_read.unwrap().run;
    assert_eq!(known.untold_read, None);
    bench.hire("zoe");
    let down = Effect::answer(503, "text/html", "<html>down</html>");
    bench.sim.faults().add(Fault::on(Peer::Scim).then(down));
    let ended = bench.run().await;
    assert_eq!(ended.code, exit::TARGET, "{ended:?}");
    assert!(ended.facts.source.complete, "{ended:?}");
    bench.sim.faults().clear();
    let known = snapshot(&bench).await.explained("default", &mail("zoe"), Millis::now()).await.unwrap();
    let untold = known.untold_read.unwrap();
    assert_eq!((known.last_read.unwrap().run, untold.run), (read, ended.facts.run.unwrap()));
    assert!(!untold.of_some && untold.problem.is_some(), "{untold:?}");
    bench.run().await;
    let known = snapshot(&bench).await.explained("default", &mail("zoe"), Millis::now()).await.unwrap();
    assert_eq!(known.untold_read, None, "the next run told of everybody");
}

/// A state in which run 1 skipped a bot, and what runs that overlap note there.
struct Overlap {
    store: Store,
    tenure: Tenure,
    line: ActionRecord,
}

impl Overlap {
    async fn new(bench: &Bench) -> Overlap {
        bench.staff(["ann", "ben"]);
        hire_bot(bench, "bot");
        let line = bench.run().await.of("bot").clone();
        let store = Store::open(&bench.directory.path().join("state"), false).await.unwrap();
        let tenure = store.tenure("default").await.unwrap();
        Overlap { store, tenure, line }
    }

    fn person(&self) -> SourceId {
        self.line.source_id.clone().unwrap()
    }

    fn these(&self) -> LineScope {
        LineScope::These([self.person()].into())
    }

    fn line(&self, reason: &str) -> ActionRecord {
        ActionRecord { reason: reason.to_owned(), ..self.line.clone() }
    }

    async fn begin(&self, full: bool) -> i64 {
        self.store.begin_run(&self.tenure, Trigger::Manual, full, false, Millis::now()).await.unwrap()
    }

    async fn note(&self, run: i64, of: LineScope, lines: &[ActionRecord]) {
        let mut records = Spool::default();
        lines.iter().for_each(|line| records.push(line).map(|_| ()).unwrap());
        self.store.record_lines(&self.tenure, run, of, &mut records).await.unwrap();
    }

    /// The reasons that a run is repeated with.
    async fn reasons(&self, run: i64) -> Vec<String> {
        let mut again = self.store.snapshot().run_again(run).await.unwrap().unwrap();
        assert!(again.whole);
        again.records.iter().unwrap().map(|line| line.unwrap().reason).collect()
    }

    /// The run that first told what is still true, and its reason.
    async fn now(&self) -> Option<(i64, String)> {
        let known =
            self.store.snapshot().stored("default", vec![self.person()], Millis::now()).await.unwrap();
        known.people[0].told.as_ref().map(|told| (told.first_run, told.record.reason.clone()))
    }
}

#[tokio::test]
async fn an_older_full_run_lists_the_line_that_a_newer_run_told_first() {
    let bench = Bench::okta().await.tables(NO_BOTS);
    let state = Overlap::new(&bench).await;
    let (full, newer) = (state.begin(true).await, state.begin(false).await);
    state.note(newer, state.these(), &[state.line("b")]).await;
    state.note(full, LineScope::Everybody, &[state.line("b")]).await;
    for run in [full, newer] {
        assert_eq!(state.reasons(run).await, ["b"], "run {run}");
    }
    assert_eq!(state.now().await, Some((newer, "b".to_owned())));
    let last = state.begin(true).await;
    state.note(last, LineScope::Everybody, &[state.line("b")]).await;
    assert_eq!(state.reasons(last).await, ["b"]);
    assert_eq!(state.store.snapshot().told_count("default").await.unwrap(), (3, 1));
}

#[tokio::test]
async fn an_older_run_is_repeated_with_its_own_words_and_changes_none_of_a_newer_one() {
    for of_all in [true, false] {
        let bench = Bench::okta().await.tables(NO_BOTS);
        let state = Overlap::new(&bench).await;
        let (older, newer) = (state.begin(of_all).await, state.begin(false).await);
        let was = state.line.reason.clone();
        state.note(newer, state.these(), std::slice::from_ref(&state.line)).await;
        let of = if of_all { LineScope::Everybody } else { state.these() };
        state.note(older, of, &[state.line("a")]).await;
        assert_eq!(state.reasons(older).await, ["a"], "{of_all}");
        for run in [1, newer] {
            assert!(state.reasons(run).await.contains(&was), "{of_all}: run {run}");
        }
        assert_eq!(state.now().await, Some((1, was)), "{of_all}");
    }
}

#[tokio::test]
async fn an_older_run_without_a_line_does_not_end_one_that_a_newer_run_told_again() {
    for (newer_is_full, older_is_full) in [(false, true), (true, false), (true, true)] {
        let bench = Bench::okta().await.tables(NO_BOTS);
        let state = Overlap::new(&bench).await;
        let (older, newer) = (state.begin(older_is_full).await, state.begin(newer_is_full).await);
        let of = |all| if all { LineScope::Everybody } else { state.these() };
        state.note(newer, of(newer_is_full), std::slice::from_ref(&state.line)).await;
        state.note(older, of(older_is_full), &[]).await;
        assert_eq!(state.now().await, Some((1, state.line.reason.clone())));
        assert_eq!(state.reasons(newer).await, vec![state.line.reason.clone()]);
        let last = state.begin(true).await;
        state.note(last, LineScope::Everybody, &[]).await;
        assert_eq!(state.now().await, None);
    }
}
