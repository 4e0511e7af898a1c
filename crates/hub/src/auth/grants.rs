//! What an identity may do. Nothing here reads a clock or does I/O.

use tidings_protocol::{ClientId, ErrorCode, Invalid, Problem, Topic, TopicPattern};

use super::token::{Grants, invalid_claim};

/// The source of messages in open mode when none is given.
const ANONYMOUS: &str = "anonymous";

/// Who is asking: anyone (open mode), or the holder of a token.
#[derive(Debug)]
pub(crate) struct Identity(Option<Permits>);

/// What a token allows, ready to be compared.
#[derive(Debug)]
pub(super) struct Permits {
    client: ClientId,
    expires_at: u64,
    publish: Vec<TopicPattern>,
    subscribe: Vec<TopicPattern>,
    targets: Vec<TopicPattern>,
    /// A broadcast reaches whoever any topic could reach, so it needs the grant to publish to all of them.
    broadcast: bool,
    admin: bool,
}

impl Identity {
    pub(super) fn anyone() -> Self {
        Self(None)
    }

    pub(super) fn holder(permits: Permits) -> Self {
        Self(Some(permits))
    }

    /// The client that the token names.
    pub(crate) fn named(&self) -> Option<&ClientId> {
        self.0.as_ref().map(|permits| &permits.client)
    }

    /// When the token ends, in milliseconds since 1970.
    pub(crate) fn expires_at(&self) -> Option<u64> {
        self.0.as_ref().map(|permits| permits.expires_at)
    }

    /// The source of a message that says it comes from `given`.
    pub(crate) fn source<'a>(&'a self, given: Option<&'a str>) -> Result<&'a str, Problem> {
        match (self.named(), given) {
            (Some(client), Some(given)) if given != client.as_str() => Err(forbidden(
                "source",
                format!("this token sends as `{client}` only"),
            )),
            (Some(client), _) => Ok(client.as_str()),
            (None, given) => Ok(given.unwrap_or(ANONYMOUS)),
        }
    }

    /// The client that acts where it is not the source of a message: the token's, else `given`.
    pub(crate) fn client(&self, given: Option<&str>) -> Result<Option<ClientId>, Problem> {
        match (self.named(), given) {
            (Some(client), Some(given)) if given != client.as_str() => Err(forbidden(
                "clientId",
                format!("this token acts for `{client}` only"),
            )),
            (Some(client), _) => Ok(Some(client.clone())),
            (None, Some(given)) => Ok(Some(ClientId::parse(given, "clientId")?)),
            (None, None) => Ok(None),
        }
    }

    /// As [`Identity::client`]; in open mode `anonymous` when none is given.
    pub(crate) fn client_or_anonymous(&self, given: Option<&str>) -> Result<ClientId, Problem> {
        match self.client(given)? {
            Some(client) => Ok(client),
            None => Ok(ClientId::parse(ANONYMOUS, "clientId")?),
        }
    }

    pub(crate) fn may_send_to(&self, target: &ClientId) -> Result<(), Problem> {
        self.allow(
            "target",
            |permits| matches(&permits.targets, target),
            || format!("this token may not send to `{target}`"),
        )
    }

    pub(crate) fn may_publish(&self, topic: &Topic) -> Result<(), Problem> {
        self.allow(
            "topic",
            |permits| matches(&permits.publish, topic),
            || format!("this token may not publish to `{topic}`"),
        )
    }

    pub(crate) fn may_broadcast(&self) -> Result<(), Problem> {
        match &self.0 {
            Some(permits) if !permits.broadcast => {
                let detail = "this token may not send to all: it needs `publish: [\"#\"]`";
                Err(Problem::new(ErrorCode::Forbidden, detail))
            }
            _ => Ok(()),
        }
    }

    pub(crate) fn may_subscribe(&self, pattern: &TopicPattern) -> Result<(), Problem> {
        self.allow(
            "topics",
            |permits| covers(&permits.subscribe, pattern),
            || format!("this token may not subscribe to `{}`", pattern.as_str()),
        )
    }

