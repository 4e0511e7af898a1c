//! Topics, patterns, and what matches what.

use std::collections::BTreeSet;

use serde_json::{Value, json};

use crate::check::{Claim, Trying as _, checks, ensure, same};
use crate::context::{Client, Context};
use crate::grammar::percent;
use crate::stream::Stream;

const TOPICS: &str = include_str!("../../vectors/topics.json");

checks! {
    "Topics and patterns" {
        Client patterns_match_live_what_the_vectors_say,
        Client patterns_match_in_replay_what_the_vectors_say,
        Client topics_that_the_vectors_refuse_are_refused,
        Client patterns_that_the_vectors_refuse_are_refused,
        Client a_plus_in_the_query_is_a_wildcard_and_not_a_space,
        Client topics_may_be_given_in_lists_and_several_times,
        Client topics_are_percent_decoded_before_they_are_split_at_commas,
        Client a_message_that_several_patterns_match_comes_once,
    }
}

fn vectors(list: &str) -> Vec<Value> {
    let vectors: Value = serde_json::from_str(TOPICS).expect("the vectors are JSON");
    vectors[list].as_array().expect("a list").clone()
}

fn texts(list: &str) -> Vec<String> {
    let texts = vectors(list);
    texts
        .iter()
        .map(|text| text.as_str().expect("text").to_owned())
        .collect()
}

/// The vectors of what matches, below a topic of the check. That changes nothing: a pattern matches its topic level
/// by level, and one more equal level in front of both is equal.
struct Matches {
    patterns: BTreeSet<String>,
    topics: BTreeSet<String>,
    vectors: Vec<Value>,
}

impl Matches {
    fn new() -> Self {
        let vectors = vectors("matches");
        let all = |name: &str| {
            let texts = vectors
                .iter()
                .map(|vector| vector[name].as_str().expect("text").to_owned());
            texts.collect()
        };
        Self {
            patterns: all("pattern"),
            topics: all("topic"),
            vectors,
        }
    }

    fn publish(&self, cx: &Context<'_>, client: &Client<'_>) -> Claim {
        let topics = self.topics.iter();
        client
            .publish_all(topics.map(|topic| json!({"topic": cx.topic(topic), "payload": topic})))
            .and_then(|_| {
                client.publish_all([json!({"target": client.id, "payload": "end of topics"})])
            })
            .map(drop)
    }

    fn compare(&self, pattern: &str, stream: &mut Stream) -> Claim {
        let mut found = BTreeSet::new();
        loop {
            let (event, message) = stream.own()?;
            let topic = message["payload"].as_str().unwrap_or_default().to_owned();
            if topic == "end of topics" {
                break;
            }
            ensure!(found.insert(topic), "it came twice: {}", event.data);
        }
        for vector in self
            .vectors
            .iter()
            .filter(|vector| vector["pattern"] == pattern)
        {
            let topic = vector["topic"].as_str().unwrap_or_default();
            same(
                &format!("whether {pattern} matches {topic}"),
                found.contains(topic),
                vector["matches"] == true,
            )?;
        }
        Ok(())
    }
}

fn patterns_match_live_what_the_vectors_say(cx: &Context<'_>) -> Claim {
    let alice = cx.alice();
    let matches = Matches::new();
    let mut streams = Vec::new();
    for pattern in &matches.patterns {
        let query = format!("topics={}", percent(&cx.topic(pattern)));
        streams.push((pattern, alice.listen(&query)?.0));
    }
    matches.publish(cx, &alice)?;
    for (pattern, stream) in &mut streams {
        matches.compare(pattern, stream)?;
    }
    Ok(())
}

fn patterns_match_in_replay_what_the_vectors_say(cx: &Context<'_>) -> Claim {
    let alice = cx.alice();
    let matches = Matches::new();
    let start = alice.publish_at(json!({"target": alice.id, "payload": "start"}))?;
    matches.publish(cx, &alice)?;
    for pattern in &matches.patterns {
        let query = format!("topics={}", percent(&cx.topic(pattern)));
        matches.compare(pattern, &mut alice.resume(&start, &query)?.0)?;
    }
    Ok(())
}

fn topics_that_the_vectors_refuse_are_refused(cx: &Context<'_>) -> Claim {
    let alice = cx.alice();
    for topic in texts("topicsRefused") {
        let message = json!({"source": alice.id, "topic": topic, "payload": 1});
        let answer = alice.post("/api/messages", &message)?;
        answer
            .refused_field(400, "invalid_field", "topic")
            .trying(format!("{topic:?}"))?;
    }
    Ok(())
}

fn patterns_that_the_vectors_refuse_are_refused(cx: &Context<'_>) -> Claim {
    let alice = cx.alice();
    // An empty parameter is absent, and a comma makes two patterns.
    for pattern in texts("patternsRefused")
        .iter()
        .filter(|text| !text.is_empty() && !text.contains(','))
    {
        let answer = alice.refused_stream(&format!("topics={}", percent(pattern)))?;
        answer
            .refused_field(400, "invalid_field", "topics")
            .trying(format!("{pattern:?}"))?;
    }
    for list in ["a,,b", "a,", ",a"] {
        let answer = alice.refused_stream(&format!("topics={list}"))?;
        answer
            .refused_field(400, "invalid_field", "topics")
            .trying(list)?;
    }
    Ok(())
}

fn a_plus_in_the_query_is_a_wildcard_and_not_a_space(cx: &Context<'_>) -> Claim {
    let alice = cx.alice();
    let topic = cx.topic("plus");
    let (mut stream, _) = alice.listen(&format!("topics={topic}/+/end"))?;
    alice.publish(json!({"topic": format!("{topic}/any/end"), "payload": 1}))?;
    stream.expect(1).map(drop)
}

fn topics_may_be_given_in_lists_and_several_times(cx: &Context<'_>) -> Claim {
    let alice = cx.alice();
    let topics = ["a", "b", "c"].map(|name| cx.topic(name));
    let [a, b, c] = &topics;
    let mut stream = alice.stream(&format!("topics={a},{b}&topics={c}"))?;
    let connect = stream.system("connect")?;
    same("topics", &connect["topics"], &json!(topics))?;
    alice.publish_all(
        topics
            .iter()
            .map(|topic| json!({"topic": topic, "payload": topic})),
    )?;
    same(
        "what comes",
        stream.payloads(3)?,
        topics.iter().map(|topic| json!(topic)).collect::<Vec<_>>(),
    )
}

fn topics_are_percent_decoded_before_they_are_split_at_commas(cx: &Context<'_>) -> Claim {
    let topics = ["a", "b"].map(|name| cx.topic(name));
    let query = format!("topics={}", percent(&topics.join(",")));
    let connect = cx.alice().stream(&query)?.system("connect")?;
    same("topics", &connect["topics"], &json!(topics))
}

fn a_message_that_several_patterns_match_comes_once(cx: &Context<'_>) -> Claim {
    let alice = cx.alice();
    let topic = cx.topic("a/b");
    let patterns =
        [&topic, &cx.topic("+/b"), &cx.topic("#"), &cx.topic("a/**")].map(|text| percent(text));
    let query = format!("topics={}", patterns.join(","));
    let (mut stream, start) = alice.listen(&query)?;
    alice.publish_all((0..2).map(|n| json!({"topic": topic, "payload": n})))?;
    let expected = vec![json!(0), json!(1)];
    same("what comes", &stream.payloads(2)?, &expected)?;
    same(
        "what is replayed",
        &alice.resume(&start, &query)?.0.payloads(2)?,
        &expected,
    )
}
