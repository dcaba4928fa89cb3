//! A directory as simple as can be: entries as lists of attributes, a filter evaluated by walking it. It is the
//! measure for the indexed one.

pub(crate) mod evaluation;
pub(crate) mod model;
pub(crate) mod random;
