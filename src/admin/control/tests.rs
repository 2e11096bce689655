//! Real requests over a socket.

use std::cell::Cell;

use super::*;
use crate::status::Phase;

#[tokio::test]
async fn status_and_stop_are_answered() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("shop.sock");
    let control = bind(&path).unwrap();
    let mode = std::fs::metadata(&path).unwrap().permissions().mode() & 0o777;
    assert_eq!(mode, 0o600);
    assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 1, "nothing else is left");
    assert!(matches!(bind(&path), Err(Error::Taken { .. })), "somebody listens");

    let findings = vec!["table public.orders is missing".to_owned(); 1000];
    let status =
        Status { phase: Phase::Streaming, received_lsn: Lsn(0x10), findings, ..Status::default() };
    let (_status, seen) = watch::channel(status);
    let (stop, mut stopped) = watch::channel(());
    let stops = Cell::new(0);
    let shutdown = async move { drop(stopped.changed().await) };
    let server = serve(control, seen, || stops.set(stops.get() + 1), shutdown);
    let client = async {
        let reply = ask(&path, Request::Status {}).await.unwrap();
        let report: Report = serde_json::from_value(reply).unwrap();
        assert!(report.ready && report.phase == "streaming");
        assert_eq!(report.received_lsn, Lsn(0x10));
        assert_eq!(report.findings.len(), 1000);
        assert_eq!(ask(&path, Request::Stop {}).await.unwrap()["stopping"], true);
        let mut stream = UnixStream::connect(&path).await.unwrap();
        stream.write_all(b"{\"command\":\"drop\"}\n").await.unwrap();
        assert!(read_line(&mut stream, 1000).await.unwrap().contains("\"error\""));
        drop(stop);
    };
    tokio::join!(server, client);
    assert_eq!(stops.get(), 1);
    assert!(!path.exists(), "the file goes with the socket");
    assert!(matches!(ask(&path, Request::Status {}).await, Err(Error::Connect { .. })));
}

#[tokio::test]
async fn what_a_dead_process_left_is_replaced_but_no_other_file() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("shop.sock");
    drop(std::os::unix::net::UnixListener::bind(&path).unwrap());
    assert!(path.exists());
    drop(bind(&path).unwrap());
    std::fs::write(&path, "precious").unwrap();
    assert!(matches!(bind(&path), Err(Error::Taken { .. })));
    assert_eq!(std::fs::read_to_string(&path).unwrap(), "precious");
    let missing = folder.path().join("nowhere/shop.sock");
    assert!(matches!(bind(&missing), Err(Error::Bind { .. })));
}