    /// What it may subscribe to, it may also look up afterwards.
    pub(crate) fn may_read_topics(&self, pattern: &TopicPattern) -> Result<(), Problem> {
        self.allow(
            "topic",
            |permits| permits.admin || covers(&permits.subscribe, pattern),
            || format!("this token may not read `{}`", pattern.as_str()),
        )
    }

    pub(crate) fn may_read_mailbox(&self, client: &ClientId) -> Result<(), Problem> {
        self.allow(
            "clientId",
            |permits| permits.admin || permits.client == *client,
            || "this token may read its own client's messages only".to_owned(),
        )
    }

    /// The topics that it may subscribe to; none in open mode, where it needs no grant.
    pub(crate) fn subscriptions(&self) -> &[TopicPattern] {
        self.0.as_ref().map_or(&[], |permits| &permits.subscribe)
    }

    /// Whether the connections and messages of other clients are its business.
    pub(crate) fn sees_everything(&self) -> bool {
        self.0.as_ref().is_none_or(|permits| permits.admin)
    }

    fn allow(
        &self,
        field: &str,
        allowed: impl FnOnce(&Permits) -> bool,
        detail: impl FnOnce() -> String,
    ) -> Result<(), Problem> {
        match &self.0 {
            Some(permits) if !allowed(permits) => Err(forbidden(field, detail())),
            _ => Ok(()),
        }
    }
}

impl Permits {
    pub(super) fn new(client: ClientId, exp: f64, grants: &Grants) -> Result<Self, Problem> {
        let publish = patterns(&grants.publish, "publish")?;
        let everything = TopicPattern::parse("#", "publish")?;
        Ok(Self {
            client,
            broadcast: publish.iter().any(|granted| granted.covers(&everything)),
            publish,
            // A float beyond u64 becomes the largest number.
            expires_at: (exp * 1000.0) as u64,
            subscribe: patterns(&grants.subscribe, "subscribe")?,
            targets: patterns(&grants.targets, "targets")?,
            admin: grants.roles.iter().any(|role| role == "admin"),
        })
    }
}

fn patterns(texts: &[String], claim: &str) -> Result<Vec<TopicPattern>, Problem> {
    let parsed = texts.iter().map(|text| TopicPattern::parse(text, claim));
    parsed
        .collect::<Result<_, Invalid>>()
        .map_err(|invalid| invalid_claim(&format!("tidings.{claim}"), &invalid.detail))
}

fn covers(granted: &[TopicPattern], pattern: &TopicPattern) -> bool {
    granted.iter().any(|granted| granted.covers(pattern))
}

fn matches(granted: &[TopicPattern], name: &str) -> bool {
    granted.iter().any(|pattern| pattern.matches(name))
}

