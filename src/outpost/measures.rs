//! What is measured only when somebody looks, because it is not worth counting all the time. Must not know who
//! looks.

use super::Outpost;

impl Outpost {
    /// Octets that the directory takes, in all its shapes.
    pub fn directory_memory(&self) -> usize {
        self.parts.directory.memory()
    }

    /// How many binds are kept.
    pub fn cached_binds(&self) -> u64 {
        self.parts.cached_binds()
    }

    /// Brings up to date what is only measured when asked for.
    pub fn measure(&self) {
        let metrics = &self.parts.metrics;
        metrics.binds().set_turns(self.binds.turns());
        metrics.binds().set_cached(self.parts.cached_binds());
        let directory = &self.parts.directory;
        metrics.set_snapshots(directory.memory(), directory.alive());
        metrics.set_certificates(&self.parts.certificates.expiries());
    }
}
