//! PostgreSQL: a private server, its synchronous standby, and what can happen to them.
//!
//! Start with [`Postgres::start`]. A server listens on a free port of loopback, where it wants a password, and on a socket in its
//! directory, where it trusts everybody who can reach it. As root it runs as the user `postgres`, or `nobody`: PostgreSQL refuses root.
//! A server whose process was killed ends with it: a shell beside it waits for that.

use std::fs;
use std::net::Ipv4Addr;
use std::os::unix::fs::{PermissionsExt, chown};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use crate::EngineError;
use crate::install::{self, is_root};
use crate::process::{Process, free_port};

const PACKAGE: &str = "postgresql-15";
const FOLDERS: &[&str] = &["/usr/lib/postgresql/15/bin"];
/// A start, a stop and a copy take this long at most; usually a second.
const PATIENCE: Duration = Duration::from_secs(60);
/// A server that does not end in this time is killed.
const GRACE: Duration = Duration::from_secs(10);
const AGAIN: Duration = Duration::from_millis(20);

/// Where a server listens besides loopback.
#[derive(Clone, Copy, Debug, Default)]
pub struct PostgresOptions {
    /// An address of this machine, whose network of 256 addresses may come in with the password.
    pub host: Option<Ipv4Addr>,
    /// Its port (default: a free one).
    pub port: Option<u16>,
}

/// A PostgreSQL server. Dropping it stops it.
#[derive(Debug)]
pub struct Postgres {
    dir: PathBuf,
    port: u16,
    options: PostgresOptions,
    owner: Option<(u32, u32)>,
    running: Option<Running>,
}

#[derive(Debug)]
struct Running {
    process: Process,
    /// Stops the server when our end of its pipe closes, which a killed process of ours does too.
    guard: Child,
}

impl Postgres {
    /// The superuser of every server here.
    pub const USER: &str = "postgres";
    /// Its password, over TCP.
    pub const PASSWORD: &str = "not a secret: it guards nothing";

    /// Makes a server in the directory `dir`, which is there and empty, and starts it.
    ///
    /// # Errors
    /// PostgreSQL is missing and cannot be installed, or does not start.
    pub fn start(dir: &Path) -> Result<Self, EngineError> {
        Self::start_at(dir, PostgresOptions::default())
    }

    /// As [`start`](Self::start), where `options` say.
    ///
    /// # Errors
    /// As [`start`](Self::start).
    pub fn start_at(dir: &Path, options: PostgresOptions) -> Result<Self, EngineError> {
        let mut server = Self::new(dir, options)?;
        let password = dir.join("password");
        fs::write(&password, Self::PASSWORD)?;
        server.own(&password)?;
        let mut initdb = server.command("initdb")?;
        initdb.args(["--data-checksums", "--no-sync", "--wal-segsize=1", "--encoding=UTF8", "--no-locale"]);
        initdb.args(["--auth-host=scram-sha-256", "--auth-local=trust"]).arg(format!("-U{}", Self::USER));
        run(initdb.arg("--pwfile").arg(&password).arg("-D").arg(server.data()))?;
        if let Some(host) = options.host {
            use std::io::Write;
            let mut hba = fs::OpenOptions::new().append(true).open(server.data().join("pg_hba.conf"))?;
            writeln!(hba, "host all all {host}/24 scram-sha-256")?;
        }
        server.restart()?;
        Ok(server)
    }

    /// Starts the server in the directory `dir`, and makes it there if that is empty.
    ///
    /// # Errors
    /// As [`start`](Self::start).
    pub fn start_again(dir: &Path) -> Result<Self, EngineError> {
        if !dir.join("data").join("PG_VERSION").exists() {
            return Self::start(dir);
        }
        let mut server = Self::new(dir, PostgresOptions::default())?;
        server.restart()?;
        Ok(server)
    }

    fn new(dir: &Path, options: PostgresOptions) -> Result<Self, EngineError> {
        let port = options.port.map_or_else(free_port, Ok)?;
        let server = Self { dir: dir.to_owned(), port, options, owner: unprivileged()?, running: None };
        server.own(dir)?;
        Ok(server)
    }

    /// How a driver connects over TCP; without the password.
    pub fn connection(&self) -> String {
        format!("host=127.0.0.1 port={} user={} dbname=postgres", self.port, Self::USER)
    }

    /// The port on loopback.
    pub fn port(&self) -> u16 {
        self.port
    }

    /// The process id of the server.
    pub fn id(&self) -> Option<u32> {
        self.running.as_ref().map(|running| running.process.id())
    }