fn forbidden(field: &str, detail: String) -> Problem {
    Problem {
        code: ErrorCode::Forbidden,
        detail,
        field: Some(field.to_owned()),
        retry_after_ms: None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn holder(grants: &Grants) -> Identity {
        let client = ClientId::parse("alice", "sub").expect("valid");
        Identity::holder(Permits::new(client, 1.5, grants).expect("valid grants"))
    }

    fn list(patterns: &[&str]) -> Vec<String> {
        patterns.iter().map(|&pattern| pattern.to_owned()).collect()
    }

    fn field<T: std::fmt::Debug>(refusal: Result<T, Problem>) -> Option<String> {
        let problem = refusal.expect_err("refused");
        assert_eq!(problem.code, ErrorCode::Forbidden);
        problem.field
    }

    #[test]
    fn a_source_cannot_be_forged() {
        let alice = holder(&Grants::default());
        assert_eq!(alice.source(None).expect("allowed"), "alice");
        assert_eq!(alice.source(Some("alice")).expect("allowed"), "alice");
        assert_eq!(field(alice.source(Some("bob"))).as_deref(), Some("source"));
        assert_eq!(
            field(alice.client(Some("bob"))).as_deref(),
            Some("clientId")
        );
    }

    #[test]
    fn in_open_mode_the_source_is_as_given_else_anonymous() {
        let anyone = Identity::anyone();
        assert_eq!(anyone.source(Some("bob")).expect("allowed"), "bob");
        assert_eq!(anyone.source(None).expect("allowed"), "anonymous");
        assert_eq!(anyone.client(None).expect("allowed"), None);
        assert_eq!(
            anyone.client_or_anonymous(None).expect("allowed").as_str(),
            "anonymous"
        );
        assert!(anyone.client(Some("$hub")).is_err());
    }

    #[test]
    fn a_missing_list_means_none() {
        let alice = holder(&Grants::default());
        let bob = ClientId::parse("bob", "target").expect("valid");
        let news = Topic::parse("news", "topic").expect("valid");
        let pattern = TopicPattern::parse("news", "topics").expect("valid");
        assert_eq!(field(alice.may_send_to(&bob)).as_deref(), Some("target"));
        assert_eq!(field(alice.may_publish(&news)).as_deref(), Some("topic"));
        assert_eq!(field(alice.may_broadcast()), None);
        assert_eq!(
            field(alice.may_subscribe(&pattern)).as_deref(),
            Some("topics")
        );
        assert!(!alice.sees_everything());
    }

    #[test]
    fn each_list_grants_its_own_and_nothing_else() {
        let alice = holder(&Grants {
            publish: list(&["orders/#"]),
            subscribe: list(&["news/+"]),
            targets: list(&["team/*"]),
            roles: list(&["admin"]),
            ..Grants::default()
        });
        let publish = |topic| {
            alice
                .may_publish(&Topic::parse(topic, "topic").expect("valid"))
                .is_ok()
        };
        assert!(publish("orders/eu/1") && publish("orders") && !publish("news/a"));
        let subscribe = |pattern| {
            alice
                .may_subscribe(&TopicPattern::parse(pattern, "topics").expect("valid"))
                .is_ok()
        };
        assert!(subscribe("news/a") && subscribe("news/+"));
        assert!(!subscribe("news/#") && !subscribe("news") && !subscribe("orders/eu"));
        let send = |target| {
            alice
                .may_send_to(&ClientId::parse(target, "target").expect("valid"))
                .is_ok()
        };
        assert!(send("team/bob") && !send("bob"));
        assert!(alice.may_broadcast().is_err());
        assert!(alice.sees_everything());
    }

    #[test]
    fn history_is_open_to_its_owner_to_who_may_subscribe_and_to_admins() {
        let reads = |roles: &[&str], client, pattern| {
            let alice = holder(&Grants {
                subscribe: list(&["news/#"]),
                roles: list(roles),
                ..Grants::default()
            });
            let client = ClientId::parse(client, "clientId").expect("valid");
            let pattern = TopicPattern::parse(pattern, "topic").expect("valid");
            (
                alice.may_read_mailbox(&client).is_ok(),
                alice.may_read_topics(&pattern).is_ok(),
            )
        };
        assert_eq!(reads(&[], "alice", "news/+"), (true, true));
        assert_eq!(reads(&[], "bob", "#"), (false, false));
        assert_eq!(reads(&["admin"], "bob", "#"), (true, true));
    }

    #[test]
    fn broadcast_needs_the_grant_to_publish_everything() {
        for (granted, allowed) in [("#", true), ("**", true), ("+", false), ("a/#", false)] {
            let alice = holder(&Grants {
                publish: list(&[granted]),
                ..Grants::default()
            });
            assert_eq!(alice.may_broadcast().is_ok(), allowed, "{granted}");
        }
    }

    #[test]
    fn the_end_of_a_token_is_known_in_milliseconds() {
        assert_eq!(holder(&Grants::default()).expires_at(), Some(1500));
        assert_eq!(Identity::anyone().expires_at(), None);
    }
}
