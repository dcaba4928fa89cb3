//! x
/// x
#[derive(Debug)] pub struct RecordingsError;
