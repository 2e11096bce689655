//! Samples in documents are not pasted: each is some lines of a program that the tests run.
//!
//! It stands below a comment that says of which file it is, `<!-- from examples/shop/… -->`. There
//! its lines have to be, word for word and one after the other. Where lines are left out, the sample
//! has a line of an ellipsis, alone or behind the sign by which comments begin.

use std::fs;
use std::path::Path;

use super::{regex, report};

/// Pages of which every block is such a sample, and folders of such pages.
const PAGES: &[&str] = &["docs/clients", "docs/outbox-django.md"];

/// What is no part of a program: commands, settings by themselves, and what comes out.
const NO_SAMPLES: &[&str] = &["sh", "text", "toml"];

#[test]
fn samples_are_lines_of_the_files_that_they_name() {
    let mut wrong = Vec::new();
    for page in PAGES.iter().flat_map(|page| pages(page)) {
        let text = file(&page).unwrap_or_else(|| panic!("{page} cannot be read"));
        wrong.extend(faults(&text, file).iter().map(|fault| format!("{page}:{fault}")));
    }
    report("a sample is taken from a program that is run, and stays as it is there", &wrong);
}

#[test]
fn this_test_can_tell_what_is_pasted() {
    let program = |path: &str| (path == "a.py").then(|| "b = 1\n\n\nc = 2\n  d = 3\n".to_owned());
    let check = |text: &str, found: &[&str]| {
        let faults = faults(&text.replace('\'', "```"), program);
        assert_eq!(faults, found, "{text}");
    };
    check("<!-- from a.py -->\n'python\nc = 2\n  d = 3\n'", &[]);
    check("<!-- from a.py -->\n'python\nb = 1\n# …\nd = 3\n'", &["2: a.py has no such lines"]);
    check("<!-- from a.py -->\n'python\nb = 1\n\n  # …\n\n  d = 3\n'\n", &[]);
    check("<!-- from a.py -->\n'python\nb = 1\nc = 2\n'", &["2: a.py has no such lines"]);
    check("<!-- from a.py -->\n'python\nc = 2\n…\nb = 1\n'", &["2: a.py has no such lines"]);
    check("<!-- from a.py -->\n'python\n# …\n'", &["2: a.py has no such lines"]);
    check("<!-- from b.py -->\n'toml\nb = 1\n'", &["2: there is no b.py"]);
    check("<!-- from a.py -->\n\n'python\nb = 1\n'", &["3: it does not say where it is from"]);
    check("'sh\nls\n'\n'python\nb = 1\n'", &["4: it does not say where it is from"]);
    check("'\nls\n'", &["1: it does not say where it is from"]);
}

/// The page itself, or the pages of a folder.
fn pages(path: &str) -> Vec<String> {
    if path.ends_with(".md") {
        return vec![path.to_owned()];
    }
    let entries = fs::read_dir(Path::new(env!("CARGO_MANIFEST_DIR")).join(path)).unwrap();
    let names = entries.map(|entry| entry.unwrap().file_name().into_string().unwrap());
    let mut pages: Vec<_> = names.map(|name| format!("{path}/{name}")).collect();
    pages.sort();
    assert!(!pages.is_empty(), "{path} has no pages");
    pages
}

fn file(path: &str) -> Option<String> {
    fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join(path)).ok()
}

/// What is wrong with the blocks of a page, each behind the number of its first line.
fn faults(page: &str, file: impl Fn(&str) -> Option<String>) -> Vec<String> {
    let from = regex(r"^<!-- from (\S+) -->$");
    let mut faults = Vec::new();
    let mut above = "";
    let mut lines = page.lines().zip(1..);
    while let Some((line, number)) = lines.next() {
        let Some(kind) = line.trim_start().strip_prefix("```") else {
            above = line;
            continue;
        };
        let code = lines.by_ref().map(|(line, _)| line);
        let code: Vec<_> = code.take_while(|line| !line.trim_start().starts_with("```")).collect();
        let fault = match from.captures(above).map(|found| found[1].to_owned()) {
            None if NO_SAMPLES.contains(&kind) => None,
            None => Some("it does not say where it is from".to_owned()),
            Some(path) => match file(&path) {
                None => Some(format!("there is no {path}")),
                Some(text) if has(&text, &code) => None,
                Some(_) => Some(format!("{path} has no such lines")),
            },
        };
        faults.extend(fault.map(|fault| format!("{number}: {fault}")));
        above = "";
    }
    faults
}

/// Whether the parts of a sample stand in a file, in their order.
fn has(file: &str, sample: &[&str]) -> bool {
    let cut = regex(r"^\s*(#|//|--)?\s*…$");
    let lines: Vec<_> = file.lines().collect();
    let mut rest = &lines[..];
    sample.split(|line| cut.is_match(line)).map(trimmed).all(|part| {
        let Some(at) = rest.windows(part.len().max(1)).position(|lines| lines == part) else {
            return false;
        };
        rest = &rest[at + part.len()..];
        true
    })
}

/// Without empty lines around it.
fn trimmed<'a>(part: &'a [&'a str]) -> &'a [&'a str] {
    let is_text = |line: &&str| !line.trim().is_empty();
    let first = part.iter().position(is_text).unwrap_or(part.len());
    let end = part.iter().rposition(is_text).map_or(first, |last| last + 1);
    &part[first..end]
}
