//! The command `ioc`: arguments in, exit code out.
//!
//! Exit codes: 0 done, 1 failed, 64 bad usage or settings (nothing bound yet), 65 damaged journal,
//! 69 nobody listens at the address that a command was to connect to.

use std::process::ExitCode;

use ioc::cli::{Cli, Failure};
use ioc::progress::tell;

fn main() -> ExitCode {
    let cli = match Cli::read() {
        Ok(cli) => cli,
        Err(error) => {
            // Help and version are no failure; a mistake is one of usage.
            let _ = error.print();
            return ExitCode::from(if error.use_stderr() {
                Failure::USAGE
            } else {
                0
            });
        }
    };
    match cli.run() {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => {
            if !failure.message.is_empty() {
                tell(format_args!("ioc: {}", failure.message));
            }
            ExitCode::from(failure.code)
        }
    }
}
