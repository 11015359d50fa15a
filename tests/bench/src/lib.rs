//! What a call of a loaded plugin costs beside the same plugin linked statically.
//!
//! | file | what is in it |
//! | --- | --- |
//! | `contest.rs` | ways to make the same calls take turns; rows |
//! | `calls.rs` | what is called |
//! | `hosts.rs` | hosts that serve what is called |
//! | `sections.rs` | the parts of a run |
//! | `heap.rs` | allocations of a call |
//! | `table.rs` | rows for people |

pub mod calls;
pub mod contest;
pub mod heap;
pub mod hosts;
pub mod sections;
pub mod table;
