//! Files, commands and tokens: what they give, and what is said when they do not.

use std::time::{Duration, Instant};

use super::*;

fn private(path: &Path, text: &str) {
    std::fs::write(path, text).unwrap();
    std::fs::set_permissions(path, std::fs::Permissions::from_mode(0o600)).unwrap();
}

#[test]
fn a_secret_of_a_file_is_read_anew_and_its_absence_is_told() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("password");
    let key = "postgres.password_file".to_owned();
    let source = SecretSource::File { key, path: path.clone() };
    let told = || source.read_blocking().map(|secret| secret.expose().to_owned());
    private(&path, "old\n");
    assert_eq!(told().unwrap(), "old");
    private(&path, "new\r\n");
    assert_eq!(told().unwrap(), "new");
    for broken in ["", "\n"] {
        private(&path, broken);
        let error = told().unwrap_err().to_string();
        assert_eq!(error, format!("`postgres.password_file` is empty: {}", path.display()));
    }
    std::fs::remove_file(&path).unwrap();
    let error = told().unwrap_err().to_string();
    assert!(error.starts_with("`postgres.password_file` cannot be read from "), "{error}");
    assert_eq!(format!("{:?}", Secret::new("canary".into())), "<secret>");
}

/// A command that runs `script`, which gets a folder of its own as its argument.
fn command(folder: &Path, script: &str) -> SecretCommand {
    let path = folder.join("script");
    std::fs::write(&path, format!("#!/bin/sh\n{script}\n")).unwrap();
    std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o700)).unwrap();
    // Through the shell's binary: a script that was just written may be busy in a test beside this.
    let words = ["/bin/sh", path.to_str().unwrap(), folder.to_str().unwrap(), "canary-argument"];
    let words = words.map(str::to_owned);
    SecretCommand::new("postgres.password_command".into(), &words, folder, None).unwrap()
}

/// What it gives, both ways; or why not.
async fn output(command: SecretCommand) -> Result<String, String> {
    let found = command.output().await;
    assert_eq!(found, command.output_blocking());
    assert!(!format!("{found:?} {command:?}").contains("canary"), "{found:?} {command:?}");
    found.map(|secret| secret.expose().to_owned()).map_err(|error| error.to_string())
}

#[tokio::test]
async fn what_a_command_prints_is_one_line() {
    let folder = tempfile::tempdir().unwrap();
    let told = |problem: &str| {
        Err(format!(
            "`postgres.password_command`: /bin/sh {problem}; to see more, run it by hand as walbrook's user"
        ))
    };
    for (script, expect) in [
        ("echo secret", Ok("secret".to_owned())),
        ("printf 'secret\\r\\n'", Ok("secret".to_owned())),
        ("printf ' two words '", Ok(" two words ".to_owned())),
        ("printf %s \"$2\" | sed 's/.*-//'", Ok("argument".to_owned())),
        ("echo canary >&2; exit 3", told("ended with exit status 3")),
        ("echo canary; exit 3", told("ended with exit status 3")),
        ("kill -9 $$", told("was ended by signal 9")),
        ("true", told("printed nothing")),
        ("echo", told("printed nothing")),
        ("echo canary; echo canary", told("printed more than one line")),
        ("echo canary; echo", told("printed more than one line")),
        ("printf 'canary\\rcanary'", told("printed more than one line")),
        ("printf 'canary\\377'", told("printed what is not UTF-8")),
        ("head -c 65536 /dev/zero | tr '\\0' x", Ok("x".repeat(65536))),
        ("head -c 65537 /dev/zero | tr '\\0' x", told("printed more than 64 KiB")),
        ("yes canary", told("printed more than 64 KiB")),
        // It is asked for nothing.
        ("cat; echo secret", Ok("secret".to_owned())),
    ] {
        assert_eq!(output(command(folder.path(), script)).await, expect, "{script}");
    }
}

/// By the process table, since a zombie is still in it.
fn exists(pid_file: &Path) -> bool {
    let pid = std::fs::read_to_string(pid_file).unwrap();
    Path::new("/proc").join(pid.trim()).exists()
}

