//! Links between the pages, and files and addresses that they name.

use std::path::{Component, Path, PathBuf};

use crate::pages::{Page, page, pages, root, text_of};

/// `..` resolved by name.
fn plain(path: &Path) -> PathBuf {
    let mut plain = PathBuf::new();
    for part in path.components() {
        match part {
            Component::ParentDir => assert!(plain.pop(), "{} leads out", path.display()),
            other => plain.push(other),
        }
    }
    plain
}

#[test]
fn every_link_leads_to_a_file_and_an_anchor_that_are_there() {
    let mut followed = 0;
    let at_root = ["ARCHITECTURE.md", "CONTRIBUTING.md", "SECURITY.md"].map(page);
    for from in pages().into_iter().chain(at_root) {
        for link in from.links() {
            if link.contains("://") {
                assert!(link.starts_with("https://"), "{}: {link}", from.path.display());
                continue;
            }
            followed += 1;
            let (path, anchor) = link.split_once('#').unwrap_or((&link, ""));
            let target = if path.is_empty() {
                from.path.clone()
            } else {
                plain(&from.path.parent().unwrap().join(path))
            };
            assert!(root().join(&target).exists(), "{}: {link}", from.path.display());
            if !anchor.is_empty() {
                let there = page(target.to_str().unwrap()).anchors();
                assert!(there.contains(anchor), "{}: {link}; there are {there:?}", from.path.display());
            }
        }
    }
    assert!(followed > 40, "only {followed} links");
}

#[test]
fn every_picture_is_there_small_and_told_in_words() {
    let manifest = text_of("Cargo.toml");
    let mut seen = 0;
    for from in pages() {
        for (link, words) in from.pictures() {
            seen += 1;
            let path = plain(&from.path.parent().unwrap().join(link));
            let bytes = std::fs::read(root().join(&path)).unwrap();
            assert!(bytes.starts_with(b"\x89PNG") && bytes.len() < 200_000, "{}", path.display());
            assert!(words.len() > 40, "{}: {words}", path.display());
            let path = path.to_str().unwrap();
            assert!(manifest.contains(&format!("[\"{path}\", ")), "{path} is not in the package");
        }
    }
    assert!(seen > 0);
}

#[test]
fn every_page_is_in_the_index_and_the_readme_leads_to_it() {
    let index = page("docs/README.md").links();
    let readme = page("README.md").links();
    for Page { path, .. } in pages() {
        let name = path.to_str().unwrap();
        if let Some(name) = name.strip_prefix("docs/").filter(|name| *name != "README.md") {
            assert!(index.iter().any(|link| link == name), "docs/README.md does not lead to {name}");
            let ours = format!("docs/{name}");
            assert!(readme.iter().any(|link| link.starts_with(&ours)), "README.md does not lead to {ours}");
        }
    }
    assert!(readme.iter().any(|link| link == "docs/README.md"));
}

#[test]
fn every_page_begins_with_who_needs_it() {
    for page in pages().iter().filter(|page| page.path.starts_with("docs")) {
        let mut lines = page.text.lines();
        assert!(lines.next().unwrap().starts_with("# "), "{}", page.path.display());
        let first = lines.nth(1).unwrap();
        assert!(first.starts_with("For "), "{}: {first}", page.path.display());
    }
}

#[test]
fn the_index_of_pages_is_complete_in_the_package() {
    let manifest: toml::Table = text_of("Cargo.toml").parse().unwrap();
    let assets = manifest["package"]["metadata"]["deb"]["assets"].as_array().unwrap();
    let shipped: Vec<&str> = assets.iter().map(|asset| asset[0].as_str().unwrap()).collect();
    for page in pages() {
        let path = page.path.to_str().unwrap();
        assert!(shipped.contains(&path), "{path} is not in the package");
    }
}
