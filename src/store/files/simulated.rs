//! Transactions in a simulation: done while the thread waits.
//!
//! What lives here: the one place where a simulated process differs from a real one in how it speaks to its database.
//! What must not: anything that acts where no simulation was begun.
//!
//! The database has a thread of its own. A runtime whose time is paused sees nothing to do while that thread works, and
//! would move its clock on to the next timer: every transaction would seem to take as long as the longest pending
//! timeout. And whose answer comes first would depend on the machine, so that no seed could be repeated. Therefore the
//! simulation's thread waits for the database; others have their turn right before.

use std::future::Future;
use std::pin::pin;
use std::sync::Arc;
use std::task::{Context, Poll, Wake};
use std::thread::{Thread, current, park};

use crate::model::simulated::simulated_process;

struct Unpark(Thread);

impl Wake for Unpark {
    fn wake(self: Arc<Unpark>) {
        self.0.unpark();
    }
}

/// The same outcome. In a simulation it is waited for by the thread itself, or never comes because the process died.
pub(crate) async fn at_once<F: Future>(transacted: F) -> F::Output {
    if simulated_process().is_none() {
        return transacted.await;
    }
    tokio::task::yield_now().await;
    if simulated_process().is_some_and(|process| process.dies_before_transaction()) {
        return std::future::pending().await;
    }
    // Without it tokio's budget for this task could end, and what is ready would never say so.
    let mut transacted = pin!(tokio::task::unconstrained(transacted));
    let waker = Arc::new(Unpark(current())).into();
    let mut context = Context::from_waker(&waker);
    loop {
        match transacted.as_mut().poll(&mut context) {
            Poll::Ready(output) => return output,
            Poll::Pending => park(),
        }
    }
}
