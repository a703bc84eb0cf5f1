//! Child processes: started, waited for until they serve, measured by `/proc`, killed when dropped.

use std::fs;
use std::io;
use std::process::Child;
use std::time::{Duration, Instant};

/// How much a process has used.
#[derive(Debug, Clone, Copy)]
pub struct Usage {
    /// Processor time, of the process and in the kernel for it.
    pub cpu: Duration,
    /// Resident memory now.
    pub resident_bytes: u64,
    /// The most resident memory so far.
    pub resident_max_bytes: u64,
    at: Instant,
}

impl Usage {
    /// The usage of a process so far.
    pub fn of(pid: u32) -> io::Result<Self> {
        let stat = fs::read_to_string(format!("/proc/{pid}/stat"))?;
        let status = fs::read_to_string(format!("/proc/{pid}/status"))?;
        // The name, in parentheses, may hold blanks: count from behind it (proc(5)).
        let fields = stat.rsplit_once(')').map_or("", |(_, after)| after);
        let ticks = |place: usize| -> u64 {
            let field = fields.split_ascii_whitespace().nth(place);
            field.and_then(|field| field.parse().ok()).unwrap_or(0)
        };
        let per_second = rustix::param::clock_ticks_per_second();
        Ok(Self {
            cpu: Duration::from_secs_f64((ticks(11) + ticks(12)) as f64 / per_second as f64),
            resident_bytes: kib(&status, "VmRSS:") << 10,
            resident_max_bytes: kib(&status, "VmHWM:") << 10,
            at: Instant::now(),
        })
    }

    /// How many cores were busy since an earlier usage.
    pub fn cores_since(&self, before: &Self) -> f64 {
        let span = self.at - before.at;
        (self.cpu - before.cpu).as_secs_f64() / span.as_secs_f64()
    }
}

fn kib(status: &str, name: &str) -> u64 {
    let line = status.lines().find_map(|line| line.strip_prefix(name));
    let number = line.and_then(|line| line.split_ascii_whitespace().next());
    number.and_then(|number| number.parse().ok()).unwrap_or(0)
}

/// A child that does not outlive its owner.
#[derive(Debug)]
pub struct Killed(pub Child);

impl Killed {
    /// Its usage so far.
    pub fn usage(&self) -> io::Result<Usage> {
        Usage::of(self.0.id())
    }
}

impl Drop for Killed {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_process_has_used_memory() {
        let usage = Usage::of(std::process::id()).expect("this process runs");
        assert!(usage.resident_bytes > 1 << 16);
        assert!(usage.resident_max_bytes >= usage.resident_bytes / 2);
        assert_eq!(kib("VmRSS:\t  12 kB\n", "VmRSS:"), 12);
    }
}
