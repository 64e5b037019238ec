//! `tasks`: what opcodes mean.

use crate::column::Text;
use crate::table::table;

table! {
    /// What one opcode of one catalogue signature stands for. Joins to `messages` by `protocol`
    /// and `opcode`; made anew with the labels, so it is as old as they are.
    pub Tasks(TaskRow, TaskBuilder, TaskColumns) = "tasks" {
        /// The signature, as `messages.protocol` names it.
        protocol: Text,
        /// The opcode, as in `messages.opcode`.
        opcode: u64,
        /// App's id in the catalogue.
        app: Text,
        /// Service of the app that the signature carries.
        service: Option<Text>,
        /// What is done.
        task: Text,
        /// What the task is part of.
        task_group: Option<Text>,
    }
}
