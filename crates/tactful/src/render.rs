//! Messages of the API as JSON and as text: one module for each family of messages, each building
//! both forms. It formats; it neither asks a server nor prints.

pub(crate) mod catalog;
pub(crate) mod compare;
pub(crate) mod context;
pub(crate) mod decision;
pub(crate) mod import;
pub(crate) mod ingest;
pub(crate) mod link;
pub(crate) mod model;
pub(crate) mod privacy;
pub(crate) mod recorded;
pub(crate) mod registry;
pub(crate) mod row;
pub(crate) mod value;

mod table;
