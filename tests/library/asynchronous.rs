//! What other tasks of an executor see of a call: natively it computes elsewhere.

use crate::common::case::Case;
use crate::common::shared_engines;
use clustered_attention::{Method, Shape};
use std::future::Future;
use std::pin::pin;
use std::sync::Arc;
use std::task::{Context, Poll, Wake, Waker};
use std::thread::Thread;
use std::time::{Duration, Instant};

/// Wakes the executor of one thread.
struct Unpark(Thread);

impl Wake for Unpark {
    fn wake(self: Arc<Self>) {
        self.0.unpark();
    }
}

/// Runs a future beside a task that wants to run every millisecond; returns the longest time that the task had to wait.
fn beside_another_task<T>(future: impl Future<Output = T>) -> (T, Duration) {
    let waker = Waker::from(Arc::new(Unpark(std::thread::current())));
    let mut future = pin!(future);
    let (mut longest, mut last) = (Duration::ZERO, Instant::now());
    loop {
        let polled = future.as_mut().poll(&mut Context::from_waker(&waker));
        longest = longest.max(last.elapsed());
        if let Poll::Ready(result) = polled {
            return (result, longest);
        }
        std::thread::park_timeout(Duration::from_millis(1));
        last = Instant::now();
    }
}

#[test]
fn a_call_leaves_the_executor_to_others() {
    for engine in shared_engines() {
        // Long enough that the copy of the inputs and the start of a thread are nothing beside it.
        let mut length = 512;
        let (case, expected, blocking) = loop {
            let case = Case::of(Shape::self_attention(1, 4, length, 64), Method::Exact, 1);
            let begin = Instant::now();
            let expected = engine.attention.run_blocking(&case.problem, &case.inputs()).expect("attention");
            let blocking = begin.elapsed();
            if blocking > Duration::from_millis(100) {
                break (case, expected, blocking);
            }
            length *= 2;
        };
        let (output, longest) = beside_another_task(engine.attention.run(&case.problem, &case.inputs()));
        assert_eq!(output.expect("attention"), expected, "{}", engine.name);
        // All that a poll does is to copy the inputs and to start a thread.
        assert!(longest < blocking / 2, "{}: a poll of {longest:?}, a call of {blocking:?}", engine.name);
    }
}

#[test]
fn dropping_a_call_stops_it() {
    // Minutes of work, of which nothing may be left to hold up the next call.
    let long = Case::of(Shape::self_attention(1, 8, 20_000, 64), Method::Exact, 2);
    let short = Case::of(Shape::self_attention(1, 1, 64, 8), Method::Exact, 3);
    let engine = &shared_engines()[0];
    assert_eq!(engine.name, "cpu");
    let begin = Instant::now();
    {
        let inputs = long.inputs();
        let mut call = pin!(engine.attention.run(&long.problem, &inputs));
        let waker = Waker::from(Arc::new(Unpark(std::thread::current())));
        assert!(call.as_mut().poll(&mut Context::from_waker(&waker)).is_pending());
        std::thread::sleep(Duration::from_millis(100));
    }
    engine.attention.run_blocking(&short.problem, &short.inputs()).expect("attention");
    assert!(begin.elapsed() < Duration::from_secs(3), "the next call came after {:?}", begin.elapsed());
}
