//! What a connection asks of the store's readers, and their answer.

use std::sync::Arc;

use tidings_store::{Entry, Lost, Page, PerClass, Position, ReadError, Reader, Selector, Slice};

use super::lane::{LANE_MAX, LANE_PRIORITY_MIN};

/// A question for the store's readers.
#[derive(Debug)]
pub(crate) enum Request {
    /// The next slice of what `selector` selects in (after, upto].
    Slice {
        selector: Arc<Selector>,
        after: u64,
        upto: u64,
        /// Also: which high and critical messages does the second selector select up to there?
        lane: Option<(Arc<Selector>, u64)>,
    },
    /// These messages, as far as one write takes them.
    Fetch { positions: Vec<u64> },
}

#[derive(Debug)]
pub(crate) enum Answer {
    Slice {
        entries: Vec<Arc<Entry>>,
        scanned_to: u64,
        loss: Option<Lost>,
        urgent: Option<Urgent>,
    },
    Fetched {
        entries: Vec<Arc<Entry>>,
        asked: Vec<u64>,
    },
}

/// High and critical messages, by position.
#[derive(Debug)]
pub(crate) struct Urgent {
    pub(crate) found: Vec<(u64, u8)>,
    pub(crate) upto: u64,
    /// Whether these are all up to there.
    pub(crate) complete: bool,
}

/// How much one question may make the readers do.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Bounds {
    pub(crate) bytes_max: usize,
    pub(crate) rows_max: usize,
}

/// Answers `request`; runs on a reader thread.
pub(crate) fn answer(
    reader: &mut Reader,
    request: Request,
    bounds: Bounds,
) -> Result<Answer, ReadError> {
    match request {
        Request::Slice {
            selector,
            after,
            upto,
            lane,
        } => {
            let slice = Slice {
                after: Position(after),
                upto: Position(upto),
                bytes_max: bounds.bytes_max,
                rows_max: bounds.rows_max,
            };
            let urgent = lane
                .map(|(selector, upto)| urgent(reader, &selector, after, upto))
                .transpose()?;
            let page = match reader.read(&selector, slice) {
                Err(ReadError::Damaged { position }) => lost_at(position),
                page => page?,
            };
            Ok(Answer::Slice {
                entries: page.entries,
                scanned_to: page.scanned_to.0,
                loss: page.lost,
                urgent,
            })
        }
        Request::Fetch { positions } => {
            let mut entries = Vec::new();
            let mut asked = Vec::new();
            let mut bytes = 0;
            for position in positions {
                if bytes >= bounds.bytes_max {
                    break;
                }
                asked.push(position);
                match reader.at(&[Position(position)]) {
                    // The scan comes upon it and tells the client.
                    Err(ReadError::Damaged { .. }) => {}
                    found => {
                        for entry in found? {
                            bytes += entry.body.len();
                            entries.push(entry);
                        }
                    }
                }
            }
            // Frames of one batch are found by position.
            entries.sort_unstable_by_key(|entry| entry.position);
            Ok(Answer::Fetched { entries, asked })
        }
    }
}

/// A damaged entry is gone like one that retention removed. To stop at it would be to stop for ever.
fn lost_at(position: Position) -> Page {
    tracing::error!(%position, "an entry is damaged; the streams that read it are told of a gap");
    Page {
        entries: Vec::new(),
        scanned_to: position,
        lost: Some(Lost {
            upto: position,
            by_class: PerClass::from_fn(|_| position),
            resume_after: position,
        }),
    }
}

fn urgent(
    reader: &mut Reader,
    selector: &Selector,
    after: u64,
    upto: u64,
) -> Result<Urgent, ReadError> {
    let urgent = reader.urgent(
        selector,
        Position(after),
        Position(upto),
        LANE_PRIORITY_MIN,
        LANE_MAX,
    )?;
    Ok(Urgent {
        found: urgent
            .found
            .iter()
            .map(|(position, priority)| (position.0, *priority))
            .collect(),
        upto,
        complete: urgent.complete_to.0 >= upto,
    })
}
