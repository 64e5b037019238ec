//! Opcodes found in an app's own code.
