//! The command line: every subcommand, its options, defaults and examples. It only declares and
//! parses; what a command does lives in the module of that command.

mod args;
mod import;
mod registry;
mod value;

pub(crate) use args::{
    CatalogApplyArgs, CatalogCheckArgs, CatalogDiffArgs, ConsentArgs, ConsentWord, ContextArgs, DeadListArgs,
    DeadRetryArgs, DecideArgs, DemoArgs, EraseArgs, ExplainLevel, ExportDecisionsArgs, ExportFormat, FactArgs,
    IngestArgs, LinkArgs, OnError, PrivacyExportArgs, ReceiptArgs, ReportArgs, ServeArgs, ShowArgs, TrainArgs,
    VerifyArgs,
};
pub(crate) use import::{ImportArgs, ImportFormat};
pub(crate) use registry::{
    AliasName, CanaryArgs, CompareArgs, ListArgs, PromoteArgs, PushArgs, RollbackArgs, ShadowArgs, VersionName,
};
pub(crate) use value::Assignment;

use clap::{Args, Parser, Subcommand};

const EXAMPLES: &str = "\
Examples:
  tactful demo                                        a live server with simulated customers, for a minute
  tactful serve --catalog catalog --data-dir data     a server on the embedded log
  tactful ingest events.jsonl                         send Segment-shaped events to it
  tactful decide customer:42 --placement web_home     what to say to one customer, and why
  tactful context customer:42                         what is known of that customer

Exit codes: 0 done, 1 refused or failed, 2 wrong usage.";

/// Decides what to say or do next with one customer, and when to say nothing.
#[derive(Debug, Parser)]
#[command(name = "tactful", version, about, after_help = EXAMPLES, arg_required_else_help = true)]
pub(crate) struct Cli {
    #[command(flatten)]
    pub(crate) global: Global,
    #[command(subcommand)]
    pub(crate) command: Command,
}

/// Options that every command takes; help lists them after the command's own.
#[derive(Args, Clone, Debug)]
#[command(next_help_heading = "Common options")]
pub(crate) struct Global {
    /// Address of the running server
    #[arg(long, global = true, value_name = "URL", env = "TACTFUL_SERVER", default_value = DEFAULT_SERVER)]
    pub(crate) server: String,
    /// Print JSON instead of text
    #[arg(long, global = true)]
    pub(crate) json: bool,
    /// No progress bar and no summary; errors and results are still printed
    #[arg(long, short, global = true)]
    pub(crate) quiet: bool,
}

/// Where a server listens unless told otherwise.
pub(crate) const DEFAULT_SERVER: &str = "http://127.0.0.1:7411";

/// What to do.
#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Run a server with simulated customers and watch it decide and learn
    #[command(after_help = args::DEMO_EXAMPLES)]
    Demo(DemoArgs),
    /// Run the server
    #[command(after_help = args::SERVE_EXAMPLES)]
    Serve(ServeArgs),
    /// Ask a running server for a decision
    #[command(after_help = args::DECIDE_EXAMPLES)]
    Decide(DecideArgs),
    /// Send events, external decisions and outcomes to a running server
    #[command(after_help = args::INGEST_EXAMPLES)]
    Ingest(IngestArgs),
    /// Show what is known of one customer, and why
    #[command(after_help = args::CONTEXT_EXAMPLES)]
    Context(ContextArgs),
    /// Say that two subject ids are one customer: they are read as one from then on
    #[command(after_help = args::LINK_EXAMPLES)]
    Link(LinkArgs),
    /// Say that two subject ids are not one customer any more
    #[command(after_help = args::UNLINK_EXAMPLES)]
    Unlink(LinkArgs),
    /// Record what a customer allows or denies
    #[command(after_help = args::CONSENT_EXAMPLES)]
    Consent(ConsentArgs),
    /// Record what a customer told, once for every channel
    #[command(after_help = args::FACT_EXAMPLES)]
    Fact(FactArgs),
    /// Work on the catalogue of features, actions and rules
    #[command(subcommand)]
    Catalog(CatalogCommand),
    /// Train models, push them to a server, put them into use, go back
    #[command(subcommand)]
    Model(ModelCommand),
    /// Write recorded data out
    #[command(subcommand)]
    Export(ExportCommand),
    /// Everything that is held on a customer, and its erasure
    #[command(subcommand)]
    Privacy(PrivacyCommand),
    /// See and retry what came in through Redis and could not be read
    #[command(subcommand)]
    Dead(DeadCommand),
}

/// What to do with a catalogue.
#[derive(Debug, Subcommand)]
pub(crate) enum CatalogCommand {
    /// Check a catalogue as a whole; problems are listed with file, line, column and a hint
    #[command(after_help = args::CATALOG_CHECK_EXAMPLES)]
    Check(CatalogCheckArgs),
    /// Put a catalogue into use on a running server and all that share its log, while decisions go on
    #[command(after_help = args::CATALOG_APPLY_EXAMPLES)]
    Apply(CatalogApplyArgs),
    /// Show what applying a catalogue would change on a running server
    #[command(after_help = args::CATALOG_DIFF_EXAMPLES)]
    Diff(CatalogDiffArgs),
}

