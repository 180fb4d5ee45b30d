//! The program as a child process.

use std::io::{BufRead, BufReader, Read};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdout, Command, ExitStatus, Stdio};

/// A running server. Killed when dropped.
pub(crate) struct Server {
    pub(crate) child: Child,
    pub(crate) out: Option<BufReader<ChildStdout>>,
    pub(crate) port: u16,
    data: PathBuf,
}

impl Server {
    /// Starts a world of one node on `port` (0: any that is free) and waits until it says where it is open.
    pub(crate) fn start(data: &Path, port: u16) -> Self {
        Self::start_nodes(data, port, 1)
    }

    pub(crate) fn start_nodes(data: &Path, port: u16, nodes: u16) -> Self {
        Self::start_with(data, port, nodes, &[], Stdio::piped())
    }

    /// With more flags, and its log in `log`.
    pub(crate) fn start_with(data: &Path, port: u16, nodes: u16, more: &[&str], log: Stdio) -> Self {
        Self::start_in(data, port, nodes, more, &[], log)
    }

    /// Starts a world of three nodes at a Unix socket, with an address for operators, which `port` is then.
    pub(crate) fn start_at(data: &Path, socket: &str) -> Self {
        let free = std::net::TcpListener::bind("127.0.0.1:0").and_then(|l| l.local_addr());
        let port = free.expect("a free port").port();
        let mut child = Command::new(env!("CARGO_BIN_EXE_pioneer"))
            .args(["--listen", socket, "--admin-listen", &port.to_string(), "--data"])
            .arg(data)
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .expect("the program starts");
        let mut out = BufReader::new(child.stdout.take().expect("piped"));
        let mut line = String::new();
        while !line.contains(socket) {
            line.clear();
            assert!(out.read_line(&mut line).expect("it talks") > 0, "it ended before it was open");
        }
        Self { child, out: Some(out), port, data: data.to_owned() }
    }

    /// The same, with more in its environment.
    pub(crate) fn start_in(
        data: &Path,
        port: u16,
        nodes: u16,
        more: &[&str],
        environment: &[(&str, &str)],
        log: Stdio,
    ) -> Self {
        let mut program = Command::new(env!("CARGO_BIN_EXE_pioneer"));
        program.envs(environment.iter().copied());
        program.args(["--nodes", &nodes.to_string(), "--listen", &port.to_string(), "--data"]);
        program.arg(data).args(more).stderr(log);
        Self::run(program, data)
    }

    /// Starts a world of three nodes that may open so many files.
    pub(crate) fn start_limited(data: &Path, files: u32) -> Self {
        let mut shell = Command::new("sh");
        shell.args([
            "-c",
            &format!("ulimit -n {files} && exec \"$0\" \"$@\""),
            env!("CARGO_BIN_EXE_pioneer"),
        ]);
        shell.args(["--listen", "0", "--data"]).arg(data).stderr(Stdio::null());
        Self::run(shell, data)
    }

    fn run(mut program: Command, data: &Path) -> Self {
        let mut child = program.stdout(Stdio::piped()).spawn().expect("the program starts");
        let mut out = BufReader::new(child.stdout.take().expect("piped"));
        let mut line = String::new();
        while !line.contains("open http") {
            line.clear();
            if out.read_line(&mut line).expect("it talks") == 0 {
                let mut why = String::new();
                let _ = child.stderr.take().map(|mut e| e.read_to_string(&mut why));
                panic!("it ended before it was open: {why}");
            }
        }
        let port = line.split("://127.0.0.1:").nth(1).and_then(|s| s.split([' ', ';', ')']).next());
        let port = port.and_then(|p| p.parse().ok()).unwrap_or_else(|| panic!("no port in {line:?}"));
        Self { child, out: Some(out), port, data: data.to_owned() }
    }

    /// What an operator's command says.
    pub(crate) fn pioneer(&self, words: &[&str]) -> String {
        let url = format!("http://127.0.0.1:{}", self.port);
        let mut command = Command::new(env!("CARGO_BIN_EXE_pioneer"));
        let output = command.args(words).args(["--url", &url, "--data"]).arg(&self.data).output();
        let output = output.expect("the command runs");
        let said = String::from_utf8_lossy(&output.stdout).into_owned();
        assert!(output.status.success(), "{words:?}: {said}{}", String::from_utf8_lossy(&output.stderr));
        said
    }

    /// Waits until the table of its nodes is as wanted.
    pub(crate) fn until(&self, what: &str, wanted: impl Fn(&str) -> bool) {
        for _ in 0..2_000 {
            if wanted(&self.pioneer(&["nodes"])) {
                return;
            }
        }
        panic!("in vain: {what}; {}", self.pioneer(&["nodes"]));
    }

    /// Lets bots play by `port` for a while; returns their report.
    pub(crate) fn bots(&self, port: u16, count: usize) -> String {
        let url = format!("ws://127.0.0.1:{port}");
        let mut command = Command::new(env!("CARGO_BIN_EXE_pioneer"));
        let output = command.args(["bots", &count.to_string(), "--seconds", "2", "--url", &url]).output();
        let output = output.expect("the bots play");
        let report = String::from_utf8_lossy(&output.stdout).into_owned();
        assert!(output.status.success(), "{report}{}", String::from_utf8_lossy(&output.stderr));
        report
    }

    pub(crate) fn terminate(&self) {
        self.signal("TERM");
    }

    pub(crate) fn signal(&self, signal: &str) {
        let words = [format!("-{signal}"), self.child.id().to_string()];
        let sent = Command::new("kill").args(words).status().expect("kill is there");
        assert!(sent.success());
    }

    pub(crate) fn wait(&mut self) -> ExitStatus {
        self.child.wait().expect("it ends")
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
