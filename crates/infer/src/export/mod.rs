//! Layouts for other tools.
