//! The `simulator` layer.
