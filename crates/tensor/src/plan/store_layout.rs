//! What lives across steps, for all executables over one set of parameters.

use super::memory::{Block, padded, place};
use super::{Executable, Location, Place, PlanError, ROUNDS};
use crate::ir::{Element, Init, Precision, Shape, ValueId};
use serde::{Deserialize, Serialize};

/// The union of what lives across steps over some executables: parameters, statistics, states of optimisers and controllers.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct StoreLayout {
    /// The values, in the order in which they start.
    pub values: Vec<StoredValue>,
    /// Bytes of each page.
    pub pages: Vec<u64>,
}

/// A value that lives across steps.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct StoredValue {
    /// Its name, by which executables share it.
    pub name: String,
    /// Extents.
    pub shape: Shape,
    /// What one element is.
    pub element: Element,
    /// How it starts.
    pub init: Init,
    /// Where it lies.
    pub place: Place,
}

impl StoreLayout {
    /// The layout for these executables, in pages of at most `max_buffer` bytes. A value that several have starts as the first of
    /// them says.
    ///
    /// # Errors
    /// [`PlanError::ShapesDiffer`] if two executables have a value of one name in two shapes, [`PlanError::ElementsDiffer`] if in two
    /// types, [`PlanError::ConstantsDiffer`] if they have two constants of one name.
    pub fn of(executables: &[&Executable], max_buffer: u64) -> Result<Self, PlanError> {
        let layout = Self::union(executables, max_buffer);
        let fits = |executable: &&Executable| layout.check(executable);
        executables.iter().try_for_each(fits).map(|()| layout)
    }

    /// As [`StoreLayout::of`]; where shapes differ, the first counts.
    pub(super) fn union(executables: &[&Executable], max_buffer: u64) -> Self {
        let mut values: Vec<StoredValue> = Vec::new();
        let mut known = std::collections::HashSet::new();
        for value in executables.iter().flat_map(|executable| &executable.values) {
            // A value that lives within a step of one executable may have the name of one that lives across those of another.
            let Some(init) = &value.init else { continue };
            if !known.insert(value.name.as_str()) {
                continue;
            }
            let (name, shape, element, init) = (value.name.clone(), value.shape.clone(), value.element, init.clone());
            values.push(StoredValue {
                name,
                shape,
                element,
                init,
                place: Place { page: 0, offset: 0, size: value.bytes },
            });
        }
        let block = |value: &StoredValue| Block { size: padded(value.place.size), start: 0, end: 1, persistent: true };
        let blocks: Vec<Block> = values.iter().map(block).collect();
        let (places, pages) = place(&blocks.iter().collect::<Vec<_>>(), max_buffer, ROUNDS);
        for (value, (page, offset)) in values.iter_mut().zip(places) {
            value.place = Place { page, offset, ..value.place };
        }
        Self { values, pages }
    }

    /// Bytes of all pages.
    pub fn bytes(&self) -> u64 {
        self.pages.iter().sum()
    }

    /// The value of this name.
    pub fn find(&self, name: &str) -> Option<&StoredValue> {
        self.values.iter().find(|value| value.name == name)
    }

    /// Whether an executable finds all that it needs.
    ///
    /// # Errors
    /// [`PlanError::ShapesDiffer`], [`PlanError::ElementsDiffer`], [`PlanError::ConstantsDiffer`] or [`PlanError::NotShared`] if it does not.
    pub fn check(&self, executable: &Executable) -> Result<(), PlanError> {
        let here: std::collections::HashMap<&str, &StoredValue> =
            self.values.iter().map(|value| (value.name.as_str(), value)).collect();
        for value in executable.values.iter().filter(|value| value.init.is_some()) {
            let stored = here.get(value.name.as_str()).ok_or_else(|| PlanError::NotShared(value.name.clone()))?;
            if stored.element != value.element || value.precision != Precision::F32 {
                return Err(PlanError::ElementsDiffer(value.name.clone()));
            }
            if stored.shape != value.shape {
                return Err(PlanError::ShapesDiffer {
                    name: value.name.clone(),
                    one: stored.shape.clone(),
                    other: value.shape.clone(),
                });
            }
            if matches!(value.init, Some(Init::Words(_))) && value.init.as_ref() != Some(&stored.init) {
                return Err(PlanError::ConstantsDiffer(value.name.clone()));
            }
        }
        Ok(())
    }

    /// Where each value of an executable lies that lives across steps, by its number.
    pub(crate) fn places(&self, executable: &Executable) -> std::collections::HashMap<ValueId, Place> {
        let here: std::collections::HashMap<&str, Place> =
            self.values.iter().map(|value| (value.name.as_str(), value.place)).collect();
        let stored = executable.values.iter().enumerate().filter_map(|(index, value)| match value.location {
            Some(Location::Stored(_)) => Some((ValueId(index), *here.get(value.name.as_str())?)),
            _ => None,
        });
        stored.collect()
    }
}
