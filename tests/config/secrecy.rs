//! Whatever is wrong with a file, what may be a secret in it is not shown.

use proptest::prelude::*;

use super::*;

/// Everything that a program could show of an error.
fn everything(text: &str) -> String {
    match parse(text) {
        Ok(config) => format!("{config:?}"),
        Err(errors) => format!("{errors}\n{}\n{errors:?}\n{errors:#?}", errors.render(true)),
    }
}

/// Files that hold a secret where a person might put one. `§` = the secret.
const FILES: &[&str] = &[
    "[[sync]]\nsource = { kind = \"okta\", url = \"https://acme.okta.com\", app_id = \"0oa1\", api_token = \"§\" }\n",
    "[[sync]]\n[sync.source]\nkind = 1\napi_token = '§'\n[sync.target]\ntoken = '''§'''\n",
    "[[sync]]\n[sync.source]\napi_token = { token = \"§\" }\n",
    "[[sync]]\n[sync.source]\napi_token = { file = \"§\" }\n",
    "[[sync]]\n[sync.source]\napi_token = { file = \"relative/§\", x = 1 }\n",
    "[[sync]]\n[sync.source]\nkind = \"onelogin\"\nclient_secret = [\"§\"]\n",
    "[[sync]]\n[sync.source]\nclient_secret.value = \"§\"\n",
    "[[sync]]\n[sync.source.api_token]\nvalue = \"§\"\nurl = \"§\"\n",
    "[[sync]]\n[sync.source]\noauth = { private_key = \"-----BEGIN PRIVATE KEY-----\\n§\" }\n",
    "[[sync]]\n[sync.source]\noauth = { private_key = \"\"\"\n-----BEGIN PRIVATE KEY-----\n§\n\"\"\", x = 1 }\n",
    "[[sync]]\npassword = \"§\"\nokta_api_key = \"§\"\n",
    "[[sync]]\nauthorization = \"§\" # §\n",
    "[[sync]]\nname = 1 # the token is §\n",
    "[[sync]]\n[sync.target]\nurl = \"https://ann:§@scim.example/\"\n",
    "[[sync]]\n[sync.target]\nurl = \"https://scim.example/?token=§\"\n",
    "[daemon]\ndead_man = \"http://ping.example/§\"\n[[sync]]\n",
    "[daemon]\nnotify = { url = \"http://hooks.example/services/§\", on = [] }\n[[sync]]\n",
    // Nothing is wrong with this one.
    "[daemon]\nnotify.url = \"https://hooks.example/§\"\ndead_man = \"https://ping.example/§\"\n[[sync]]\nsource = { kind = \"okta\", url = \"https://acme.okta.com\", app_id = \"0oa1\", api_token = { env = \"T\" } }\ntarget = { url = \"https://scim.example\", token = { env = \"T\" } }\n",
    // Not TOML at all.
    "§\n",
    "[[sync]]\ntoken = §\n",
    "[[sync]]\ntoken = §==\n",
    "[[sync]]\ntoken = \"§\n",
    "[[sync]]\ntoken: §\n",
    "[[sync]]\ntoken \"§\"\n",
    "[[sync]]\ntoken = ab \"§\"\n",
    "[[sync]]\ntarget = { url = \"https://scim.example\" token = \"§\" }\n",
    "[[sync]]\ntarget = { url = https://scim.example\", token = \"§\" }\n",
    "[[sync]]\ntarget = { url = \"https://scim.example\", token = \"§\"\nname = \"x\"\n",
    "[[sync]]\nprivate_key = \"\"\"\n§\n",
    "[[sync]]\nprivate_key = \"\"\n§\n\"\"\"\n",
    "[[sync]]\napi_token = { env = §\n",
    "[[sync]]\ntoken = \"§\"\ntoken = \"§\"\n",
    "[[sync]]\ntoken = \"\\q§\"\n",
];

proptest! {
    #![proptest_config(ProptestConfig { cases: 64, ..ProptestConfig::default() })]

    #[test]
    fn a_secret_is_never_shown_wherever_it_was_put(
        // Okta's and Wrike's tokens, OneLogin's, base64, and something short and odd.
        secret in "00[A-Za-z0-9_-]{38}|[a-f0-9]{64}|eyJ[A-Za-z0-9]{30}\\.[A-Za-z0-9]{20}|[A-Za-z0-9+]{40}|Zq[a-z]{5}[0-9]{2}[A-Z!$%]{3}",
    ) {
        for file in FILES {
            let text = file.replace('§', &secret);
            let shown = everything(&text);
            prop_assert!(!shown.contains(&secret), "{text}\n{shown}");
            // Nor a good part of it.
            let part: String = secret.chars().skip(2).take(7).collect();
            prop_assert!(!shown.contains(&part), "{text}\n{shown}");
        }
    }

    #[test]
    fn arbitrary_text_is_never_a_panic(text in "\\PC{0,200}|([\\[\\]{}=,.\"'#\\\\ \\n\\r\\t]|[a-z]{1,3}|token|é|\u{feff}){0,60}") {
        let _ = everything(&text);
    }

    #[test]
    fn a_good_file_with_anything_cut_out_or_put_in_is_never_a_panic(
        from in 0_usize..EXAMPLE.len(),
        length in 0_usize..40,
        put in "[\\[\\]{}=,.\"'#\\\\\\n a-z0-9]{0,6}",
    ) {
        let boundary = |at: usize| (at..=EXAMPLE.len()).find(|at| EXAMPLE.is_char_boundary(*at)).unwrap();
        let (from, to) = (boundary(from), boundary((from + length).min(EXAMPLE.len())));
        let _ = everything(&format!("{}{put}{}", &EXAMPLE[..from], &EXAMPLE[to..]));
    }
}

#[test]
fn what_is_no_secret_stays_readable() {
    let text = sync_with("[sync.scope]\nfilter = \"user.department = 'Sales'\"\ndomains = [\"a b\"]");
    let shown = errors(&text).to_string();
    assert!(shown.contains("filter = \"user.department = 'Sales'\""), "{shown}");
    assert!(shown.contains("domains = [\"a b\"]"), "{shown}");
}
