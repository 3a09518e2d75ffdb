//! Jobs over a whole sync beside the run: each brings a plan or an answer of its own and has the engine carry it out.
//!
//! What must not live here: phases of a run (`engine`), when something runs (`daemon`), what is printed (`report`).

pub mod explain;
pub mod keep;
pub mod rebuild;
pub mod run_task;
pub mod transfer;
pub mod undo;
pub mod verify;
