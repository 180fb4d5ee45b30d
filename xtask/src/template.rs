//! `cargo xtask new PATH`: a crate of one's own, made from the game of the guide, `games/meadow`.
//!
//! It copies the meadow's sources, tests and page, puts the new crate's name where the meadow's is, and writes a manifest and a README.
//! Every name that is replaced must be there, so a change of the meadow that the template does not follow fails its test.
//! Start at [`new`]; [`check`] is the step of the test run.

use std::fs;
use std::path::{Path, PathBuf};

use crate::shell::{self, Done, cargo, run};

/// The game that is copied.
const MODEL: &str = "games/meadow";
/// What of it is copied, if it is there.
const COPIED: &[&str] = &["src", "tests", "page"];
/// Tests that are about this repository: its guides, and how the engine serves a page.
const OURS: &[&str] = &["tests/guides.rs", "tests/command.rs"];
/// Crates of Gundo that a game depends on.
const DEPENDENCIES: &[&str] = &["gundo", "gundo-cli"];
/// Names that a crate cannot have, or that its code could not tell from something else.
const TAKEN: &str = "abstract alloc as async await become box break const continue core crate do dyn else enum extern \
    false final fn for gen if impl in let loop macro match mod move mut override priv proc_macro pub ref \
    return self static std struct super test trait true try type typeof unsafe unsized use virtual where \
    while yield";

/// Makes the crate at the path that the command line names, and says what to do with it.
pub(crate) fn new(words: &[String]) -> Done {
    let [path] = words else { return Err("say where: `cargo xtask new ../my-game`".into()) };
    let path = Path::new(path);
    make(path)?;
    println!("{} is a game of its own now. Try:\n\n  cd {0}\n  cargo run --release\n", path.display());
    println!("Its README.md tells the rest, and Gundo's docs/first-game.md explains the code.");
    Ok(())
}

/// Makes a crate in the target directory and runs its tests there, so that third-party crates are built once.
pub(crate) fn check() -> Done {
    let target = shell::target_dir()?;
    let path = target.join("tmp/template/new-game");
    match fs::remove_dir_all(&path) {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => return Err(told(&path, &error)),
        _ => {}
    }
    make(&path)?;
    let mut tests = cargo();
    tests.current_dir(&path).env("CARGO_TARGET_DIR", &target);
    tests.args(["test", "--features", "sim"]);
    // For cargo our crates belong to another workspace here, so it compiles them again. Unoptimised that takes a third of the time.
    for ours in ours()? {
        tests.arg("--config").arg(format!("profile.dev.package.{ours}.opt-level=0"));
    }
    run(&mut tests)
}

/// The crates of Gundo.
fn ours() -> Done<Vec<String>> {
    let metadata = shell::metadata(&["--no-deps"])?;
    let packages = metadata["packages"].as_array().ok_or("cargo metadata lists no packages")?;
    let names = packages.iter().filter_map(|package| package["name"].as_str());
    Ok(names.filter(|name| name.starts_with("gundo")).map(str::to_owned).collect())
}

/// Makes the crate `path`, whose last part is its name.
fn make(path: &Path) -> Done {
    let name = name_of(path)?;
    refuse_used(path)?;
    let model = shell::root().join(MODEL);
    let mut files = Vec::new();
    for folder in COPIED.iter().map(|folder| model.join(folder)).filter(|folder| folder.is_dir()) {
        walk(&folder, &mut files)?;
    }
    let mut names = Names::new(&name, model.join("page").is_dir());
    for from in files {
        let place = from.strip_prefix(&model).expect("it was found there").to_owned();
        if OURS.iter().any(|ours| place == Path::new(ours)) {
            continue;
        }
        let bytes = fs::read(&from).map_err(|error| told(&from, &error))?;
        let bytes = match String::from_utf8(bytes) {
            Ok(text) => names.replace(&text).into_bytes(),
            Err(binary) => binary.into_bytes(),
        };
        let place = if place == Path::new("tests/meadow.rs") { names.tests() } else { place };
        write(&path.join(place), &bytes)?;
    }
    names.finish()?;
    write(&path.join("Cargo.toml"), manifest(&name)?.as_bytes())?;
    write(&path.join("README.md"), readme(&name).as_bytes())?;
    write(&path.join(".gitignore"), b"/target\n/data\n")?;
    // Its code is laid out as this repository's.
    let layout = shell::root().join("rustfmt.toml");
    write(&path.join("rustfmt.toml"), &fs::read(&layout).map_err(|error| told(&layout, &error))?)?;
    // The versions that Gundo is tested with. The first build removes what the game does not need.
    let lock = shell::root().join("Cargo.lock");
    write(&path.join("Cargo.lock"), &fs::read(&lock).map_err(|error| told(&lock, &error))?)
}

