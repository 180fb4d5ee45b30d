//! What the driver measures.

/// The driver's own indicators, shown in the x-ray view, and what the kernel needs to know about its machine.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Gauges {
    /// Longest handling of a tick in the last second, µs.
    pub tick_us: u32,
    /// Inputs waiting.
    pub inbox: u32,
    /// The journal's disk is nearly full: the node refuses what would add to the world, with `storage_full`.
    pub storage_full: bool,
    /// Share of the last second in which the logic thread worked, ‰.
    pub load_permille: u32,
    /// The generation of the journal, if the driver has asked.
    pub generation: Option<u64>,
}
