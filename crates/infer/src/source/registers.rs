//! What registers of Dalvik code hold, followed from constants to where they are used.
//!
//! Branches are not followed: code is read in the order in which it stands, and a register
//! keeps its constant until it is written. That ties too much rather than too little.

use hashbrown::HashMap;

use super::unit::{Spot, Unit, What};

/// What uses registers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Use {
    /// Arguments of a call, elements of an array.
    Call,
    /// What a method returns.
    Return,
    /// What a field gets.
    Store,
    /// What a branch compares.
    Compare,
}

/// The registers of one method.
#[derive(Debug, Default)]
pub(super) struct Registers {
    held: HashMap<u16, What>,
    constants: usize,
}

impl Registers {
    /// A constant is put into a register; negative numbers are not told.
    pub(super) fn set(&mut self, register: u16, what: Option<What>, spot: Spot, unit: &mut Unit) {
        self.constants += 1;
        match what {
            Some(what) => {
                unit.statement();
                unit.push(what.clone(), spot, false);
                self.held.insert(register, what);
            }
            None => self.clear(register),
        }
    }

    /// Something else is put into a register.
    pub(super) fn clear(&mut self, register: u16) {
        self.held.remove(&register);
    }

    pub(super) fn copy(&mut self, to: u16, from: u16) {
        match self.held.get(&from).cloned() {
            Some(what) => {
                self.held.insert(to, what);
            }
            None => self.clear(to),
        }
    }

    /// Registers are used together.
    pub(super) fn take(
        &mut self,
        registers: impl IntoIterator<Item = u16>,
        how: Use,
        spot: Spot,
        unit: &mut Unit,
    ) {
        let only = self.constants == 1 && self.held.len() == 1;
        let alone = how == Use::Store || (how == Use::Return && only);
        unit.statement();
        for register in registers {
            if let Some(what) = self.held.get(&register) {
                unit.push_used(what.clone(), spot, alone);
            }
        }
        unit.statement();
    }
}