/// The name of the crate at `path`, if it can be one.
fn name_of(path: &Path) -> Done<String> {
    let name = path.file_name().and_then(|name| name.to_str()).unwrap_or_default().to_owned();
    let is_plain = name.chars().all(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-' || c == '_');
    if !is_plain || !name.starts_with(|c: char| c.is_ascii_lowercase()) {
        let rule = "a name begins with a lower-case letter and has lower-case letters, digits, `-` and `_`";
        return Err(format!("`{name}` is no name of a crate: {rule}"));
    }
    if TAKEN.split_whitespace().any(|taken| taken == name.replace('-', "_")) || name.starts_with("gundo") {
        return Err(format!("a game cannot be called `{name}`: Rust or Gundo uses that name"));
    }
    Ok(name)
}

fn refuse_used(path: &Path) -> Done {
    match fs::read_dir(path).map(|mut entries| entries.next().is_some()) {
        Ok(true) => Err(format!("{} is there already, and not empty: choose another place", path.display())),
        Ok(false) => Ok(()),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(()),
        Err(error) => Err(told(path, &error)),
    }
}

/// What is replaced in the meadow's files, and how often it was found.
struct Names {
    pairs: Vec<(&'static str, String, usize)>,
    ident: String,
}

impl Names {
    fn new(name: &str, has_page: bool) -> Self {
        let ident = name.replace('-', "_");
        let quoted = format!("(\"{name}\"");
        let mut pairs = vec![
            ("meadow::", format!("{ident}::")),
            ("App::new(\"meadow\"", format!("App::new{quoted}")),
            ("Rules::new(\"meadow\"", format!("Rules::new{quoted}")),
            // The name of the simulated game, alone on its line.
            ("        \"meadow\"\n", format!("        \"{name}\"\n")),
            ("cargo run --profile sim -p meadow ", "cargo run --profile sim ".to_owned()),
            ("the guide `docs/", "Gundo's guide `docs/".to_owned()),
        ];
        if has_page {
            // A browser keeps the tokens of all games at one address together: each game needs its own name for them.
            pairs.push(("\"meadow.token\"", format!("\"{name}.token\"")));
            pairs.push(("\"meadow page\"", format!("\"{name} page\"")));
            pairs.push(("`meadow schema`", format!("`{name} schema`")));
        }
        Self { pairs: pairs.into_iter().map(|(from, to)| (from, to, 0)).collect(), ident }
    }

    fn replace(&mut self, text: &str) -> String {
        let mut text = text.to_owned();
        for (from, to, found) in &mut self.pairs {
            *found += text.matches(*from).count();
            text = text.replace(*from, to);
        }
        text
    }

    /// Where the tests of the rules lie.
    fn tests(&self) -> PathBuf {
        Path::new("tests").join(&self.ident).with_extension("rs")
    }

    /// Everything was found.
    fn finish(self) -> Done {
        match self.pairs.iter().find(|(_, _, found)| *found == 0) {
            None => Ok(()),
            Some((from, ..)) => {
                Err(format!("{MODEL} has no `{from}`: the template in xtask/src/template.rs is stale"))
            }
        }
    }
}

fn manifest(name: &str) -> Done<String> {
    let gundo = fs::canonicalize(shell::root()).map_err(|error| told(shell::root(), &error))?;
    let dependency = |krate: &&str| {
        let path = gundo.join("crates").join(krate.strip_prefix("gundo-").unwrap_or(krate));
        // A TOML string: a path may hold backslashes and quotes.
        format!("{krate} = {{ path = {:?} }}\n", path.display().to_string())
    };
    let dependencies: String = DEPENDENCIES.iter().map(dependency).collect();
    Ok(format!(
        "\
[package]
name = \"{name}\"
version = \"0.1.0\"
edition = \"2024\"
publish = false

[features]
# The simulator, and what it must know of this game: see Gundo's docs/simulator.md.
sim = [\"gundo/sim\", \"gundo-cli/sim\"]
# It can plant bugs, to see whether it finds them: never in a program that serves a world.
planted = [\"sim\", \"gundo/planted\"]

[dependencies]
# Gundo as it is on this machine. To take it from its repository, write `{{ git = \"ADDRESS\", rev = \"COMMIT\" }}` in both
# lines instead of the path.
{dependencies}
# This crate is a workspace of its own. Remove this line when you put it into another.
[workspace]

{}",
        profiles()?
    ))
}

/// The profiles of our workspace. With the same ones, third-party crates are compiled once in the test run.
fn profiles() -> Done<String> {
    let file = shell::root().join("Cargo.toml");
    let text = fs::read_to_string(&file).map_err(|error| told(&file, &error))?;
    let begin = text.find("[profile.dev]\n").filter(|_| text.contains("[profile.sim]\n"));
    begin
        .map(|begin| text[begin..].to_owned())
        .ok_or_else(|| format!("{} has no profiles at its end", file.display()))
}

fn readme(name: &str) -> String {
    format!(
        "\
# {name}

A game on [Gundo](https://docs.rs/gundo), a server engine for persistent worlds. It began as the meadow of Gundo's guide
`docs/first-game.md`, which explains every line of it.

```sh
cargo run --release                # a world with three nodes at http://127.0.0.1:7600; its data is in `data`
cargo run --release -- bots 20     # 20 bots beside you; `--help` shows what else the program does
cargo test                         # the rules, without a server
cargo run --profile sim --features sim -- sim --seeds 20 --fault-seconds 120    # worlds where everything goes wrong
```
"
    )
}

fn walk(folder: &Path, files: &mut Vec<PathBuf>) -> Done {
    for entry in fs::read_dir(folder).map_err(|error| told(folder, &error))? {
        let path = entry.map_err(|error| told(folder, &error))?.path();
        if path.is_dir() { walk(&path, files)? } else { files.push(path) }
    }
    files.sort();
    Ok(())
}

fn write(path: &Path, bytes: &[u8]) -> Done {
    let folder = path.parent().unwrap_or(Path::new("."));
    fs::create_dir_all(folder).and_then(|()| fs::write(path, bytes)).map_err(|error| told(path, &error))
}

fn told(path: &Path, error: &std::io::Error) -> String {
    format!("{}: {error}", path.display())
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A fresh path in the directory of temporary files, removed when it goes away.
    struct Place(PathBuf);

    impl Place {
        fn new(name: &str) -> Self {
            let unique = format!("gundo-template-{}-{name}", std::process::id());
            Self(std::env::temp_dir().join(unique))
        }
    }

    impl Drop for Place {
        fn drop(&mut self) {
            // It may never have been made.
            let _ = fs::remove_dir_all(&self.0);
        }
    }

    #[test]
    fn names_of_crates_are_accepted_and_others_refused() {
        for good in ["my-game", "/a/b/game2", "../a_b"] {
            assert!(name_of(Path::new(good)).is_ok(), "{good}");
        }
        for bad in
            ["", "/", "..", "My-game", "2games", "a game", "spiel-für-alle", "test", "proc-macro", "gundo-x"]
        {
            assert!(name_of(Path::new(bad)).is_err(), "{bad}");
        }
    }

    #[test]
    fn a_new_game_has_its_own_name_everywhere() {
        let place = Place::new("name");
        let path = place.0.join("red-tide");
        make(&path).expect("a fresh place");
        let mut files = Vec::new();
        walk(&path, &mut files).expect("it was just made");
        assert!(
            files.contains(&path.join("tests/red_tide.rs")) && !files.contains(&path.join("tests/guides.rs"))
        );
        let read = |file: &str| fs::read_to_string(path.join(file)).expect("text");
        assert!(read("src/main.rs").contains("App::new(\"red-tide\", |_| red_tide::rules())"));
        assert!(read("src/lib.rs").contains("Rules::new(\"red-tide\", ())"));
        assert!(read("src/sim.rs").contains("\"cargo run --profile sim --features sim -- sim\""));
        assert!(read("src/sim.rs").contains("\"red-tide\"\n"));
        for file in files.iter().filter(|file| file.extension().is_some_and(|end| end == "rs")) {
            let text = fs::read_to_string(file).expect("text");
            assert!(!text.contains("meadow::"), "{}", file.display());
        }
        for line in ["name = \"red-tide\"", "[workspace]", "[profile.sim]"] {
            assert!(read("Cargo.toml").contains(line), "{line}");
        }
    }

    #[test]
    fn what_is_there_is_not_overwritten() {
        let place = Place::new("used");
        fs::create_dir_all(place.0.join("game")).expect("a directory");
        make(&place.0.join("game")).expect("an empty directory will do");
        let again = make(&place.0.join("game")).expect_err("it is full now");
        assert!(again.contains("not empty"), "{again}");
        assert!(make(&place.0.join("game/README.md")).is_err(), "a file");
    }

    #[test]
    fn a_stale_template_says_so() {
        let mut names = Names::new("a", true);
        names.replace("meadow::rules()");
        let why = names.finish().expect_err("most is missing");
        assert!(why.contains("App::new"), "{why}");
    }
}
