//! Real requests over a socket.

use std::cell::Cell;

use super::*;
use crate::order::{self, Asked};
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
    let (orderer, _orders) = order::orders();
    let stops = Cell::new(0);
    let shutdown = async move { drop(stopped.changed().await) };
    let server = serve(control, seen, || stops.set(stops.get() + 1), orderer, shutdown);
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

/// In a container every process has the id 1.
#[tokio::test]
async fn a_folder_that_a_killed_process_left_is_in_nobodys_way() {
    let folder = tempfile::tempdir().unwrap();
    std::fs::create_dir(folder.path().join(format!(".walbrook.{}", std::process::id()))).unwrap();
    bind(&folder.path().join("shop.sock")).unwrap();
}

/// What takes long holds up nobody, and who gives no answer is told of.
#[tokio::test]
async fn an_order_is_answered_when_it_is_done() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("shop.sock");
    let control = bind(&path).unwrap();
    let (status, seen) = watch::channel(Status::default());
    let (orderer, mut orders) = order::orders();
    let (stop, mut stopped) = watch::channel(());
    let shutdown = async move { drop(stopped.changed().await) };
    let server = serve(control, seen, || (), orderer, shutdown);
    let order = Order::Start { table: "public.t".to_owned(), condition: Some("a < 3".to_owned()) };
    let client = async {
        let told = async || {
            let answer = ask(&path, Request::Snapshot(order.clone())).await.unwrap();
            serde_json::from_value::<Reply>(answer).unwrap()
        };
        let Reply::Unanswered(why) = told().await else { panic!("nothing streams") };
        assert!(why.contains("the phase is starting"), "{why}");
        status.send_modify(|status| status.phase = Phase::Streaming);
        let reader = async {
            let Asked { order: taken, reply } = orders.next().await;
            assert_eq!(taken, order);
            // Others are served meanwhile.
            assert_eq!(ask(&path, Request::Status {}).await.unwrap()["phase"], "streaming");
            reply.send(Reply::Done("begun".to_owned())).unwrap();
        };
        assert_eq!(tokio::join!(told(), reader).0, Reply::Done("begun".to_owned()));
        let gone = async { drop(orders.next().await) };
        let Reply::Unanswered(why) = tokio::join!(told(), gone).0 else { panic!("it is gone") };
        assert!(why.contains("the stream ended"), "{why}");
        drop(stop);
    };
    tokio::join!(server, client);
}
