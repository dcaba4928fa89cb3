//! The `directory` layer.
