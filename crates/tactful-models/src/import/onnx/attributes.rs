//! The attributes of one operator by name: known ones only, each once.

use std::collections::BTreeMap;

use super::messages::{Attribute, Node, Tensor};
use super::{DOUBLE, shown};

/// Attributes of one node.
pub(super) struct Attributes<'a> {
    by_name: BTreeMap<&'a str, &'a Attribute>,
}

impl<'a> Attributes<'a> {
    /// Takes those of a node.
    ///
    /// # Errors
    /// If one is not known, or comes twice.
    pub(super) fn of(node: &'a Node, known: &[&str]) -> Result<Self, String> {
        let mut by_name = BTreeMap::new();
        for attribute in &node.attribute {
            let name = attribute.name.as_str();
            if !known.contains(&name) {
                return Err(format!("its attribute {} is not read", shown(name)));
            }
            if by_name.insert(name, attribute).is_some() {
                return Err(format!("its attribute {name} comes twice"));
            }
        }
        Ok(Self { by_name })
    }

    pub(super) fn has(&self, name: &str) -> bool {
        self.by_name.contains_key(name)
    }

    /// Whole numbers; none if the attribute is not there.
    pub(super) fn ints(&self, name: &str) -> &'a [i64] {
        self.by_name.get(name).map_or(&[], |attribute| &attribute.ints)
    }

    /// Numbers; none if the attribute is not there.
    pub(super) fn floats(&self, name: &str) -> &'a [f32] {
        self.by_name.get(name).map_or(&[], |attribute| &attribute.floats)
    }

    /// Texts; none if the attribute is not there.
    pub(super) fn strings(&self, name: &str) -> &'a [Vec<u8>] {
        self.by_name.get(name).map_or(&[], |attribute| &attribute.strings)
    }

    /// One number.
    pub(super) fn float(&self, name: &str) -> Option<f32> {
        self.by_name.get(name).map(|attribute| attribute.f)
    }

    /// One whole number.
    pub(super) fn int(&self, name: &str) -> Result<i64, String> {
        self.by_name.get(name).map(|attribute| attribute.i).ok_or_else(|| format!("its attribute {name} is missing"))
    }

    /// One text.
    pub(super) fn text(&self, name: &str) -> Result<&'a str, String> {
        let text = self.by_name.get(name).map(|attribute| attribute.s.as_slice());
        text.and_then(|text| std::str::from_utf8(text).ok()).ok_or_else(|| format!("its attribute {name} is no text"))
    }

    /// What is done to the scores; nothing if it is not said.
    pub(super) fn post_transform(&self) -> Result<&'a str, String> {
        if self.has("post_transform") { self.text("post_transform") } else { Ok("NONE") }
    }

    /// Numbers of an attribute in single precision, or of the one with `_as_tensor` behind its name.
    pub(super) fn numbers(&self, name: &str) -> Result<Vec<f64>, String> {
        let single = self.floats(name);
        match self.by_name.get(format!("{name}_as_tensor").as_str()).map(|attribute| &attribute.t) {
            None => Ok(single.iter().map(|value| f64::from(*value)).collect()),
            Some(Some(tensor)) if single.is_empty() => doubles(tensor, name),
            Some(_) => Err(format!("its attribute {name}_as_tensor is no tensor, or comes beside {name}")),
        }
    }
}

fn doubles(tensor: &Tensor, name: &str) -> Result<Vec<f64>, String> {
    if i64::from(tensor.data_type) != DOUBLE {
        return Err(format!("its attribute {name}_as_tensor holds other numbers than doubles"));
    }
    let (raw, cut) = tensor.raw_data.as_chunks::<8>();
    match (tensor.double_data.is_empty(), raw.is_empty() && cut.is_empty()) {
        (_, true) => Ok(tensor.double_data.clone()),
        (true, false) if cut.is_empty() => Ok(raw.iter().map(|bytes| f64::from_le_bytes(*bytes)).collect()),
        _ => Err(format!("its attribute {name}_as_tensor is damaged")),
    }
}
