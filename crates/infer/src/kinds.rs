//! Kinds of messages told apart before their fields are inferred.
