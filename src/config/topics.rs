//! Which topic a table's rows go to, and how topics are made.

/// Topics of tables, and how topics are made.
#[derive(Clone, Debug)]
pub struct Topics {
    /// Table topics are `<prefix>.<schema>.<table>`; also Debezium's `source.name`.
    pub prefix: String,
    /// How missing topics are made; `None` means that they must exist.
    pub create: Option<TopicCreation>,
    /// The replication factor of the checkpoint topic; −1 is the broker's default.
    pub checkpoint_replication_factor: i32,
}

/// How missing topics are made. An existing topic is never altered.
#[derive(Clone, Debug)]
pub struct TopicCreation {
    /// Partitions.
    pub partitions: i32,
    /// Replication factor; −1 is the broker's default.
    pub replication_factor: i32,
    /// `cleanup.policy`; `None` is the broker's default.
    pub cleanup_policy: Option<String>,
    /// Whether nothing in it is ever deleted by age or size (`retention.ms`, `retention.bytes`).
    pub keeps_all: bool,
}
