//! The binary: parses the command line, dispatches, turns an error into a message and an exit code
//! (0 done, 1 refused or failed, 2 wrong usage). It holds no logic of any command.

mod catalog;
mod cli;
mod client;
mod config;
mod demo;
mod intake;
mod log;
mod output;
mod render;
mod segment;
mod serve;

use std::process::ExitCode;

use anyhow::Result;
use clap::Parser;

use cli::{CatalogCommand, Cli, Command, DeadCommand, ExportCommand, Global, ModelCommand, PrivacyCommand};

#[global_allocator]
static GLOBAL: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> ExitCode {
    let Cli { global, command } = Cli::parse();
    dispatch(&global, command).unwrap_or_else(|error| output::failure(&error))
}

fn dispatch(global: &Global, command: Command) -> Result<ExitCode> {
    match command {
        Command::Decide(args) => block_on(client::decide::run(global, &args)),
        Command::Ingest(args) => block_on(client::ingest::run(global, &args)),
        Command::Consent(args) => block_on(client::consent::run(global, &args)),
        Command::Context(args) => block_on(client::context::run(global, &args)),
        Command::Link(args) => block_on(client::link::link(global, &args)),
        Command::Unlink(args) => block_on(client::link::unlink(global, &args)),
        Command::Fact(args) => block_on(client::fact::run(global, &args)),
        Command::Export(ExportCommand::Decisions(args)) => block_on(client::export::run(global, &args)),
        Command::Model(ModelCommand::Train(args)) => block_on(client::model::train(global, &args)),
        Command::Model(ModelCommand::Report(args)) => client::model::report(global, &args),
        Command::Model(ModelCommand::Import(args)) => client::model::import(global, &args),
        Command::Model(ModelCommand::Show(args)) => block_on(client::model::show(global, &args)),
        Command::Model(ModelCommand::Push(args)) => block_on(client::registry::push(global, &args)),
        Command::Model(ModelCommand::List(args)) => block_on(client::registry::list(global, &args)),
        Command::Model(ModelCommand::Promote(args)) => block_on(client::registry::promote(global, &args)),
        Command::Model(ModelCommand::Shadow(args)) => block_on(client::registry::shadow(global, &args)),
        Command::Model(ModelCommand::Canary(args)) => block_on(client::registry::canary(global, &args)),
        Command::Model(ModelCommand::Compare(args)) => block_on(client::registry::compare(global, &args)),
        Command::Model(ModelCommand::Rollback(args)) => block_on(client::registry::rollback(global, &args)),
        Command::Catalog(CatalogCommand::Check(args)) => catalog::check(global, &args),
        Command::Catalog(CatalogCommand::Apply(args)) => block_on(client::catalog::apply(global, &args)),
        Command::Catalog(CatalogCommand::Diff(args)) => block_on(client::catalog::diff(global, &args)),
        Command::Privacy(PrivacyCommand::Export(args)) => block_on(client::privacy::export(global, &args)),
        Command::Privacy(PrivacyCommand::Erase(args)) => block_on(client::privacy::erase(global, &args)),
        Command::Privacy(PrivacyCommand::Receipt(args)) => block_on(client::privacy::receipt(global, &args)),
        Command::Privacy(PrivacyCommand::Verify(args)) => block_on(client::privacy::verify(global, &args)),
        Command::Dead(DeadCommand::List(args)) => client::dead::list(global, &args),
        Command::Dead(DeadCommand::Retry(args)) => client::dead::retry(global, &args),
        Command::Serve(args) => serve::run(global, &args),
        Command::Demo(args) => demo::run(global, &args),
    }
}

/// Runs one client command; one thread is enough for one connection.
fn block_on(command: impl Future<Output = Result<ExitCode>>) -> Result<ExitCode> {
    tokio::runtime::Builder::new_current_thread().enable_all().build()?.block_on(command)
}
