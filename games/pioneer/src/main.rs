//! The world of Pioneer as one command; `--help` tells the rest.

use std::process::ExitCode;

use gundo_cli::App;
use pioneer::Minds;

fn main() -> ExitCode {
    let minds = Minds::default();
    App::new("pioneer", |world| pioneer::rules(world.seed))
        .about("Pioneer: an island to walk, gather, craft and build on together.")
        .bots(move |_| minds.mind())
        .run()
}
