//! Pioneer in the simulator, as a command; see `--help`.

use std::process::ExitCode;
use std::sync::Arc;

#[global_allocator]
static ALLOCATOR: gundo_cli::Allocator = gundo_cli::Allocator;

fn main() -> ExitCode {
    gundo::sim::main("cargo xtask sim", Arc::new(pioneer::sim::Simulated::default()))
}
