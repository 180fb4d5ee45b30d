//! Metrics of the machine and the process, read from the kernel's files (on Linux; elsewhere there are none).

use std::fs::read_to_string;

/// The state of the machine.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub(crate) struct Machine {
    /// CPU time of this process, s.
    pub(crate) process_cpu_s: f64,
    /// Memory of this process, bytes.
    pub(crate) process_rss: u64,
    /// Threads of this process.
    pub(crate) process_threads: u64,
    /// Files and sockets this process has open.
    pub(crate) process_files: u64,
    /// CPU time of the whole machine: busy, idle, s.
    pub(crate) cpu_s: (f64, f64),
    /// Memory of the machine: available, total, bytes.
    pub(crate) memory: (u64, u64),
    /// Traffic of the machine, the loopback too: bytes in, bytes out.
    pub(crate) network: (u64, u64),
}

impl Machine {
    /// Reads the machine now; values that cannot be read are 0.
    pub(crate) fn read() -> Self {
        let hz = rustix::param::clock_ticks_per_second().max(1) as f64;
        let text = |path: &str| read_to_string(path).unwrap_or_default();
        let mut machine = Self::default();
        machine.read_process(&text("/proc/self/stat"), hz, rustix::param::page_size() as u64);
        machine.process_files = std::fs::read_dir("/proc/self/fd").map_or(0, |dir| dir.count() as u64);
        machine.read_cpu(&text("/proc/stat"), hz);
        machine.memory = (
            field_kb(&text("/proc/meminfo"), "MemAvailable:"),
            field_kb(&text("/proc/meminfo"), "MemTotal:"),
        );
        machine.read_network(&text("/proc/net/dev"));
        machine
    }

    /// `proc_pid_stat(5)`: the fields behind the command's name, which may contain anything.
    fn read_process(&mut self, stat: &str, hz: f64, page: u64) {
        let behind = stat.rsplit_once(')').map_or("", |(_, behind)| behind);
        let fields: Vec<u64> = behind.split_whitespace().skip(1).map(|f| f.parse().unwrap_or(0)).collect();
        let field = |number: usize| fields.get(number - 4).copied().unwrap_or(0);
        self.process_cpu_s = (field(14) + field(15)) as f64 / hz;
        self.process_threads = field(20);
        self.process_rss = field(24) * page;
    }

    /// `proc_stat(5)`: user nice system idle iowait irq softirq steal.
    fn read_cpu(&mut self, stat: &str, hz: f64) {
        let line = stat.lines().next().unwrap_or_default();
        let fields: Vec<f64> =
            line.split_whitespace().skip(1).take(8).map(|f| f.parse().unwrap_or(0.0)).collect();
        let idle: f64 = fields.iter().skip(3).take(2).sum();
        self.cpu_s = ((fields.iter().sum::<f64>() - idle) / hz, idle / hz);
    }

    fn read_network(&mut self, dev: &str) {
        for line in dev.lines().filter_map(|line| line.split_once(':')) {
            let fields: Vec<u64> = line.1.split_whitespace().map(|f| f.parse().unwrap_or(0)).collect();
            self.network.0 += fields.first().copied().unwrap_or(0);
            self.network.1 += fields.get(8).copied().unwrap_or(0);
        }
    }
}

fn field_kb(text: &str, name: &str) -> u64 {
    let line = text.lines().find_map(|line| line.strip_prefix(name));
    line.and_then(|rest| rest.split_whitespace().next()?.parse::<u64>().ok()).unwrap_or(0) * 1024
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_files_are_read_right() {
        let mut m = Machine::default();
        let stat = "7 (a) b) S 1 7 7 0 -1 4194304 100 0 0 0 150 50 0 0 20 0 9 0 12345 1000000 256 1844674407";
        m.read_process(stat, 100.0, 4096);
        assert_eq!((m.process_cpu_s, m.process_threads, m.process_rss), (2.0, 9, 1_048_576));
        m.read_cpu("cpu  100 0 50 800 50 0 0 0 0 0\ncpu0 1 2 3", 100.0);
        assert_eq!(m.cpu_s, (1.5, 8.5));
        m.read_network(
            "Inter-| Receive\n face |bytes\n  lo: 10 1 0 0 0 0 0 0 20 1 0\neth0: 5 1 0 0 0 0 0 0 6 1\n",
        );
        assert_eq!(m.network, (15, 26));
        assert_eq!(field_kb("MemTotal:  8 kB\nMemAvailable:    2 kB\n", "MemAvailable:"), 2048);
    }

    #[test]
    fn this_machine_answers() {
        let m = Machine::read();
        assert!(m.process_rss > 0 && m.process_threads > 0 && m.process_files > 2 && m.memory.1 > 0, "{m:?}");
    }
}
