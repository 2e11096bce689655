//! The stop, a value that is passed down: set once, seen by everyone who waits.

use tokio::sync::watch;

/// Sees the stop.
#[derive(Clone, Debug)]
pub struct Stop(watch::Receiver<bool>);

/// Sets the stop; dropping it sets it too.
#[derive(Debug)]
pub struct Stopper(watch::Sender<bool>);

/// A stop that is not set.
#[must_use]
pub fn stop_pair() -> (Stopper, Stop) {
    let (sender, receiver) = watch::channel(false);
    (Stopper(sender), Stop(receiver))
}

impl Stopper {
    /// Sets the stop.
    pub fn stop(&self) {
        self.0.send_replace(true);
    }
}

impl Stop {
    /// Whether it is set.
    #[must_use]
    pub fn is_set(&self) -> bool {
        *self.0.borrow()
    }

    /// Waits until it is set. Cancel-safe.
    pub async fn wait(&mut self) {
        // A dropped stopper counts as a stop: nobody is left who could ask for one.
        let _ = self.0.wait_for(|is_set| *is_set).await;
    }
}
