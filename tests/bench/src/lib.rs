//! What a call of a loaded plugin costs beside the same plugin linked statically.
//!
//! | file | what is in it |
//! | --- | --- |
//! | `contest.rs` | ways to make the same calls take turns; rows |
//! | `calls.rs` | what is called |
//! | `hosts.rs` | hosts that serve what is called |
//! | `loopback.rs` | the server of the calls over HTTP |
//! | `sections.rs` | the parts of a run |
//! | `lifecycle.rs` | the part that is not about calls |
//! | `heap.rs` | allocations of a call |
//! | `table.rs` | rows for people |
//! | `targets.rs` | what the ratios are to come to |
//! | `plots.rs` | rows as pictures |

pub mod calls;
pub mod contest;
pub mod heap;
pub mod hosts;
pub mod lifecycle;
pub mod loopback;
pub mod plots;
pub mod sections;
pub mod table;
pub mod targets;
