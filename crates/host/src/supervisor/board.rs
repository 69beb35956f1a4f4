//! The state of every unit, written by its runner and watched by those that wait for it.

use std::{collections::BTreeMap, sync::Arc};

use tokio::sync::watch;

use crate::{UnitState, UnitStatus};

/// The shared board of unit states.
#[derive(Clone, Debug, Default)]
pub(super) struct Board {
    states: Arc<watch::Sender<BTreeMap<String, UnitStatus>>>,
}

impl Board {
    /// Puts a unit on the board, or replaces what it says.
    pub(super) fn put(&self, status: UnitStatus) {
        self.states.send_modify(|states| {
            states.insert(status.unit.name.clone(), status);
        });
    }

    /// Changes what the board says of a unit.
    pub(super) fn update(&self, name: &str, change: impl FnOnce(&mut UnitStatus)) {
        self.states.send_modify(|states| {
            if let Some(status) = states.get_mut(name) {
                change(status);
            }
        });
    }

    /// Takes a unit off the board.
    pub(super) fn remove(&self, name: &str) {
        self.states.send_modify(|states| {
            states.remove(name);
        });
    }

    /// What the board says of every unit.
    pub(super) fn all(&self) -> Vec<UnitStatus> {
        self.states.borrow().values().cloned().collect()
    }

    /// The units among `names` that are not ready.
    pub(super) fn not_ready(&self, names: &[String]) -> Vec<String> {
        not_ready(&self.states.borrow(), names)
    }

    /// Waits until every unit in `names` is ready.
    pub(super) async fn ready(&self, names: &[String]) {
        let mut states = self.states.subscribe();
        // The sender is this board, so waiting cannot fail while it is borrowed.
        let _ = states
            .wait_for(|states| not_ready(states, names).is_empty())
            .await;
    }
}

fn not_ready(states: &BTreeMap<String, UnitStatus>, names: &[String]) -> Vec<String> {
    names
        .iter()
        .filter(|name| {
            states
                .get(*name)
                .is_none_or(|status| status.state != UnitState::Ready)
        })
        .cloned()
        .collect()
}
