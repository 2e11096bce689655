//! A schema registry of the test's own: Apicurio, in memory, with the Confluent API.

use std::collections::HashMap;
use std::path::PathBuf;
use std::sync::Mutex;
use std::time::Duration;

use apache_avro::Schema;

use super::http;
use super::process::{self, Process, User};
use super::stack::installed;

/// A running (or killed) registry.
pub(crate) struct Registry {
    /// Apicurio's major version.
    pub(crate) version: String,
    folder: PathBuf,
    port: u16,
    process: Option<Process>,
    schemas: Mutex<HashMap<u32, Schema>>,
}

impl Registry {
    /// Starts an empty one, as `tests/run --registry` says.
    pub(crate) fn start() -> Self {
        let version = std::env::var("WALBROOK_TEST_REGISTRY");
        Self::start_version(version.as_deref().unwrap_or("2"))
    }

    /// Starts an empty one of this version.
    pub(crate) fn start_version(version: &str) -> Self {
        let mut registry = Self {
            version: version.to_owned(),
            folder: process::folder("registry"),
            port: process::free_port(),
            process: None,
            schemas: Mutex::default(),
        };
        registry.launch();
        registry
    }

    /// Starts it again after [`kill`](Self::kill), on the same port. It has forgotten everything.
    pub(crate) fn launch(&mut self) {
        self.schemas.lock().unwrap().clear();
        let version = &self.version;
        let java = match version.as_str() {
            "2" => PathBuf::from("java"),
            _ => installed("java25"),
        };
        let (java, home) = (java.display(), installed(&format!("registry{version}")));
        let (java, home) = (java.to_string(), home.display().to_string());
        let arguments = [
            &*java,
            "-Xmx384m",
            "-XX:+UseSerialGC",
            "-XX:TieredStopAtLevel=1",
            "-XX:-UsePerfData",
            &format!("-Djava.io.tmpdir={}", self.folder.display()),
            "-Dquarkus.http.host=127.0.0.1",
            // Of more it shows none, without a word; all tests together have more than its 1000.
            "-Dregistry.ccompat.max-subjects=100000",
            "-Dapicurio.ccompat.max-subjects=100000",
            &format!("-Dquarkus.http.port={}", self.port),
            // Version 3 has a second one.
            "-Dquarkus.management.host=127.0.0.1",
            "-Dquarkus.management.port=0",
            "-jar",
            &home,
        ];
        let log = self.folder.join("log");
        let mut process = Process::start("the registry", User::Same, &arguments, &log);
        let subjects = format!("{}/subjects", self.url());
        process.ready(START_LIMIT, || match http::get(&subjects)? {
            (200, _) => Ok(()),
            (status, _) => Err(format!("status {status}")),
        });
        self.process = Some(process);
        // Confluent's default; Apicurio has none.
        self.set_rule("", "BACKWARD");
    }

    /// Has a subject, which must be there, take whatever comes: by the registry's own API, since for the
    /// Confluent API a subject's NONE is no rule of its own.
    pub(crate) fn free(&self, subject: &str) {
        let rule = match self.version.as_str() {
            "2" => r#"{"type":"COMPATIBILITY","config":"NONE"}"#,
            _ => r#"{"ruleType":"COMPATIBILITY","config":"NONE"}"#,
        };
        assert_eq!(http::send("POST", &self.rules_of(subject), rule), 204, "{subject}");
    }

    /// Has a subject that was freed take what the global rule lets through again.
    pub(crate) fn bind(&self, subject: &str) {
        let status = http::send("DELETE", &self.rules_of(subject), "");
        assert!(matches!(status, 204 | 404), "{subject}: {status}");
    }

    fn rules_of(&self, subject: &str) -> String {
        let Self { port, version, .. } = self;
        let artifact = format!("groups/default/artifacts/{subject}");
        format!("http://127.0.0.1:{port}/apis/registry/v{version}/{artifact}/rules")
    }

    /// Sets the rule of a subject, or with "" the global one.
    pub(crate) fn set_rule(&self, subject: &str, rule: &str) {
        let url = format!("{}/config/{subject}", self.url());
        let status =
            http::put(url.trim_end_matches('/'), &format!(r#"{{"compatibility":"{rule}"}}"#));
        assert_eq!(status, 200, "{subject}: {rule}");
    }

    /// Kills it.
    pub(crate) fn kill(&mut self) {
        self.process = None;
    }

    /// Halts it (`STOP`) or lets it go on (`CONT`).
    pub(crate) fn signal(&self, signal: &str) {
        self.process.as_ref().expect("it runs").signal(signal);
    }

    /// The base URL of its Confluent API.
    pub(crate) fn url(&self) -> String {
        format!("http://127.0.0.1:{}/apis/ccompat/v7", self.port)
    }

    /// The subjects that it has.
    pub(crate) fn subjects(&self) -> Vec<String> {
        let (status, body) = http::get(&format!("{}/subjects", self.url())).unwrap();
        assert_eq!(status, 200, "{body}");
        serde_json::from_str(&body).unwrap()
    }

    /// How many versions a subject has.
    pub(crate) fn versions(&self, subject: &str) -> usize {
        let url = format!("{}/subjects/{subject}/versions", self.url());
        let (status, body) = http::get(&url).unwrap();
        assert_eq!(status, 200, "{subject}: {body}");
        serde_json::from_str::<Vec<u32>>(&body).unwrap().len()
    }

    /// The schema with this id.
    pub(crate) fn schema(&self, id: u32) -> Schema {
        let known = self.schemas.lock().unwrap().get(&id).cloned();
        known.unwrap_or_else(|| {
            let schema = self.fetch(id);
            self.schemas.lock().unwrap().insert(id, schema.clone());
            schema
        })
    }

    fn fetch(&self, id: u32) -> Schema {
        Schema::parse_str(&self.schema_json(id)).unwrap()
    }

    /// The text of the schema with this id.
    pub(crate) fn schema_json(&self, id: u32) -> String {
        let (status, body) = http::get(&format!("{}/schemas/ids/{id}", self.url())).unwrap();
        assert_eq!(status, 200, "schema {id}: {body}");
        let answer: serde_json::Value = serde_json::from_str(&body).unwrap();
        answer["schema"].as_str().unwrap().to_owned()
    }
}

const START_LIMIT: Duration = Duration::from_secs(180);
