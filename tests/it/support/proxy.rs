//! What stands between a client and its server: a pooler, or a name that leads to several servers.

use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::Arc;
use std::thread;

/// What becomes of the parameters of a log-in. A pooler such as PgBouncer knows but a few.
#[derive(Clone, Copy)]
pub(crate) enum Parameters {
    /// All but these are dropped, as PgBouncer does with those of `ignore_startup_parameters`.
    Keep(&'static [&'static str]),
    /// They are the server's.
    Pass,
    /// The first that is not one of these is refused in PgBouncer's words.
    Refuse(&'static [&'static str]),
}

/// The parameters that PgBouncer knows before 1.23.
pub(crate) const KNOWN: &[&str] = KNOWN_SINCE_1_23.split_last().unwrap().1;

/// The same and, last, `replication`, which it knows since then.
pub(crate) const KNOWN_SINCE_1_23: &[&str] = &[
    "user",
    "database",
    "application_name",
    "client_encoding",
    "DateStyle",
    "TimeZone",
    "standard_conforming_strings",
    "replication",
];

/// Listens on a port of 127.0.0.1, which it returns, and leads to the ports of `servers` in turn. It
/// ends with the process.
pub(crate) fn proxy(servers: &[u16], parameters: Parameters) -> u16 {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    let servers = Arc::<[u16]>::from(servers);
    thread::spawn(move || {
        for (client, server) in listener.incoming().zip(servers.iter().cycle()) {
            let server = *server;
            // Either side hangs up at will.
            thread::spawn(move || client.and_then(|client| serve(client, server, parameters)));
        }
    });
    port
}

fn serve(mut client: TcpStream, port: u16, parameters: Parameters) -> std::io::Result<()> {
    let mut packet = startup(&mut client)?;
    while packet.starts_with(&TLS_REQUEST) {
        client.write_all(b"N")?;
        packet = startup(&mut client)?;
    }
    let body = String::from_utf8(packet.split_off(4)).unwrap();
    let words: Vec<_> = body.split_terminator('\0').collect();
    let asked = words.chunks_exact(2).map(|pair| (pair[0], pair[1]));
    let kept: Vec<_> = match parameters {
        Parameters::Keep(known) => asked.filter(|(name, _)| known.contains(name)).collect(),
        Parameters::Pass => asked.collect(),
        Parameters::Refuse(known) => match asked.clone().find(|(name, _)| !known.contains(name)) {
            Some((name, _)) => return client.write_all(&refusal(name)),
            None => asked.collect(),
        },
    };
    let mut body: String = kept.iter().map(|(name, value)| format!("{name}\0{value}\0")).collect();
    body.push('\0');
    let mut server = TcpStream::connect(("127.0.0.1", port))?;
    server.write_all(&framed(&[&packet, body.as_bytes()].concat()))?;
    let (mut from, mut to) = (client.try_clone()?, server.try_clone()?);
    thread::spawn(move || {
        let copied = std::io::copy(&mut from, &mut to);
        to.shutdown(std::net::Shutdown::Write).and(copied)
    });
    std::io::copy(&mut server, &mut client)?;
    client.shutdown(std::net::Shutdown::Both)
}

/// A packet of the log-in, without its length.
fn startup(client: &mut TcpStream) -> std::io::Result<Vec<u8>> {
    let mut length = [0; 4];
    client.read_exact(&mut length)?;
    let mut packet = vec![0; usize::try_from(u32::from_be_bytes(length)).unwrap() - 4];
    client.read_exact(&mut packet)?;
    Ok(packet)
}

fn refusal(parameter: &str) -> Vec<u8> {
    let fields = [
        "SFATAL".to_owned(),
        "C08P01".to_owned(),
        format!("Munsupported startup parameter: {parameter}"),
    ];
    let fields = fields.join("\0") + "\0\0";
    [b"E", framed(fields.as_bytes()).as_slice()].concat()
}

fn framed(body: &[u8]) -> Vec<u8> {
    let length = u32::try_from(body.len() + 4).unwrap();
    [length.to_be_bytes().as_slice(), body].concat()
}

const TLS_REQUEST: [u8; 4] = 80_877_103_u32.to_be_bytes();
