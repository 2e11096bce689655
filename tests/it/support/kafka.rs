//! A Kafka broker of the test's own: KRaft, one node.

use std::fs;
use std::path::PathBuf;
use std::time::Duration;

use rdkafka::admin::{
    AdminClient, AdminOptions, AlterConfig, NewTopic, ResourceSpecifier, TopicReplication,
};
use rdkafka::client::DefaultClientContext;
use rdkafka::config::ClientConfig;
use rdkafka::consumer::{BaseConsumer, Consumer};

use super::process::{self, Process, User};
use super::stack::installed;

/// How to start it.
#[derive(Clone, Debug, Default)]
pub(crate) struct Options {
    /// Its version (3.9, 4.3 or 4.4); `None` is the run's.
    pub(crate) version: Option<&'static str>,
    /// Lines of server.properties, after ours.
    pub(crate) properties: Vec<String>,
    /// Listeners with SASL_SSL, with SASL alone and with TLS alone, and an authorizer that denies by
    /// default. Without SASL a client may do everything.
    pub(crate) secure: Option<Secure>,
}

/// The secure listeners.
#[derive(Clone, Debug)]
pub(crate) struct Secure {
    /// PEM texts of the broker's certificate and its key (PKCS #8).
    pub(crate) certificate: String,
    /// See `certificate`.
    pub(crate) key: String,
    /// PEM text of the authority of client certificates; `Some` asks clients of SASL_SSL for one.
    pub(crate) client_authority: Option<String>,
    /// Users and passwords, for SCRAM-SHA-256, SCRAM-SHA-512 and PLAIN.
    pub(crate) users: Vec<(String, String)>,
}

/// A running (or killed) broker.
pub(crate) struct Kafka {
    version: String,
    folder: PathBuf,
    port: u16,
    secure_port: u16,
    sasl_port: u16,
    tls_port: u16,
    process: Option<Process>,
}

impl Kafka {
    /// Formats a new log folder and starts the broker on it.
    pub(crate) fn start(options: &Options) -> Self {
        let folder = process::folder("kafka");
        let [port, secure_port, sasl_port, tls_port] =
            std::array::from_fn(|_| process::free_port());
        let version = options.version.map_or_else(version, str::to_owned);
        let mut broker =
            Self { version, folder, port, secure_port, sasl_port, tls_port, process: None };
        broker.format(options);
        broker.launch();
        broker
    }

    /// Starts it again after [`stop`](Self::stop) or [`kill`](Self::kill), on the same ports.
    pub(crate) fn launch(&mut self) {
        let properties = self.properties_file();
        let java = self.java("-Xmx512m", "kafka.Kafka", &[&properties]);
        let arguments: Vec<&str> = java.iter().map(String::as_str).collect();
        let mut process = Process::start("Kafka", User::Same, &arguments, &self.folder.join("log"));
        process.ready(START_LIMIT, || {
            let client: BaseConsumer = self.client_config().create().map_err(|e| e.to_string())?;
            let metadata = client.fetch_metadata(None, Duration::from_secs(2));
            match metadata.map_err(|error| error.to_string())?.brokers() {
                [] => Err("no broker yet".to_owned()),
                _ => Ok(()),
            }
        });
        self.process = Some(process);
    }

    /// Stops it in good order.
    pub(crate) fn stop(&mut self) {
        if let Some(mut process) = self.process.take() {
            process.signal("TERM");
            process.wait(START_LIMIT);
        }
    }

    /// Kills it.
    pub(crate) fn kill(&mut self) {
        self.process = None;
    }

    /// Halts it (`STOP`) or lets it go on (`CONT`).
    pub(crate) fn signal(&self, signal: &str) {
        self.process.as_ref().expect("it runs").signal(signal);
    }

    /// `bootstrap.servers` of the plain listener.
    pub(crate) fn bootstrap(&self) -> String {
        format!("127.0.0.1:{}", self.port)
    }

    /// `bootstrap.servers` of the listener with SASL and TLS.
    pub(crate) fn bootstrap_secure(&self) -> String {
        format!("localhost:{}", self.secure_port)
    }

