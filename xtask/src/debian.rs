//! Debian's packages: what a chore lacks is installed where that is allowed, else named.

use std::path::Path;

use crate::shell::{self, Done, answers, capture, command, run};

/// What `unit` starts: programs of other people, by program and package. Elsewhere the tests say what is missing.
const SERVERS: [(&str, &str); 6] = [
    ("nginx", "nginx-light"),
    ("haproxy", "haproxy"),
    ("etcd", "etcd-server"),
    ("postgres", "postgresql-15"),
    ("pgbouncer", "pgbouncer"),
    ("python3", "python3-minimal"),
];
/// Where programs are that are not for everybody: of administrators, and of PostgreSQL.
const FOLDERS: [&str; 3] = ["/usr/sbin", "/usr/bin", "/usr/lib/postgresql/15/bin"];

/// Installs packages.
pub(crate) fn install(packages: &[&str]) -> Done {
    if packages.is_empty() {
        return Ok(());
    }
    let list = packages.join(" ");
    if !may_install() {
        return Err(format!(
            "missing: {list}. Install it and run again (on Debian as root this is done for you)"
        ));
    }
    println!("installing {list}");
    let apt = |args: &[&str]| run(command("apt-get").args(args).env("DEBIAN_FRONTEND", "noninteractive"));
    apt(&["update", "--quiet"])?;
    let install = ["install", "--yes", "--quiet", "--no-install-recommends"];
    apt(&[install.as_slice(), packages].concat())
}

/// Installs the servers that tests start, where that is allowed.
pub(crate) fn install_servers() -> Done {
    let is_missing = |(program, _): &&(&str, &str)| !is_in_path(program);
    let missing: Vec<&str> = SERVERS.iter().filter(is_missing).map(|(_, package)| *package).collect();
    if missing.is_empty() || !may_install() { Ok(()) } else { install(&missing) }
}

/// Finds protoc with the schemas that it brings, or installs it: the client of etcd compiles its schemas with it. Whatever builds
/// the whole workspace needs it; games do not.
pub(crate) fn ensure_protoc() -> Done {
    if compiles_schemas()? {
        return Ok(());
    }
    install(&["protobuf-compiler", "libprotobuf-dev"])?;
    if compiles_schemas()? { Ok(()) } else { Err("protoc is installed but does not compile a schema".into()) }
}

fn compiles_schemas() -> Done<bool> {
    const SCHEMA: &str = "syntax = \"proto3\";\nimport \"google/protobuf/descriptor.proto\";\n";
    let folder = shell::target_dir()?.join("protoc");
    let written =
        std::fs::create_dir_all(&folder).and_then(|()| std::fs::write(folder.join("probe.proto"), SCHEMA));
    written.map_err(|error| format!("cannot write to {}: {error}", folder.display()))?;
    let (folder, out) = (folder.display(), folder.join("probe.bin"));
    let mut args = vec![format!("-I{folder}"), format!("--descriptor_set_out={}", out.display())];
    // As the build script finds them.
    if let Ok(include) = std::env::var("PROTOC_INCLUDE") {
        args.push(format!("-I{include}"));
    }
    args.push("probe.proto".into());
    let args: Vec<&str> = args.iter().map(String::as_str).collect();
    Ok(answers(&std::env::var("PROTOC").unwrap_or_else(|_| "protoc".into()), &args))
}

/// Whether this is Debian (or a child of it) and we may install packages.
pub(crate) fn may_install() -> bool {
    let is_root = capture(command("id").arg("-u")).is_ok_and(|printed| printed.trim_ascii() == b"0");
    is_root && Path::new("/etc/debian_version").exists() && answers("apt-get", &["--version"])
}

/// Whether a program is where programs are.
fn is_in_path(program: &str) -> bool {
    let path = std::env::var_os("PATH").unwrap_or_default();
    let folders = std::env::split_paths(&path).chain(FOLDERS.map(Into::into));
    folders.into_iter().any(|folder| folder.join(program).is_file())
}
