//! Topics and patterns against the shared vectors.

use serde::Deserialize;
use tidings_protocol::{Invalid, Topic, TopicPattern};

use crate::vectors;

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Vectors {
    matches: Vec<Match>,
    covers: Vec<Cover>,
    topics: Vec<String>,
    topics_refused: Vec<String>,
    patterns: Vec<String>,
    patterns_refused: Vec<String>,
}

#[derive(Deserialize)]
struct Match {
    pattern: String,
    topic: String,
    matches: bool,
}

#[derive(Deserialize)]
struct Cover {
    pattern: String,
    other: String,
    covers: bool,
}

fn load() -> Vectors {
    vectors::load("topics.json")
}

fn pattern(text: &str) -> TopicPattern {
    TopicPattern::parse(text, "topics").unwrap_or_else(|error| panic!("{text:?}: {error}"))
}

fn assert_refused<T: std::fmt::Debug>(result: Result<T, Invalid>, text: &str, field: &str) {
    match result {
        Ok(_) => panic!("{text:?} was taken"),
        Err(invalid) => {
            assert_eq!(invalid.field.as_deref(), Some(field), "{text:?}");
            assert_eq!(invalid.code.as_str(), "invalid_field", "{text:?}");
        }
    }
}

#[test]
fn patterns_match_as_in_the_vectors() {
    for Match {
        pattern: text,
        topic,
        matches,
    } in load().matches
    {
        let topic = Topic::parse(&topic, "topic").expect("a topic");
        assert_eq!(pattern(&text).matches(&topic), matches, "{text} on {topic}");
    }
}

#[test]
fn patterns_cover_as_in_the_vectors() {
    for Cover {
        pattern: text,
        other,
        covers,
    } in load().covers
    {
        assert_eq!(
            pattern(&text).covers(&pattern(&other)),
            covers,
            "{text} over {other}"
        );
    }
}

#[test]
fn topics_are_taken_and_refused_as_in_the_vectors() {
    let vectors = load();
    for text in vectors.topics {
        assert_eq!(Topic::parse(&text, "topic").expect(&text).as_str(), text);
    }
    for text in vectors.topics_refused {
        assert_refused(Topic::parse(&text, "topic"), &text, "topic");
    }
}

#[test]
fn patterns_are_taken_and_refused_as_in_the_vectors() {
    let vectors = load();
    for text in vectors.patterns {
        assert_eq!(pattern(&text).as_str(), text);
    }
    for text in vectors.patterns_refused {
        assert_refused(TopicPattern::parse(&text, "topics"), &text, "topics");
    }
}

#[test]
fn only_a_pattern_without_wildcards_is_an_exact_topic() {
    assert_eq!(pattern("a/b").exact(), Some("a/b"));
    for wild in ["+", "a/*", "a/#", "**"] {
        assert_eq!(pattern(wild).exact(), None, "{wild}");
    }
}
