//! The `authentik` layer.
