//! Options of each subcommand with defaults and examples. No command's logic.

use std::{net::SocketAddr, path::PathBuf};

use clap::{Args, ValueEnum};
use tactful_proto::v1;

use super::value::{self, Assignment, PlacementSpec};
use crate::client::rows::Stopped;

pub(super) const DEMO_EXAMPLES: &str = "\
Examples:
  tactful demo
  tactful demo --seconds 20 --customers 500 --rate 200
  tactful demo --seed 7 --data-dir demo-data
  tactful demo --log redis";

/// Options of `demo`.
#[derive(Args, Debug)]
pub(crate) struct DemoArgs {
    /// How long to run, in seconds
    #[arg(long, default_value_t = 60, value_parser = clap::value_parser!(u64).range(1..=86_400))]
    pub(crate) seconds: u64,
    /// How many simulated customers
    #[arg(long, default_value_t = 2_000, value_parser = clap::value_parser!(u32).range(1..=1_000_000))]
    pub(crate) customers: u32,
    /// Decisions per second to ask for
    #[arg(long, default_value_t = 500, value_parser = clap::value_parser!(u32).range(1..=1_000_000))]
    pub(crate) rate: u32,
    /// Seed of the simulation: the same seed gives the same customers
    #[arg(long, default_value_t = 1)]
    pub(crate) seed: u64,
    /// Catalogue to use instead of the demo's own
    #[arg(long, value_name = "DIR")]
    pub(crate) catalog: Option<PathBuf>,
    /// Where the data goes [default: .tactful/demo]; what an earlier demo left there is cleared
    #[arg(long, value_name = "DIR")]
    pub(crate) data_dir: Option<PathBuf>,
    /// Event log: `embedded`, `redis` for a Redis started for the demo, or an empty redis://HOST:PORT/DB
    #[arg(long, value_name = "LOG", default_value = crate::log::EMBEDDED)]
    pub(crate) log: String,
}

pub(super) const SERVE_EXAMPLES: &str = "\
Examples:
  tactful serve --catalog catalog --data-dir data
  tactful serve --catalog catalog --log redis://127.0.0.1:6379
  tactful serve --config tactful.toml --grpc-listen 127.0.0.1:7500
  tactful serve --config tactful.toml --print-config

Settings come from the defaults, then the file, then the environment
(TACTFUL__SECTION__KEY), then the options; the later wins.";

/// Options of `serve`.
#[derive(Args, Debug)]
pub(crate) struct ServeArgs {
    /// Configuration file (TOML)
    #[arg(long, value_name = "FILE")]
    pub(crate) config: Option<PathBuf>,
    /// Directory of the catalogue
    #[arg(long, value_name = "DIR")]
    pub(crate) catalog: Option<PathBuf>,
    /// Directory of the embedded log
    #[arg(long, value_name = "DIR")]
    pub(crate) data_dir: Option<PathBuf>,
    /// Directory of the archive, shared by all nodes on one Redis [default: `archive` in the data directory]
    #[arg(long, value_name = "DIR")]
    pub(crate) archive: Option<PathBuf>,
    /// Event log: `embedded` (the default) in the data directory, or redis://HOST:PORT, shared by several nodes
    #[arg(long, value_name = "LOG")]
    pub(crate) log: Option<String>,
    /// How JSON in the intake of Redis that is not Segment's becomes events: a mapping file
    #[arg(long, value_name = "FILE")]
    pub(crate) intake_mapping: Option<PathBuf>,
    /// Address of the gRPC API
    #[arg(long, value_name = "ADDR")]
    pub(crate) grpc_listen: Option<SocketAddr>,
    /// Address of metrics and health over HTTP
    #[arg(long, value_name = "ADDR")]
    pub(crate) http_listen: Option<SocketAddr>,
    /// Model to push and promote at the start
    #[arg(long, value_name = "FILE")]
    pub(crate) model: Option<PathBuf>,
    /// Learn online by this recipe (kind = "ftrl"), from the champion on
    #[arg(long, value_name = "RECIPE")]
    pub(crate) learner: Option<PathBuf>,
    /// Print the settings in force, each with where it comes from, and exit
    #[arg(long)]
    pub(crate) print_config: bool,
}

