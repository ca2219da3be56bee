//! Each filter's README and example against its code.

use std::collections::BTreeSet;

use manifests::filters::{self, Filter};
use manifests::{markdown, tree};
use serde_json::Value;

fn readme(filter: &Filter) -> String {
    tree::read(format!("filters/{}/README.md", filter.name))
}

fn example(filter: &Filter) -> String {
    tree::read(format!("filters/{}/config.example.yaml", filter.name))
}

/// The names in the first column of a section's tables.
fn table(filter: &Filter, heading: &str) -> BTreeSet<String> {
    let readme = readme(filter);
    let section = markdown::section(&readme, heading)
        .unwrap_or_else(|| panic!("filters/{}/README.md has no section {heading}", filter.name));
    let names: Vec<String> = markdown::first_column(section);
    let set: BTreeSet<String> = names.iter().cloned().collect();
    assert_eq!(
        names.len(),
        set.len(),
        "{} {heading}: a name twice",
        filter.name
    );
    set
}

fn assert_same(filter: &Filter, heading: &str, code: BTreeSet<String>) {
    let table = table(filter, heading);
    let undocumented: Vec<_> = code.difference(&table).collect();
    let unknown: Vec<_> = table.difference(&code).collect();
    assert!(
        undocumented.is_empty() && unknown.is_empty(),
        "filters/{}/README.md, {heading}: not in the table {undocumented:?}, not in the code {unknown:?}",
        filter.name
    );
}

// Whoever copies the example must be able to load it.
#[test]
fn each_example_is_a_configuration() {
    for filter in filters::all() {
        let config: Value = serde_norway::from_str(&example(&filter)).unwrap();
        (filter.check)(&config).unwrap_or_else(|error| panic!("{}: {error}", filter.name));
    }
}

#[test]
fn each_readme_begins_with_its_example() {
    for filter in filters::all() {
        let code = markdown::code(&readme(&filter));
        let first = code.first().expect("an example");
        assert_eq!(first.language, "yaml", "{}", filter.name);
        assert_eq!(first.text, example(&filter), "{}", filter.name);
    }
}

// A field that is misspelt in the table is refused by the filter that it documents.
#[test]
fn each_field_table_has_the_fields() {
    for filter in filters::all() {
        let elsewhere = |field: &String| {
            filter.described_elsewhere.iter().any(|parent| {
                field
                    .strip_prefix(parent)
                    .is_some_and(|rest| !rest.is_empty())
            })
        };
        let fields = filter
            .fields
            .iter()
            .filter(|field| !elsewhere(field))
            .cloned()
            .collect();
        assert_same(&filter, "Fields", fields);
    }
}

#[test]
fn each_counter_table_has_the_counters() {
    for filter in filters::all() {
        assert_same(
            &filter,
            "Counters",
            filter
                .counters
                .iter()
                .map(|name| (*name).to_owned())
                .collect(),
        );
    }
}

#[test]
fn each_failure_table_has_the_reasons() {
    for filter in filters::all() {
        assert_same(
            &filter,
            "Failures",
            filter
                .reasons
                .iter()
                .map(|name| (*name).to_owned())
                .collect(),
        );
    }
}

// Two filters that count under one name cannot be told apart; a name outside the closed form is not a statistic.
#[test]
fn counters_are_named_after_their_filter() {
    for filter in filters::all() {
        let prefix = format!("gatehouse.{}.", filter.name.replace('-', "_"));
        for counter in &filter.counters {
            let rest = counter
                .strip_prefix(&prefix)
                .unwrap_or_else(|| panic!("{counter}"));
            assert!(
                rest.bytes()
                    .all(|byte| byte.is_ascii_lowercase() || byte == b'_' || byte == b'.'),
                "{counter}"
            );
        }
    }
}

// A field that the example leaves out may be new, and its row in the table untried.
#[test]
fn a_field_that_is_unknown_is_refused_with_its_path() {
    for filter in filters::all() {
        let mut config: Value = serde_norway::from_str(&example(&filter)).unwrap();
        config["not_a_field"] = Value::Bool(true);
        let error = (filter.check)(&config).unwrap_err().to_string();
        assert!(
            error.starts_with("not_a_field: unknown field"),
            "{}: {error}",
            filter.name
        );
    }
}
