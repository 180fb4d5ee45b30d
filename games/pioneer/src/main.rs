//! The world of Pioneer as one command; see `--help`.

use std::process::ExitCode;

use gundo_cli::App;
use pioneer::{Minds, Tales};

/// A file of the page, as `cargo xtask web` bundles it.
macro_rules! page {
    ($name:literal) => {
        include_bytes!(concat!(env!("CARGO_MANIFEST_DIR"), "/../../clients/web/dist/", $name))
    };
}

#[global_allocator]
static ALLOCATOR: gundo_cli::Allocator = gundo_cli::Allocator;

fn main() -> ExitCode {
    let minds = Minds::default();
    App::new("pioneer", |world| pioneer::rules(world.seed))
        .about("Pioneer: an island to walk, gather, craft and build on together.")
        .bots(move |_| minds.mind())
        .lives(Tales)
        .page(&[
            ("index.html", page!("index.html")),
            ("app.js", page!("app.js")),
            ("app.js.br", page!("app.js.br")),
            ("app.css", page!("app.css")),
            ("app.css.br", page!("app.css.br")),
            ("sw.js", page!("sw.js")),
            ("sw.js.br", page!("sw.js.br")),
        ])
        .run()
}
