//! What others do to a connection: its topics, and its end.

use std::io::Write;
use std::sync::Arc;

use tidings_protocol::api::DisconnectReason;
use tidings_protocol::limits::TOPICS_MAX;
use tidings_protocol::{ErrorCode, Problem, cursor};

use super::timers::Goodbye;
use super::{Key, Shard};
use crate::fanout::clock::Now;
use crate::fanout::inbox::{Control, TopicChange};

impl<S: Write> Shard<S> {
    /// Does it, unless the connection has gone; whoever asked then gets no answer.
    pub(crate) fn control(&mut self, key: Key, control: Control, now: Now) {
        if !self.is_current(key) {
            return;
        }
        match control {
            Control::Topic(change, reply) => {
                // Whoever asked may have gone; the change holds all the same.
                let _ = reply.send(self.change_topics(key, &change));
            }
            Control::Disconnect(reason) => self.disconnect(key, reason, now),
        }
    }

    /// Changes what a connection reads; answers the cursor from which on that holds: what this shard has been given. Of an
    /// added topic only later messages count, whether they come live or from history.
    fn change_topics(&mut self, key: Key, change: &TopicChange) -> Result<String, Problem> {
        let released = self.released;
        let Some(resident) = &mut self.slots[key.slot as usize].resident else {
            return Err(gone());
        };
        let old = Arc::clone(&resident.connection.card);
        let new = match change {
            TopicChange::Add(topic) => old.with_topic(topic, released),
            TopicChange::Remove(topic) => old.without_topic(topic),
        };
        if let Some(new) = new {
            if new.topics.len() > TOPICS_MAX {
                let detail = format!("a connection has at most {TOPICS_MAX} topics");
                return Err(Problem::new(ErrorCode::InvalidField, &detail));
            }
            let new = Arc::new(new);
            resident.connection.card = Arc::clone(&new);
            let mut index = self.write_index();
            index.remove(key.slot, &old.client, &old.topics);
            index.insert(key.slot, &new.client, &new.topics, new.kinds);
            drop(index);
            self.listings.update(&new, key);
        }
        let mut text = Vec::new();
        cursor::write(&mut text, &self.epoch, released, released, &[]);
        Ok(String::from_utf8(text).expect("a cursor is ASCII"))
    }

    fn disconnect(&mut self, key: Key, reason: DisconnectReason, now: Now) {
        let Some(resident) = &mut self.slots[key.slot as usize].resident else {
            return;
        };
        resident.end = None;
        if !resident.connection.is_closing() {
            self.say_goodbye(key.slot, Goodbye::Disconnect(reason), now);
        }
    }
}

fn gone() -> Problem {
    Problem::new(ErrorCode::NotFound, "the connection has gone")
}
