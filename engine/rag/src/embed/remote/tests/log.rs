//! What the log is told of a service that fails.

use std::cell::RefCell;
use std::fmt::{Debug, Write as _};

use tracing::field::{Field, Visit};
use tracing::span::{Attributes, Id, Record};
use tracing::{Event, Level, Metadata, Subscriber};

use super::*;

thread_local! {
    static TOLD: RefCell<String> = const { RefCell::new(String::new()) };
}

/// Has the warnings of this thread. It is of the whole process: with one of a thread alone, a call site that another thread comes upon
/// first would count as never logged.
struct Log;

impl Subscriber for Log {
    fn enabled(&self, metadata: &Metadata<'_>) -> bool {
        *metadata.level() == Level::WARN
    }

    fn new_span(&self, _: &Attributes<'_>) -> Id {
        Id::from_u64(1)
    }

    fn record(&self, _: &Id, _: &Record<'_>) {}

    fn record_follows_from(&self, _: &Id, _: &Id) {}

    fn event(&self, event: &Event<'_>) {
        event.record(&mut Log);
    }

    fn enter(&self, _: &Id) {}

    fn exit(&self, _: &Id) {}
}

impl Visit for Log {
    fn record_debug(&mut self, field: &Field, value: &dyn Debug) {
        TOLD.with_borrow_mut(|told| {
            let _ = write!(told, "{field}={value:?};");
        });
    }
}

/// The line that each further try has was told what the service said, and so the text, where that repeats what it cannot read.
#[test]
fn a_text_that_a_service_repeats_is_not_logged() {
    tracing::subscriber::set_global_default(Log).unwrap();
    let mut fails = true;
    let server = StandIn::start(move |request| match std::mem::take(&mut fails) {
        true => Answer {
            headers: vec![("retry-after", "0".to_owned())],
            ..Answer::new(500, r#"{"error":{"message":"cannot read 'hush'"}}"#)
        },
        false => answer(request),
    });
    TOLD.take();
    connect(&server).unwrap();
    let told = TOLD.take();
    assert!(told.contains("tried again") && told.contains("status=500"), "{told}");
    assert!(!told.contains("hush"), "{told}");
}
