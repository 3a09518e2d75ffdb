//! Circles of files: files that import each other, straight or by way of others. A file that only hands names on (`pub
//! use`) is seen through.

use std::collections::{BTreeMap, BTreeSet};

use super::{Source, assert_none, is_word, sources, without_tests};

/// A module's path below the crate: `["store", "state", "door"]`.
type Module = Vec<String>;

/// The layers whose files import each other in no circle.
const WITHOUT_CIRCLES: &[&str] = &[
    "app",
    "config",
    "core",
    "engine",
    "http",
    "model",
    "operations",
    "report",
    "scim",
    "source",
    "store",
    "telemetry",
];

fn module_of(source: &Source) -> Module {
    let below = source.path.strip_prefix("src").unwrap().with_extension("");
    let mut module: Module =
        below.components().map(|part| part.as_os_str().to_string_lossy().into_owned()).collect();
    if module.last().is_some_and(|last| last == "mod" || last == "lib") {
        module.pop();
    }
    module
}

/// The paths of one `use` tree, without renames.
fn flatten(tree: &str, prefix: &[String], found: &mut Vec<Module>) {
    let tree = tree.trim();
    if let Some(inner) = tree.strip_prefix('{').and_then(|rest| rest.strip_suffix('}')) {
        let (mut depth, mut start) = (0, 0);
        for (index, character) in inner.char_indices() {
            match character {
                '{' => depth += 1,
                '}' => depth -= 1,
                ',' if depth == 0 => {
                    flatten(&inner[start..index], prefix, found);
                    start = index + 1;
                }
                _ => {}
            }
        }
        return flatten(&inner[start..], prefix, found);
    }
    let (path, list) = match tree.find('{') {
        Some(brace) => (&tree[..brace], Some(&tree[brace..])),
        None => (tree.split(" as ").next().unwrap(), None),
    };
    let mut module = prefix.to_vec();
    module.extend(path.split("::").map(str::trim).filter(|part| !part.is_empty()).map(str::to_owned));
    match list {
        // Not a tree at all, but words that look like the beginning of one.
        Some(_) if path.is_empty() => {}
        Some(list) => flatten(list, &module, found),
        None if module.len() > prefix.len() => {
            if module.last().is_some_and(|last| last == "self") {
                module.pop();
            }
            found.push(module);
        }
        None => {}
    }
}

/// A path as it is written in `module`, from the top of the crate; `None` for other crates.
fn absolute(path: &[String], module: &[String], files: &BTreeSet<Module>) -> Option<Module> {
    let (first, rest) = path.split_first()?;
    match first.as_str() {
        "crate" => Some(rest.to_vec()),
        "self" => Some([module, rest].concat()),
        "super" => {
            let above = path.iter().take_while(|part| *part == "super").count();
            let top = module.get(..module.len().checked_sub(above)?)?;
            Some([top, &path[above..]].concat())
        }
        _ => {
            let child = [module, &path[..1]].concat();
            files.contains(&child).then(|| [module, path].concat())
        }
    }
}

/// What one file imports, and what it hands on.
#[derive(Default)]
struct Imports {
    used: BTreeSet<Module>,
    handed_on: BTreeMap<String, Module>,
}

fn imports_of(code: &str, module: &[String], files: &BTreeSet<Module>) -> Imports {
    let mut imports = Imports::default();
    for (start, _) in code.match_indices("use ") {
        let before = code[..start].rsplit('\n').next().unwrap().trim();
        if !(before.is_empty() || before.starts_with("pub")) {
            continue;
        }
        let Some(end) = code[start..].find(';') else { continue };
        let mut paths = Vec::new();
        flatten(&code[start + 4..start + end].replace('\n', " "), &[], &mut paths);
        for path in paths.iter().filter_map(|path| absolute(path, module, files)) {
            match (before.is_empty(), path.last()) {
                (false, Some(name)) => drop(imports.handed_on.insert(name.clone(), path)),
                (_, _) => drop(imports.used.insert(path)),
            }
        }
    }
    for word in ["crate::", "super::"] {
        for (start, _) in code.match_indices(word) {
            if code[..start].chars().next_back().is_some_and(|before| is_word(before) || before == ':') {
                continue;
            }
            let text: String = code[start..]
                .chars()
                .take_while(|character| is_word(*character) || *character == ':')
                .collect();
            let path: Module = text.split("::").filter(|part| !part.is_empty()).map(str::to_owned).collect();
            imports.used.extend(absolute(&path, module, files));
        }
    }
    imports
}

/// The file that a path leads to.
fn resolve(path: &[String], all: &BTreeMap<Module, Imports>, depth: u32) -> Option<Module> {
    let length = (1..=path.len()).rev().find(|length| all.contains_key(&path[..*length]))?;
    let module = path[..length].to_vec();
    let handed_on = path.get(length).and_then(|name| all[&module].handed_on.get(name));
    match handed_on {
        Some(target) if depth < 5 => resolve(&[target, &path[length + 1..]].concat(), all, depth + 1),
        _ => Some(module),
    }
}

/// Every file that can be reached from `start`.
fn reachable(start: &Module, edges: &BTreeMap<Module, BTreeSet<Module>>) -> BTreeSet<Module> {
    let mut seen = BTreeSet::new();
    let mut waiting: Vec<&Module> = edges[start].iter().collect();
    while let Some(module) = waiting.pop() {
        if seen.insert(module.clone()) {
            waiting.extend(edges.get(module).into_iter().flatten());
        }
    }
    seen
}

#[test]
fn no_files_of_a_layer_import_each_other_in_a_circle() {
    let sources: Vec<Source> = sources(&["src"]).into_iter().filter(|source| !source.is_tests()).collect();
    let files: BTreeSet<Module> = sources.iter().map(module_of).collect();
    let all: BTreeMap<Module, Imports> = sources
        .iter()
        .map(|source| {
            let module = module_of(source);
            let imports = imports_of(&without_tests(&source.code), &module, &files);
            (module, imports)
        })
        .collect();
    let edges: BTreeMap<Module, BTreeSet<Module>> = all
        .iter()
        .map(|(module, imports)| {
            let targets = imports.used.iter().filter_map(|path| resolve(path, &all, 0));
            (module.clone(), targets.filter(|target| target != module).collect())
        })
        .collect();
    assert!(edges.values().map(BTreeSet::len).sum::<usize>() > 500, "the imports are not seen");
    let in_circle = |module: &&Module| {
        WITHOUT_CIRCLES.contains(&module[0].as_str()) && reachable(module, &edges).contains(*module)
    };
    let offenders: Vec<String> = edges
        .keys()
        .filter(|module| !module.is_empty())
        .filter(in_circle)
        .map(|module| {
            let back: Vec<String> = edges[module]
                .iter()
                .filter(|target| reachable(target, &edges).contains(module))
                .map(|target| target.join("/"))
                .collect();
            format!("{} imports {}, which leads back to it", module.join("/"), back.join(" and "))
        })
        .collect();
    assert_none(&offenders, "no circle of files");
}
