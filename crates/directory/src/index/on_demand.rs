//! What is built when it is first asked for.
//!
//! Must not know what is built.

use std::sync::OnceLock;

use crate::model::number::WrongNumber;

/// An index that is built when first queried. There is none if a number in what it is built from points
/// nowhere.
pub(crate) type Index<T> = OnceLock<Result<T, WrongNumber>>;

/// The index, if it is built.
pub(crate) fn built<T>(index: &Index<T>) -> Option<&T> {
    index.get()?.as_ref().ok()
}

/// The index, built by `make` if it is not.
#[inline]
pub(crate) fn get_or_build<T>(
    index: &Index<T>,
    make: impl FnOnce() -> Result<T, WrongNumber>,
) -> Result<&T, WrongNumber> {
    index.get_or_init(make).as_ref().map_err(|wrong| *wrong)
}
