//! `docs/simulator.md` names every dial, its usual position, and every checker.

use gundo_sim::{Dial, Guarantee};

#[test]
fn the_guide_names_every_dial_and_every_guarantee() {
    let guide = include_str!("../../../../docs/simulator.md");
    for dial in Dial::ALL {
        let unit = match dial {
            Dial::Mixed | Dial::HalfDone | Dial::Work | Dial::Cheats => " %",
            Dial::Drift => " ppm",
            Dial::Bytes => "",
            _ if dial.is_state() => " ms",
            _ => "",
        };
        let row = format!("\n| `{dial}` | {}{unit} | ", dial.usual());
        assert!(guide.contains(&row), "{row}");
    }
    use Guarantee::{G1, G2, G3, G4, G5, G6, G7, G8, G9, G10, G11, G12, Game};
    for guarantee in [G1, G2, G3, G4, G5, G6, G7, G8, G9, G10, G11, G12, Game] {
        assert!(guide.contains(&format!("\n| {guarantee} | ")), "{guarantee}");
    }
}
