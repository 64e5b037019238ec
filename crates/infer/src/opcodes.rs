//! Opcodes and the tasks behind them.