/// What to do with a model.
#[derive(Debug, Subcommand)]
pub(crate) enum ModelCommand {
    /// Train a model from the record of decisions or from a table
    #[command(after_help = args::TRAIN_EXAMPLES)]
    Train(TrainArgs),
    /// Show how good a trained model is: quality, importance, drift, plots
    #[command(after_help = args::REPORT_EXAMPLES)]
    Report(ReportArgs),
    /// Make a model of a file of LightGBM, XGBoost or ONNX, proved on the library's own predictions
    #[command(after_help = import::IMPORT_EXAMPLES)]
    Import(ImportArgs),
    /// Check a model file, or ask a server for a version, and show what it holds
    #[command(after_help = args::SHOW_EXAMPLES)]
    Show(ShowArgs),
    /// Register a model on a running server, checked
    #[command(after_help = registry::PUSH_EXAMPLES)]
    Push(PushArgs),
    /// Show a server's models, their versions, and which of them are in use
    #[command(after_help = registry::LIST_EXAMPLES)]
    List(ListArgs),
    /// Let a version decide for all customers
    #[command(after_help = registry::PROMOTE_EXAMPLES)]
    Promote(PromoteArgs),
    /// Let a version score what is decided without deciding
    #[command(after_help = registry::SHADOW_EXAMPLES)]
    Shadow(ShadowArgs),
    /// Let a version decide for a share of the customers
    #[command(after_help = registry::CANARY_EXAMPLES)]
    Canary(CanaryArgs),
    /// Compare two versions on recorded decisions
    #[command(after_help = registry::COMPARE_EXAMPLES)]
    Compare(CompareArgs),
    /// Make the champion of before the champion again
    #[command(after_help = registry::ROLLBACK_EXAMPLES)]
    Rollback(RollbackArgs),
}

/// What to write out.
#[derive(Debug, Subcommand)]
pub(crate) enum ExportCommand {
    /// Recorded decisions with their outcomes as JSON lines or Parquet, one row per decision and slot
    #[command(after_help = args::EXPORT_EXAMPLES)]
    Decisions(ExportDecisionsArgs),
}

/// What a customer may ask for.
#[derive(Debug, Subcommand)]
pub(crate) enum PrivacyCommand {
    /// Write everything that is held on a subject id as JSON
    #[command(after_help = args::PRIVACY_EXPORT_EXAMPLES)]
    Export(PrivacyExportArgs),
    /// Erase a subject id from every store, with a receipt
    #[command(after_help = args::ERASE_EXAMPLES)]
    Erase(EraseArgs),
    /// Show how far an erasure is
    #[command(after_help = args::RECEIPT_EXAMPLES)]
    Receipt(ReceiptArgs),
    /// Look through every store for what is left of a subject id; ends with 1 if anything is
    #[command(after_help = args::VERIFY_EXAMPLES)]
    Verify(VerifyArgs),
}

/// What to do with entries that could not be read.
#[derive(Debug, Subcommand)]
pub(crate) enum DeadCommand {
    /// List them, oldest first, each with the reason and as it came
    #[command(after_help = args::DEAD_LIST_EXAMPLES)]
    List(DeadListArgs),
    /// Give them to the intake again, for instance after the catalogue was mended
    #[command(after_help = args::DEAD_RETRY_EXAMPLES)]
    Retry(DeadRetryArgs),
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::CommandFactory;

    fn parse(line: &str) -> Result<Cli, clap::Error> {
        Cli::try_parse_from(line.split_whitespace())
    }

    #[test]
    fn the_declaration_is_consistent() {
        Cli::command().debug_assert();
    }

    #[test]
    fn every_leaf_command_has_an_example_that_parses() {
        let mut leaves = 0;
        let mut stack = vec![Cli::command()];
        while let Some(command) = stack.pop() {
            if command.has_subcommands() {
                stack.extend(command.get_subcommands().cloned());
                continue;
            }
            leaves += 1;
            let help = command.get_after_help().expect("examples").to_string();
            let examples: Vec<&str> = help.lines().map(str::trim).filter(|line| line.starts_with("tactful ")).collect();
            assert!(!examples.is_empty(), "{} has no example", command.get_name());
            for example in examples {
                let call = example.split("  ").next().unwrap().split(['|', '>']).next().unwrap();
                parse(call).unwrap_or_else(|problem| panic!("{call}: {problem}"));
            }
        }
        assert_eq!(
            leaves, 30,
            "demo, serve, decide, ingest, context, link, unlink, consent, fact, check, apply, diff, train, import, report, show, push, \
             list, promote, shadow, canary, compare, rollback, decisions, list, retry, export, erase, receipt, verify"
        );
    }

    #[test]
    fn global_options_may_follow_the_command() {
        let cli = parse("tactful context customer:42 --json --server http://other:1").unwrap();
        assert!(cli.global.json);
        assert_eq!(cli.global.server, "http://other:1");
    }

    #[test]
    fn a_negative_rate_is_refused() {
        assert!(parse("tactful demo --rate 0").is_err());
        assert!(parse("tactful demo --rate=-5").is_err());
        assert!(parse("tactful demo --seconds=-1").is_err());
    }
}
