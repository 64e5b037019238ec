//! Keeps a study's tables on disk.
