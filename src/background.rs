//! Work away from the thread that awaits it, without a runtime: a thread a call, and a channel back.

use crate::{Error, Result};
#[cfg(not(target_arch = "wasm32"))]
use futures_intrusive::channel::shared::oneshot_channel;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::Arc;

/// Whether nobody waits for a result any more; by default somebody does.
#[derive(Debug, Clone, Default)]
pub(crate) struct Cancellation(Option<Arc<AtomicBool>>);

impl Cancellation {
    pub fn is_requested(&self) -> bool {
        self.0.as_ref().is_some_and(|requested| requested.load(Ordering::Relaxed))
    }

    /// Refuses to begin what nobody waits for.
    pub fn check(&self) -> Result<()> {
        if self.is_requested() {
            return Err(Error::Cancelled);
        }
        Ok(())
    }
}

/// Requests the cancellation when it is dropped.
#[cfg(not(target_arch = "wasm32"))]
struct Awaited(Arc<AtomicBool>);

#[cfg(not(target_arch = "wasm32"))]
impl Drop for Awaited {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Relaxed);
    }
}

/// Runs work on a thread of its own, which begins at the first poll. Where the future is dropped, the work is told.
#[cfg(not(target_arch = "wasm32"))]
pub(crate) async fn run<T: Send + 'static>(
    work: impl FnOnce(&Cancellation) -> Result<T> + Send + 'static,
) -> Result<T> {
    let requested = Arc::new(AtomicBool::new(false));
    let (awaited, cancellation) = (Awaited(requested.clone()), Cancellation(Some(requested)));
    let (sender, receiver) = oneshot_channel();
    let run = move || {
        // The receiver is only gone if the future was dropped.
        let _ = sender.send(work(&cancellation));
    };
    let failed = |message: String| Error::Thread { message };
    let thread = std::thread::Builder::new().name("clustered-attention".into()).spawn(run);
    thread.map_err(|error| failed(error.to_string()))?;
    let result = receiver.receive().await;
    drop(awaited);
    result.unwrap_or_else(|| Err(failed("it ended without a result".into())))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::future::Future;
    use std::sync::mpsc;
    use std::task::{Context, Poll, Waker};

    #[test]
    fn results_and_errors_come_back() {
        assert_eq!(pollster::block_on(run(|_| Ok(3))), Ok(3));
        assert_eq!(pollster::block_on(run(|_| Err::<(), _>(Error::Cancelled))), Err(Error::Cancelled));
        let ended = pollster::block_on(run(|_| -> Result<()> { std::panic::resume_unwind(Box::new(())) }));
        assert!(matches!(ended, Err(Error::Thread { .. })), "{ended:?}");
    }

    #[test]
    fn work_is_told_when_nobody_waits() {
        let (go, wait) = mpsc::channel::<()>();
        let (tell, told) = mpsc::channel();
        let mut future = Box::pin(run(move |cancellation| {
            let _ = wait.recv();
            let _ = tell.send(cancellation.check());
            Ok(())
        }));
        let polled = future.as_mut().poll(&mut Context::from_waker(Waker::noop()));
        assert!(matches!(polled, Poll::Pending));
        drop(future);
        assert_eq!(go.send(()), Ok(()));
        assert_eq!(told.recv(), Ok(Err(Error::Cancelled)));
    }
}
