//! The `server` layer.
