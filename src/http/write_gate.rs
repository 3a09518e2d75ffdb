//! The gate through which a client's writes go out: it can be closed, and then nothing passes any more.
//!
//! What lives here: who is out, and who is taken back. What must not: the rate (`pacer`), and why it is closed.
//!
//! *Invariant*: once [`WriteGate::is_quiet`] has returned after [`WriteGate::close`], no write that began before is on the
//! wire, and none of them goes out later, whether the gate is opened again or not.

use std::sync::Arc;

use tokio::sync::watch;

/// A gate that is open until somebody closes it.
#[derive(Debug)]
pub struct WriteGate {
    state: watch::Sender<State>,
}

#[derive(Debug, Default)]
struct State {
    is_closed: bool,
    /// How often it was closed: who began before the last time is taken back.
    closings: u64,
    on_the_wire: usize,
}

impl Default for WriteGate {
    fn default() -> WriteGate {
        WriteGate { state: watch::Sender::new(State::default()) }
    }
}

/// A write that is on the wire for as long as this lives.
#[derive(Debug)]
pub struct OnTheWire(Arc<WriteGate>);

impl Drop for OnTheWire {
    fn drop(&mut self) {
        self.0.state.send_modify(|state| state.on_the_wire = state.on_the_wire.saturating_sub(1));
    }
}

impl WriteGate {
    /// Lets nothing out from now on, and takes back what waits for its turn.
    pub fn close(&self) {
        self.state.send_modify(|state| {
            state.is_closed = true;
            state.closings += 1;
        });
    }

    /// Lets out what begins from now on.
    pub fn open(&self) {
        self.state.send_modify(|state| state.is_closed = false);
    }

    /// Writes on the wire.
    pub fn on_the_wire(&self) -> usize {
        self.state.borrow().on_the_wire
    }

    /// Waits until no write is on the wire.
    pub async fn is_quiet(&self) {
        // The sender is ours, so that it cannot be gone.
        let _ = self.state.subscribe().wait_for(|state| state.on_the_wire == 0).await;
    }

    /// How often it was closed when a write begins.
    pub(super) fn closings(&self) -> u64 {
        self.state.borrow().closings
    }

    /// Lets a write out that began at this number of closings; `None` = it is taken back.
    pub(super) fn go_out(self: &Arc<Self>, began: u64) -> Option<OnTheWire> {
        let mut out = false;
        self.state.send_modify(|state| {
            out = !state.is_closed && state.closings == began;
            state.on_the_wire += usize::from(out);
        });
        out.then(|| OnTheWire(Arc::clone(self)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn what_waits_for_its_turn_is_taken_back_for_good_and_what_is_out_is_waited_for() {
        let gate = Arc::new(WriteGate::default());
        let (early, late) = (gate.closings(), gate.closings());
        let out = gate.go_out(early).unwrap();
        gate.close();
        assert_eq!(gate.on_the_wire(), 1);
        let waiting = tokio::spawn({
            let gate = Arc::clone(&gate);
            async move { gate.is_quiet().await }
        });
        tokio::task::yield_now().await;
        assert!(!waiting.is_finished());
        drop(out);
        waiting.await.unwrap();
        assert!(gate.go_out(late).is_none() && gate.go_out(gate.closings()).is_none());
        gate.open();
        assert!(gate.go_out(late).is_none(), "it began before the gate was closed");
        assert!(gate.go_out(gate.closings()).is_some());
    }
}
