//! What tests ask of a document: tables, code, links, headings.

/// A fenced block of code.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Code {
    /// What stands behind the opening fence.
    pub language: String,
    /// The lines inside, with their ends.
    pub text: String,
}

/// The fenced blocks, in order.
pub fn code(document: &str) -> Vec<Code> {
    let mut blocks = Vec::new();
    let mut open: Option<Code> = None;
    for line in document.lines() {
        match (&mut open, line.strip_prefix("```")) {
            (None, Some(language)) => {
                open = Some(Code {
                    language: language.trim().to_owned(),
                    text: String::new(),
                });
            }
            (Some(_), Some(_)) => blocks.extend(open.take()),
            (Some(code), None) => {
                code.text.push_str(line);
                code.text.push('\n');
            }
            (None, None) => {}
        }
    }
    blocks
}

/// The document without its fenced blocks.
pub fn prose(document: &str) -> String {
    let mut inside = false;
    document
        .lines()
        .filter(|line| {
            let fence = line.starts_with("```");
            inside ^= fence;
            !inside && !fence
        })
        .map(|line| format!("{line}\n"))
        .collect()
}

/// What stands under a heading of the second level, up to the next.
pub fn section<'a>(document: &'a str, heading: &str) -> Option<&'a str> {
    let start = document.find(&format!("\n## {heading}\n"))?;
    let text = document.get(start + 1..)?;
    let end = text.find("\n## ").unwrap_or(text.len());
    text.get(..end)
}

/// The names in backticks that stand in the first column of a section's tables, headings left out.
pub fn first_column(section: &str) -> Vec<String> {
    section
        .lines()
        .filter_map(|line| line.strip_prefix('|')?.split('|').next())
        .flat_map(backticked)
        .collect()
}

/// What stands in backticks.
pub fn backticked(text: &str) -> Vec<String> {
    text.split('`')
        .skip(1)
        .step_by(2)
        .map(str::to_owned)
        .collect()
}

/// The targets of links and images, titles left out.
pub fn links(document: &str) -> Vec<String> {
    prose(document)
        .split("](")
        .skip(1)
        .filter_map(|rest| rest.split([')', ' ']).next())
        .map(str::to_owned)
        .collect()
}

/// The anchors that a renderer makes of the headings: lower case, blanks to hyphens, all but letters, digits, hyphens and
/// underscores left out.
pub fn anchors(document: &str) -> Vec<String> {
    prose(document)
        .lines()
        .filter_map(|line| line.strip_prefix('#'))
        .map(|heading| {
            heading
                .trim_start_matches('#')
                .trim()
                .chars()
                .filter_map(|letter| match letter {
                    ' ' => Some('-'),
                    '-' | '_' => Some(letter),
                    _ if letter.is_alphanumeric() => letter.to_lowercase().next(),
                    _ => None,
                })
                .collect()
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    const DOCUMENT: &str = "\
# A title: of `two`

See [there](other.md#an-anchor \"why\") and ![that](a.png).

```yaml
a: 1
# [not](a-link.md)
```

## Fields

| field | meaning |
|---|---|
| `a` | x |
| `b[].c`, `d` | `not this` |

## More
";

    // A reader that finds nothing finds no fault either.
    #[test]
    fn finds_what_is_there() {
        let [code] = code(DOCUMENT).try_into().unwrap();
        assert_eq!(
            (code.language.as_str(), code.text.as_str()),
            ("yaml", "a: 1\n# [not](a-link.md)\n")
        );
        assert_eq!(links(DOCUMENT), ["other.md#an-anchor", "a.png"]);
        assert_eq!(anchors(DOCUMENT), ["a-title-of-two", "fields", "more"]);
        let fields = section(DOCUMENT, "Fields").unwrap();
        assert_eq!(first_column(fields), ["a", "b[].c", "d"]);
        assert!(!fields.contains("More"));
        assert_eq!(section(DOCUMENT, "Absent"), None);
    }
}
