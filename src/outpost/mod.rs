//! The `outpost` layer.
