//! What results are called: `{content}-{style}.png`, with what stands in braces replaced.

use std::path::{Component, Path, PathBuf};

/// What may stand in braces.
const KNOWN: [&str; 3] = ["content", "style", "number"];

/// A pattern of names, seen from the folder of the results. Slashes in it make folders.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Pattern {
    parts: Vec<Part>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum Part {
    Text(String),
    Content,
    Style,
    Number,
}

impl Pattern {
    /// Understands a pattern: `{content}` and `{style}` are the names of the pictures without folder and extension,
    /// `{number}` counts the results from 1; `{{` and `}}` are braces.
    ///
    /// # Errors
    /// What would do.
    pub fn parse(text: &str) -> Result<Self, String> {
        let (mut parts, mut literal, mut rest) = (Vec::new(), String::new(), text);
        while let Some(at) = rest.find(['{', '}']) {
            literal += &rest[..at];
            let brace = &rest[at..=at];
            rest = &rest[at + 1..];
            if let Some(after) = rest.strip_prefix(brace) {
                literal += brace;
                rest = after;
                continue;
            }
            let (name, after) = match brace {
                "{" => rest.split_once('}').ok_or("a { without its }; {{ is a brace by itself")?,
                _ => return Err("a } without its {; }} is a brace by itself".into()),
            };
            if !literal.is_empty() {
                parts.push(Part::Text(std::mem::take(&mut literal)));
            }
            parts.push(match name {
                "content" => Part::Content,
                "style" => Part::Style,
                "number" => Part::Number,
                _ => {
                    let known = KNOWN.map(|name| format!("{{{name}}}")).join(", ");
                    return Err(format!("there is no {{{name}}}; give one of {known}"));
                }
            });
            rest = after;
        }
        literal += rest;
        if !literal.is_empty() {
            parts.push(Part::Text(literal));
        }
        let pattern = Pattern { parts };
        place(&pattern.expand("content", "style", 1))?;
        Ok(pattern)
    }

    /// The name of a result, whose number is from 1.
    #[must_use]
    pub fn expand(&self, content: &str, style: &str, number: usize) -> String {
        let part = |part: &Part| match part {
            Part::Text(text) => text.clone(),
            Part::Content => content.to_owned(),
            Part::Style => style.to_owned(),
            Part::Number => number.to_string(),
        };
        self.parts.iter().map(part).collect()
    }

    /// Whether it says what its files end in: has a dot behind the last brace.
    #[must_use]
    pub fn has_extension(&self) -> bool {
        matches!(self.parts.last(), Some(Part::Text(text)) if has_extension(text))
    }
}

/// Whether a name has a dot with something before and behind it, in its last part.
#[must_use]
pub fn has_extension(name: &str) -> bool {
    let last = name.rsplit('/').next().unwrap_or(name);
    last.rsplit_once('.').is_some_and(|(_, extension)| !extension.is_empty())
}

/// A name that stays within the folder of the results.
///
/// # Errors
/// What would do.
pub fn place(name: &str) -> Result<PathBuf, String> {
    let path = Path::new(name);
    let inside = path.components().all(|component| matches!(component, Component::Normal(_) | Component::CurDir));
    if inside && path.file_name().is_some() && !name.ends_with('/') && !name.contains('\0') {
        Ok(path.components().filter(|component| *component != Component::CurDir).collect())
    } else {
        Err(format!("'{name}' is no name in the folder of the results; give one without .. and a leading /"))
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn braces_are_replaced() {
        let name = |pattern: &str| Pattern::parse(pattern).unwrap().expand("cat.1", "wave", 7);
        assert_eq!(name("{content}-{style}.png"), "cat.1-wave.png");
        assert_eq!(name("{style}/{content}"), "wave/cat.1");
        assert_eq!(name("{number}{{x}}.jpg"), "7{x}.jpg");
    }

    #[test]
    fn what_cannot_be_is_refused() {
        for (wrong, words) in [
            ("{photo}.png", "there is no {photo}; give one of {content}, {style}, {number}"),
            ("{content", "without its }"),
            ("content}", "without its {"),
            ("", "is no name"),
            ("/tmp/{content}", "without .. and a leading /"),
            ("../{content}", "without .. and a leading /"),
            ("{content}/", "is no name"),
        ] {
            assert!(Pattern::parse(wrong).unwrap_err().contains(words), "{wrong}");
        }
    }

    #[test]
    fn an_extension_is_what_the_pattern_says_not_what_a_picture_is_called() {
        let has = |pattern: &str| Pattern::parse(pattern).unwrap().has_extension();
        assert!(has("{content}.jpg") && has("x.png") && has("{content}.tar.webp"));
        assert!(!has("{content}") && !has("a.b/{content}") && !has("{content}.") && !has("a.b/c"));
    }

    proptest! {
        #[test]
        fn a_name_is_within_the_folder_or_refused(text in "[a{}./x-]{0,12}") {
            if let Ok(pattern) = Pattern::parse(&text) {
                let name = pattern.expand("c", "s", 1);
                let path = place(&name).unwrap();
                prop_assert!(path.components().all(|part| matches!(part, Component::Normal(_))), "{}", name);
            }
        }
    }
}