    /// Starts a server that was stopped or killed, and waits until it answers.
    ///
    /// # Errors
    /// It does not start, or not in a minute.
    pub fn restart(&mut self) -> Result<(), EngineError> {
        self.end(9);
        let until = Instant::now() + PATIENCE;
        loop {
            match self.launch(until) {
                // Children of a killed server hold its memory until they have noticed.
                Err(EngineError::Failed { what, .. })
                    if what.contains("shared memory") && Instant::now() < until =>
                {
                    // Another process makes it true, and nothing tells us when: this polls, up to a limit.
                    std::thread::sleep(AGAIN);
                }
                other => return other,
            }
        }
    }

    fn launch(&mut self, until: Instant) -> Result<(), EngineError> {
        let mut command = self.command("postgres")?;
        command.arg("-D").arg(self.data()).arg(format!("-cport={}", self.port));
        command.arg(format!("-cunix_socket_directories={}", self.dir.display()));
        let listens = self.options.host.map_or_else(String::new, |host| format!(",{host}"));
        command.arg(format!("-clisten_addresses=127.0.0.1{listens}"));
        command.args(["-cshared_buffers=32MB", "-cmin_wal_size=8MB"]);
        command.args(["-cmax_wal_size=256MB", "-clog_min_messages=warning", "-clogging_collector=off"]);
        let process = Process::start(&mut command, &self.dir.join("log"))?;
        let guard = guard(process.id())?;
        self.running = Some(Running { process, guard });
        loop {
            if self.dir.join(format!(".s.PGSQL.{}", self.port)).exists() && self.answers()? {
                return Ok(());
            }
            let running = self.running.as_mut().expect("it was just started");
            if let Err(ended) = running.process.check() {
                self.end(9);
                return Err(ended);
            }
            if Instant::now() > until {
                return Err(running.process.failed("it does not answer".to_owned()));
            }
            // Another process makes it true, and nothing tells us when: this polls, up to a limit.
            std::thread::sleep(AGAIN);
        }
    }

    fn answers(&self) -> Result<bool, EngineError> {
        let mut ready = self.command("pg_isready")?;
        ready.args(["-q", "-h"]).arg(&self.dir).arg(format!("-p{}", self.port));
        Ok(ready.status()?.success())
    }

    /// Runs statements as the superuser, and returns the rows of the last one: a line each, columns separated by `|`.
    ///
    /// # Errors
    /// What the server says.
    pub fn sql(&self, sql: &str) -> Result<String, EngineError> {
        let mut psql = self.command("psql")?;
        psql.args(["-XqAt", "-vON_ERROR_STOP=1", "-dpostgres", "-h"]).arg(&self.dir);
        psql.arg(format!("-p{}", self.port)).arg(format!("-U{}", Self::USER)).args(["-c", sql]);
        run(&mut psql)
    }

    /// Makes a standby in the directory `dir`, which is there and empty, and starts it. From then on each commit here waits until
    /// it is on the standby's disk too.
    ///
    /// # Errors
    /// The copy or the start fails.
    pub fn standby(&self, dir: &Path) -> Result<Self, EngineError> {
        self.standby_at(dir, PostgresOptions::default())
    }

    /// As [`standby`](Self::standby), where `options` say.
    ///
    /// # Errors
    /// As [`standby`](Self::standby).
    pub fn standby_at(&self, dir: &Path, options: PostgresOptions) -> Result<Self, EngineError> {
        let mut standby = Self::new(dir, options)?;
        let from = format!(
            "host={} port={} user={} application_name=standby",
            self.dir.display(),
            self.port,
            Self::USER
        );
        let mut copy = standby.command("pg_basebackup")?;
        copy.args(["-R", "-Xstream", "-cfast", "--no-sync", "-d", &from]).arg("-D").arg(standby.data());
        run(&mut copy)?;
        standby.restart()?;
        self.sql("ALTER SYSTEM SET synchronous_standby_names = 'standby'")?;
        self.sql("SELECT pg_reload_conf()")?;
        let until = Instant::now() + PATIENCE;
        while self.sql("SELECT count(*) FROM pg_stat_replication WHERE sync_state = 'sync'")?.trim() != "1" {
            if Instant::now() > until {
                let (program, what) = ("postgres".to_owned(), "the standby does not connect".to_owned());
                return Err(EngineError::Failed { program, what });
            }
            // Another process makes it true, and nothing tells us when: this polls, up to a limit.
            std::thread::sleep(AGAIN);
        }
        Ok(standby)
    }

    /// Makes a standby the primary.
    ///
    /// # Errors
    /// It is none.
    pub fn promote(&self) -> Result<(), EngineError> {
        self.sql("ALTER SYSTEM SET synchronous_standby_names = ''")?;
        self.sql("SELECT pg_reload_conf()")?;
        self.sql("SELECT pg_promote(true, 60)").map(drop)
    }

