//! The `impasto` program: parse the command line, run it, print the error, set the exit code.

mod cli;

use std::process::ExitCode;

use impasto::kernels::simd::pages::give_back_large_blocks;

fn main() -> ExitCode {
    give_back_large_blocks();
    match cli::panics::caught(cli::run) {
        Ok(code) => ExitCode::from(code),
        Err(error) => {
            cli::say::error(&error.message);
            ExitCode::from(error.code)
        }
    }
}
