//! The words of Gundo as plain values: ids, time, fixed-point positions and limits.
//!
//! No logic except conversions, no dependencies. All other crates use these types. Start with
//! [`EntityId`] and [`ChunkId`].

mod admission;
mod edge;
mod figure;
mod ids;
mod limits;
mod origin;
mod planted;
mod space;
mod time;

pub use admission::Admission;
pub use edge::{EdgeAddress, Site};
pub use figure::{Figure, Measure};
pub use ids::{ConnId, EntityId, Epoch, Kind, NodeId, Term};
pub use limits::Limits;
pub use origin::{Origin, Prefix};
pub use planted::Planted;
pub use space::{Body, CHUNK_MM, ChunkId, HEADINGS, MOTION_UNIT_MM, Point};
pub use time::{Now, Time, WorldTime};
