//! The part of a catalogue that the fold depends on, in one canonical form: what a schema record of the log
//! holds. What is only read (descriptions, purposes, units, ages, windows of confirmation) is not in it, so
//! that two catalogues which fold alike have the same definition.

use serde::{Deserialize, Serialize};

use super::folded;
use crate::catalog::{Catalog, FeatureDef, MatterDef, Unit};

/// What the fold of a partition depends on: [`super::Schema::of`] compiles it.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Definition {
    /// Features, in the order of their slots.
    pub feature: Vec<FeatureDef>,
    /// Types of matters.
    pub matter: Vec<MatterDef>,
}

impl Definition {
    /// The fold part of a catalogue that compiles.
    #[must_use]
    pub fn of(catalog: &Catalog) -> Self {
        Self {
            feature: catalog.feature.iter().map(feature).collect(),
            matter: catalog.matter.iter().map(matter).collect(),
        }
    }
}

fn feature(def: &FeatureDef) -> FeatureDef {
    // A star alone means any: one with blanks around it must not become that.
    let any = |name: &str| name.trim() == "*";
    let name = |name: &Option<String>| {
        name.as_deref().map(|name| if any(name) { name.into() } else { folded(name).into_owned() })
    };
    FeatureDef {
        description: String::new(),
        event: name(&def.event),
        page: name(&def.page),
        screen: name(&def.screen),
        unit: Unit::default(),
        max_age: None,
        purpose: crate::catalog::SERVICE.into(),
        ..def.clone()
    }
}

fn matter(def: &MatterDef) -> MatterDef {
    let names = |names: &[String]| {
        let mut names: Vec<_> = names.iter().map(|name| folded(name).into_owned()).collect();
        names.sort_unstable();
        names
    };
    MatterDef {
        description: String::new(),
        opens_on: names(&def.opens_on),
        waits_on_company: names(&def.waits_on_company),
        waits_on_customer: names(&def.waits_on_customer),
        hands_off_on: names(&def.hands_off_on),
        resolves_on: names(&def.resolves_on),
        contacts_on: names(&def.contacts_on),
        confirm_after: MatterDef::CONFIRM_AFTER,
        resolve_after_silence: None,
        session_gap: MatterDef::SESSION_GAP,
        kind: def.kind.clone(),
    }
}
