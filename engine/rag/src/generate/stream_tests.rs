use super::*;

/// Callers who leave while connections are being made leave threads behind, which nothing else counts.
#[test]
fn requests_under_way_are_bounded() {
    let model = Arc::new(GenerateModel::parse("small=http://127.0.0.1:1/v1").unwrap());
    let mut under_way: Vec<Arc<()>> =
        (0..GENERATE_REQUESTS_MAX).map(|_| model.begin_request().unwrap()).collect();
    assert!(model.begin_request().is_none());
    // Nobody has the time for a pause before another try.
    let next = || Stream::new(Arc::clone(&model), b"{}".to_vec(), Some(Instant::now())).unwrap().next();
    let Err(Error::Generate { failure, reason, .. }) = next() else { panic!("it is one more than may be") };
    assert_eq!(failure, GenerateFailure::Busy { retry_after: None });
    assert!(reason.contains("GENERATE_REQUESTS_MAX = 512"), "{reason}");
    // With room again it is asked, where nobody listens; and its own request is counted no longer than it lasts.
    under_way.pop();
    let Err(Error::Generate { failure, .. }) = next() else { panic!("nobody listens there") };
    assert_eq!(failure, GenerateFailure::Unavailable);
    assert_eq!(Arc::strong_count(&under_way[0]), GENERATE_REQUESTS_MAX);
}
