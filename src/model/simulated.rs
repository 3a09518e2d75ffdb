//! The seam for a simulation: a wall clock, and an end at any step, that belong to one thread.
//!
//! What lives here: what a simulation decides for its own thread. What must not: anything that acts where no simulation
//! was begun. The program itself never begins one.

use std::cell::RefCell;
use std::rc::Rc;

/// What a simulation decides for everything that runs on its thread.
pub trait SimulatedProcess {
    /// What the wall clock shows, milliseconds since 1970.
    fn now_millis(&self) -> i64;
    /// Whether the process dies here, right before a transaction of the store.
    fn dies_before_transaction(&self) -> bool;
}

thread_local! {
    static PROCESS: RefCell<Option<Rc<dyn SimulatedProcess>>> = const { RefCell::new(None) };
}

/// Begins or ends the simulation of this thread.
pub fn simulate(process: Option<Rc<dyn SimulatedProcess>>) {
    PROCESS.with(|slot| *slot.borrow_mut() = process);
}

/// What this thread simulates, if anything.
pub fn simulated_process() -> Option<Rc<dyn SimulatedProcess>> {
    PROCESS.with(|slot| slot.borrow().clone())
}
