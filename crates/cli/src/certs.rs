//! The certificates of a world's nodes and operators, as files.

use std::path::PathBuf;

use clap::Args;
use gundo_fabric_grpc::certs;
use gundo_types::NodeId;

use crate::app::{Failure, say};

/// Where the certificates are, and which to make.
#[derive(Debug, Args)]
pub(crate) struct CertsArgs {
    /// Directory of the certificates
    #[arg(long, value_name = "DIR", default_value = "certs")]
    dir: PathBuf,
    /// Make a certificate for this node, in place of the one it has; give it once for each node
    #[arg(long = "node", value_name = "NODE", value_parser = clap::value_parser!(u16).range(1..), required_unless_present = "operators")]
    nodes: Vec<u16>,
    /// Make a certificate for this operator: its holder may do everything that `nodes`, `drain`, `add` and their like do, from any machine
    #[arg(long = "operator", value_name = "NAME")]
    operators: Vec<String>,
    /// How long the certificates are valid, days
    #[arg(long, value_name = "DAYS", default_value_t = certs::NODE_DAYS, value_parser = clap::value_parser!(u32).range(1..=3_650))]
    days: u32,
}

/// Makes the world's authority if there is none, and the certificates asked for.
pub(crate) fn run(args: &CertsArgs) -> Result<bool, Failure> {
    let CertsArgs { dir, nodes, operators, days } = args;
    if certs::make_authority(dir)? {
        let key = dir.join("authority-key.pem");
        say(&format!(
            "made the world's authority in {}: keep {} off the nodes, it is needed to make certificates only",
            dir.display(),
            key.display()
        ));
    }
    for node in nodes {
        let files = certs::make_node(dir, NodeId(*node), *days)?;
        say(&format!(
            "node {node} needs {}, {} and {}: {days} days",
            files.authority.display(),
            files.certificate.display(),
            files.key.display()
        ));
    }
    for operator in operators {
        let files = certs::make_operator(dir, operator, *days)?;
        say(&format!(
            "the operator {operator} needs {}, {} and {}: {days} days",
            files.authority.display(),
            files.certificate.display(),
            files.key.display()
        ));
    }
    Ok(true)
}

#[cfg(test)]
mod tests {
    use gundo_kernel::game::Rules;

    use crate::App;

    fn run(words: &[&str]) -> bool {
        let app = App::new("game", |_| -> Rules { unreachable!("no world is started") });
        let code = app.run_from(["game", "certs"].into_iter().chain(words.iter().copied()));
        format!("{code:?}") == format!("{:?}", std::process::ExitCode::SUCCESS)
    }

    #[test]
    fn certificates_are_made_for_the_nodes_that_are_named() {
        let directory = tempfile::tempdir().expect("a directory");
        let to = directory.path().join("its");
        let dir = to.to_str().expect("a name");
        assert!(!run(&["--dir", dir]), "no node is named");
        assert!(!run(&["--dir", dir, "--node", "0"]), "there is no node 0");
        assert!(!to.exists());
        assert!(run(&["--dir", dir, "--node", "1", "--node", "2"]));
        let authority = std::fs::read(to.join("authority.pem")).expect("it is made");
        let first = std::fs::read(to.join("node-2.pem")).expect("it is made");
        assert!(run(&["--dir", dir, "--node", "2", "--days", "30"]));
        assert_ne!(std::fs::read(to.join("node-2.pem")).expect("a new one"), first);
        assert_eq!(std::fs::read(to.join("authority.pem")).expect("it stays"), authority);
        assert!(run(&["--dir", dir, "--operator", "ada", "--days", "90"]));
        assert!(to.join("operator-ada.pem").exists() && to.join("operator-ada-key.pem").exists());
        assert!(!run(&["--dir", dir, "--operator", "node-2\n"]), "no name");
    }
}
