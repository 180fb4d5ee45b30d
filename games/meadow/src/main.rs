//! The meadow as a command; `--help` tells the rest.

use std::process::ExitCode;

use gundo_cli::App;

#[global_allocator]
static ALLOCATOR: gundo_cli::Allocator = gundo_cli::Allocator;

fn main() -> ExitCode {
    let app = App::new("meadow", |_| meadow::rules()).page(&[
        ("index.html", include_bytes!("../page/index.html")),
        ("meadow.js", include_bytes!("../page/meadow.js")),
        ("draw.js", include_bytes!("../page/draw.js")),
    ]);
    #[cfg(feature = "sim")]
    let app = app.simulated(meadow::sim::COMMAND, meadow::sim::Simulated);
    app.run()
}