    /// Stops the server as an operator would: sessions are cut, everything is written.
    pub fn stop(&mut self) {
        self.end(2);
    }

    /// Kills the server and its children with SIGKILL, all at once: whatever they are at.
    pub fn kill(&mut self) {
        if let Some(id) = self.id() {
            let all = std::iter::once(id.to_string()).chain(children(id));
            // Some may have ended meanwhile.
            let _ = Command::new("kill").arg("-9").args(all).stderr(Stdio::null()).status();
        }
        self.end(9);
    }

    /// Sends the server and its children a signal, such as 19 (SIGSTOP) and 18 (SIGCONT).
    ///
    /// # Errors
    /// It does not run.
    pub fn signal(&mut self, signal: i32) -> Result<(), EngineError> {
        let Some(running) = &mut self.running else { return Ok(()) };
        running.process.signal(signal)?;
        for child in children(running.process.id()) {
            // It may have ended meanwhile.
            let _ = Command::new("kill").args([format!("-{signal}"), child]).stderr(Stdio::null()).status();
        }
        Ok(())
    }

    fn end(&mut self, signal: i32) {
        let Some(mut running) = self.running.take() else { return };
        // What is stopped hears nothing else.
        for child in children(running.process.id()) {
            let _ = Command::new("kill").args(["-18", &child]).stderr(Stdio::null()).status();
        }
        // It may have ended by itself.
        let _ = running.process.signal(18);
        let _ = running.process.signal(signal);
        let until = Instant::now() + GRACE;
        while running.process.check().is_ok() && Instant::now() < until {
            // Another process makes it true, and nothing tells us when: this polls, up to a limit.
            std::thread::sleep(AGAIN);
        }
        // Kills it if it still runs.
        drop(running.process);
        let _ = running.guard.kill();
        let _ = running.guard.wait();
    }

    fn data(&self) -> PathBuf {
        self.dir.join("data")
    }

    fn own(&self, path: &Path) -> Result<(), EngineError> {
        let Some((user, group)) = self.owner else { return Ok(()) };
        fs::set_permissions(path, fs::Permissions::from_mode(0o700))?;
        Ok(chown(path, Some(user), Some(group))?)
    }

    /// A program of PostgreSQL, to run as the user that the server runs as.
    fn command(&self, program: &str) -> Result<Command, EngineError> {
        let mut command = Command::new(install::program(program, FOLDERS, PACKAGE)?);
        command.current_dir(&self.dir).env_remove("PGPASSWORD").env("LC_ALL", "C");
        if let Some((user, group)) = self.owner {
            command.uid(user).gid(group);
        }
        Ok(command)
    }
}

impl Drop for Postgres {
    fn drop(&mut self) {
        // Immediate shutdown: the files are not needed any more, and what the server shares is tidied up.
        self.end(3);
    }
}

/// The user and group to run as: as root, those of another user.
fn unprivileged() -> Result<Option<(u32, u32)>, EngineError> {
    if !is_root() {
        return Ok(None);
    }
    // Installs the package, which makes the user.
    install::program("postgres", FOLDERS, PACKAGE)?;
    let users = fs::read_to_string("/etc/passwd")?;
    let of = |name: &str| {
        let line = users.lines().find(|line| line.split(':').next() == Some(name))?;
        let mut fields = line.split(':').skip(2).map(str::parse);
        Some((fields.next()?.ok()?, fields.next()?.ok()?))
    };
    let missing = || EngineError::Failed {
        program: "postgres".to_owned(),
        what: "there is no user `postgres` or `nobody` to run it as".to_owned(),
    };
    of("postgres").or_else(|| of("nobody")).map(Some).ok_or_else(missing)
}

/// A shell that waits for the end of its input, and then for the server to end.
fn guard(server: u32) -> Result<Child, EngineError> {
    let script = format!("read _; kill -3 {server} 2>/dev/null");
    let mut shell = Command::new("sh");
    shell.args(["-c", &script]).stdin(Stdio::piped()).stdout(Stdio::null()).stderr(Stdio::null());
    // Its own group: an interrupt at the keyboard ends us, and then this ends the server.
    Ok(shell.process_group(0).spawn()?)
}

fn children(of: u32) -> Vec<String> {
    let list = fs::read_to_string(format!("/proc/{of}/task/{of}/children")).unwrap_or_default();
    list.split_whitespace().map(str::to_owned).collect()
}

fn run(command: &mut Command) -> Result<String, EngineError> {
    let output = command.stdin(Stdio::null()).output()?;
    if output.status.success() {
        return Ok(String::from_utf8_lossy(&output.stdout).into_owned());
    }
    let program = command.get_program().to_string_lossy().into_owned();
    Err(EngineError::Failed { program, what: String::from_utf8_lossy(&output.stderr).trim().to_owned() })
}
