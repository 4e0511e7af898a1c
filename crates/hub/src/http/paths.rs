//! Every path of the hub.

pub(super) const STREAM: &str = "/sse";
pub(super) const MESSAGES: &str = "/api/messages";
pub(super) const MESSAGE: &str = "/api/messages/";
pub(super) const TOPICS: &str = "/api/topics/";
pub(super) const DIRECT: &str = "/api/direct/";
pub(super) const BROADCAST: &str = "/api/broadcast";
pub(super) const COMMANDS: &str = "/api/commands";
pub(super) const ACKS: &str = "/api/acks";
pub(super) const CONNECTIONS: &str = "/api/connections";
pub(super) const CONNECTION: &str = "/api/connections/";
/// Between the id of a connection and a topic.
pub(super) const CONNECTION_TOPICS: &str = "/topics/";
pub(super) const HEALTH: &str = "/health";
pub(super) const READY: &str = "/ready";
pub(super) const METRICS: &str = "/metrics";

/// Whether a POST to it brings messages, one or many, for the journal.
pub(super) fn takes_messages(path: &str) -> bool {
    let below = |prefix: &str| path.len() > prefix.len() && path.starts_with(prefix);
    path == MESSAGES || below(TOPICS) || below(DIRECT)
}

/// What follows the prefix of a route, as it stands in the path.
pub(super) fn rest<'p>(path: &'p str, prefix: &str) -> &'p str {
    path.strip_prefix(prefix).unwrap_or_default()
}

/// What a path is called in metrics: a name of ours, however many topics and clients there are.
pub(super) fn route(path: &str) -> &'static str {
    const EXACT: [&str; 9] = [
        STREAM,
        MESSAGES,
        BROADCAST,
        COMMANDS,
        ACKS,
        CONNECTIONS,
        HEALTH,
        READY,
        METRICS,
    ];
    const PREFIXES: [(&str, &str); 4] = [
        (MESSAGE, "/api/messages/{id}"),
        (TOPICS, "/api/topics/{topic}"),
        (DIRECT, "/api/direct/{clientId}"),
        (CONNECTION, "/api/connections/{connectionId}"),
    ];
    let exact = EXACT.into_iter().find(|route| *route == path);
    let prefixed = || {
        PREFIXES
            .into_iter()
            .find(|(prefix, _)| path.starts_with(prefix))
    };
    let asset = || crate::page::ASSETS.iter().find(|asset| asset.path == path);
    exact
        .or_else(|| prefixed().map(|(_, route)| route))
        .or_else(|| asset().map(|asset| asset.path))
        .unwrap_or("other")
}

#[cfg(test)]
mod tests {
    use super::route;

    #[test]
    fn metrics_see_route_names_and_never_topics_clients_or_unknown_paths() {
        for (path, expected) in [
            ("/api/messages", "/api/messages"),
            ("/api/topics/orders/eu/42", "/api/topics/{topic}"),
            ("/api/direct/alice", "/api/direct/{clientId}"),
            ("/sse", "/sse"),
            ("/", "/"),
            ("/page/page.js", "/page/page.js"),
            ("/api/messages/x", "/api/messages/{id}"),
            ("/whatever", "other"),
        ] {
            assert_eq!(route(path), expected, "{path}");
        }
    }
}
