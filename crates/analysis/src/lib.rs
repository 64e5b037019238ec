//! Answers named questions over the tables.
