//! Golden messages, each beside the mistake that gives it.

/// What `lines` in `section` of the least configuration give.
pub(super) const TABLE: &[(&str, &str, &str)] = &[
    // unknown and mistyped keys
    (
        "replication",
        r#"slto = "x""#,
        "6:1: `replication`: unknown key `slto`: did you mean `slot`?",
    ),
    (
        "kafka.sasl",
        r#"mechanism = "PLAIN"
usre = "x""#,
        "14:1: `kafka.sasl`: unknown key `usre`: did you mean `user`?",
    ),
    ("http", "listen = 9464", "13:10: `http.listen`: wrong type: integer, expected a string"),
    (
        "typo",
        "x = 1",
        "12:2: unknown key `typo`, expected one of `pipeline`, `postgres`, `replication`, `kafka`, `registry`, `topics`, `tables`, `values`, `outbox`, `outbox_messages`, `records`, `schema_changes`, `snapshot`, `repair`, `batch`, `http`, `control`, `log`",
    ),
    (
        "tables",
        r#"value_format = "string""#,
        r#"13:16: `tables.value_format` is "string", but wants "avro" or "json" or "json_schemas""#,
    ),
    (
        "tables",
        r#"name_adjustment = "none""#,
        r#"13:19: `tables.name_adjustment` is "none", but wants "avro" or "avro_unicode""#,
    ),
    (
        "values",
        r#"time = "micros""#,
        r#"13:8: `values.time` is "micros", but wants "adaptive" or "adaptive_time_microseconds" or "connect" or "microseconds" or "nanoseconds" or "isostring" or "structured""#,
    ),
    (
        "values",
        r#"representation = "avro"
decimal = "string""#,
        "14:11: `values.representation` and `values.decimal` contradict each other: Avro's own types have no such modes; remove the one or the other",
    ),
    (
        "values",
        r#"representation = "avro"
[tables]
before = "debezium""#,
        "15:10: `values.representation` and `tables.before` contradict each other: the values that Debezium invents are of its own schemas",
    ),
    (
        "values",
        r#"representation = "avro"
[tables]
value_format = "json""#,
        "15:16: `values.representation` and `tables.value_format` contradict each other: JSON has Debezium's representation",
    ),
    (
        "values",
        r#"time = "structured"
interval = "numeric""#,
        "14:12: `values.time` and `values.interval` contradict each other: among structured times an interval is a record, too",
    ),
    (
        "values",
        r#"on_unchanged = "null"
unavailable_value = "?""#,
        "14:21: `values.on_unchanged` and `values.unavailable_value` contradict each other: with null there is no placeholder",
    ),
    (
        "values",
        r#"on_unrepresentable = "text"
[tables]
key_format = "json_schemas""#,
        "15:14: `values.on_unrepresentable` and `tables.key_format` contradict each other: Kafka Connect's JSON schemas have no union of a type and text",
    ),
    (
        "snapshot",
        r#"only_between = "22-5""#,
        r#"13:16: `snapshot.only_between` is "22-5", but wants two times of the day, by UTC as in "22:00-05:00", or with an offset from it as in "22:00-05:00 +02:00""#,
    ),
    (
        "snapshot",
        r#"first = ["a", "public.a"]"#,
        "13:15: `snapshot.first` names a table twice: remove one",
    ),
    (
        "snapshot",
        r#"tables = [{ table = "a", mode = "only" }]"#,
        r#"13:33: `snapshot.tables.mode` is "only", but wants "initial" or "never""#,
    ),
    (
        "snapshot",
        r#"tables = [{ table = "a", where = " " }]"#,
        r#"13:34: `snapshot.tables.where` is empty, but wants an SQL condition such as "id < 1000"; to read all rows, remove it"#,
    ),
    (
        "snapshot",
        r#"tables = [{ table = "a" }, { table = "public.a" }]"#,
        "13:38: `snapshot.tables.table` names a table that another [[snapshot.tables]] has: keep one",
    ),
    (
        "snapshot",
        r#"tables = [{ where = "true" }]"#,
        r#"13:11: `snapshot.tables.table` is missing: such as "public.orders""#,
    ),
    (
        "snapshot",
        "rows_per_second = 0",
        "13:19: `snapshot.rows_per_second` is 0, but must be from 1 to 4294967295",
    ),
    (
        "batch",
        r#"target_bytes = "8 bananas""#,
        r#"13:16: `batch.target_bytes`: wrong value: string, expected a size: a number of bytes, or a text such as "512KiB" or "8MiB""#,
    ),
    (
        "batch",
        "target_bytes = -5",
        r#"13:16: `batch.target_bytes`: wrong value: integer, expected a size: a number of bytes, or a text such as "512KiB" or "8MiB""#,
    ),
    (
        "batch",
        "target_records = 1.5",
        "13:18: `batch.target_records`: wrong type: floating point, expected a whole number",
    ),
    (
        "replication",
        "standby_poll = 5",
        r#"6:16: `replication.standby_poll`: wrong type: integer, expected a duration in quotes such as "5s", "100ms", "2m" or "1h""#,
    ),
    (
        "replication",
        r#"standby_poll = "5""#,
        r#"6:16: `replication.standby_poll`: wrong value: string, expected a duration in quotes such as "5s", "100ms", "2m" or "1h""#,
    ),
    (
        "postgres",
        r#"hosts = "db""#,
        "4:9: `postgres.hosts`: wrong type: string, expected a list in brackets",
    ),
    (
        "postgres",
        "port = 70000",
        "4:8: `postgres.port`: wrong value: integer, expected a whole number from 0 to 65535",
    ),
    (
        "postgres",
        r#"text_encoding = "WIN1252""#,
        r#"4:17: `postgres.text_encoding` is "WIN1252", but wants a label of <https://encoding.spec.whatwg.org/#names-and-labels>, such as "windows-1252", "iso-8859-2", "koi8-r" or "euc-jp""#,
    ),
    (
        "postgres",
        r#"text_encoding = "utf8""#,
        "4:17: `postgres.text_encoding` is UTF-8, which is what text is read as without this key: remove it",
    ),
    (
        "postgres",
        r#"text_encoding = "sjis""#,
        "4:17: `postgres.text_encoding` is Shift_JIS, in which bytes that look like ASCII are parts of other characters, so that PostgreSQL's quotes and commas in arrays cannot be told from text: single-byte encodings and EUC-JP can be read",
    ),
    ("postgres", r#"user = "a""#, "5:1: the key or section stands here a second time: remove one"),
    (
        "topics",
        r#"create = "yes""#,
        "13:10: `topics.create`: wrong type: string, expected a boolean",
    ),
    ("replication", "slot = ", "6:8: string values must be quoted, expected literal string"),
    (
        "replication",
        "binary = hunter2",
        "6:10: string values must be quoted, expected literal string",
    ),
    (
        "kafka.properties",
        "linger.ms = 5",
        r#"13:1: `kafka.properties.linger`: wrong type: a table, expected a text, number or boolean, or { file = "…" } or { env = "NAME" } (quote names with dots: "linger.ms" = 5)"#,
    ),
    (
        "kafka.properties",
        r#""linger.ms" = [5]"#,
        r#"13:15: `kafka.properties.linger.ms`: wrong type: a list, expected a text, number or boolean, or { file = "…" } or { env = "NAME" } (quote names with dots: "linger.ms" = 5)"#,
    ),
    (
        "[outbox]",
        r#"headers = ["tenant"]"#,
        r#"13:12: `outbox.headers`: wrong type: string, expected a table { column = "…", header = "…" }"#,
    ),
    (
        "[outbox]",
        r#"table = "a"
headers = [{ columm = "tenant" }]"#,
        "14:14: `outbox.headers`: unknown key `columm`: did you mean `column`?",
    ),
    // missing
    ("[outbox]", r#"topic = "a""#, r#"12:1: `outbox.table` is missing: such as "public.outbox""#),
    (
        "outbox_messages",
        "",
        r#"12:1: `outbox_messages.prefix` is missing: the prefix of the logical messages that are events, such as "outbox""#,
    ),
    (
        "kafka.sasl",
        "",
        "12:1: `kafka.sasl.mechanism` is missing: PLAIN, SCRAM-SHA-256, SCRAM-SHA-512 or OAUTHBEARER",
    ),
    (
        "kafka.sasl",
        r#"mechanism = "PLAIN""#,
        "12:1: this SASL mechanism needs `kafka.sasl.user` and `kafka.sasl.password_file` (or `password_env`, or `password_command`)",
    ),
    (
        "kafka.sasl",
        r#"mechanism = "OAUTHBEARER""#,
        "12:1: OAUTHBEARER needs `kafka.sasl.token_file` or `kafka.sasl.token_command`",
    ),
    (
        "registry",
        r#"user = "x""#,
        "11:8: `registry.user` needs `registry.password_file`, `registry.password_env` or `registry.password_command` beside it",
    ),
    (
        "kafka.tls",
        r#"cert_file = "x""#,
        "13:13: `kafka.tls.cert_file` needs `kafka.tls.key_file` beside it: set both or neither",
    ),
    (
        "postgres",
        r#"ssl_mode = "verify-ca""#,
        r#"4:12: `postgres.ssl_mode` is "verify-ca", which needs `postgres.ssl_root_cert`: the authority's certificate (PEM), or "system" for those of the operating system"#,
    ),
    (
        "postgres",
        r#"password_file = "/nonexistent/x""#,
        "4:17: `postgres.password_file` cannot be read from /nonexistent/x: No such file or directory (os error 2)",
    ),
    (
        "postgres",
        r#"password_env = "NOPE""#,
        r#"4:16: `postgres.password_env` names the environment variable "NOPE", which is not set"#,
    ),
    // contradictions
    (
        "postgres",
        r#"password_env = "A"
password_file = "b""#,
        "5:17: `postgres.password_file` and `postgres.password_env` contradict each other: keep one of them",
    ),
    (
        "postgres",
        r#"password_env = "A"
passfile = "b""#,
        "5:12: `postgres.password_env` and `postgres.passfile` contradict each other: the password is in one place; keep the key that says where",
    ),
    (
        "postgres",
        r#"ssl_mode = "disable"
ssl_root_cert = "b""#,
        "5:17: `postgres.ssl_mode` and `postgres.ssl_root_cert` contradict each other: without TLS there are no certificates; remove one of them",
    ),
    (
        "postgres",
        r#"ssl_mode = "disable"
channel_binding = "require""#,
        r#"5:19: `postgres.channel_binding` is "require" and contradicts `postgres.ssl_mode` "disable": channel binding needs TLS"#,
    ),
    (
        "postgres",
        r#"ssl_mode = "require"
ssl_root_cert = "system""#,
        r#"4:12: `postgres.ssl_mode` is "require", but `postgres.ssl_root_cert` is "system", which only protects with "verify-full""#,
    ),
    (
        "replication",
        r#"retry_delay_min = "5s"
retry_delay_max = "1s""#,
        "7:19: `replication.retry_delay_max` is less than `replication.retry_delay_min`: raise the one or lower the other",
    ),
    (
        "kafka.sasl",
        r#"mechanism = "OAUTHBEARER"
user = "u""#,
        "14:8: `kafka.sasl.mechanism` and `kafka.sasl.user` contradict each other: OAUTHBEARER takes `token_file` or `token_command` and nothing else; remove the key, or choose PLAIN or SCRAM",
    ),
    (
        "kafka.sasl",
        r#"mechanism = "PLAIN"
token_file = "u""#,
        "14:14: `kafka.sasl.mechanism` and `kafka.sasl.token_file` contradict each other: tokens are for OAUTHBEARER; this mechanism takes `user` and a password",
    ),
    (
        "registry",
        r#"user = "u"
token_env = "A""#,
        "12:13: `registry.user` and `registry.token_env` contradict each other: log in by user and password, or by token; remove the other",
    ),
    (
        "registry",
        r#"ca_file = "u""#,
        "12:8: `registry.urls` and `registry.ca_file` contradict each other: these URLs use no TLS; write https:// or remove the key",
    ),
    (
        "topics",
        "create = false
partitions = 6",
        "14:14: `topics.create` and `topics.partitions` contradict each other: with create = false topics must exist, so nothing says how to make them",
    ),
    (
        "batch",
        r#"target_bytes = "20MiB""#,
        "13:16: `batch.max_bytes` (32MiB) must be at least twice `batch.target_bytes` (20MiB), so that transactions up to the difference are never cut: raise the one or lower the other",
    ),
    (
        "batch",
        "max_records = 30000",
        "13:15: `batch.max_records` (30000) must be at least twice `batch.target_records` (20000), so that transactions up to the difference are never cut: raise the one or lower the other",
    ),
    // values
    (
        "postgres",
        r#"hosts = ["postgresql://db/x"]"#,
        r#"4:9: `postgres.hosts` wants one or more of "host", "host:port", "[address]:port" or "/folder/of/the/socket""#,
    ),
    (
        "postgres",
        r#"ssl_mode = "verify""#,
        r#"4:12: `postgres.ssl_mode` is "verify", but wants "disable" or "allow" or "prefer" or "require" or "verify-ca" or "verify-full""#,
    ),
    (
        "postgres",
        r#"target_session_attrs = "standby""#,
        r#"4:24: `postgres.target_session_attrs` is "standby", but wants "any" or "read-write" or "primary""#,
    ),
    (
        "postgres",
        r#"connect_timeout = "0s""#,
        "4:19: `postgres.connect_timeout` is 0s, but must be from 1s to 3600s",
    ),
    (
        "kafka",
        r#"transaction_timeout = "90s""#,
        "9:23: `kafka.recovery_timeout` must be longer than `kafka.transaction_timeout`, so that transactions that hang end by themselves: raise the one or lower the other",
    ),
    (
        "kafka",
        r#"transaction_timeout = "2s"
recovery_timeout = "1s""#,
        "10:20: `kafka.recovery_timeout` must be longer than `kafka.transaction_timeout`, so that transactions that hang end by themselves: raise the one or lower the other",
    ),
    (
        "topics",
        "partitions = 0",
        "13:14: `topics.partitions` is 0, but must be 1 or more, or -1 (broker's default)",
    ),
    (
        "topics",
        "replication_factor = -2",
        "13:22: `topics.replication_factor` is -2, but must be from -1 to 1000",
    ),
    (
        "topics",
        r#"prefix = "a b""#,
        "13:10: `topics.prefix` wants 1 to 121 letters, digits, dots, underscores and hyphens",
    ),
    (
        "kafka",
        r#"compression = "brotli""#,
        r#"9:15: `kafka.compression` is "brotli", but wants "none" or "gzip" or "snappy" or "lz4" or "zstd""#,
    ),
    (
        "tables",
        "on_refused_by_table = { \"ledger\" = \"stop\", \"public.ledger\" = \"park\" }",
        "13:44: `tables.on_refused_by_table` names a table twice: keep one",
    ),
    (
        "tables",
        r#"on_refused = "ignore""#,
        r#"13:14: `tables.on_refused` is "ignore", but wants "park" or "stop""#,
    ),
    (
        "topics",
        "cleanup_policy = \"compact,delete\"\n[tables]\ntruncate = \"required\"",
        r#"15:12: `tables.truncate` is "required", and by `topics.cleanup_policy` topics are compacted and take no record without a key, such as that of a TRUNCATE: set the one to true (it is then left out, with a warning) or false, or the other to "delete""#,
    ),
    (
        "tables",
        r#"truncate = "never""#,
        r#"13:12: `tables.truncate`: wrong value: string, expected true, false or "required""#,
    ),
    (
        "http",
        r#"listen = "localhost""#,
        r#"13:10: `http.listen` wants an address and a port, such as "127.0.0.1:9464" or "[::1]:9464", or "off""#,
    ),
    (
        "log",
        r#"level = "verbose""#,
        r#"13:9: `log.level` wants error, warn, info, debug, trace or off, and may add targets, such as "info,kafka=debug""#,
    ),
    ("log", r#"format = "xml""#, r#"13:10: `log.format` is "xml", but wants "json" or "text""#),
    ("[outbox]", r#"table = "public.""#, r#"13:9: `outbox.table` wants "schema.table""#),
    (
        "[outbox]",
        r#"table = "a"
[[outbox]]
table = "public.a""#,
        "14:1: `outbox.table` names a table that another [[outbox]] has: keep one",
    ),
    (
        "[outbox]",
        r#"table = "a"
pending_where = "sent_at IS NULL""#,
        "14:17: `outbox.pending_where` says which rows are pending, and without `outbox.pending = true` none is: set that, or remove the condition",
    ),
    (
        "[outbox]",
        r#"table = "a"
pending = false
pending_where = "sent_at IS NULL""#,
        "15:17: `outbox.pending_where` says which rows are pending, and without `outbox.pending = true` none is: set that, or remove the condition",
    ),
    (
        "[outbox]",
        r#"table = "a"
pending = true
pending_where = " ""#,
        r#"15:17: `outbox.pending_where` is empty, but wants an SQL condition such as "sent_at IS NULL"; for all rows, remove it"#,
    ),
    (
        "[outbox]",
        r#"table = "a"
topic = "{aggregate}""#,
        r#"14:9: `outbox.topic` wants a topic in which "{route}" stands for the value of the route column, once, such as "outbox.event.{route}""#,
    ),
    (
        "[outbox]",
        r#"table = "a"
topic = "{route}""#,
        r#"14:9: `outbox.topic` and `outbox.topic_allow` let an event into walbrook's own topic "walbrook.shop.checkpoint": narrow the pattern"#,
    ),
    (
        "[outbox]",
        r#"table = "a"
topic_allow = "a)|(b""#,
        "14:15: `outbox.topic_allow` is not a regular expression (syntax of Rust's regex: no look-around, no back-references)",
    ),
    (
        "outbox_messages",
        r#"prefix = "a"
topic_allow = "(""#,
        "14:15: `outbox_messages.topic_allow` is not a regular expression (syntax of Rust's regex: no look-around, no back-references)",
    ),
    (
        "[outbox]",
        r#"table = "a"
headers = [{ column = "id" }]"#,
        r#"14:12: `outbox.headers` sets the header "id" a second time"#,
    ),
    (
        "[outbox]",
        r#"table = "a"
dead_letter_topic = "walbrook.shop.checkpoint""#,
        "14:21: `outbox.dead_letter_topic` wants a topic: 1 to 249 letters, digits, dots, underscores and hyphens, and none of walbrook's own",
    ),
    (
        "[outbox]",
        r#"table = "a"
schemas = [{ route = "x", file = "nope.avsc" }]"#,
        "14:34: the schema /etc/walbrook/nope.avsc cannot be read: No such file or directory (os error 2)",
    ),
    // secrets
    (
        "postgres",
        r#"password = "hunter2""#,
        "4:12: `postgres.password` may not stand in this file, which ends up in backups and version control: use `postgres.password_file` (a file that only walbrook can read) or `postgres.password_env` (the name of an environment variable)",
    ),
    (
        "postgres",
        "password = 2222",
        "4:12: `postgres.password` may not stand in this file, which ends up in backups and version control: use `postgres.password_file` (a file that only walbrook can read) or `postgres.password_env` (the name of an environment variable)",
    ),
    (
        "kafka.sasl",
        r#"mechanism = "PLAIN"
password = "hunter2""#,
        "14:12: `kafka.sasl.password` may not stand in this file, which ends up in backups and version control: use `kafka.sasl.password_file` (a file that only walbrook can read) or `kafka.sasl.password_env` (the name of an environment variable)",
    ),
    (
        "kafka.sasl",
        r#"mechanism = "OAUTHBEARER"
token = "hunter2""#,
        "14:9: `kafka.sasl.token` may not stand in this file: use `kafka.sasl.token_file`, a file that something keeps fresh, or `kafka.sasl.token_command`",
    ),
    (
        "kafka.tls",
        r#"key_password = "hunter2""#,
        "13:16: `kafka.tls.key_password` may not stand in this file, which ends up in backups and version control: use `kafka.tls.key_password_file` (a file that only walbrook can read) or `kafka.tls.key_password_env` (the name of an environment variable)",
    ),
    (
        "registry",
        r#"password = "hunter2""#,
        "11:12: `registry.password` may not stand in this file, which ends up in backups and version control: use `registry.password_file` (a file that only walbrook can read) or `registry.password_env` (the name of an environment variable)",
    ),
    (
        "registry",
        r#"token = "hunter2""#,
        "11:9: `registry.token` may not stand in this file, which ends up in backups and version control: use `registry.token_file` (a file that only walbrook can read) or `registry.token_env` (the name of an environment variable)",
    ),
    (
        "kafka.properties",
        r#""ssl.keystore.password" = "hunter2""#,
        r#"13:27: `ssl.keystore.password` may not stand in this file: write { file = "…" } or { env = "NAME" }"#,
    ),
    (
        "kafka.properties",
        "acks = 1",
        "13:1: `acks` may not be set in [kafka.properties]: exactly-once delivery rests on the idempotent producer's own value",
    ),
];

/// What the least configuration gives with one text replaced by another.
pub(super) const REPLACED: &[(&str, &str, &str)] = &[
    (
        r#"pipeline = "shop""#,
        "",
        r#"`pipeline` is missing: give this pipeline a name, such as pipeline = "shop" (first line, above every section)"#,
    ),
    (
        r#"user = "walbrook""#,
        "",
        "`postgres.user` is missing: name the role with REPLICATION that walbrook logs in as, in the section [postgres] or in PGUSER",
    ),
    (
        r#"slot = "walbrook""#,
        "",
        r#"5:1: `replication.slot` is missing: the replication slot's name, such as "walbrook""#,
    ),
    (
        r#"publications = ["walbrook"]"#,
        "",
        r#"5:1: `replication.publications` is missing: such as publications = ["walbrook"]"#,
    ),
    (
        r#"bootstrap_servers = ["localhost:9092"]"#,
        "",
        r#"8:1: `kafka.bootstrap_servers` is missing: such as bootstrap_servers = ["kafka1:9092", "kafka2:9092"]"#,
    ),
    (
        r#"urls = ["http://localhost:8081"]"#,
        "",
        r#"10:1: `registry.urls` is missing: such as urls = ["https://registry:8081"]"#,
    ),
    (
        r#""shop""#,
        r#""my shop""#,
        "2:12: `pipeline` becomes part of topic names and wants 1 to 100 letters, digits, dots, underscores and hyphens",
    ),
    (
        r#"slot = "walbrook""#,
        r#"slot = "Wal-brook""#,
        "6:8: `replication.slot` wants 1 to 63 lower-case letters, digits and underscores, as PostgreSQL does",
    ),
    (
        r#"["walbrook"]"#,
        r#"["a", "a"]"#,
        "7:16: `replication.publications` names a publication twice: remove one",
    ),
    (
        r#"["walbrook"]"#,
        "[]",
        "7:16: `replication.publications` wants one or more publications, each a name of 1 to 63 bytes",
    ),
    (
        "localhost:9092",
        "localhost",
        r#"9:21: `kafka.bootstrap_servers` wants one or more of "host:port""#,
    ),
    (
        "http://localhost",
        "localhost",
        r#"11:8: `registry.urls` wants one or more of "http://host:port" or "https://host:port/path""#,
    ),
    (
        "http://localhost",
        "http://u:hunter2@localhost",
        "11:8: `registry.urls` may not hold user and password: use `registry.user` and `registry.password_file`",
    ),
];
