//! The state of one customer: a row of feature slots with matters, contacts, consents, facts and a
//! timeline beside it.
//!
//! Entries of the log fold into a [`Row`] by [`apply`]; a [`CustomerView`] reads the rows of one
//! customer as of now. Every part is a merge keyed by event time, so permuted entries give the same
//! exact slots and matters. It keeps no subject ids, decides nothing, and refuses to read a clock:
//! times are arguments.

mod bytes;
mod check;
mod codec;
mod consent;
mod customer;
mod dedup;
mod derivation;
mod digest;
mod entry;
mod fact;
mod feature;
mod fold;
mod latest;
mod links;
mod matter;
mod matters;
mod migrate;
mod names;
mod row;
mod schema;
mod slot;
mod subject;
mod timeline;
mod view;
mod window;

#[cfg(test)]
mod oracle;
#[cfg(test)]
mod properties;

pub use bytes::{Malformed, Reader};
pub use codec::{NamesPlace, STATE_FORMAT, decode_row, encode_row};
pub use consent::{ConsentReading, ConsentState, consents};
pub use customer::{Linked, customer_ids};
pub use dedup::{Dedup, DedupImage};
pub use digest::{Digest, digest};
pub use entry::{
    Chosen, ConsentGiven, DecisionMade, Entry, Event, EventKind, FactTold, LinkStated, OutcomeSeen, Value,
};
pub use fact::{FactField, FactReading, FactState, FactValue, JoinedFacts};
pub use feature::Feature;
pub use fold::{Applied, apply};
pub use links::{LinkKind, Links};
pub use matter::{JoinedMatters, MatterReading, MatterState, matters};
pub use migrate::Migration;
pub(crate) use names::TextMap;
pub use names::{Names, NamesUsed};
pub use row::Row;
pub use schema::{Definition, Schema};
pub use slot::Slot;
pub use subject::{anonymous_subject, is_transient};
pub use timeline::{Interaction, InteractionKind, interactions};
pub use view::{CustomerView, Reading, ReadingState};
