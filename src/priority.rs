//! Threads that nobody waits for let those go first that somebody does.

/// How much less a patient thread counts than others (see `nice(2)`).
const NICE: i32 = 15;

/// Makes the thread that calls it a patient one: it gets what others leave. On Linux this is a
/// matter of the thread, not of the process.
pub fn be_patient() {
    // Where it is refused, the thread works all the same.
    let _ = rustix::process::nice(NICE);
}