/// The shell and its child, both of which are to be gone. The child is nobody's of ours: whoever
/// adopts it may take a moment to see that it has ended.
#[tokio::test]
async fn a_command_that_hangs_is_ended_with_all_that_it_started() {
    let folder = tempfile::tempdir().unwrap();
    let script = "echo $$ > $1/shell; sleep 1000 & echo $! > $1/child; echo canary; wait";
    let limit = Duration::from_millis(500);
    let command = command(folder.path(), script).within(limit);
    let error = output(command).await.unwrap_err();
    assert!(error.contains("/bin/sh had not ended after 500ms and was ended;"), "{error}");
    assert!(!exists(&folder.path().join("shell")));
    gone(&folder.path().join("child")).await;
}

/// As when walbrook is told to stop while a command runs.
#[tokio::test]
async fn a_command_that_nobody_waits_for_is_ended() {
    let folder = tempfile::tempdir().unwrap();
    let script = "echo $$ > $1/shell; sleep 1000 & echo $! > $1/child; wait";
    let command = command(folder.path(), script);
    let waited = tokio::time::timeout(Duration::from_millis(500), command.output()).await;
    assert!(waited.is_err());
    for name in ["shell", "child"] {
        gone(&folder.path().join(name)).await;
    }
}

#[expect(clippy::disallowed_methods, reason = "a test's own deadline")]
async fn gone(pid_file: &Path) {
    let deadline = Instant::now() + Duration::from_secs(10);
    while exists(pid_file) {
        assert!(Instant::now() < deadline, "{} is still there", pid_file.display());
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
}

#[test]
fn a_program_that_cannot_be_run_is_told_before_it_is() {
    let folder = tempfile::tempdir().unwrap();
    private(&folder.path().join("plain"), "");
    let path = folder.path().to_str().unwrap();
    let check = |words: &[&str], expect: &str| {
        let words: Vec<_> = words.iter().map(|word| (*word).to_owned()).collect();
        let made = SecretCommand::new("k".into(), &words, folder.path(), Some(path));
        assert_eq!(made.map(drop), Err(expect.replace("{folder}", path)), "{words:?}");
    };
    let wants = "wants a program and its arguments: [\"program\", \"argument\", …]";
    check(&[], wants);
    check(&["", "x"], wants);
    check(&["missing"], "names a program that is in no folder of $PATH: missing");
    check(&["./missing"], "names a program that does not exist: {folder}/./missing");
    check(&["plain"], "names a program that is not executable: {folder}/plain");
    check(&["/"], "names a program that does not exist: /");
}

/// As after an upgrade that has taken it away: it may come back.
#[tokio::test]
async fn a_program_that_has_gone_is_told() {
    let folder = tempfile::tempdir().unwrap();
    let program = folder.path().join("program");
    std::fs::copy("/bin/echo", &program).unwrap();
    let words = [program.to_str().unwrap().to_owned()];
    let command = SecretCommand::new("k".into(), &words, folder.path(), None).unwrap();
    std::fs::remove_file(&program).unwrap();
    let error = output(command).await.unwrap_err();
    assert!(error.contains("program cannot be started: No such file or directory"), "{error}");
}

const NOW: Duration = Duration::from_secs(1_700_000_000);

fn jwt(claims: &str) -> String {
    use base64::Engine as _;
    use base64::engine::general_purpose::URL_SAFE_NO_PAD;
    format!("e30.{}.c2ln", URL_SAFE_NO_PAD.encode(claims))
}

#[test]
fn a_token_says_who_it_is_and_how_long() {
    let check = |text: &str, expect: Result<(Option<&str>, u128), &str>| {
        let found = Token::parse(text, NOW);
        let found = found.as_ref().map(|t| (t.principal.as_deref(), t.expires.as_millis()));
        assert_eq!(found, expect.as_ref().map(|t| *t), "{text}");
    };
    let minute = |principal| Ok((principal, 1_700_000_060_000));
    let opaque = Ok((None, 1_700_000_300_000));
    check(&jwt(r#"{"sub":"cdc","exp":1700000060}"#), minute(Some("cdc")));
    check(&jwt(r#"{"sub":"cdc","exp":1700000060.5}"#), Ok((Some("cdc"), 1_700_000_060_500)));
    check(&jwt(r#"{"exp":1700000060}"#), minute(None));
    check(&jwt(r#"{"sub":"cdc"}"#), Ok((Some("cdc"), 1_700_000_300_000)));
    check("opaque", opaque);
    check("a.b.c", opaque);
    check("", Err("an empty token"));
    check("two tokens", Err("more than one token"));
    let expired = "a token that has expired already";
    check(&jwt(r#"{"exp":1700000000}"#), Err(expired));
    check(&jwt(r#"{"exp":-1}"#), Err("a token with an impossible expiry"));
    // As token endpoints have it.
    let answer = |token: &str, rest: &str| format!(r#"{{"access_token":"{token}"{rest}}}"#);
    check(&answer("opaque", r#","expires_in":60,"token_type":"Bearer""#), minute(None));
    check(&answer("opaque", r#","expires_in":"60""#), minute(None));
    check(&answer("opaque", ""), opaque);
    check(&answer(&jwt(r#"{"sub":"cdc","exp":1700000060}"#), ""), minute(Some("cdc")));
    check(&answer("opaque", r#","expires_in":0"#), Err(expired));
    check(&answer("opaque", r#","expires_in":-5"#), Err("a token with an impossible expiry"));
    check(&answer("opaque", r#","expires_in":"soon""#), Err("a token with an impossible expiry"));
    check(&answer("opaque", r#","expires_in":1e300"#), Err("a token with an impossible expiry"));
    check(&answer("", ""), Err("an empty token"));
    let no_token = "JSON without a text `access_token`";
    check(r#"{"error":"invalid_client"}"#, Err(no_token));
    check(r#"{"access_token":5}"#, Err(no_token));
    check("{", Err(no_token));
}

/// librdkafka asks for another one after four fifths of the lifetime.
#[test]
fn a_token_is_kept_until_another_is_asked_for_or_it_was_refused() {
    let folder = tempfile::tempdir().unwrap();
    let tokens = numbered(folder.path(), "");
    let token = |after| token_after(&tokens.clone(), after).unwrap();
    assert_eq!(token(0), "token1");
    assert_eq!(token(74), "token1");
    becomes(&tokens, 80, "token2");
    assert_eq!(token(81), "token2");
    tokens.forget();
    assert_eq!(token(82), "token3");
    assert_eq!(token(182), "token4", "it has expired, and nobody has asked for another");
}

/// A command that gives token 1, 2, … with a life of 100 s; `script` is run before, knows the number as
/// `$n`, and may wait for the file `go`.
fn numbered(folder: &Path, script: &str) -> TokenSource {
    let script = format!(
        r#"echo x >> $1/runs; n=$(wc -l < $1/runs)
        hang() {{ while [ ! -e $1/go ]; do sleep 0.02; done; }}
        {script}
        echo "{{\"access_token\":\"token$n\",\"expires_in\":100}}""#
    );
    TokenSource::of_command(command(folder, &script))
}

/// The token after so many seconds.
fn token_after(tokens: &TokenSource, seconds: u64) -> Result<String, SecretError> {
    let token = tokens.token(NOW + Duration::from_secs(seconds))?;
    Ok(token.secret.expose().to_owned())
}

/// Asks at this second until the answer is this token, as librdkafka would.
#[expect(clippy::disallowed_methods, reason = "a test's own deadline")]
fn becomes(tokens: &TokenSource, seconds: u64, expect: &str) {
    let deadline = Instant::now() + Duration::from_secs(10);
    while token_after(tokens, seconds).unwrap() != expect {
        assert!(Instant::now() < deadline, "never {expect}");
        std::thread::sleep(Duration::from_millis(10));
    }
}

/// librdkafka asks in the thread that writes.
#[test]
#[expect(clippy::disallowed_methods, reason = "whether it waits is what is tested")]
fn a_command_that_hangs_holds_up_nobody_who_has_a_token() {
    let folder = tempfile::tempdir().unwrap();
    let tokens = numbered(folder.path(), "[ $n != 2 ] || hang $1");
    assert_eq!(token_after(&tokens, 0).unwrap(), "token1");
    let start = Instant::now();
    for seconds in [75, 80, 98] {
        assert_eq!(token_after(&tokens, seconds).unwrap(), "token1");
    }
    assert!(start.elapsed() < Duration::from_secs(5), "{:?}", start.elapsed());
    std::fs::write(folder.path().join("go"), "").unwrap();
    becomes(&tokens, 98, "token2");
    assert_eq!(
        token_after(&tokens, 149).unwrap(),
        "token2",
        "its life began when it was asked for"
    );
    let runs = std::fs::read_to_string(folder.path().join("runs")).unwrap();
    assert_eq!(runs.lines().count(), 2);
}

#[test]
fn a_renewal_that_fails_is_told_once_and_made_again() {
    let folder = tempfile::tempdir().unwrap();
    let tokens = numbered(folder.path(), "[ $n = 1 ] || [ $n = 4 ] || exit $n");
    assert_eq!(token_after(&tokens, 0).unwrap(), "token1");
    let mut told = Vec::new();
    let failed = |tokens: &TokenSource| {
        assert_eq!(token_after(tokens, 80).unwrap(), "token1");
        tokens.failure().map(|error| error.to_string())
    };
    while told.len() < 2 {
        told.extend(failed(&tokens));
        std::thread::sleep(Duration::from_millis(10));
    }
    for (told, status) in told.iter().zip(["2;", "3;"]) {
        assert!(told.contains(&format!("/bin/sh ended with exit status {status}")), "{told}");
    }
    becomes(&tokens, 80, "token4");
    assert_eq!(tokens.failure(), None);
}

/// It does not run a second one beside it, and is told if that fails.
#[test]
fn who_has_no_token_any_more_waits_for_the_command_that_runs() {
    let folder = tempfile::tempdir().unwrap();
    let tokens = numbered(folder.path(), "[ $n != 2 ] || hang $1; [ $n != 3 ] || exit 3");
    assert_eq!(token_after(&tokens, 0).unwrap(), "token1");
    assert_eq!(token_after(&tokens, 80).unwrap(), "token1");
    std::thread::scope(|scope| {
        let late = scope.spawn(|| token_after(&tokens, 99));
        std::fs::write(folder.path().join("go"), "").unwrap();
        assert_eq!(late.join().unwrap().unwrap(), "token2");
    });
    let error = token_after(&tokens, 300).unwrap_err().to_string();
    assert!(error.contains("exit status 3"), "{error}");
    assert_eq!(token_after(&tokens, 301).unwrap(), "token4");
}

/// As when walbrook ends.
#[tokio::test]
async fn a_renewal_ends_with_who_asked_for_it() {
    let folder = tempfile::tempdir().unwrap();
    let tokens = numbered(folder.path(), "[ $n = 1 ] || { echo $$ > $1/shell; hang $1; }");
    assert_eq!(token_after(&tokens, 0).unwrap(), "token1");
    assert_eq!(token_after(&tokens, 80).unwrap(), "token1");
    let pid = folder.path().join("shell");
    let is_written = || std::fs::read_to_string(&pid).is_ok_and(|text| text.ends_with('\n'));
    while !is_written() {
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    drop(tokens);
    gone(&pid).await;
}

#[test]
fn why_there_is_no_token_is_told_without_it() {
    let folder = tempfile::tempdir().unwrap();
    let expired = jwt(r#"{"sub":"canary","exp":1}"#);
    let script = format!("echo {expired}");
    let error = TokenSource::of_command(command(folder.path(), &script)).token(NOW).unwrap_err();
    let told = "/bin/sh gave a token that has expired already; to see more,";
    assert!(error.to_string().contains(told), "{error}");
    let path = folder.path().join("token");
    std::fs::write(&path, &expired).unwrap();
    let tokens = TokenSource::of_file(path.clone());
    let told = format!("holds a token that has expired already: {}", path.display());
    let error = tokens.token(NOW).unwrap_err();
    assert!(error.to_string().ends_with(&told), "{error}");
    std::fs::remove_file(&path).unwrap();
    let error = tokens.token(NOW).unwrap_err();
    assert!(error.to_string().starts_with("`kafka.sasl.token_file` cannot be read"), "{error}");
}
