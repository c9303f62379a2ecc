//! Learning what customers accept: recipes, training rows, linfa fits, artifacts and reports.
//!
//! Rows of the decision record go into a [`Dataset`]; [`train`] fits a logistic regression for each
//! action, group and for all, proves the compiled form equal to linfa's own predictions and returns
//! a [`Trained`] model with its artifact and [`Report`]. [`artifact::read`] turns untrusted bytes
//! into a model or says what is wrong. No scoring on a decision's path happens here, no file is
//! opened, and no result depends on a clock.

pub mod artifact;
mod card;
mod compare;
mod courtesy;
mod dataset;
mod error;
mod fit;
mod golden;
mod import;
mod metrics;
mod online;
mod plain;
mod plot;
mod recipe;
mod report;
mod reward;
mod score;
mod table;
mod train;

pub use artifact::ARTIFACT_BYTES_MAX;
pub use card::{PlotLink, card};
pub use compare::{Comparer, Comparison, Side, TwoChoices};
pub use courtesy::give_way;
pub use dataset::Dataset;
pub use error::Error;
pub use import::{ForeignRow, Format, IMPORT_BYTES_MAX, IMPORT_TOLERANCE, ImportOptions, Imported, import};
pub use metrics::{Bin, Curves, Quality, RocPoint, ScoreBar, Tenth, auc};
pub use online::{HeadState, Learner, OnlineRow};
pub use plain::{Cell, PlainRows};
pub use plot::{Plot, plots};
pub use recipe::{Columns, Features, OnlineOptions, Recipe, RecipeKind};
pub use report::{
    ActionReport, ChannelReport, Drift, DroppedInput, FailedHead, GroupReport, Importance, InputDrift, InputReport,
    Interval, PolicyValue, Report,
};
pub use reward::{LeftOut, NegativeWhen, RewardRule};
pub use train::{Progress, Trained, train};
