//! Packages by others that we build: their licences, their sources, one version of each.
//!
//! The policy is `deny.toml`, which cargo-deny reads too. These checks need no tool besides cargo, so every test run
//! includes them.

use std::collections::BTreeMap;

use serde_json::Value;

use super::Problem;
use crate::shell::Done;

const CRATES_IO: &str = "registry+https://github.com/rust-lang/crates.io-index";

/// A package that is built on this machine.
#[derive(Debug)]
pub(crate) struct Package {
    name: String,
    version: String,
    licence: String,
    /// `None`: one of our own folders.
    source: Option<String>,
}

/// The policy of `deny.toml`.
#[derive(Debug, Default)]
pub(crate) struct Policy {
    licences: Vec<String>,
    duplicates: Vec<String>,
}

impl Policy {
    /// Reads the two lists `allow` (licences) and `skip` (known duplicates) from `deny.toml`.
    pub(crate) fn of(deny: &str) -> Self {
        let duplicates = deny.split("crate = \"").skip(1).filter_map(|rest| rest.split('"').next());
        Self {
            licences: list(deny, "[licenses]", "allow = ["),
            duplicates: duplicates.map(|name| name.split('@').next().unwrap_or(name).to_owned()).collect(),
        }
    }
}

/// The packages of the resolved graph, from `cargo metadata`.
pub(crate) fn read(metadata: &Value) -> Done<Vec<Package>> {
    let nodes = metadata["resolve"]["nodes"].as_array().ok_or("cargo metadata resolved nothing")?;
    let built: Vec<&str> = nodes.iter().filter_map(|node| node["id"].as_str()).collect();
    let packages = metadata["packages"].as_array().ok_or("cargo metadata lists no packages")?;
    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    let built =
        packages.iter().filter(|package| package["id"].as_str().is_some_and(|id| built.contains(&id)));
    Ok(built
        .map(|package| Package {
            name: text(&package["name"]),
            version: text(&package["version"]),
            licence: text(&package["license"]),
            source: package["source"].as_str().map(str::to_owned),
        })
        .collect())
}

/// Every package that the policy does not allow.
pub(crate) fn check(packages: &[Package], policy: &Policy) -> Vec<Problem> {
    let mut problems = Vec::new();
    let mut versions: BTreeMap<&str, Vec<&str>> = BTreeMap::new();
    for package in packages {
        let place = format!("Cargo.lock: {} {}", package.name, package.version);
        if package.source.as_deref().is_some_and(|source| source != CRATES_IO) {
            problems.push(Problem::new(&place, "comes from elsewhere than crates.io"));
        }
        if !is_allowed(&package.licence, &policy.licences) {
            let what = format!("licence `{}` is not in the list of deny.toml", package.licence);
            problems.push(Problem::new(&place, what));
        }
        versions.entry(&package.name).or_default().push(&package.version);
    }
    for (name, versions) in versions {
        if versions.len() > 1 && !policy.duplicates.iter().any(|known| known == name) {
            let what = format!("is built in {} versions: {}", versions.len(), versions.join(", "));
            problems.push(Problem::new(format!("Cargo.lock: {name}"), what));
        }
    }
    problems
}

/// Whether these licences alone satisfy an SPDX expression. AND binds closer than OR; an old-style `/` is an OR; a WITH
/// belongs to its licence.
fn is_allowed(expression: &str, licences: &[String]) -> bool {
    let spaced = expression.replace('(', " ( ").replace(')', " ) ").replace('/', " OR ");
    let words: Vec<&str> = spaced.split_whitespace().collect();
    let mut rest = words.as_slice();
    let allowed = any_of(&mut rest, licences);
    allowed == Some(true) && rest.is_empty()
}

fn any_of(rest: &mut &[&str], licences: &[String]) -> Option<bool> {
    let mut allowed = all_of(rest, licences)?;
    while let ["OR", tail @ ..] = *rest {
        *rest = tail;
        allowed |= all_of(rest, licences)?;
    }
    Some(allowed)
}

fn all_of(rest: &mut &[&str], licences: &[String]) -> Option<bool> {
    let mut allowed = one(rest, licences)?;
    while let ["AND", tail @ ..] = *rest {
        *rest = tail;
        allowed &= one(rest, licences)?;
    }
    Some(allowed)
}

fn one(rest: &mut &[&str], licences: &[String]) -> Option<bool> {
    let (first, tail) = rest.split_first()?;
    *rest = tail;
    if *first == "(" {
        let allowed = any_of(rest, licences)?;
        let (close, tail) = rest.split_first()?;
        *rest = tail;
        return (*close == ")").then_some(allowed);
    }
    let licence = match *rest {
        ["WITH", exception, tail @ ..] => {
            *rest = tail;
            format!("{first} WITH {exception}")
        }
        _ => (*first).to_owned(),
    };
    Some(licences.contains(&licence))
}

/// The quoted words of the list that starts with `opening` in the section `section`.
fn list(toml: &str, section: &str, opening: &str) -> Vec<String> {
    let within = toml.split(section).nth(1).unwrap_or_default();
    let items = within.split(opening).nth(1).unwrap_or_default();
    let items = items.split(']').next().unwrap_or_default();
    items.split('"').skip(1).step_by(2).map(str::to_owned).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn package(name: &str, version: &str, licence: &str) -> Package {
        let source = Some(CRATES_IO.to_owned());
        Package { name: name.into(), version: version.into(), licence: licence.into(), source }
    }

    fn policy() -> Policy {
        Policy::of(
            "[licenses]\nallow = [\n  \"MIT\",\n  \"Apache-2.0\",\n  \"Apache-2.0 WITH LLVM-exception\",\n]\n\
             [bans]\nskip = [ { crate = \"twin@1\", reason = \"known\" } ]\n",
        )
    }

    #[test]
    fn expressions_are_weighed() {
        let licences = policy().licences;
        for good in ["MIT", "MIT OR GPL-3.0", "GPL-3.0/MIT", "(GPL-3.0 OR MIT) AND Apache-2.0"] {
            assert!(is_allowed(good, &licences), "{good}");
        }
        assert!(is_allowed("Apache-2.0 WITH LLVM-exception", &licences));
        for bad in
            ["GPL-3.0", "MIT AND GPL-3.0", "", "(MIT", "MIT OR", "MIT WITH Classpath-exception", "MIT MIT"]
        {
            assert!(!is_allowed(bad, &licences), "{bad}");
        }
    }

    #[test]
    fn strange_packages_are_problems() {
        assert_eq!(check(&[package("a", "1.0.0", "MIT")], &policy()), []);
        assert_eq!(check(&[package("a", "1.0.0", "AGPL-3.0")], &policy()).len(), 1);
        let mut foreign = package("a", "1.0.0", "MIT");
        foreign.source = Some("git+https://example.org/a".into());
        assert_eq!(check(&[foreign], &policy()).len(), 1);
    }

    #[test]
    fn two_versions_are_a_problem_unless_known() {
        let twice = |name: &str| [package(name, "1.0.0", "MIT"), package(name, "2.0.0", "MIT")];
        assert_eq!(check(&twice("a"), &policy()).len(), 1);
        assert_eq!(check(&twice("twin"), &policy()), []);
    }
}
