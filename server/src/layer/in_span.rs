//! A call's future, run in the span of the call.
//!
//! Unlike one that is instrumented, it does not enter the span once more when it is over, which nearly every call is by then: only where it is given up,
//! as what ends with it may log (`ragstone::audit` has who asked for what at the latest when the call ends).

use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use tracing::Span;

/// A future in a span.
pub(crate) struct InSpan<F> {
    span: Span,
    /// Gone once it is over.
    future: Option<F>,
}

impl<F> InSpan<F> {
    pub(super) fn new(span: Span, future: F) -> InSpan<F> {
        InSpan { span, future: Some(future) }
    }
}

impl<F: Future + Unpin> Future for InSpan<F> {
    type Output = F::Output;

    fn poll(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<F::Output> {
        let this = self.get_mut();
        let _entered = this.span.enter();
        // Nobody polls what is over.
        let Some(future) = &mut this.future else { return Poll::Pending };
        let output = ready!(Pin::new(future).poll(context));
        this.future = None;
        Poll::Ready(output)
    }
}

impl<F> Drop for InSpan<F> {
    fn drop(&mut self) {
        if let Some(given_up) = self.future.take() {
            self.span.in_scope(|| drop(given_up));
        }
    }
}

#[cfg(test)]
mod tests {
    use std::future::pending;
    use std::task::Waker;

    use super::*;
    use crate::logs::lines::Lines;

    struct Tells;

    impl Drop for Tells {
        fn drop(&mut self) {
            tracing::info!("it ends");
        }
    }

    /// Of a call whose caller left, the line that tells who made it had neither its method nor its trace.
    #[test]
    fn what_ends_with_a_call_logs_in_its_span_whether_it_was_over_or_given_up() {
        let lines = Lines::begin();
        let mut context = Context::from_waker(Waker::noop());
        for is_over in [true, false] {
            let tells = Tells;
            let mut call = InSpan::new(
                tracing::info_span!("rpc", method = "/x/Y"),
                Box::pin(async move {
                    let _tells = tells;
                    if !is_over {
                        pending::<()>().await;
                    }
                }),
            );
            assert_eq!(Pin::new(&mut call).poll(&mut context).is_ready(), is_over);
        }
        let text = lines.text();
        assert_eq!(text.lines().count(), 2, "{text}");
        assert!(text.lines().all(|line| line.contains(r#"rpc{method="/x/Y"}"#)), "{text}");
    }
}
