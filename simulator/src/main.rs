//! The command line: which command, and what its end means as an exit code.

use clap::Parser;
use simulator::commands::{Command, say};
use std::process::ExitCode;

/// The Particle cloud as a webhook sees it
#[derive(Debug, Parser)]
#[command(name = "simulator", version)]
struct Arguments {
    #[command(subcommand)]
    command: Command,
}

#[tokio::main]
async fn main() -> ExitCode {
    match Arguments::parse().command.run().await {
        Ok(code) => code,
        Err(stop) => {
            say(&format!("simulator: {stop}"));
            ExitCode::from(2)
        }
    }
}
