//! The Dockerfile, held to its rules without a container engine.

use crate::text_of;
use std::collections::BTreeSet;

/// An instruction and its arguments, continuation lines joined.
fn instructions(dockerfile: &str) -> Vec<(String, String)> {
    let joined = dockerfile
        .lines()
        .filter(|line| !line.trim_start().starts_with('#'))
        .collect::<Vec<_>>()
        .join("\n")
        .replace("\\\n", " ");
    let split = |line: &str| {
        let (name, rest) = line.trim().split_once(' ')?;
        Some((name.to_uppercase(), rest.split_whitespace().collect::<Vec<_>>().join(" ")))
    };
    joined.lines().filter_map(split).collect()
}

/// What is wrong with it.
fn findings(dockerfile: &str) -> Vec<String> {
    let all = instructions(dockerfile);
    let mut found = Vec::new();
    let mut stages = BTreeSet::new();
    for (name, rest) in &all {
        match name.as_str() {
            "FROM" => {
                let words: Vec<&str> = rest.split(' ').collect();
                let image = words[0];
                let tag = image.rsplit('/').next().and_then(|last| last.split_once(':')).map(|(_, tag)| tag);
                let pinned = image.contains("@sha256:") || tag.is_some_and(|tag| tag != "latest");
                if !pinned && image != "scratch" && !stages.contains(image) {
                    found.push(format!("{image} has no tag of its own"));
                }
                if let [_, "AS" | "as", stage] = words.as_slice() {
                    stages.insert((*stage).to_owned());
                }
            }
            "ADD" => found.push("ADD fetches and unpacks on its own; COPY does not".to_owned()),
            "ENTRYPOINT" | "CMD" | "VOLUME" if !is_list(rest) => {
                found.push(format!("{name} is run by a shell"))
            }
            "HEALTHCHECK" if !rest.split_once("CMD ").is_some_and(|(_, command)| is_list(command)) => {
                found.push("HEALTHCHECK is run by a shell".to_owned());
            }
            "ENV" | "ARG" => {
                let secret =
                    |word: &str| ["TOKEN", "SECRET", "PASSWORD", "KEY"].iter().any(|is| word.contains(is));
                let names = rest.split(' ').filter_map(|pair| pair.split('=').next());
                found
                    .extend(names.filter(|name| secret(name)).map(|name| format!("{name} stays in a layer")));
            }
            _ => {}
        }
    }
    let last = all.iter().rposition(|(name, _)| name == "FROM").unwrap_or_default();
    let user = all[last..].iter().rfind(|(name, _)| name == "USER").map(|(_, user)| user.as_str());
    // Kubernetes can tell that a number is not root; of a name it cannot.
    match user.map(|user| user.split(':').next().unwrap_or_default().parse::<u32>()) {
        Some(Ok(1..)) => {}
        Some(Ok(0) | Err(_)) | None => found.push("USER of the last stage is no number, or root".to_owned()),
    }
    found
}

fn is_list(text: &str) -> bool {
    serde_json::from_str::<Vec<String>>(text).is_ok_and(|words| !words.is_empty())
}

fn value(dockerfile: &str, wanted: &str) -> String {
    let found = instructions(dockerfile).into_iter().rfind(|(name, _)| name == wanted);
    found.unwrap_or_else(|| panic!("no {wanted}")).1
}

#[test]
fn the_image_keeps_the_rules() {
    assert_eq!(findings(&text_of("contrib/Dockerfile")), [""; 0]);
}

#[test]
fn each_rule_finds_what_breaks_it() {
    let good = "FROM a:1 AS b\nFROM b\nUSER 1000\nENTRYPOINT [\"/x\"]\n";
    assert_eq!(findings(good), [""; 0]);
    for (from, to, finding) in [
        ("a:1", "a", "a has no tag of its own"),
        ("a:1", "r:5000/a:latest", "r:5000/a:latest has no tag of its own"),
        ("USER 1000", "USER root", "USER of the last stage is no number, or root"),
        ("USER 1000", "USER 0:0", "USER of the last stage is no number, or root"),
        ("USER 1000", "ADD https://x /x\nUSER 1", "ADD fetches and unpacks on its own; COPY does not"),
        ("[\"/x\"]", "/x", "ENTRYPOINT is run by a shell"),
        ("USER 1000", "USER 1\nHEALTHCHECK CMD x", "HEALTHCHECK is run by a shell"),
        ("USER 1000", "USER 1\nENV A=1 \\\n OKTA_TOKEN=x", "OKTA_TOKEN stays in a layer"),
    ] {
        assert_eq!(findings(&good.replace(from, to)), [finding], "{to}");
    }
}

#[test]
fn the_image_runs_the_daemon_with_its_state_in_a_volume() {
    let dockerfile = text_of("contrib/Dockerfile");
    assert_eq!(value(&dockerfile, "ENTRYPOINT"), r#"["/usr/bin/rosterd"]"#);
    assert_eq!(value(&dockerfile, "CMD"), r#"["daemon"]"#);
    assert_eq!(value(&dockerfile, "VOLUME"), r#"["/var/lib/rosterd"]"#);
    assert!(value(&dockerfile, "ENV").contains("STATE_DIRECTORY=/var/lib/rosterd"));
}

#[test]
fn the_image_is_built_with_the_compiler_that_the_manifest_asks_for() {
    let manifest: toml::Table = text_of("Cargo.toml").parse().unwrap();
    let version = manifest["package"]["rust-version"].as_str().unwrap();
    let dockerfile = text_of("contrib/Dockerfile");
    let (_, build) = instructions(&dockerfile).into_iter().find(|(name, _)| name == "FROM").unwrap();
    assert!(build.starts_with(&format!("rust:{version}-")), "{build}");
}

#[test]
fn only_what_is_copied_gets_into_the_build() {
    let ignored = text_of("contrib/Dockerfile.dockerignore");
    let mut rules = ignored.lines().filter(|line| !line.starts_with('#') && !line.is_empty());
    assert_eq!(rules.next(), Some("*"));
    let let_in: BTreeSet<&str> = rules.map(|rule| rule.strip_prefix('!').unwrap()).collect();
    let dockerfile = text_of("contrib/Dockerfile");
    let mut copied = BTreeSet::new();
    for (_, rest) in instructions(&dockerfile).into_iter().filter(|(name, _)| name == "COPY") {
        if !rest.starts_with("--from=") {
            let mut words: Vec<String> = rest.split(' ').map(str::to_owned).collect();
            words.pop();
            copied.extend(words);
        }
    }
    assert_eq!(let_in, copied.iter().map(String::as_str).collect());
}

#[test]
fn unit_and_image_give_malloc_the_same_settings() {
    let unit = text_of("systemd/rosterd.service");
    let unit = unit.lines().filter_map(|line| line.strip_prefix("Environment="));
    let image = instructions(&text_of("contrib/Dockerfile"));
    let image = image.iter().filter(|(name, _)| name == "ENV").map(|(_, pairs)| pairs.as_str());
    let malloc = |pairs: &mut dyn Iterator<Item = &str>| -> BTreeSet<String> {
        let pairs = pairs.flat_map(str::split_whitespace).map(str::to_owned);
        pairs.filter(|pair| pair.starts_with("MALLOC_") || pair.starts_with("GLIBC_TUNABLES=")).collect()
    };
    let of_unit = malloc(&mut unit.into_iter());
    assert_eq!(of_unit.len(), 5, "{of_unit:?}");
    assert_eq!(of_unit, malloc(&mut image.into_iter()));
}
