//! What may be, and must be, told of messages that ask for an ack.

use std::collections::{BTreeMap, BTreeSet};

use tidings_protocol::MessageId;
use tidings_protocol::api::{ReceiptPayload, ReceiptStatus};
use tidings_store::Entry;

use super::machine::Machine;
use super::model::{Checked, Model, ensure};
use super::pipe::Written;

#[derive(Default)]
pub(super) struct Ledger {
    waiting: BTreeMap<usize, Waiting>,
    /// Written since the keeper of pending acks last had its turn.
    fresh: Vec<usize>,
    attempts_max: u64,
}

/// What happened to a message that asks for an ack.
#[derive(Debug, Default)]
struct Waiting {
    /// Numbers of the repeats that a socket took, 0 for the message itself.
    written: BTreeSet<u32>,
    /// Its client has sent an ack.
    acked: bool,
    /// The ack was answered while nothing else had been told.
    must_be_acknowledged: bool,
    told: Vec<ReceiptStatus>,
}

impl Waiting {
    /// The first sending counts also where it was never made: the cursor that a client brought said so.
    fn attempts(&self) -> u64 {
        let newest = self.written.last();
        newest.map_or(0, |number| u64::from(*number) + 1)
    }

    fn is_settled(&self) -> bool {
        self.told.last().is_some_and(is_last)
    }
}

fn is_last(status: &ReceiptStatus) -> bool {
    *status != ReceiptStatus::Delivered
}

impl Ledger {
    pub(super) fn new(attempts_max: u64) -> Self {
        Self {
            attempts_max,
            ..Self::default()
        }
    }

    /// A message that asks for an ack was accepted.
    pub(super) fn accepted(&mut self, index: usize) {
        self.waiting.entry(index).or_default();
    }

    pub(super) fn written(&mut self, written: Vec<Written>, model: &Model) -> Checked {
        for (source, id, number) in written {
            let index = model.find(&source, &id).ok_or("an unknown message")?;
            let waiting = self.waiting.entry(index).or_default();
            waiting.written.insert(number);
            ensure!(
                u64::from(number) < self.attempts_max.max(2),
                "repeat {number} of {index} was sent: more than there may be"
            );
            self.fresh.push(index);
        }
        Ok(())
    }

    /// The keeper of pending acks knows of all that was written until now.
    pub(super) fn noted(&mut self, model: &Model) -> Checked {
        for index in std::mem::take(&mut self.fresh) {
            let waiting = &self.waiting[&index];
            let silent = &*model.messages[index].record.source == "anonymous";
            ensure!(
                silent || !waiting.told.is_empty(),
                "{index} was written, and nobody was told: {waiting:?}"
            );
        }
        Ok(())
    }

    /// The hub is gone with all that it had not written down.
    pub(super) fn crashed(&mut self) {
        self.fresh.clear();
    }

    pub(super) fn ack_is_sent(&mut self, client: &str, index: usize, model: &Model) {
        let one = &model.messages[index];
        if one.target() == Some(client) && one.asks() {
            self.waiting.entry(index).or_default().acked = true;
        }
    }

    /// The ack was answered; `told_before`: what had been told of the message when it was sent.
    pub(super) fn ack_is_answered(&mut self, client: &str, index: usize, model: &Model) {
        let one = &model.messages[index];
        if one.target() == Some(client)
            && let Some(waiting) = self.waiting.get_mut(&index)
        {
            waiting.must_be_acknowledged |= !waiting.told.contains(&ReceiptStatus::Expired);
        }
    }

    /// A receipt was stored.
    pub(super) fn told(&mut self, receipt: &Entry, model: &Model, now: u64) -> Checked {
        let body: serde_json::Value = serde_json::from_slice(&receipt.body).expect("JSON");
        let payload = body["payload"].clone();
        let payload: ReceiptPayload = serde_json::from_value(payload).expect("a receipt");
        let tidings_store::Subject::Client(source) = &receipt.subject else {
            return Err("a receipt for everyone".to_owned());
        };
        let index = model.find(source, &payload.message_id);
        let index = index.ok_or_else(|| format!("a receipt for no message: {payload:?}"))?;
        let one = &model.messages[index];
        ensure!(
            one.asks()
                && one.target() == Some(&payload.client_id)
                && &*one.record.source != "anonymous",
            "{payload:?} is told of {index}"
        );
        let waiting = self.waiting.entry(index).or_default();
        ensure!(
            !waiting.is_settled() && !waiting.told.contains(&payload.status),
            "{payload:?} is told of {index} after {waiting:?}"
        );
        let may_be = match payload.status {
            ReceiptStatus::Delivered => !waiting.written.is_empty() || waiting.acked,
            ReceiptStatus::Acknowledged => waiting.acked,
            ReceiptStatus::Expired => {
                one.expired(now) || one.lost_in.is_some() || waiting.attempts() >= self.attempts_max
            }
        };
        ensure!(may_be, "{payload:?} is told of {index}: {waiting:?}");
        waiting.told.push(payload.status);
        Ok(())
    }

    /// All is settled, as it must be, and can be asked.
    pub(super) fn check_end(&self, machine: &Machine, model: &Model) -> Checked {
        for (index, waiting) in &self.waiting {
            let one = &model.messages[*index];
            let found = machine.find(&one.record.source, &one.record.id);
            let receipts = found.map(|found| found.receipts).unwrap_or_default();
            let statuses: Vec<_> = receipts.iter().map(|receipt| receipt.status).collect();
            ensure!(
                statuses.last().is_some_and(is_last),
                "{index} waits for ever, one of {}: {statuses:?}, {waiting:?}, {one:?}",
                machine.pending()
            );
            if &*one.record.source != "anonymous" {
                ensure!(
                    statuses == waiting.told,
                    "{index} is {statuses:?}, and told was {waiting:?}"
                );
                ensure!(
                    !waiting.must_be_acknowledged
                        || statuses.last() == Some(&ReceiptStatus::Acknowledged),
                    "{index} was acked in time: {statuses:?}"
                );
            }
        }
        Ok(())
    }
}

pub(super) fn message_id(id: &str) -> MessageId {
    MessageId::parse(id, "id").expect("valid")
}
