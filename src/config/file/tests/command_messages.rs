//! Golden messages about commands that give secrets.

/// What `lines` in `section` of the least configuration give.
pub(super) const COMMANDS: &[(&str, &str, &str)] = &[
    (
        "postgres",
        r#"password_command = ["vault read hunter2"]"#,
        r#"4:20: `postgres.password_command` wants the program alone as its first text, and each argument as one of its own: ["program", "argument", …]"#,
    ),
    (
        "postgres",
        r#"password_command = "aws""#,
        "4:20: `postgres.password_command`: wrong type: string, expected a list in brackets",
    ),
    (
        "postgres",
        "password_command = []",
        r#"4:20: `postgres.password_command` wants a program and its arguments: ["program", "argument", …]"#,
    ),
    (
        "postgres",
        r#"password_command = ["/nonexistent/x", "hunter2"]"#,
        "4:20: `postgres.password_command` names a program that does not exist: /nonexistent/x",
    ),
    (
        "kafka.sasl",
        r#"mechanism = "OAUTHBEARER"
token_command = ["no-such-program", "hunter2"]"#,
        "14:17: `kafka.sasl.token_command` names a program that is in no folder of $PATH: no-such-program",
    ),
    (
        "registry",
        r#"token_command = ["/etc/passwd", "hunter2"]"#,
        "11:17: `registry.token_command` names a program that is not executable: /etc/passwd",
    ),
    (
        "postgres",
        r#"password_command = ["true"]
password_file = "b""#,
        "5:17: `postgres.password_file` and `postgres.password_command` contradict each other: keep one of them",
    ),
    (
        "postgres",
        r#"password_command = ["true"]
password_env = "A""#,
        "5:16: `postgres.password_env` and `postgres.password_command` contradict each other: keep one of them",
    ),
    (
        "postgres",
        r#"password_command = ["true"]
passfile = "b""#,
        "5:12: `postgres.password_command` and `postgres.passfile` contradict each other: the password is in one place; keep the key that says where",
    ),
    (
        "kafka.sasl",
        r#"mechanism = "PLAIN"
user = "u"
password_command = ["true"]
password_env = "A""#,
        "16:16: `kafka.sasl.password_env` and `kafka.sasl.password_command` contradict each other: keep one of them",
    ),
    (
        "kafka.sasl",
        r#"mechanism = "OAUTHBEARER"
token_command = ["true"]
token_file = "t""#,
        "15:14: `kafka.sasl.token_file` and `kafka.sasl.token_command` contradict each other: keep one of them",
    ),
    (
        "kafka.sasl",
        r#"mechanism = "OAUTHBEARER"
password_command = ["true"]"#,
        "14:20: `kafka.sasl.mechanism` and `kafka.sasl.password_command` contradict each other: OAUTHBEARER takes `token_file` or `token_command` and nothing else; remove the key, or choose PLAIN or SCRAM",
    ),
    (
        "kafka.sasl",
        r#"mechanism = "PLAIN"
token_command = ["true"]"#,
        "14:17: `kafka.sasl.mechanism` and `kafka.sasl.token_command` contradict each other: tokens are for OAUTHBEARER; this mechanism takes `user` and a password",
    ),
    (
        "registry",
        r#"token_command = ["true"]
token_env = "A""#,
        "12:13: `registry.token_env` and `registry.token_command` contradict each other: keep one of them",
    ),
    (
        "registry",
        r#"user = "x"
token_command = ["true"]"#,
        "12:17: `registry.user` and `registry.token_command` contradict each other: log in by user and password, or by token; remove the other",
    ),
    (
        "registry",
        r#"password_command = ["true"]"#,
        "11:20: `registry.password_…` needs `registry.user` beside it",
    ),
];
