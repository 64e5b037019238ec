//! Protocol packets told from continuations, and both put together to messages.
