//! The path of an append whose instructions `cargo xtask counts` counts.

use bytes::Bytes;
use tokio::sync::oneshot;

use super::open::{Opened, open};
use super::queue::{Call, Job};
use super::writer::Writer;
use crate::clock::Clock;
use crate::entry::{Appended, Position, Record, Subject};
use crate::options::{Options, Tuning};

const CALLS: u64 = 64;
const RECORDS_PER_CALL: u64 = 16;

/// All that waits is decided, written and answered; then the writer closes its file.
#[inline(never)]
fn append(writer: Writer) {
    writer.run();
}

#[test]
fn a_writer_stores_every_record_that_waits_before_it_ends() {
    let folder = tempfile::tempdir().expect("a folder");
    let options = Options {
        tuning: Tuning {
            commit_records: 4 * RECORDS_PER_CALL as usize,
            ..Tuning::default()
        },
        clock: Clock::single(|| 1_700_000_000_000),
        ..Options::default()
    };
    let Opened { writer, .. } = open(folder.path(), options, Vec::new()).expect("opens");
    let queue = &writer.shared.queue;
    let answers = (0..CALLS).map(|call| {
        let first = call * RECORDS_PER_CALL;
        let records = (first..first + RECORDS_PER_CALL).map(record).collect();
        let (answer, answered) = oneshot::channel();
        let puts = Vec::new();
        let call = Call {
            puts,
            records,
            answer,
        };
        queue.push(Job::Write(call)).expect("room");
        answered
    });
    let answers: Vec<_> = answers.collect();
    queue.close();
    append(writer);
    let mut next = 1;
    for mut answered in answers {
        let committed = answered.try_recv().expect("answered").expect("stored");
        assert_eq!(committed.appended.len() as u64, RECORDS_PER_CALL);
        for appended in committed.appended {
            assert_eq!(appended, Appended::Stored(Position(next)));
            next += 1;
        }
    }
}

fn record(number: u64) -> Record {
    Record {
        subject: Subject::Topic("rooms/1/state".into()),
        source: "alice".into(),
        id: format!("{number:036}").into(),
        fingerprint: u128::from(number),
        kind: 1,
        priority: 1,
        exclude: None,
        ttl_ms: None,
        durable: true,
        body: Bytes::from(vec![b'x'; 300]),
    }
}
