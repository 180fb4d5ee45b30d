//! Draws the island of a seed: `cargo run -p pioneer --example preview -- SEED FILE.ppm`. For those who tune it.
#![allow(clippy::print_stdout)]

use std::io::Write;

use gundo::{ChunkId, Point};
use pioneer::schema::What;
use pioneer::{Biome, CELL_MM, CORNERS, Island, SIZE_MM};

/// Side of a pixel, mm.
const PIXEL_MM: i32 = 2_000;

type Rgb = [u8; 3];

fn main() -> std::io::Result<()> {
    let mut args = std::env::args().skip(1);
    let seed = args.next().and_then(|seed| seed.parse().ok()).unwrap_or(1);
    let path = args.next().unwrap_or_else(|| "target/island.ppm".into());
    let island = Island::generate(seed);
    let side = (SIZE_MM / PIXEL_MM) as usize;
    let mut picture = ground(&island, side);
    draw_things(&island, &mut picture, side);
    let mut file = std::io::BufWriter::new(std::fs::File::create(&path)?);
    writeln!(file, "P6 {side} {side} 255")?;
    file.write_all(picture.as_flattened())?;
    println!("{path}: the island of seed {seed}, village at {:?}", island.village());
    Ok(())
}

fn ground(island: &Island, side: usize) -> Vec<Rgb> {
    let terrain = island.terrain();
    let height = |x: i32, y: i32| {
        let at = |v: i32| (v / CELL_MM).clamp(0, CORNERS as i32 - 1) as usize;
        i32::from(terrain.height[at(y) * CORNERS + at(x)])
    };
    let shade = |i: usize| {
        let (x, y) = ((i % side) as i32 * PIXEL_MM, (i / side) as i32 * PIXEL_MM);
        let h = height(x, y);
        let light = (height(x + CELL_MM, y + CELL_MM) - height(x - CELL_MM, y - CELL_MM)).clamp(-24, 24);
        let colour = match island.biome(Point::new(x, y)) {
            Biome::Water => [30 + h / 2, 80 + h * 3 / 2, 140 + h],
            Biome::Beach => [232, 214, 160],
            Biome::Grass => [128, 178, 84],
            Biome::Forest => [78, 136, 68],
            Biome::Rock => [150, 144, 136],
            Biome::Cliff => [110, 106, 104],
        };
        colour.map(|c| (c + light * i32::from(h >= 64)).clamp(0, 255) as u8)
    };
    (0..side * side).map(shade).collect()
}

fn draw_things(island: &Island, picture: &mut [Rgb], side: usize) {
    let chunks = (SIZE_MM / gundo::CHUNK_MM) as i16;
    for chunk in (0..chunks).flat_map(|y| (0..chunks).map(move |x| ChunkId { island: 0, x, y })) {
        for thing in island.nature(chunk) {
            let colour = match thing.what {
                What::Pine => [40, 92, 52],
                What::Oak => [70, 120, 40],
                What::Palm => [110, 150, 40],
                What::Rock => [96, 96, 96],
                What::BerryBush => [170, 50, 80],
                _ => [90, 110, 200],
            };
            picture[(thing.at.y / PIXEL_MM) as usize * side + (thing.at.x / PIXEL_MM) as usize] = colour;
        }
    }
    let village = island.village();
    for k in -4..=4 {
        for (x, y) in [(k, k), (k, -k)] {
            let (x, y) = (village.x / PIXEL_MM + x, village.y / PIXEL_MM + y);
            picture[y as usize * side + x as usize] = [220, 30, 30];
        }
    }
}
