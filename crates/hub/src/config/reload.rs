//! What becomes of a configuration that is read again while the hub runs.

use super::settings::Config;

/// Settings that differ from what the hub runs with, as `section.key`.
#[derive(Debug, Default, Clone, PartialEq, Eq)]
pub struct Changes {
    /// They hold from now on.
    pub taken: Vec<&'static str>,
    /// They hold once the hub is started again.
    pub waiting: Vec<&'static str>,
}

impl Config {
    /// What a hub that runs with this configuration runs with from now on, when `new` is what it is given.
    pub fn reloaded(&self, new: &Self) -> (Self, Changes) {
        let mut config = self.clone();
        let changes = config.take_over(new);
        (config, changes)
    }
}

#[cfg(test)]
mod tests {
    use super::super::secret::Secret;
    use super::*;

    #[test]
    fn what_can_change_is_taken_and_what_cannot_is_named_and_stays() {
        let mut new = Config::default();
        new.log.level = "debug".to_owned();
        new.store.topic_count = 5;
        new.sse.shards = 3;
        new.auth.jwt_secret = Some(Secret::new("a secret"));
        let running = Config::default();
        let (config, changes) = running.reloaded(&new);
        assert_eq!(changes.taken, ["store.topic_count", "log.level"]);
        assert_eq!(changes.waiting, ["auth.jwt_secret", "sse.shards"]);
        assert_eq!((config.store.topic_count, &*config.log.level), (5, "debug"));
        assert_eq!(
            (config.sse.shards, &config.auth),
            (running.sse.shards, &running.auth)
        );
        // The same again: what was taken is no change any more, what waits still waits.
        let (same, changes) = config.reloaded(&new);
        assert_eq!(
            (same, changes.taken.len(), changes.waiting.len()),
            (config, 0, 2)
        );
    }

    #[test]
    fn the_same_configuration_changes_nothing() {
        let config = Config::default();
        assert_eq!(
            config.reloaded(&config),
            (config.clone(), Changes::default())
        );
    }
}
