//! API tokens and service apps: keys, DPoP, tokens that end, clocks that are off, refusals.

use crate::organization;
use crate::source_support::{
    End, Secrets, connect, end_of, okta_config, okta_oauth_config, on, pacers, read, secrets,
};
use rosterd::config::Dpop;
use rosterd::sim::{Effect, Fault, KeyKind, Peer, Sim, html_page};
use rosterd::source::Source;
use rosterd::{config, sim};
use std::collections::BTreeSet;

#[tokio::test]
async fn a_service_app_logs_in_with_either_key_and_whatever_dpop_is_wanted() {
    let combinations = [
        (KeyKind::Rs256, sim::Dpop::Off, Dpop::Auto),
        (KeyKind::Es256, sim::Dpop::Off, Dpop::Off),
        (KeyKind::Es256, sim::Dpop::Optional, Dpop::On),
        (KeyKind::Rs256, sim::Dpop::Required, Dpop::Auto),
        (KeyKind::Es256, sim::Dpop::Required, Dpop::On),
    ];
    for (kind, offered, wanted) in combinations {
        for jwk in [false, true] {
            let sim = organization().await;
            sim.okta(|okta| okta.dpop = offered);
            let key = if jwk { sim.okta_private_key_jwk(kind) } else { sim.okta_private_key_pem(kind) };
            let secrets = secrets(&sim);
            secrets.set("OKTA_KEY", key);
            let config = okta_oauth_config(&sim, Some(sim.okta_key_id(kind)), wanted);
            let source = Source::new(&config, &pacers(), secrets.resolve()).unwrap();
            let whole = read(&source).await.unwrap_or_else(|error| panic!("{kind:?} {offered:?}: {error}"));
            assert_eq!(whole.people.len(), 23);
            let requests = sim.requests(Peer::Okta);
            let proofs: Vec<_> = requests.iter().filter_map(|request| request.headers.get("dpop")).collect();
            assert_eq!(proofs.len(), proofs.iter().collect::<BTreeSet<_>>().len(), "a proof is used once");
            let bound = requests
                .iter()
                .filter(|request| request.method == "GET" && request.headers.contains_key("dpop"));
            let expected = if offered == sim::Dpop::Off { 0 } else { 4 };
            assert_eq!(bound.count(), expected, "{kind:?} {offered:?} {wanted:?}");
        }
    }
}

#[tokio::test]
async fn a_repeated_request_carries_a_new_proof() {
    let sim = organization().await;
    sim.okta(|okta| okta.dpop = sim::Dpop::Required);
    sim.faults().add(on(Peer::Okta, "/users").nth(2).then(html_page(503)));
    let whole = read(&connect(&sim, &okta_oauth_config(&sim, None, Dpop::Auto))).await.unwrap();
    assert_eq!(whole.people.len(), 23);
}

#[tokio::test]
async fn a_token_that_ends_in_mid_list_is_fetched_anew_once() {
    for dpop in [sim::Dpop::Off, sim::Dpop::Required] {
        let sim = organization().await;
        sim.okta(|okta| okta.dpop = dpop);
        let source = connect(&sim, &okta_oauth_config(&sim, None, Dpop::Auto));
        let mut reader = source.open().await.unwrap();
        sim.revoke_okta_tokens();
        let mut people = 0;
        while let Some(page) = reader.next().await.unwrap() {
            people += page.identities.len();
            sim.revoke_okta_tokens();
        }
        reader.finish().unwrap();
        assert_eq!(people, 23);
    }
}

#[tokio::test]
async fn a_clock_that_is_an_hour_off_does_not_lock_us_out() {
    for seconds in [4000, -4000] {
        let sim = organization().await;
        sim.okta(|okta| okta.dpop = sim::Dpop::Required);
        sim.world().skew_okta_clock(seconds);
        let read = read(&connect(&sim, &okta_oauth_config(&sim, None, Dpop::Auto))).await;
        assert_eq!(read.unwrap_or_else(|error| panic!("{seconds}: {error}")).people.len(), 23);
    }
}

#[tokio::test]
async fn credentials_that_are_refused_are_told_apart_and_say_what_to_do() {
    type Prepare = fn(&Sim, &mut config::Source);
    let refusals: [(&str, Prepare, &str); 6] = [
        ("a revoked API token", |sim, _| sim.okta(|okta| okta.api_token_valid = false), "E0000011"),
        (
            "an unknown client",
            |sim, config| {
                *config = okta_oauth_config(sim, None, Dpop::Auto);
                sim.okta(|okta| okta.client_id = "0oaOther".to_owned());
            },
            "client_id",
        ),
        (
            "a key id of another key",
            |sim, config| *config = okta_oauth_config(sim, Some("other".to_owned()), Dpop::Auto),
            "key_id",
        ),
        (
            "a scope that was not granted",
            |sim, config| {
                *config = okta_oauth_config(sim, None, Dpop::Auto);
                sim.okta(|okta| okta.granted_scopes.remove("okta.users.read"));
            },
            "okta.users.read",
        ),
        (
            "DPoP switched off where it is required",
            |sim, config| {
                *config = okta_oauth_config(sim, None, Dpop::Off);
                sim.okta(|okta| okta.dpop = sim::Dpop::Required);
            },
            "dpop = \"auto\"",
        ),
        (
            "DPoP demanded where it is not offered",
            |sim, config| *config = okta_oauth_config(sim, None, Dpop::On),
            "Require DPoP",
        ),
    ];
    for (what, prepare, names) in refusals {
        let sim = organization().await;
        let mut config = okta_config(&sim);
        prepare(&sim, &mut config);
        let error = read(&connect(&sim, &config)).await.unwrap_err();
        assert_eq!(end_of(&error), End::Credentials, "{what}: {error}");
        assert!(error.to_string().contains(names) && error.to_string().contains("help:"), "{what}: {error}");
        assert!(!error.to_string().contains("eyJ"), "no token is shown: {error}");
    }
}

#[tokio::test]
async fn a_secret_that_changed_is_read_again_on_a_401() {
    let sim = organization().await;
    let secrets = secrets(&sim);
    secrets.set("OKTA_TOKEN", "00Old");
    let resolve = secrets.resolve();
    let renewed = sim.okta_token();
    let changing = secrets.clone();
    sim.faults()
        .add(Fault::on(Peer::Okta).nth(1).then(Effect::after(move |_| changing.set("OKTA_TOKEN", &renewed))));
    let source = Source::new(&okta_config(&sim), &pacers(), resolve).unwrap();
    assert_eq!(read(&source).await.unwrap().people.len(), 23);
    assert!(matches!(sim.requests(Peer::Okta)[0].status, Some(401)));
}

#[tokio::test]
async fn a_source_whose_secret_is_missing_sends_nothing() {
    let sim = organization().await;
    let source = Source::new(&okta_config(&sim), &pacers(), Secrets::default().resolve()).unwrap();
    let error = read(&source).await.unwrap_err();
    assert_eq!(end_of(&error), End::Credentials);
    assert!(sim.requests(Peer::Okta).is_empty());
}
