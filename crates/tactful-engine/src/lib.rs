//! The running system: customer rows in memory folded from the log, the ruleset that decides, the
//! recorder that keeps every decision, and the catalogue and models that come and go.
//!
//! It knows neither gRPC nor HTTP: the server converts, this crate decides.

mod applier;
mod apply;
pub mod archive;
pub mod background;
mod canary;
mod capture;
pub mod catalog;
mod clock;
mod compare;
mod consent;
mod context;
mod control;
mod damage;
mod decide;
mod engine;
mod erase;
mod erase_list;
mod erasures;
mod error;
mod export;
mod fact;
mod follower;
mod generation;
mod housekeeper;
mod identity;
mod intake;
mod learner;
mod links;
mod mention;
mod models;
mod nodes;
mod options;
mod pieces;
mod position;
mod privacy;
mod record;
mod recorder;
mod registry;
mod replies;
mod rows;
mod shadow;
mod slot;
mod snapshot;
mod store;
mod token;
mod tombstones;
mod trial;
mod trims;

pub use apply::{AppliedCatalog, CatalogInUse};
pub use compare::{CompareCommand, Compared};
pub use context::{ConsentLine, CustomerContext, FeatureLine, TimelineEntry};
pub use decide::{DecideCommand, Decided};
pub use engine::{Digests, Engine, Readiness};
pub use error::{Error, LogFailure};
pub use export::export;
pub use identity::LinkCommand;
pub use intake::Accepted;
pub use models::{LoadedModel, ModelList, MoveCommand, Moved, Pushed};
pub use options::Options;
pub use pieces::Pieces;
pub use registry::{ModelInUse, Move, Reference, Version};
pub use rows::Rows;
pub use slot::Current;
pub use tactful_models::artifact::{Lineage, Loaded, sha256};
pub use tactful_models::{
    ARTIFACT_BYTES_MAX, ForeignRow, Format, ImportOptions, Interval, PolicyValue, Quality, RewardRule, give_way,
};
pub use trial::Trial;
