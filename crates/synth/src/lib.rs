//! Makes traffic whose truth is known.