    /// `bootstrap.servers` of the listener with SASL alone.
    pub(crate) fn bootstrap_sasl(&self) -> String {
        format!("localhost:{}", self.sasl_port)
    }

    /// `bootstrap.servers` of the listener with TLS alone.
    pub(crate) fn bootstrap_tls(&self) -> String {
        format!("localhost:{}", self.tls_port)
    }

    /// The configuration of a client on the plain listener, whose user may do everything.
    pub(crate) fn client_config(&self) -> ClientConfig {
        let mut config = ClientConfig::new();
        config.set("bootstrap.servers", self.bootstrap());
        config.set("log_level", "2");
        config
    }

    /// The names of all topics.
    pub(crate) fn topics(&self) -> Vec<String> {
        let client: BaseConsumer = self.client_config().create().unwrap();
        let metadata = client.fetch_metadata(None, START_LIMIT).unwrap();
        metadata.topics().iter().map(|topic| topic.name().to_owned()).collect()
    }

    /// Creates a topic; `settings` are its configuration.
    pub(crate) async fn create_topic(
        &self,
        name: &str,
        partitions: i32,
        settings: &[(&str, &str)],
    ) {
        let admin: AdminClient<DefaultClientContext> = self.client_config().create().unwrap();
        let mut topic = NewTopic::new(name, partitions, TopicReplication::Fixed(1));
        topic.config = settings.to_vec();
        let created = admin.create_topics(&[topic], &AdminOptions::new()).await.unwrap();
        created.into_iter().for_each(|topic| drop(topic.unwrap()));
    }

    /// Changes a topic's configuration to just this setting.
    pub(crate) async fn alter_topic(&self, name: &str, setting: &str, value: &str) {
        let admin: AdminClient<DefaultClientContext> = self.client_config().create().unwrap();
        let change = AlterConfig::new(ResourceSpecifier::Topic(name)).set(setting, value);
        let altered = admin.alter_configs(&[change], &AdminOptions::new()).await.unwrap();
        altered.into_iter().for_each(|topic| drop(topic.unwrap()));
    }

    /// Runs `AclCommand`; the arguments follow `--add` or `--remove`.
    pub(crate) fn acl(&self, arguments: &[&str]) {
        let bootstrap = self.bootstrap();
        let arguments = [&["--bootstrap-server", &bootstrap], arguments].concat();
        let class = match &self.version {
            version if version.starts_with("3.") => "kafka.admin.AclCommand",
            _ => "org.apache.kafka.tools.AclCommand",
        };
        self.tool(class, &arguments);
    }

    /// Runs one of Kafka's command line tools by its class; returns what it printed.
    pub(crate) fn tool(&self, class: &str, arguments: &[&str]) -> String {
        let java = self.java("-Xmx128m", class, arguments);
        let java: Vec<&str> = java.iter().map(String::as_str).collect();
        process::run(process::command(User::Same, &java))
    }

    fn format(&self, options: &Options) {
        let mut properties = format!(
            "listeners=PLAINTEXT://127.0.0.1:{port}{secure},CONTROLLER://127.0.0.1:{controller}\n\
             advertised.listeners=PLAINTEXT://127.0.0.1:{port}{secure}\n\
             controller.quorum.voters=1@127.0.0.1:{controller}\n\
             log.dirs={folder}/data\n{PROPERTIES}",
            port = self.port,
            controller = process::free_port(),
            folder = self.folder.display(),
            secure = match options.secure {
                Some(_) => format!(
                    ",SECURE://localhost:{},OPEN://localhost:{},TLS://localhost:{}",
                    self.secure_port, self.sasl_port, self.tls_port
                ),
                None => String::new(),
            }
        );
        let mut scram = Vec::new();
        if let Some(secure) = &options.secure {
            properties += &self.secure_properties(secure);
            for (user, password) in &secure.users {
                for mechanism in ["SCRAM-SHA-256", "SCRAM-SHA-512"] {
                    scram.push("--add-scram".to_owned());
                    scram.push(format!("{mechanism}=[name={user},password={password}]"));
                }
            }
        }
        for line in &options.properties {
            properties += &format!("{line}\n");
        }
        let file = self.properties_file();
        fs::write(&file, properties).unwrap();
        let mut arguments = vec!["format", "-t", CLUSTER_ID, "-c", &file];
        arguments.extend(scram.iter().map(String::as_str));
        self.tool("kafka.tools.StorageTool", &arguments);
    }