pub(super) const DECIDE_EXAMPLES: &str = "\
Examples:
  tactful decide customer:42 --placement web_home
  tactful decide customer:42 --placement web_home:3 --placement web_account --explain full
  tactful decide customer:42 --placement agent_desktop --context topic=billing --context waiting_minutes=4
  tactful decide customer:42 --placement web_home --set age=71 --test --json
  tactful decide customer:42 --placement web_home --non-personal";

/// How much of the why and why-not to ask for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum ExplainLevel {
    /// Actions and factors only
    None,
    /// Also reasons in plain words and the nearest losers
    Reasons,
    /// Also every candidate, with the rule that dropped it and exact contributions
    Full,
}

impl From<ExplainLevel> for v1::Explain {
    fn from(level: ExplainLevel) -> Self {
        match level {
            ExplainLevel::None => Self::None,
            ExplainLevel::Reasons => Self::Reasons,
            ExplainLevel::Full => Self::Full,
        }
    }
}

/// Options of `decide`.
#[derive(Args, Debug)]
pub(crate) struct DecideArgs {
    /// Subject id of the customer
    #[arg(value_name = "SUBJECT")]
    pub(crate) subject: String,
    /// Placement to fill, with how many actions (default: the catalogue's number); may be repeated
    #[arg(long = "placement", short, value_name = "ID[:COUNT]", required = true, value_parser = value::placement)]
    pub(crate) placements: Vec<PlacementSpec>,
    /// Context field of the catalogue: number, true, false or text; may be repeated
    #[arg(long, short, value_name = "KEY=VALUE", value_parser = value::assignment)]
    pub(crate) context: Vec<Assignment>,
    /// Read this feature with another value than the stored one; may be repeated
    #[arg(long = "set", value_name = "FEATURE=VALUE", value_parser = value::assignment)]
    pub(crate) overrides: Vec<Assignment>,
    /// Let only this action compete; may be repeated
    #[arg(long = "candidate", value_name = "ACTION")]
    pub(crate) candidates: Vec<String>,
    /// Do not show this action; may be repeated
    #[arg(long = "exclude", value_name = "ACTION")]
    pub(crate) excluded: Vec<String>,
    /// The matter that the decision is about
    #[arg(long, value_name = "ID")]
    pub(crate) matter: Option<String>,
    /// Position of an acknowledgement that the decision must know of
    #[arg(long, value_name = "POSITION")]
    pub(crate) min_position: Option<String>,
    /// How much to explain
    #[arg(long, value_enum, default_value_t = ExplainLevel::Reasons)]
    pub(crate) explain: ExplainLevel,
    /// A what-if without side effects: nothing is recorded
    #[arg(long)]
    pub(crate) test: bool,
    /// Read nothing of the customer: the answer for anybody in this situation
    #[arg(long, conflicts_with = "overrides")]
    pub(crate) non_personal: bool,
}

pub(super) const INGEST_EXAMPLES: &str = "\
Examples:
  tactful ingest events.jsonl
  tactful ingest - --on-error stop --json
  tactful ingest history.jsonl --server http://10.0.0.5:7411
  tactful ingest offers.jsonl --mapping offers.toml

