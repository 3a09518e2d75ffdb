//! Every block of TOML is a configuration that is accepted, whole or as a piece of one.

use std::path::Path;

use rosterd::config::{self, Config, Environment};

use crate::pages::{page, pages, text_of};

const SOURCE: &str =
    "[sync.source]\nkind = \"okta\"\nurl = \"https://acme.okta.com\"\napp_id = \"0oa1b2c3d4\"\n";
const LOGIN: &str = "api_token = { file = \"/etc/rosterd/okta.token\" }\n";
const TARGET: &str = "[sync.target]\nurl = \"https://workspace.example/scim/v2\"\n\
                      token = { file = \"/etc/rosterd/workspace.token\" }\n";

/// A whole file around a piece: whatever it does not say itself is added.
fn whole(piece: &str) -> String {
    if piece.contains("[[sync]]") {
        return piece.to_owned();
    }
    if piece.starts_with("oauth") || piece.starts_with("api_token") {
        return format!("[[sync]]\n{SOURCE}{piece}{TARGET}");
    }
    let mut text = String::new();
    let (before, rest) = if piece.starts_with("[daemon]") { (piece, "") } else { ("", piece) };
    text.push_str(before);
    text.push_str("[[sync]]\n");
    text.push_str(rest);
    if !rest.contains("[sync.source]") {
        text.push_str(SOURCE);
        text.push_str(LOGIN);
    }
    if !rest.contains("[sync.target]") {
        text.push_str(TARGET);
    }
    text
}

fn parse(text: &str) -> Result<Config, String> {
    // A placeholder is right in a text, and refused in a file that is used.
    let text = text.replace("REPLACE-WITH-THE-SCIM-BASE-URL", "scim");
    config::parse(&text, Path::new("config.toml"), &Environment::fixed([("", ""); 0]))
        .map_err(|errors| errors.to_string())
}

#[test]
fn every_block_of_configuration_is_accepted() {
    let mut seen = 0;
    for page in pages() {
        for block in page.blocks_of("toml") {
            seen += 1;
            if let Err(errors) = parse(&whole(&block)) {
                panic!("{}:\n{errors}\n{block}", page.path.display());
            }
        }
    }
    assert!(seen > 20, "only {seen}");
}

#[test]
fn a_piece_with_a_mistake_would_be_noticed() {
    for piece in
        ["[sync.guard]\nmax_removal = 3\n", "[daemon]\nlisten = 3\n", "oauth = { client_id = \"0oa\" }\n"]
    {
        assert!(parse(&whole(piece)).is_err(), "{piece}");
    }
}

#[test]
fn the_recipes_do_what_they_say() {
    let recipes = page("docs/recipes.md").blocks_of("toml");
    let find = |word: &str| recipes.iter().find(|block| block.contains(word)).unwrap();
    let config = |word: &str| parse(&whole(find(word))).unwrap();
    let two = config("subsidiary");
    assert_eq!(two.syncs.len(), 2);
    assert_eq!(two.syncs[0].target.url, two.syncs[1].target.url);
    let scope = config("Contractors");
    assert!(scope.syncs[0].scope.filter.is_some() && scope.syncs[0].scope.domains.len() == 2);
    let types = config("Wrike Collaborators").syncs[0].user_type.clone().unwrap();
    assert_eq!((types.groups.len(), types.default.as_str()), (2, "Regular"));
    let private = config("ca_file");
    assert!(private.syncs[0].source.proxy.is_some() && private.syncs[0].target.ca_file.is_some());
    assert_eq!(config("breakglass").syncs[0].guard.protected.written().len(), 3);
    let operating = page("docs/operating.md").blocks_of("toml");
    let told = operating.iter().find(|block| block.contains("9464")).unwrap();
    let daemon = parse(&whole(told)).unwrap().daemon;
    assert!(daemon.listen.is_some() && daemon.notify.is_some() && daemon.dead_man.is_some());
}

#[test]
fn blocks_of_other_languages_are_well_formed() {
    let known = ["sh", "console", "text", "toml", "yaml", "ini"];
    for page in pages() {
        for block in page.blocks() {
            let place = page.path.display();
            assert!(known.contains(&block.language.as_str()), "{place}: {}", block.language);
            match block.language.as_str() {
                "yaml" => {
                    yaml_rust2::YamlLoader::load_from_str(&block.text)
                        .unwrap_or_else(|error| panic!("{place}: {error}"));
                }
                "ini" => {
                    for line in block.text.lines() {
                        let section = line.starts_with('[') && line.ends_with(']');
                        assert!(section || line.split_once('=').is_some(), "{place}: {line}");
                    }
                }
                _ => {}
            }
        }
    }
}

#[test]
fn expressions_in_the_prose_are_valid() {
    let mut seen = 0;
    for page in pages() {
        for code in page.inline_code().iter().filter(|code| code.contains(" is defined")) {
            seen += 1;
            let piece = format!("[sync.scope]\nfilter = \"{code}\"\n");
            assert!(parse(&whole(&piece)).is_ok(), "{}: {code}", page.path.display());
        }
    }
    assert!(seen > 0 && text_of("config.toml.example").contains("filter"));
}
