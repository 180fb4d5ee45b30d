//! The guides `docs/first-game.md` and `docs/simulator.md` show exactly the sources of this game.

const FIRST: &str = include_str!("../../../docs/first-game.md");
const SIMULATOR: &str = include_str!("../../../docs/simulator.md");
const LIB: &str = include_str!("../src/lib.rs");
const MAIN: &str = include_str!("../src/main.rs");
const SIM: &str = include_str!("../src/sim.rs");

/// Lines of code that the guide may ask a newcomer to read.
const CODE_LINES_MAX: usize = 130;

#[test]
fn the_guides_show_these_sources() {
    for (guide, files) in [(FIRST, &[LIB, MAIN][..]), (SIMULATOR, &[SIM])] {
        let shown = code(guide, "rust");
        let source: Vec<&str> = files.iter().flat_map(|file| file.lines()).filter(|l| !is_empty(l)).collect();
        for (number, (shown, source)) in shown.iter().zip(&source).enumerate() {
            assert_eq!(shown, source, "line {} of the code", number + 1);
        }
        assert_eq!(shown.len(), source.len());
    }
    // What the second guide quotes of the first.
    let quoted = code(SIMULATOR, "rust,ignore");
    assert!(!quoted.is_empty() && quoted.iter().all(|line| MAIN.contains(line)), "{quoted:?}");
}

#[test]
fn the_guide_counts_the_lines_of_the_rules() {
    let is_code = |line: &&str| !is_empty(line) && !line.trim_start().starts_with("//");
    let count = LIB.lines().filter(is_code).count();
    assert!(count <= CODE_LINES_MAX, "the rules have {count} lines of code");
    let said = format!("{count} lines of code");
    assert!(FIRST.contains(&said), "the guide does not say `{said}`");
}

/// The lines of all blocks of `language`, without empty ones.
fn code<'a>(guide: &'a str, language: &str) -> Vec<&'a str> {
    let fence = format!("```{language}\n");
    let blocks = guide.split(fence.as_str()).skip(1).map(|rest| rest.split("```").next().unwrap_or_default());
    blocks.flat_map(str::lines).filter(|line| !is_empty(line)).collect()
}

fn is_empty(line: &str) -> bool {
    line.trim().is_empty()
}
