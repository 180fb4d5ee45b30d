//! Child processes of a benchmark: starting them, talking to them, and reading their `/proc` entries.

use std::io::{BufRead, BufReader, Lines, Write};
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};

use crate::Failure;

/// One of this program's own sub-commands as a child. Killed when dropped.
pub(crate) struct Process {
    what: String,
    child: Child,
    input: Option<ChildStdin>,
    lines: Lines<BufReader<ChildStdout>>,
}

impl Process {
    pub(crate) fn start(args: &[String]) -> Result<Self, Failure> {
        let mut child = Command::new(std::env::current_exe()?)
            .args(args)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()?;
        let lines = BufReader::new(child.stdout.take().ok_or("no pipe from the child")?).lines();
        let input = child.stdin.take();
        Ok(Self { what: args.first().cloned().unwrap_or_default(), child, input, lines })
    }

    /// Reads lines until one begins with `word`; returns the rest of that line.
    pub(crate) fn expect(&mut self, word: &str) -> Result<String, Failure> {
        for line in self.lines.by_ref() {
            if let Some(rest) = line?.strip_prefix(word) {
                return Ok(rest.trim().to_owned());
            }
        }
        let status = self.child.wait()?;
        Err(format!("the process `{}` ended ({status}) before it said `{word}`", self.what).into())
    }

    /// Writes a line to it.
    pub(crate) fn tell(&mut self, line: &str) -> Result<(), Failure> {
        let input = self.input.as_mut().ok_or("no pipe to the child")?;
        writeln!(input, "{line}")?;
        Ok(input.flush()?)
    }

    /// Closes its stdin: no more orders follow.
    pub(crate) fn end_input(&mut self) {
        drop(self.input.take());
    }

    /// Closes its stdin and waits for it to end by itself.
    pub(crate) fn finish(mut self) -> Result<(), Failure> {
        self.end_input();
        // Its remaining output is of no interest, but must not block it.
        self.lines.by_ref().for_each(drop);
        let status = self.child.wait()?;
        if status.success() {
            Ok(())
        } else {
            Err(format!("the process `{}` failed: {status}", self.what).into())
        }
    }

    /// CPU time so far, user and system, seconds.
    pub(crate) fn cpu_seconds(&self) -> Result<f64, Failure> {
        cpu_seconds(self.child.id())
    }

    /// Memory in use now, bytes.
    pub(crate) fn rss_bytes(&self) -> Result<u64, Failure> {
        rss_bytes(self.child.id())
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        // It may have ended already; both calls then do nothing.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// CPU time of a process so far, user and system, seconds.
pub(crate) fn cpu_seconds(process: u32) -> Result<f64, Failure> {
    let stat = std::fs::read_to_string(format!("/proc/{process}/stat"))?;
    cpu_ticks(&stat)
        .map(|ticks| ticks as f64 / rustix::param::clock_ticks_per_second() as f64)
        .ok_or_else(|| format!("cannot read {stat:?}").into())
}

/// Memory that a process uses now, bytes.
pub(crate) fn rss_bytes(process: u32) -> Result<u64, Failure> {
    let status = std::fs::read_to_string(format!("/proc/{process}/status"))?;
    let line = status.lines().find_map(|l| l.strip_prefix("VmRSS:")).ok_or("no VmRSS")?;
    let kib: u64 = line.trim().trim_end_matches(" kB").parse()?;
    Ok(kib * 1024)
}

/// CPU time so far of all processes whose program has this name, seconds. Processes that end take theirs with them.
pub(crate) fn cpu_seconds_of(program: &str) -> Result<f64, Failure> {
    let mut sum = 0.0;
    for entry in std::fs::read_dir("/proc")?.flatten() {
        let Ok(process) = entry.file_name().to_string_lossy().parse::<u32>() else { continue };
        let name = std::fs::read_to_string(format!("/proc/{process}/comm")).unwrap_or_default();
        if name.trim() == program {
            // It may have ended meanwhile.
            sum += cpu_seconds(process).unwrap_or_default();
        }
    }
    Ok(sum)
}

/// CPU time that the whole machine has spent so far on anything but idling and waiting, seconds.
pub(crate) fn machine_seconds() -> Result<f64, Failure> {
    let stat = std::fs::read_to_string("/proc/stat")?;
    let line = stat.lines().next().ok_or("an empty /proc/stat")?;
    let fields: Vec<u64> = line.split_whitespace().skip(1).map(str::parse).collect::<Result<_, _>>()?;
    // proc(5): user nice system idle iowait irq softirq …
    let busy: u64 = [0, 1, 2, 5, 6].iter().filter_map(|i| fields.get(*i)).sum();
    Ok(busy as f64 / rustix::param::clock_ticks_per_second() as f64)
}

/// utime + stime of proc(5)'s stat line; the command's name in parentheses may contain anything.
fn cpu_ticks(stat: &str) -> Option<u64> {
    let (_, rest) = stat.rsplit_once(')')?;
    let mut fields = rest.split_whitespace().skip(11);
    Some(fields.next()?.parse::<u64>().ok()? + fields.next()?.parse::<u64>().ok()?)
}

#[cfg(test)]
mod tests {
    #[test]
    fn cpu_time_is_found_behind_any_name() {
        let stat = "7 (a) b (c) S 1 7 7 0 -1 4194560 100 0 0 0 123 45 0 0 20 0 1 0 100 1000 10";
        assert_eq!(super::cpu_ticks(stat), Some(168));
        assert_eq!(super::cpu_ticks("nonsense"), None);
    }
}
