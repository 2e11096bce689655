//! Real requests against a bound port.
#![expect(clippy::disallowed_methods, reason = "real time passes between requests")]

use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use super::*;
use crate::status::Phase;

/// The status line's code and the body of the answer to `line`.
async fn ask(address: SocketAddr, line: &str) -> (u16, String) {
    let mut stream = TcpStream::connect(address).await.unwrap();
    let request = format!("{line} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n");
    stream.write_all(request.as_bytes()).await.unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).await.unwrap();
    let (head, body) = answer.split_once("\r\n\r\n").unwrap();
    (head.split(' ').nth(1).unwrap().parse().unwrap(), body.to_owned())
}

#[tokio::test]
async fn three_routes_answer_and_nothing_else() {
    let listener = bind("127.0.0.1:0".parse().unwrap()).await.unwrap();
    let address = listener.local_addr().unwrap();
    let (status, seen) = watch::channel(Status::default());
    let (stop, mut stopped) = watch::channel(());
    let shutdown = async move { drop(stopped.changed().await) };
    let server = serve(listener, Metrics::new(), seen, shutdown);
    let client = async {
        assert_eq!(ask(address, "GET /healthz").await, (200, "ok\n".to_owned()));
        let (code, body) = ask(address, "GET /readyz").await;
        let expect = r#"{"ready":false,"reason":"the phase is starting, not streaming"}"#;
        assert_eq!((code, body.trim_end()), (503, expect));
        status.send_modify(|status| status.phase = Phase::Streaming);
        let (code, body) = ask(address, "GET /readyz").await;
        assert_eq!((code, body.trim_end()), (200, r#"{"ready":true}"#));
        let (code, body) = ask(address, "GET /metrics").await;
        assert_eq!(code, 200);
        assert!(body.contains("walbrook_phase{phase=\"starting\"} 1"));
        for line in ["POST /metrics", "DELETE /readyz", "PUT /healthz"] {
            assert_eq!(ask(address, line).await.0, 405, "{line}");
        }
        for line in ["GET /", "GET /config", "POST /stop"] {
            assert_eq!(ask(address, line).await.0, 404, "{line}");
        }
        // A client that keeps its connection open and says nothing does not hold up the end.
        let idle = TcpStream::connect(address).await.unwrap();
        drop(stop);
        idle
    };
    let ((), _idle) =
        tokio::time::timeout(Duration::from_secs(5), async { tokio::join!(server, client) })
            .await
            .unwrap();
}

/// Runs `client` against a server of its own.
async fn with_server(metrics: Metrics, client: impl AsyncFnOnce(SocketAddr)) {
    let listener = bind("127.0.0.1:0".parse().unwrap()).await.unwrap();
    let address = listener.local_addr().unwrap();
    let (_status, seen) = watch::channel(Status::default());
    tokio::select! {
        () = serve(listener, metrics, seen, std::future::pending()) => {}
        () = client(address) => {}
    }
}

#[tokio::test]
async fn connections_that_say_nothing_hold_up_nobody() {
    with_server(Metrics::new(), async |address| {
        let mut silent = Vec::new();
        for _ in 0..=CONNECTIONS_MAX {
            let mut stream = TcpStream::connect(address).await.unwrap();
            // The head of a request that never ends.
            stream.write_all(b"GET /healthz HTTP/1.1\r\nHost:").await.unwrap();
            silent.push(stream);
        }
        let start = Instant::now();
        for _ in 0..3 {
            assert_eq!(ask(address, "GET /healthz").await.0, 200);
        }
        // The oldest made room, and the youngest is still heard.
        let [mut oldest, mut youngest] = [silent.remove(0), silent.pop().unwrap()];
        let end = oldest.read(&mut [0]).await;
        assert!(matches!(end, Ok(0) | Err(_)), "{end:?}");
        youngest.write_all(b" x\r\n\r\n").await.unwrap();
        let mut answer = [0; 15];
        youngest.read_exact(&mut answer).await.unwrap();
        assert_eq!(&answer, b"HTTP/1.1 200 OK");
        assert!(start.elapsed() < PATIENCE / 2, "{:?}", start.elapsed());
    })
    .await;
}

#[tokio::test]
async fn metrics_are_written_once_a_second_however_often_they_are_asked_for() {
    let metrics = Metrics::new();
    with_server(metrics.clone(), async |address| {
        let lag = async |bytes: u32| {
            let body = ask(address, "GET /metrics").await.1;
            body.contains(&format!("walbrook_lag_bytes {bytes}\n"))
        };
        assert!(lag(0).await);
        metrics.set_lag(7, 0.0);
        assert!(lag(0).await);
        // So long it may be old.
        tokio::time::sleep(AGE_MAX).await;
        assert!(lag(7).await);
    })
    .await;
}

#[tokio::test]
async fn a_taken_port_is_named_with_the_way_out() {
    let listener = bind("127.0.0.1:0".parse().unwrap()).await.unwrap();
    let address = listener.local_addr().unwrap();
    let error = bind(address).await.err().unwrap();
    let expect = format!(
        "cannot listen on {address} for /metrics, /healthz and /readyz: free the port, or set \
         `http.listen` to another address or to \"off\""
    );
    assert_eq!(error.to_string(), expect);
}
