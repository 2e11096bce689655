//! Counts how many units of each product are reserved by orders, from the events of the shop's outbox.
//!
//! It counts each event exactly once: what an event changes, its id, and the offset behind it are
//! written in one transaction of a database of its own (SQLite, in --store). Kafka is not told of
//! offsets at all. So it may be killed at any moment, and goes on with what it has not counted yet.

mod follow;
mod store;

use std::path::PathBuf;

use clap::Parser;
use tiny_http::{Header, Response, Server};

use crate::store::Store;

type Result<T> = std::result::Result<T, Box<dyn std::error::Error>>;

/// Counts what orders reserve.
#[derive(Parser)]
struct Given {
    /// Kafka
    #[arg(long, default_value = "127.0.0.1:9092")]
    bootstrap: String,
    /// The schema registry
    #[arg(long, default_value = "http://127.0.0.1:8081")]
    registry: String,
    /// Of GET /state
    #[arg(long, default_value_t = 8001)]
    port: u16,
    /// A folder for its database
    #[arg(long, default_value = "store")]
    store: PathBuf,
}

fn main() {
    let Err(error) = run(Given::parse());
    eprintln!("inventory-rust: {error}");
    std::process::exit(1);
}

fn run(given: Given) -> Result<std::convert::Infallible> {
    // What is not in the store yet comes again, so there is nothing to be put in order at the end.
    ctrlc::set_handler(|| std::process::exit(0))?;
    let server = Server::http(("127.0.0.1", given.port))
        .map_err(|error| format!("cannot listen on port {}: {error}; see --port", given.port))?;
    // Each thread has a connection of its own to the database.
    let open = || {
        let folder = &given.store;
        Store::open(folder)
            .map_err(|error| format!("cannot write to {}: {error}; see --store", folder.display()))
    };
    let (store, shown) = (open()?, open()?);
    std::thread::spawn(move || serve(&server, &shown));
    follow::follow(&given, store)
}

/// Answers GET /state.
fn serve(server: &Server, store: &Store) {
    let json: Header = "Content-Type: application/json".parse().expect("it is a header");
    for request in server.incoming_requests() {
        let state = if request.url() == "/state" { store.state().ok() } else { None };
        // Whoever asked may be gone.
        let _ = match state {
            Some(state) => request.respond(Response::from_string(state).with_header(json.clone())),
            None => request.respond(Response::empty(404)),
        };
    }
}
