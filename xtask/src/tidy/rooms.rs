//! The rooms of the kernel: which may import which, without cycles between files.
//!
//! A room is a file or folder at the top of `crates/kernel/src`. An import is a `use`, or a path that starts with `crate`.
//! The parts of a room may import each other and everything the room may, as long as no cycle of files results.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use super::{Problem, read};
use crate::shell::Done;

/// Where the kernel is, from the top.
const KERNEL: &str = "crates/kernel/src";

/// Room, and its allowed imports: rooms above it in this list that it names. `lib` routes between all of them.
const ROOMS: &[(&str, &[&str])] = &[
    ("game", &[]),
    ("frame", &[]),
    ("peer", &["frame", "game"]),
    ("codec", &["frame", "game", "peer"]),
    ("io", &["game", "peer"]),
    ("view", &["io"]),
    ("retry", &[]),
    ("clock", &[]),
    ("core", &["clock", "game", "io", "peer", "retry", "view"]),
    ("planted", &["io", "peer"]),
    ("membership", &["core", "io", "peer"]),
    ("link", &["core", "io", "membership", "peer"]),
    ("overload", &["core", "io"]),
    ("crowd", &["codec", "core", "frame", "game", "io", "overload", "peer"]),
    ("home", &["core", "io", "peer"]),
    ("waking", &["changeover", "core", "home", "host", "io", "peer"]),
    ("host", &["core", "crowd", "game", "home", "io", "peer", "retry"]),
    ("edge", &["core", "crowd", "game", "io", "overload", "peer"]),
    // Compiled in only with the feature `planted`: it looks into every room.
    ("coverage", &["edge", "home", "host", "io", "peer"]),
    ("changeover", &["core", "crowd", "edge", "home", "host", "io", "link", "membership", "overload"]),
    ("inside", &["core", "edge", "home", "host", "io", "link", "peer"]),
];

/// Files by their module path (`host::tx`), each with the module paths it imports.
pub(crate) type Files = BTreeMap<String, BTreeSet<String>>;

/// Reads the kernel's files.
pub(crate) fn read_kernel(root: &Path) -> Done<(Files, Vec<Problem>)> {
    let mut texts = BTreeMap::new();
    collect(&root.join(KERNEL), "", &mut texts)?;
    let names: BTreeSet<String> = texts.keys().cloned().collect();
    let files = texts.iter().map(|(name, text)| (name.clone(), imports(name, text, &names))).collect();
    let routers = texts.iter().filter(|(name, text)| *name != "lib" && text.contains("impl Node {"));
    let problems = routers
        .map(|(name, _)| {
            Problem::new(place(name), "only lib.rs has an `impl Node`: it routes, rooms do the work")
        })
        .collect();
    Ok((files, problems))
}

fn collect(folder: &Path, module: &str, texts: &mut BTreeMap<String, String>) -> Done {
    let entries = std::fs::read_dir(folder).map_err(|error| format!("{}: {error}", folder.display()))?;
    for entry in entries {
        let path = entry.map_err(|error| error.to_string())?.path();
        let stem = path.file_stem().and_then(|stem| stem.to_str()).unwrap_or_default();
        let name = if module.is_empty() { stem.to_owned() } else { format!("{module}::{stem}") };
        if path.is_dir() {
            collect(&path, &name, texts)?;
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            texts.insert(name, read(&path)?);
        }
    }
    Ok(())
}

fn place(name: &str) -> String {
    format!("{KERNEL}/{}.rs", name.replace("::", "/"))
}

/// The files that a file imports: `name` is its module path, `all` are the module paths of all files.
fn imports(name: &str, text: &str, all: &BTreeSet<String>) -> BTreeSet<String> {
    let code = text.split("#[cfg(test)]").next().unwrap_or_default();
    let code: String =
        code.lines().map(|line| line.split("//").next().unwrap_or_default()).collect::<Vec<_>>().join(" ");
    let mut found = BTreeSet::new();
    let here = if name == "lib" { "" } else { name };
    for start in ["crate::", "super::", "self::"] {
        for (at, _) in code.match_indices(start) {
            let before = code[..at].chars().next_back();
            if before.is_some_and(|c| c.is_alphanumeric() || c == '_' || c == ':') {
                continue;
            }
            for path in expand(&code[at..]) {
                if let Some(file) = resolve(here, &path, all).filter(|file| file != name) {
                    found.insert(file);
                }
            }
        }
    }
    // A parent re-exports items of its own children by their bare names.
    for (at, _) in code.match_indices("use ") {
        let path = code[at + 4..].split([';', '{', ' ']).next().unwrap_or_default();
        let child = format!("{here}::{}", path.split("::").next().unwrap_or_default());
        let child = child.trim_start_matches("::").to_owned();
        if all.contains(&child) {
            found.insert(child);
        }
    }
    found
}

/// All paths at the start of a text: `a::{b, c::D}` is `a::b` and `a::c::D`.
fn expand(text: &str) -> Vec<String> {
    let is_path = |c: char| c.is_alphanumeric() || c == '_' || c == ':';
    let end = text.find(|c| !is_path(c)).unwrap_or(text.len());
    let (path, rest) = text.split_at(end);
    if !path.ends_with("::") || !rest.starts_with('{') {
        return vec![path.trim_end_matches(':').to_owned()];
    }
    let mut depth = 0;
    let close = rest.char_indices().find(|(_, c)| {
        depth += i32::from(*c == '{') - i32::from(*c == '}');
        depth == 0
    });
    let inside = &rest[1..close.map_or(rest.len(), |(at, _)| at)];
    let mut paths = Vec::new();
    let (mut depth, mut start) = (0, 0);
    for (at, c) in inside.char_indices().chain([(inside.len(), ',')]) {
        depth += i32::from(c == '{') - i32::from(c == '}');
        if c == ',' && depth == 0 {
            let part = inside[start..at].trim();
            start = at + 1;
            if !part.is_empty() {
                paths.extend(expand(part).into_iter().map(|tail| format!("{path}{tail}")));
            }
        }
    }
    paths
}

