//! What both roads share.

use super::*;

#[test]
fn a_future_that_is_woken_from_another_thread_completes() {
    let (sender, receiver) = tokio::sync::oneshot::channel();
    std::thread::scope(|scope| {
        scope.spawn(move || sender.send(7).unwrap());
        assert_eq!(block_on(receiver).unwrap(), 7);
    });
}

#[test]
fn a_code_of_the_protocol_is_librdkafkas() {
    assert_eq!(code(0), None);
    assert_eq!(code(36), Some(RDKafkaErrorCode::TopicAlreadyExists));
    assert_eq!(code(41), Some(RDKafkaErrorCode::NotController));
    assert_eq!(code(-1), Some(RDKafkaErrorCode::Unknown));
    assert_eq!(code(i16::MAX), Some(RDKafkaErrorCode::Unknown), "of a newer broker");
}