One JSON object a line, as in the Segment specification (identify, track, page, screen, group, alias):
  {\"type\":\"track\",\"userId\":\"customer:42\",\"event\":\"Order Placed\",\"messageId\":\"m1\",
   \"timestamp\":\"2026-05-01T10:00:00Z\",\"channel\":\"web\",\"properties\":{\"total\":49.9}}
Nested properties are joined by dots, an array is counted as NAME.count, properties.matter_id names the
matter. An anonymousId becomes the subject id anon:ID; an identify with userId and anonymousId makes the two
one customer. Two more kinds take in what was decided elsewhere, two what customers say of themselves:
  {\"type\":\"decision\",\"external_decision_id\":\"d1\",\"subject_id\":\"customer:42\",\"action_id\":\"upgrade\",
   \"selection_probability\":0.5,\"decision_time\":\"2026-05-01T10:00:00Z\",\"context\":{\"topic\":\"billing\"}}
  {\"type\":\"outcome\",\"external_decision_id\":\"d1\",\"subject_id\":\"customer:42\",\"outcome\":\"accepted\"}
  {\"type\":\"fact\",\"subject_id\":\"customer:42\",\"key\":\"language\",\"value\":\"de\",\"channel\":\"bot\"}
  {\"type\":\"consent\",\"subject_id\":\"customer:42\",\"purpose\":\"marketing\",\"allowed\":false,\"source\":\"form\"}
(each on one line)";

/// What to do about a line that is refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum OnError {
    /// Send nothing more; what was already under way to the server still counts
    Stop,
    /// Report it and go on
    Skip,
}

/// Options of `ingest`.
#[derive(Args, Debug)]
pub(crate) struct IngestArgs {
    /// File of JSON lines, or - for standard input
    #[arg(value_name = "FILE|-")]
    pub(crate) file: PathBuf,
    /// How lines that are not Segment's become events: a mapping file, as `serve` takes for its intake
    #[arg(long, value_name = "FILE")]
    pub(crate) mapping: Option<PathBuf>,
    /// What to do about a line that is refused
    #[arg(long, value_enum, default_value_t = OnError::Skip)]
    pub(crate) on_error: OnError,
}

pub(super) const CONTEXT_EXAMPLES: &str = "\
Examples:
  tactful context customer:42
  tactful context anon:af31 --json";

/// Options of `context`.
#[derive(Args, Debug)]
pub(crate) struct ContextArgs {
    /// Subject id of the customer
    #[arg(value_name = "SUBJECT")]
    pub(crate) subject: String,
}

pub(super) const LINK_EXAMPLES: &str = "\
Examples:
  tactful link customer:42 anon:af31
  tactful link customer:42 customer:0042 --source crm --time 2026-05-01T10:00:00Z

Ids of customers join through one another. An id of a visitor (anon:) or device (device:) belongs to the customer
whom it was linked with last, and joins nobody else.";

pub(super) const UNLINK_EXAMPLES: &str = "\
Examples:
  tactful unlink customer:42 anon:af31
  tactful unlink customer:42 customer:0042 --json";

/// Options of `link` and `unlink`.
#[derive(Args, Debug)]
pub(crate) struct LinkArgs {
    /// Subject id
    #[arg(value_name = "SUBJECT")]
    pub(crate) subject: String,
    /// The other subject id
    #[arg(value_name = "OTHER")]
    pub(crate) other: String,
    /// When it became true (RFC 3339); of two statements about the same ids the later one counts [default: now]
    #[arg(long, value_name = "TIME", value_parser = value::time)]
    pub(crate) time: Option<jiff::Timestamp>,
    /// Where it comes from, for example crm
    #[arg(long, value_name = "NAME", default_value = "")]
    pub(crate) source: String,
    /// Id of the statement: a repeated one takes effect once
    #[arg(long, value_name = "ID", default_value = "")]
    pub(crate) message_id: String,
}

pub(super) const CONSENT_EXAMPLES: &str = "\
Examples:
  tactful consent customer:42 marketing deny
  tactful consent customer:42 marketing allow --source preference_centre --text-version 2026-05
  tactful consent customer:42 marketing deny --time 2026-05-01T10:00:00Z --json

The latest word on a purpose counts, by its time. `service` is always allowed.";

/// What a customer says of a purpose.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum ConsentWord {
    /// Data and actions of this purpose may be used
    Allow,
    /// They may not, or not any more
    Deny,
}

/// Options of `consent`.
#[derive(Args, Debug)]
pub(crate) struct ConsentArgs {
    /// Subject id of the customer
    #[arg(value_name = "SUBJECT")]
    pub(crate) subject: String,
    /// A purpose of the catalogue
    #[arg(value_name = "PURPOSE")]
    pub(crate) purpose: String,
    /// Whether the customer allows it
    #[arg(value_enum, value_name = "allow|deny")]
    pub(crate) word: ConsentWord,
    /// Where it was said
    #[arg(long, value_name = "TEXT", default_value = "cli")]
    pub(crate) source: String,
    /// Version of the text that the customer saw
    #[arg(long, value_name = "TEXT", default_value = "")]
    pub(crate) text_version: String,
    /// When it was said (RFC 3339) [default: now]
    #[arg(long, value_name = "TIME", value_parser = value::time)]
    pub(crate) time: Option<jiff::Timestamp>,
    /// Id of this message: sent again with the same id it counts once
    #[arg(long, value_name = "ID", default_value = "")]
    pub(crate) message_id: String,
}

pub(super) const FACT_EXAMPLES: &str = "\
Examples:
  tactful fact customer:42 household_size=3 --channel agent
  tactful fact customer:42 language=de contact_time=evening --source onboarding_form
  tactful fact customer:42 moves_in_may=true --expires 2026-06-01T00:00:00Z
  tactful fact customer:42 --retract language

Rules read the facts that the catalogue declares ([[fact]]) as fact.KEY; any other is kept and shown.";

/// Options of `fact`.
#[derive(Args, Debug)]
pub(crate) struct FactArgs {
    /// Subject id of the customer
    #[arg(value_name = "SUBJECT")]
    pub(crate) subject: String,
    /// What was told: number, true, false or text; may be repeated
    #[arg(value_name = "KEY=VALUE", value_parser = value::assignment, required_unless_present = "retracted")]
    pub(crate) told: Vec<Assignment>,
    /// Take back what was told under this key; may be repeated
    #[arg(long = "retract", value_name = "KEY")]
    pub(crate) retracted: Vec<String>,
    /// Channel in which it was told
    #[arg(long, value_name = "ID", default_value = "")]
    pub(crate) channel: String,
    /// Where it comes from
    #[arg(long, value_name = "TEXT", default_value = "cli")]
    pub(crate) source: String,
    /// Purpose of the data [default: what the catalogue declares, else service]
    #[arg(long, value_name = "PURPOSE", default_value = "", hide_default_value = true)]
    pub(crate) purpose: String,
    /// The matter that it belongs to
    #[arg(long, value_name = "ID", default_value = "", hide_default_value = true)]
    pub(crate) matter: String,
    /// From when on it does not hold (RFC 3339)
    #[arg(long, value_name = "TIME", value_parser = value::time)]
    pub(crate) expires: Option<jiff::Timestamp>,
    /// When it was told (RFC 3339) [default: now]
    #[arg(long, value_name = "TIME", value_parser = value::time)]
    pub(crate) time: Option<jiff::Timestamp>,
}

pub(super) const CATALOG_CHECK_EXAMPLES: &str = "\
Examples:
  tactful catalog check
  tactful catalog check path/to/catalog --json";

/// Options of `catalog check`.
#[derive(Args, Debug)]
pub(crate) struct CatalogCheckArgs {
    /// Directory of the catalogue
    #[arg(value_name = "DIR", default_value = "catalog")]
    pub(crate) dir: PathBuf,
}

pub(super) const CATALOG_APPLY_EXAMPLES: &str = "\
Examples:
  tactful catalog apply
  tactful catalog apply path/to/catalog --note summer
  tactful catalog apply path/to/catalog --dry-run --json

A catalogue that is wrong, or that the model in use does not fit, is refused as a whole: the old one stays.
A feature that is made of something else than before starts empty; all others keep what they hold.";

/// Options of `catalog apply`.
#[derive(Args, Debug)]
pub(crate) struct CatalogApplyArgs {
    /// Directory of the catalogue
    #[arg(value_name = "DIR", default_value = "catalog")]
    pub(crate) dir: PathBuf,
    /// Why, for the audit trail
    #[arg(long, value_name = "TEXT", default_value = "")]
    pub(crate) note: String,
    /// Only check it, and show what would change
    #[arg(long)]
    pub(crate) dry_run: bool,
}

pub(super) const CATALOG_DIFF_EXAMPLES: &str = "\
Examples:
  tactful catalog diff
  tactful catalog diff path/to/catalog --json";

/// Options of `catalog diff`.
#[derive(Args, Debug)]
pub(crate) struct CatalogDiffArgs {
    /// Directory of the catalogue
    #[arg(value_name = "DIR", default_value = "catalog")]
    pub(crate) dir: PathBuf,
}

pub(super) const TRAIN_EXAMPLES: &str = "\
Examples:
  tactful model train models/acceptance.toml
  tactful model train models/acceptance.toml --out models/may.model --card models/may.md
  tactful model train models/acceptance.toml --data-dir data
  tactful model train models/acceptance.toml --data decisions.parquet
  tactful model train models/bank.toml --data bank-additional-full.csv";

/// Options of `model train`.
#[derive(Args, Debug)]
pub(crate) struct TrainArgs {
    /// Recipe (TOML): target, inputs, split, seed
    #[arg(value_name = "RECIPE")]
    pub(crate) recipe: PathBuf,
    /// Where to write the model, whole or not at all [default: NAME.model, with the recipe's name]
    #[arg(long, value_name = "FILE")]
    pub(crate) out: Option<PathBuf>,
    /// Train on a file instead of the record: a CSV or Parquet table with the recipe's `[columns]`, or a Parquet
    /// export of decisions
    #[arg(long, value_name = "FILE", conflicts_with_all = ["data_dir", "archive"])]
    pub(crate) data: Option<PathBuf>,
    #[command(flatten)]
    pub(crate) stopped: StoppedArgs,
    /// Where to write the model card (Markdown) [default: beside the model, NAME.md]
    #[arg(long, value_name = "FILE", conflicts_with = "artifact_only")]
    pub(crate) card: Option<PathBuf>,
    /// Write the model alone: no card, no report, no plots
    #[arg(long)]
    pub(crate) artifact_only: bool,
}

pub(super) const REPORT_EXAMPLES: &str = "\
Examples:
  tactful model report acceptance.model
  tactful model report acceptance.report.json --plots plots
  tactful model report acceptance.model --json";

/// Options of `model report`.
#[derive(Args, Debug)]
pub(crate) struct ReportArgs {
    /// Report (.json), or a model file with its report beside it
    #[arg(value_name = "FILE")]
    pub(crate) file: PathBuf,
    /// Draw its plots (SVG) into this folder
    #[arg(long, value_name = "DIR")]
    pub(crate) plots: Option<PathBuf>,
}

pub(super) const SHOW_EXAMPLES: &str = "\
Examples:
  tactful model show acceptance.model
  tactful model show acceptance@champion
  tactful model show acceptance.model --json";

/// Options of `model show`.
#[derive(Args, Debug)]
pub(crate) struct ShowArgs {
    /// Model file, as `tactful model train` writes it, or a version on the server: NAME@NUMBER or NAME@ALIAS
    #[arg(value_name = "FILE|VERSION")]
    pub(crate) file: PathBuf,
}

pub(super) const EXPORT_EXAMPLES: &str = "\
Examples:
  tactful export decisions --out decisions.jsonl
  tactful export decisions --format parquet --out decisions.parquet
  tactful export decisions --since 2026-05-01T00:00:00Z --until 2026-06-01T00:00:00Z
  tactful export decisions --data-dir data | head";

/// How exported rows are written.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum ExportFormat {
    /// One JSON object in each line
    Jsonl,
    /// A Parquet file with a typed column for each feature
    Parquet,
}

/// Options of `export decisions`.
#[derive(Args, Debug)]
pub(crate) struct ExportDecisionsArgs {
    /// How to write the rows
    #[arg(long, value_enum, default_value_t = ExportFormat::Jsonl)]
    pub(crate) format: ExportFormat,
    /// File to write, whole or not at all; standard output if not given, which parquet does not do
    #[arg(long, visible_alias = "output", value_name = "FILE")]
    pub(crate) out: Option<PathBuf>,
    /// Only decisions made at or after this time (RFC 3339)
    #[arg(long, value_name = "TIME", value_parser = value::time)]
    pub(crate) since: Option<jiff::Timestamp>,
    /// Only decisions made before this time (RFC 3339)
    #[arg(long, value_name = "TIME", value_parser = value::time)]
    pub(crate) until: Option<jiff::Timestamp>,
    #[command(flatten)]
    pub(crate) stopped: StoppedArgs,
}

/// Where the record of a stopped server is.
#[derive(Args, Debug)]
pub(crate) struct StoppedArgs {
    /// Read the record of a stopped server from its directory, instead of a running one's
    #[arg(long, value_name = "DIR")]
    pub(crate) data_dir: Option<PathBuf>,
    /// Its archive, if that is elsewhere [default: the directory's folder `archive`]
    #[arg(long, value_name = "DIR", requires = "data_dir")]
    pub(crate) archive: Option<PathBuf>,
}

impl StoppedArgs {
    /// The place, if one was given.
    pub(crate) fn place(&self) -> Option<Stopped> {
        let data_dir = self.data_dir.clone()?;
        let archive = self.archive.clone().unwrap_or_else(|| data_dir.join("archive"));
        Some(Stopped { data_dir, archive })
    }
}

pub(super) const DEAD_LIST_EXAMPLES: &str = "\
Examples:
  tactful dead list --log redis://127.0.0.1:6379
  tactful dead list --log redis://127.0.0.1:6379 --json | head";

/// Options of `dead list`.
#[derive(Args, Debug)]
pub(crate) struct DeadListArgs {
    /// The Redis that holds the log
    #[arg(long, value_name = "URL", env = "TACTFUL__LOG", hide_env_values = true)]
    pub(crate) log: String,
}

pub(super) const DEAD_RETRY_EXAMPLES: &str = "\
Examples:
  tactful dead retry --log redis://127.0.0.1:6379 1764000000000-0
  tactful dead retry --log redis://127.0.0.1:6379 --all";

/// Options of `dead retry`.
#[derive(Args, Debug)]
pub(crate) struct DeadRetryArgs {
    /// The Redis that holds the log
    #[arg(long, value_name = "URL", env = "TACTFUL__LOG", hide_env_values = true)]
    pub(crate) log: String,
    /// Ids, as `tactful dead list` shows them
    #[arg(value_name = "ID", required_unless_present = "all", conflicts_with = "all")]
    pub(crate) ids: Vec<String>,
    /// All that are there now
    #[arg(long)]
    pub(crate) all: bool,
}

/// What to export.
#[derive(Debug, Args)]
pub(crate) struct PrivacyExportArgs {
    /// Subject id
    #[arg(value_name = "SUBJECT")]
    pub(crate) subject: String,
    /// File to write to [default: standard output]
    #[arg(long, value_name = "FILE")]
    pub(crate) output: Option<PathBuf>,
}

/// Whom to erase.
#[derive(Debug, Args)]
pub(crate) struct EraseArgs {
    /// Subject id; other ids of the same customer stay
    #[arg(value_name = "SUBJECT")]
    pub(crate) subject: String,
    /// Really erase: it cannot be undone
    #[arg(long)]
    pub(crate) yes: bool,
    /// Wait until it is gone from every store
    #[arg(long)]
    pub(crate) wait: bool,
}

/// Which erasure.
#[derive(Debug, Args)]
pub(crate) struct ReceiptArgs {
    /// Id of the erasure
    #[arg(value_name = "ERASURE")]
    pub(crate) erasure: String,
}

/// Whom to look for.
#[derive(Debug, Args)]
pub(crate) struct VerifyArgs {
    /// Subject id
    #[arg(value_name = "SUBJECT")]
    pub(crate) subject: String,
}

pub(super) const PRIVACY_EXPORT_EXAMPLES: &str = "Examples:
  tactful privacy export customer:42 --output customer-42.json";
pub(super) const ERASE_EXAMPLES: &str = "Examples:
  tactful privacy erase customer:42 --yes
  tactful privacy erase customer:42 --yes --wait --json > receipt.json";
pub(super) const RECEIPT_EXAMPLES: &str = "Examples:
  tactful privacy receipt 0b2f6c1e-5a1d-4c3b-9b7e-2f1d8c6a4e10";
pub(super) const VERIFY_EXAMPLES: &str = "Examples:
  tactful privacy verify customer:42";
