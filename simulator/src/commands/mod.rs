//! The commands. They do the I/O; what to do is decided in the modules beside this folder.

mod fleet;
mod load;
mod options;
mod publish;
mod terminal;
mod webhook;

use clap::Subcommand;
use std::process::ExitCode;
pub use terminal::say;

#[derive(Debug, Subcommand)]
pub enum Command {
    /// Send one event through a webhook definition, and print what Particle would publish
    Publish(Box<publish::Arguments>),
    /// Run virtual devices that publish, report, obey and acknowledge
    Fleet(Box<fleet::Arguments>),
    /// Send events at a fixed rate, or as fast as possible, and measure the answers
    Load(Box<load::Arguments>),
}

/// Why a command could not do what it was asked, in words for its user.
pub type Stop = String;

impl Command {
    /// # Errors
    /// What was asked for wrongly.
    pub async fn run(self) -> Result<ExitCode, Stop> {
        match self {
            Command::Publish(arguments) => arguments.run().await,
            Command::Fleet(arguments) => arguments.run().await,
            Command::Load(arguments) => arguments.run().await,
        }
    }
}