/// The file that a path refers to, seen from the module `here`: the deepest that exists.
fn resolve(here: &str, path: &str, all: &BTreeSet<String>) -> Option<String> {
    let mut module: Vec<&str> = here.split("::").filter(|part| !part.is_empty()).collect();
    let mut parts = path.split("::").peekable();
    while let Some(part) = parts.peek() {
        match *part {
            "crate" => module.clear(),
            "super" => drop(module.pop()),
            "self" => {}
            _ => break,
        }
        parts.next();
    }
    module.extend(parts);
    while !module.is_empty() && !all.contains(&module.join("::")) {
        module.pop();
    }
    Some(module.join("::")).filter(|file| !file.is_empty())
}

/// Every import that the table does not allow, and a cycle if there is one.
pub(crate) fn check(files: &Files) -> Vec<Problem> {
    let mut problems = Vec::new();
    for (name, imports) in files.iter().filter(|(name, _)| *name != "lib") {
        let room = room_of(name);
        let Some((_, allowed)) = ROOMS.iter().find(|(each, _)| *each == room) else {
            problems.push(Problem::new(place(name), "add the room to the table in xtask/src/tidy/rooms.rs"));
            continue;
        };
        for import in imports {
            let to = room_of(import);
            if to != room && !allowed.contains(&to) {
                let what = format!(
                    "`{room}` may not import `{to}`: arrows point down only (xtask/src/tidy/rooms.rs)"
                );
                problems.push(Problem::new(place(name), what));
            }
        }
    }
    if let Some(circle) = circle(files) {
        let what = format!("imports go in a circle: {}", circle.join(" → "));
        problems.push(Problem::new(place(&circle[0]), what));
    }
    problems
}

fn room_of(name: &str) -> &str {
    name.split("::").next().unwrap_or(name)
}

/// A path from a file back to itself.
fn circle(files: &Files) -> Option<Vec<String>> {
    let mut done = BTreeSet::new();
    files.keys().find_map(|name| walk(files, name, &mut Vec::new(), &mut done))
}

fn walk<'a>(
    files: &'a Files,
    name: &'a str,
    way: &mut Vec<&'a str>,
    done: &mut BTreeSet<&'a str>,
) -> Option<Vec<String>> {
    if let Some(at) = way.iter().position(|before| *before == name) {
        return Some(way[at..].iter().chain([&name]).map(|part| (*part).to_owned()).collect());
    }
    if done.contains(name) {
        return None;
    }
    way.push(name);
    let found =
        files.get(name).and_then(|imports| imports.iter().find_map(|import| walk(files, import, way, done)));
    way.pop();
    done.insert(name);
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    fn files(texts: &[(&str, &str)]) -> Files {
        let names: BTreeSet<String> = texts.iter().map(|(name, _)| (*name).to_owned()).collect();
        texts.iter().map(|(name, text)| ((*name).to_owned(), imports(name, text, &names))).collect()
    }

    fn whats(texts: &[(&str, &str)]) -> Vec<String> {
        check(&files(texts)).into_iter().map(|problem| problem.to_string()).collect()
    }

    #[test]
    fn paths_are_read_as_the_compiler_reads_them() {
        let texts = [
            ("lib", "mod host; use host::Host;"),
            ("core", ""),
            ("host", "pub(crate) use desk::{Rooms}; mod desk; // use crate::edge::Edge;"),
            ("host::desk", "use crate::{core::{Core, Timer}, peer};\nuse super::tx::coordinator as c;"),
            ("host::tx", "use super::desk::Cx; fn f() { crate::peer::to_player(); }"),
            (
                "host::tx::coordinator",
                "use crate::host::{desk::Cx, Host}; #[cfg(test)] mod t { use super::*; }",
            ),
            ("peer", ""),
        ];
        let files = files(&texts);
        let of = |name: &str| files[name].iter().map(String::as_str).collect::<Vec<_>>().join(" ");
        assert_eq!(of("lib"), "host");
        assert_eq!(of("host"), "host::desk");
        assert_eq!(of("host::desk"), "core host::tx::coordinator peer");
        assert_eq!(of("host::tx"), "host::desk peer");
        assert_eq!(of("host::tx::coordinator"), "host host::desk");
    }

    #[test]
    fn arrows_point_down_only() {
        assert!(
            whats(&[("host", "use crate::crowd::Crowd;"), ("crowd", "use crate::core::Core;"), ("core", "")])
                .is_empty()
        );
        let up = whats(&[("host", ""), ("crowd", "use crate::host::Host;")]);
        assert_eq!(
            up,
            [
                "crates/kernel/src/crowd.rs: `crowd` may not import `host`: arrows point down only (xtask/src/tidy/rooms.rs)"
            ]
        );
        let unknown = whats(&[("attic", "")]);
        assert_eq!(
            unknown,
            ["crates/kernel/src/attic.rs: add the room to the table in xtask/src/tidy/rooms.rs"]
        );
    }

    #[test]
    fn a_circle_inside_a_room_is_found() {
        let texts = [
            ("host", ""),
            ("host::a", "use super::b::B;"),
            ("host::b", "use super::c::C;"),
            ("host::c", "use super::a::A;"),
        ];
        let found = whats(&texts);
        assert_eq!(
            found,
            ["crates/kernel/src/host/a.rs: imports go in a circle: host::a → host::b → host::c → host::a"]
        );
    }
}
