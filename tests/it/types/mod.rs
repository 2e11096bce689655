//! All roads give the same bytes: values of every type, written with SQL, read in binary and in text
//! mode, encoded from both in every representation, and compared with what the server itself says
//! of them. What a snapshot reads are the same bytes.
//!
//! No Kafka and no registry: a logical slot is read with SQL, and walbrook's own parsers, catalog
//! and encoders do the rest. One server for each version; a family of types is one test. PostGIS
//! has a server that decodes no slots: there SELECT calls the functions that pgoutput calls.
//! `tests/run types` takes other versions than the default run does.

mod chunks;
mod defaults;
mod every;
mod family;
mod form;
mod judged;
mod kept;
mod literal;
mod nested;
mod numbers;
mod refusal;
mod roads;
mod selected;
mod shapes;
mod shown;
mod spatial;
mod texts;
mod times;
mod vectors;
mod verdict;

use std::collections::BTreeSet;
use std::sync::OnceLock;
use std::time::Duration;

use tokio_postgres::Client;
use walbrook::config;
use walbrook::postgres::Catalog;

use crate::postgres::{local, over};
use crate::support::postgis::Postgis;
use crate::support::postgres::{Options, Postgres};
use crate::support::{run, unique};
use family::Family;
use roads::Road;

/// The tests of one version of PostgreSQL.
macro_rules! judged_on {
    ($($module:ident = $version:literal),*) => { $(
        mod $module {
            static SERVER: super::Server = super::Server::new($version);

            fn judge(family: &super::Family) {
                super::judge(&SERVER, family);
            }

            judged_on!(@ numbers: number, numbers: money, texts: text, texts: bytes,
                texts: document, texts: search, texts: identifier, texts: extension, times: date,
                times: time, times: timestamp, times: interval, shapes: bits, shapes: network,
                shapes: geometry, shapes: system, nested: range, nested: multirange,
                nested: composite, nested: domain);

            #[test]
            fn no_type_of_the_server_is_dropped() {
                super::judge_every_type(&SERVER);
            }
        }
    )* };
    (@ $($file:ident: $family:ident),*) => { $(
        #[test]
        fn $family() {
            judge(&super::$file::$family());
        }
    )* };
}

judged_on!(v14 = 14, v15 = 15, v17 = 17, v18 = 18);

/// The server that comes with pgvector, and without the extensions that the others have.
mod v16 {
    static SERVER: super::Server = super::Server::new(16);

    #[test]
    fn vectors() {
        super::judge(&SERVER, &super::vectors::vectors());
    }
}

/// PostGIS, on a server that decodes no slots.
mod postgis {
    #[test]
    fn spatial() {
        super::judge_spatial(&super::spatial::spatial());
    }
}

/// The server of a version, which lives as long as the process.
struct Server {
    version: u32,
    started: OnceLock<Postgres>,
}

impl Server {
    const fn new(version: u32) -> Self {
        Self { version, started: OnceLock::new() }
    }

    fn postgres(&self) -> &Postgres {
        let options = Options { version: self.version, ..Options::default() };
        self.started.get_or_init(|| Postgres::start(&options))
    }
}

fn judge(server: &'static Server, family: &Family) {
    let postgres = server.postgres();
    run(LIMIT, async {
        let database = database(postgres).await;
        let place = Place {
            client: session(postgres.client(&database).await).await,
            settings: local(postgres, &database),
            version: server.version,
            decodes_slots: true,
        };
        judge_at(&place, family).await;
    });
}

fn judge_spatial(family: &Family) {
    let server = Postgis::start();
    run(LIMIT, async {
        let place = Place {
            client: session(server.client().await).await,
            settings: over(server.socket_folder(), Postgis::PORT, "postgres"),
            version: 18,
            decodes_slots: false,
        };
        judge_at(&place, family).await;
    });
}

/// Where a family is judged.
struct Place {
    client: Client,
    /// For walbrook's own catalog.
    settings: config::Postgres,
    version: u32,
    decodes_slots: bool,
}

impl Place {
    /// The way of rows that are written after this.
    async fn road(&self) -> Road {
        if self.decodes_slots { Road::slot(&self.client).await } else { Road::Select }
    }

    async fn catalog(&self) -> Catalog {
        if self.decodes_slots {
            return Catalog::connect(&self.settings).await.unwrap();
        }
        // PGlite takes no settings at log-in, and all its connections are one session.
        let asked = [
            ("statement_timeout", "30s"),
            ("search_path", "pg_catalog"),
            ("standard_conforming_strings", "on"),
            ("idle_session_timeout", "0"),
            ("lock_timeout", "0"),
            ("jit", "off"),
        ];
        for (name, value) in asked {
            self.client.batch_execute(&format!("SET {name} = '{value}'")).await.unwrap();
        }
        let catalog = Catalog::connect(&self.settings).await.unwrap();
        self.client.batch_execute("RESET search_path").await.unwrap();
        catalog
    }
}

async fn judge_at(place: &Place, family: &Family) {
    let types = family.create(&place.client, place.version).await;
    let mut findings = verdict::both_roads(place, &types).await;
    findings.extend(defaults::judge(place, &types).await);
    report(&findings);
}

fn judge_every_type(server: &'static Server) {
    let postgres = server.postgres();
    run(LIMIT, async { report(&every::judge(postgres).await) });
}

/// A new database.
async fn database(server: &Postgres) -> String {
    let database = unique("types");
    server.execute("postgres", &format!("CREATE DATABASE {database}")).await;
    database
}

/// Makes a session print what walbrook reads.
async fn session(client: Client) -> Client {
    for (name, value) in walbrook::types::SESSION_SETTINGS {
        client.batch_execute(&format!("SET {name} = '{value}'")).await.unwrap();
    }
    client
}

/// Fails with the first findings; a value comes in many shapes, of which one is told.
fn report(findings: &[String]) {
    let told: BTreeSet<_> = findings.iter().collect();
    let some: Vec<_> = told.iter().take(FINDINGS_SHOWN).map(|finding| finding.as_str()).collect();
    let count = told.len();
    assert!(findings.is_empty(), "{count} findings, among them:\n{}", some.join("\n"));
}

const FINDINGS_SHOWN: usize = 12;
const LIMIT: Duration = Duration::from_secs(300);
