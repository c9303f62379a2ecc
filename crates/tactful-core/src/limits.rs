//! Every bound of the core in one place, with its arithmetic. Input beyond a bound is refused by
//! name; nothing grows without one.

/// Longest subject id, message id, request id, matter id and name, in bytes.
pub const ID_BYTES_MAX: usize = 128;
/// Longest text value, in bytes.
pub const TEXT_BYTES_MAX: usize = 256;
/// Properties of one event, context fields or overrides of one request.
pub const PROPERTIES_MAX: usize = 64;
/// Actions of a catalogue.
pub const ACTIONS_MAX: usize = 16_384;
/// Candidates or exclusions that one request may list.
pub const CANDIDATES_MAX: usize = 10_000;
/// Features of a catalogue.
pub const FEATURES_MAX: usize = 512;
/// Fields of a decision: features, context and derived fields. A vector is at most 4 KiB.
pub const FIELDS_MAX: usize = 1_024;
/// Words of a category's vocabulary: an index is exact in an f32.
pub const VOCABULARY_MAX: usize = 1_024;
/// Buckets of a windowed count.
pub const BUCKETS_MAX: u32 = 96;
/// Slots of one row: a windowed count takes at most 25.
pub const SLOTS_MAX: usize = 2_048;
/// Placements of one request.
pub const PLACEMENTS_MAX: usize = 10;
/// Actions in one placement.
pub const COUNT_MAX: usize = 20;
/// Draws of Thompson sampling for one action.
pub const DRAWS_MAX: usize = 1_024;
/// Encoded columns of a model.
pub const COLUMNS_MAX: usize = 4_096;
/// Trees of one head.
pub const TREES_MAX: usize = 10_000;
/// Nodes of one head's trees, 20 bytes each as they are walked.
pub const NODES_MAX: usize = 1 << 22;
/// Knots of an isotonic calibration.
pub const KNOTS_MAX: usize = 1_024;
/// Longest rule expression, in bytes.
pub const EXPRESSION_BYTES_MAX: usize = 4_096;
/// Requests of one batch.
pub const BATCH_MAX: usize = 256;
/// Items of one ingested batch, reports of one RecordOutcomes.
pub const ITEMS_MAX: usize = 1_000;
/// Interactions kept for a timeline.
pub const INTERACTIONS_MAX: usize = 50;
/// Contacts (decisions, exposures, answers) kept for counters.
pub const CONTACTS_MAX: usize = 64;
/// Matters kept of one customer.
pub const MATTERS_MAX: usize = 32;
/// Purposes of which a customer's word is kept: as many as a catalogue may have.
pub const CONSENTS_MAX: usize = PURPOSES_MAX;
/// Purposes of a catalogue, `service` included: one bit each.
pub const PURPOSES_MAX: usize = 64;
/// Facts kept of one customer, and those that a catalogue may declare.
pub const FACTS_MAX: usize = 32;
/// Transitions kept of one matter.
pub const TRANSITIONS_MAX: usize = 256;
/// Pairs of which one subject id keeps the latest statement: links, and those that were undone.
pub const LINKS_MAX: usize = 256;
/// Linked subject ids that are read as one customer.
pub const LINKED_IDS_MAX: usize = 32;
/// Subject ids whose links are looked at to find one customer: some 0.1 ms at worst.
pub const LINK_STEPS_MAX: usize = 1_024;
/// Earliest event time, 1980-01-01T00:00:00Z, in seconds since 1970.
pub const EVENT_TIME_MIN_S: i64 = 315_532_800;
/// How far an event may lie ahead of the node's clock, in seconds.
pub const EVENT_AHEAD_MAX_S: i64 = 300;

const _: () = assert!(PLACEMENTS_MAX * COUNT_MAX <= 256, "a decision's slots are counted in a byte");
const _: () = assert!(VOCABULARY_MAX < 1 << 24, "an index is exact in an f32");
const _: () = assert!(FEATURES_MAX <= FIELDS_MAX);
const _: () = assert!(LINKED_IDS_MAX < LINKS_MAX && LINKS_MAX < LINK_STEPS_MAX);
