//! Whole pages, as people read them.

use crate::support::{Access, Ran, Stage, without_spans};
use insta::assert_snapshot;
use serde_json::json;

/// The page without what differs from run to run.
fn page(stage: &Stage, ran: &Ran) -> String {
    without_spans(&stage.redact(&ran.stdout)).trim_end().to_owned()
}

#[test]
fn why_somebody_who_is_not_assigned_has_no_account() {
    let stage = Stage::new();
    stage.sim.world().hire("zed@acme.example", |person| {
        person.first_name = Some("Zed".to_owned());
        person.last_name = Some("Example".to_owned());
    });
    stage.sim.world().add_account(&json!({"userName": "zed@acme.example", "active": true}));
    stage.hire("Ann", "Engineer");
    stage.reconcile();
    let ran = stage.run(&["explain", "zed@acme.example"]).exits(0);
    assert_snapshot!(page(&stage, &ran), @r#"
    sync "default": both sides asked now; nothing was written
      last read           run 1 at [time] ([ago]), complete, 1 person

    zed@acme.example (00uPyp3m6VZytJwZ2gOG) has no account: not assigned to the app in Okta
    What to do
      - assign this person to the app (0oawk5V6pvIyACwyp47w) in Okta, directly or by a group that has it; the next run then creates, takes over or reactivates the account
    At the source (Okta app 0oawk5V6pvIyACwyp47w)
      status              ACTIVE
      user.email          "zed@acme.example"
      user.familyName     "Example"
      user.givenName      "Zed"
      user.userName       "zed@acme.example"
      lifecycle           active: Okta says ACTIVE; a locked account or an expired password stays active
      assignment          not assigned: Okta says that the person is no user of app 0oawk5V6pvIyACwyp47w
      scope               in: there is no scope.filter, so everybody is in
    Link
      account             none is linked to this person
    At the target ([scim])
      not taken  3d41bf49-5cd3-475f-b010-c70c013e27ec (zed@acme.example), active, by userName: nobody manages it: rosterd leaves accounts alone that it neither made nor took over, and this person does not qualify for one
    Attributes
      not sent            nothing is sent for this person
      not sent   userName = "zed@acme.example"  <- user.userName
      not sent   name.givenName = "Zed"  <- user.givenName
      not sent   name.familyName = "Example"  <- user.familyName
      not sent   emails[primary eq true].value = "zed@acme.example"  <- user.email
      not sent   externalId = "00uPyp3m6VZytJwZ2gOG"  <- user.id
      omitted    title, phoneNumbers[primary eq true].value, organization, department: the source has nothing; what an account has there is left alone
    What a run does
      situation           gone
      action              skip: left, and has no account of ours
    Guards
      seats               1 billable
    "#);
}

#[test]
fn what_is_on_record_of_somebody_whose_removal_is_held() {
    let stage = Stage::with(Access::OktaToken, "guard.approval = [\"deactivate\"]");
    let ann = stage.hire("Ann", "Engineer");
    stage.reconcile();
    stage.hire("Ben", "Engineer");
    stage.reconcile();
    stage.sim.world().unassign(ann);
    stage.run(&["--reconcile-now"]).exits(4);
    let ran = stage.run(&["explain", "ann@acme.example", "--offline"]).exits(0);
    assert_snapshot!(page(&stage, &ran), @r#"
    sync "default": from stored data; nobody was asked
      last read           run 3 at [time] ([ago]), complete, 1 person

    ann@acme.example (00uPyp3m6VZytJwZ2gOG) has an active account: no longer assigned to the app; the deactivate waits for an approval in h1: guard.approval lists deactivate; access is to end since [time]: waits for an approval
    What to do
      - `rosterd approve h1@1` releases the deactivate with everybody else in h1; `rosterd reject h1` drops it
      - `rosterd keep 00uPyp3m6VZytJwZ2gOG --for 30d` keeps the account although this person left, for that cause alone
    At the source (Okta app 0oawk5V6pvIyACwyp47w)
      record              not stored; without --offline it is read
    Link
      account             3d41bf49-5cd3-475f-b010-c70c013e27ec (ann@acme.example), active, takes a seat
      not listed          by complete reads since [time]
    At the target ([scim])
      accounts            nobody looked; without --offline it is read
    Attributes, as far as they were sent or wait to be
      kept       userName = "ann@acme.example"  <- user.userName
      kept       name.givenName = "Ann"  <- user.givenName
      kept       name.familyName = "Example"  <- user.familyName
      kept       emails[primary eq true].value = "ann@acme.example"  <- user.email
      kept       title = "Engineer"  <- user.title
      kept       externalId = "00uPyp3m6VZytJwZ2gOG"  <- user.id
      omitted    phoneNumbers[primary eq true].value, organization, department: nothing was sent for it yet
    What a run does
      told by             run 3, still true [ago]
      situation           leaver
      action              deactivate: no longer assigned to the app
      outcome             held
        active: true -> false
      held                guard.approval lists deactivate
    Guards
      held in h1          deactivate, waits for approval since [time], until [time]
                          guard.approval lists deactivate
      seats               2 billable
    Owed
      removal             removal since [time] (unassigned): waits for an approval: guard.approval lists deactivate
        changed by        rosterd approve h1@1
    Tried last
      [time]  create      ann@acme.example  applied (201)  run 1 of sync "default"
          assigned and has no account; person 00uPyp3m6VZytJwZ2gOG, account 3d41bf49-5cd3-475f-b010-c70c013e27ec
            emails[primary eq true].value: "ann@acme.example"
            externalId: "00uPyp3m6VZytJwZ2gOG"
            name.familyName: "Example"
            name.givenName: "Ann"
            title: "Engineer"
            userName: "ann@acme.example"
    "#);
}

#[test]
fn what_the_next_run_changes_and_what_the_workspace_does_not_keep() {
    let stage = Stage::new();
    stage.sim.scim(|habits| habits.drops = vec!["title".to_owned()]);
    let ann = stage.hire("Ann", "Engineer");
    stage.reconcile();
    stage.sim.world().edit(ann, |person| person.last_name = Some("Married".to_owned()));
    let ran = stage.run(&["explain", "ann@acme.example"]).exits(0);
    assert_snapshot!(page(&stage, &ran), @r#"
    sync "default": both sides asked now; nothing was written
      last read           run 1 at [time] ([ago]), complete, 1 person

    ann@acme.example (00uPyp3m6VZytJwZ2gOG) has an active account: name.familyName differs; the next run sends the update
    What to do
      - nothing: the next run does it; `rosterd --reconcile-now --user 00uPyp3m6VZytJwZ2gOG` does it at once
    At the source (Okta app 0oawk5V6pvIyACwyp47w)
      status              ACTIVE
      user.email          "ann@acme.example"
      user.familyName     "Married"
      user.givenName      "Ann"
      user.title          "Engineer"
      user.userName       "ann@acme.example"
      assigned since      [time]
      lifecycle           active: Okta says ACTIVE; a locked account or an expired password stays active
      assignment          assigned: Okta shows the person as a user of app 0oawk5V6pvIyACwyp47w
      scope               in: there is no scope.filter, so everybody is in
    Link
      account             3d41bf49-5cd3-475f-b010-c70c013e27ec (ann@acme.example), active, takes a seat
      remembered          title ignored: sent "Engineer"
    At the target ([scim])
      linked     3d41bf49-5cd3-475f-b010-c70c013e27ec (ann@acme.example), active: it is what this person has
    Attributes
      kept       userName = "ann@acme.example"  <- user.userName
      kept       name.givenName = "Ann"  <- user.givenName
      sent       name.familyName = "Married"  <- user.familyName: the account has Example
      kept       emails[primary eq true].value = "ann@acme.example"  <- user.email
      ignored    title = "Engineer"  <- user.title: the target took it and shows nothing; not sent again until it changes
      kept       externalId = "00uPyp3m6VZytJwZ2gOG"  <- user.id
      omitted    phoneNumbers[primary eq true].value, organization, department: the source has nothing; what an account has there is left alone
    What a run does
      situation           confirmed
      action              update: name.familyName differs
      outcome             planned
        name.familyName: "Example" -> "Married"
    Guards
      seats               1 billable
    Tried last
      [time]  create      ann@acme.example  applied (201)  run 1 of sync "default"
          assigned and has no account; person 00uPyp3m6VZytJwZ2gOG, account 3d41bf49-5cd3-475f-b010-c70c013e27ec
            emails[primary eq true].value: "ann@acme.example"
            externalId: "00uPyp3m6VZytJwZ2gOG"
            name.familyName: "Example"
            name.givenName: "Ann"
            title: "Engineer"
            userName: "ann@acme.example"
          ignored by the target: title
    "#);
}
