//! OICQ.