    fn secure_properties(&self, secure: &Secure) -> String {
        let keystore = self.folder.join("keystore.pem");
        fs::write(&keystore, [secure.key.as_str(), &secure.certificate].join("\n")).unwrap();
        let mut properties = SECURE_PROPERTIES.to_owned();
        for listener in ["secure", "tls"] {
            properties += &format!(
                "listener.name.{listener}.ssl.keystore.type=PEM\n\
                 listener.name.{listener}.ssl.keystore.location={}\n",
                keystore.display()
            );
        }
        if let Some(authority) = &secure.client_authority {
            let truststore = self.folder.join("truststore.pem");
            fs::write(&truststore, authority).unwrap();
            properties += &format!(
                "listener.name.secure.ssl.client.auth=required\n\
                 listener.name.secure.ssl.truststore.type=PEM\n\
                 listener.name.secure.ssl.truststore.location={}\n",
                truststore.display()
            );
        }
        let users: Vec<String> = secure
            .users
            .iter()
            .map(|(user, password)| format!("user_{user}=\"{password}\""))
            .collect();
        for listener in ["secure", "open"] {
            let login = "org.apache.kafka.common.security";
            properties += &format!(
                "listener.name.{listener}.sasl.enabled.mechanisms=SCRAM-SHA-256,SCRAM-SHA-512,PLAIN\n\
                 listener.name.{listener}.scram-sha-256.sasl.jaas.config={login}.scram.ScramLoginModule required;\n\
                 listener.name.{listener}.scram-sha-512.sasl.jaas.config={login}.scram.ScramLoginModule required;\n\
                 listener.name.{listener}.plain.sasl.jaas.config={login}.plain.PlainLoginModule required {};\n",
                users.join(" ")
            );
        }
        properties
    }

    fn java(&self, heap: &str, class: &str, arguments: &[&str]) -> Vec<String> {
        let jars = format!("{}/*", installed(&format!("kafka{}", self.version)).display());
        let java = [
            "java",
            heap,
            "-XX:+UseSerialGC",
            "-XX:TieredStopAtLevel=1",
            "-XX:-UsePerfData",
            "-cp",
            &jars,
            class,
        ];
        java.iter().chain(arguments).map(|&word| word.to_owned()).collect()
    }

    fn properties_file(&self) -> String {
        format!("{}/server.properties", self.folder.display())
    }
}

fn version() -> String {
    std::env::var("WALBROOK_TEST_KAFKA").unwrap_or_else(|_| "4.3".to_owned())
}

const START_LIMIT: Duration = Duration::from_secs(180);
const CLUSTER_ID: &str = "d2FsYnJvb2stdGVzdHMtMQ";

const PROPERTIES: &str = "\
process.roles=broker,controller
node.id=1
controller.listener.names=CONTROLLER
inter.broker.listener.name=PLAINTEXT
listener.security.protocol.map=PLAINTEXT:PLAINTEXT,CONTROLLER:PLAINTEXT,SECURE:SASL_SSL,OPEN:SASL_PLAINTEXT,TLS:SSL
auto.create.topics.enable=false
default.replication.factor=1
num.partitions=1
offsets.topic.replication.factor=1
offsets.topic.num.partitions=1
transaction.state.log.replication.factor=1
transaction.state.log.min.isr=1
transaction.state.log.num.partitions=4
share.coordinator.state.topic.replication.factor=1
share.coordinator.state.topic.min.isr=1
share.coordinator.state.topic.num.partitions=1
group.initial.rebalance.delay.ms=0
";

const SECURE_PROPERTIES: &str = "\
authorizer.class.name=org.apache.kafka.metadata.authorizer.StandardAuthorizer
super.users=User:ANONYMOUS
allow.everyone.if.no.acl.found=false
";
