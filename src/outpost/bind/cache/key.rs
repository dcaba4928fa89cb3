//! The key of a bind in the cache. Must not know what is kept under it.

/// Identifies a bind: provider and its bind settings, user name and secret, hashed under the process's key.
pub(in crate::outpost) type BindKey = [u8; 32];
