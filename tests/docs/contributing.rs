//! CONTRIBUTING.md: the tests that it lists are those that are there, its commands can be given, its rules are those that
//! are held.

use std::collections::BTreeSet;
use std::fs;

use crate::commands::{arguments, lines, names_what_is_there};
use crate::pages::{page, root, text_of};

#[test]
fn everything_in_tests_is_told_of() {
    let entries = fs::read_dir(root().join("tests")).unwrap().map(|entry| entry.unwrap().file_name());
    let there: BTreeSet<String> = entries.map(|name| format!("tests/{}", name.to_str().unwrap())).collect();
    let told: BTreeSet<String> = page("CONTRIBUTING.md")
        .inline_code()
        .into_iter()
        .filter(|code| code.strip_prefix("tests/").is_some_and(|rest| !rest.contains('/')))
        .collect();
    assert_eq!(told, there);
}

#[test]
fn every_command_can_be_given() {
    let page = page("CONTRIBUTING.md");
    let prose =
        page.inline_code().into_iter().filter(|code| code.starts_with("cargo ") || code.starts_with("bash "));
    let mut tests = 0;
    for line in lines(&page).into_iter().chain(prose) {
        let words: Vec<&str> = line.split_whitespace().collect();
        match words.as_slice() {
            ["cargo", "test", "--test", name, ..] => {
                let test = root().join("tests").join(name);
                assert!(test.join("main.rs").exists() || test.with_extension("rs").exists(), "{line}");
                tests += 1;
            }
            ["cargo", "bench", "--bench", name] => {
                assert!(root().join(format!("benches/{name}.rs")).exists(), "{line}");
            }
            ["cargo", "bench", "--profile", profile, "--bench", name] => {
                assert!(text_of("Cargo.toml").contains(&format!("[profile.{profile}]")), "{line}");
                assert!(root().join(format!("benches/{name}.rs")).exists(), "{line}");
            }
            ["cargo", "fmt"] | ["cargo", "clippy", "--all-targets"] => {}
            ["bash", scripts @ ..] => {
                scripts.iter().for_each(|script| assert!(root().join(script).exists(), "{line}"));
            }
            _ if arguments(&line).is_some() => {}
            _ => names_what_is_there(&line),
        }
    }
    assert!(tests > 2);
}

#[test]
fn the_paths_that_it_names_are_there() {
    for name in ["CONTRIBUTING.md", "SECURITY.md"] {
        for code in page(name).inline_code() {
            let is_path =
                ["src/", "tests/", "docs/", "contrib/", ".ci/"].iter().any(|start| code.starts_with(start));
            assert!(!is_path || root().join(&code).exists(), "{name}: {code}");
        }
    }
}

#[test]
fn the_lengths_are_those_that_are_held() {
    let (told, rules) = (text_of("CONTRIBUTING.md"), text_of("tests/tidy/main.rs"));
    for (rule, words) in [
        ("LONGEST_FILE: usize = 600;", "at most 600 lines"),
        ("LONGEST_FUNCTION: usize = 70;", "at most 70 lines"),
    ] {
        assert!(rules.contains(rule) && told.contains(words), "{rule}");
    }
}
