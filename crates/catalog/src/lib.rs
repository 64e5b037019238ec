//! Knows the apps, and says whose a flow is.
