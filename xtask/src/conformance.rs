//! The conformance kit plays server to every client of this repository: Rust, TypeScript (the built SDK) and Python.
//!
//! The other side, the kit as a client of the server, is a test of Pioneer.

use crate::shell::{self, Done, answers, cargo, command, run};
use crate::{debian, web};

/// Tries every rule on every client.
pub(crate) fn check() -> Done {
    web::ensure_node()?;
    install_python()?;
    if !has_python() {
        return Err(
            "missing: python3. Install it and run again (on Debian as root this is done for you)".into()
        );
    }
    run(cargo().args(["build", "-p", "gundo-conformance", "-p", "gundo-client", "--bins"]))?;
    let built = shell::target_dir()?.join("debug");
    let rust = built.join("conformance-client");
    let rust = rust.to_string_lossy();
    let clients: [&[&str]; 3] = [
        &[&rust],
        &["node", "clients/web/conformance/client.mjs"],
        &["python3", "-B", "clients/python/conformance.py"],
    ];
    let kit = built.join("gundo-conformance");
    clients
        .iter()
        .try_for_each(|client| run(command(&kit.to_string_lossy()).args(["client", "--"]).args(*client)))
}

/// Installs Python where allowed: a test of Pioneer is a visit of the Python client.
pub(crate) fn install_python() -> Done {
    if has_python() || !debian::may_install() {
        return Ok(());
    }
    debian::install(&["python3-minimal"])
}

fn has_python() -> bool {
    answers("python3", &["--version"])
}
