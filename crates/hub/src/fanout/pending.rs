//! What a live connection still has to be sent: references to frames of the ring.

use std::collections::VecDeque;

use super::chunk::Sent;
use super::connection::View;
use super::frame::Frame;
use super::place::Place;
use super::ring::{Ring, Seq};

/// Room that a queue is made with: what comes while a connection waits for its turn under load.
const CAPACITY: usize = 16;

/// Frames by number, which is also by position.
#[derive(Debug, Default)]
pub(crate) struct Pending {
    frames: Frames,
    bytes: usize,
}

/// Nearly every connection has nothing pending nearly always, and then next to nothing is kept for it.
#[derive(Debug, Default)]
enum Frames {
    #[default]
    None,
    One(Seq),
    Queue(Box<Queue>),
}

/// Boxed: inline it would take three times the room of the other forms.
#[derive(Debug)]
struct Queue(VecDeque<Seq>);

impl Pending {
    pub(crate) fn push(&mut self, seq: Seq, frame: &Frame) {
        match &mut self.frames {
            Frames::None => self.frames = Frames::One(seq),
            Frames::One(oldest) => {
                let mut queue = VecDeque::with_capacity(CAPACITY);
                queue.extend([*oldest, seq]);
                self.frames = Frames::Queue(Box::new(Queue(queue)));
            }
            Frames::Queue(queue) => queue.0.push_back(seq),
        }
        self.bytes += frame.with_id().len();
    }

    pub(crate) fn is_empty(&self) -> bool {
        matches!(self.frames, Frames::None)
    }

    pub(crate) fn len(&self) -> usize {
        match &self.frames {
            Frames::None => 0,
            Frames::One(_) => 1,
            Frames::Queue(queue) => queue.0.len(),
        }
    }

    pub(crate) fn newest(&self) -> Option<Seq> {
        match &self.frames {
            Frames::None => None,
            Frames::One(seq) => Some(*seq),
            Frames::Queue(queue) => queue.0.back().copied(),
        }
    }

    /// Whether the ring still has all of it.
    pub(crate) fn is_held_by(&self, ring: &Ring) -> bool {
        match &self.frames {
            Frames::None => true,
            Frames::One(oldest) => *oldest >= ring.base(),
            Frames::Queue(queue) => queue.0.front().is_none_or(|oldest| *oldest >= ring.base()),
        }
    }

    pub(crate) fn remove(&mut self, seq: Seq, frame_len: usize) {
        let found = match &mut self.frames {
            Frames::None => false,
            Frames::One(only) => *only == seq,
            Frames::Queue(queue) => take(&mut queue.0, seq),
        };
        if !found {
            return;
        }
        self.bytes -= frame_len;
        if !matches!(&self.frames, Frames::Queue(queue) if !queue.0.is_empty()) {
            self.frames = Frames::None;
        }
    }

    /// All of it in order, in two pieces.
    fn slices(&self) -> [&[Seq]; 2] {
        match &self.frames {
            Frames::None => [&[], &[]],
            Frames::One(seq) => [std::slice::from_ref(seq), &[]],
            Frames::Queue(queue) => queue.0.as_slices().into(),
        }
    }

    /// Chooses what to write next. Priority reorders only when more is pending than one write takes.
    pub(crate) fn choose(&self, place: &Place, view: &mut View<'_>) {
        if self.bytes <= view.limits.write_bytes {
            self.choose_in_order(place.clone(), view);
        } else {
            self.choose_by_priority(place.clone(), view);
        }
    }

    fn choose_in_order(&self, mut trial: Place, view: &mut View<'_>) {
        for slice in self.slices() {
            for seq in slice {
                let seq = *seq;
                if view.chunk.is_full(view.limits.write_bytes) {
                    return;
                }
                let frame = frame(view.ring, seq);
                let sent = if frame.durable {
                    trial.advance(frame.position);
                    Sent::InOrder {
                        seq,
                        covered: trial.scan(),
                    }
                } else {
                    Sent::LiveOnly { seq }
                };
                choose(seq, &trial, sent, view);
            }
        }
    }

    /// The highest priority first, each by position; when as many are ahead as may be, the oldest goes next.
    fn choose_by_priority(&self, mut trial: Place, view: &mut View<'_>) {
        let mut waiting: [VecDeque<Seq>; 4] = Default::default();
        let mut durable = VecDeque::new();
        for seq in self.slices().into_iter().flatten().copied() {
            let frame = frame(view.ring, seq);
            waiting[usize::from(frame.priority.min(3))].push_back(seq);
            if frame.durable {
                durable.push_back(seq);
            }
        }
        while !view.chunk.is_full(view.limits.write_bytes) {
            let Some(class) = (0..4).rev().find(|class| !waiting[*class].is_empty()) else {
                return;
            };
            let first = waiting[class][0];
            let oldest = durable.front().copied();
            let frame_of_first = frame(view.ring, first);
            let overtakes = frame_of_first.durable && oldest != Some(first);
            let seq = match oldest {
                // What is live only and was accepted before the oldest, with the same priority, still goes before it.
                Some(oldest) if overtakes && !trial.may_overtake() => {
                    let class = usize::from(frame(view.ring, oldest).priority.min(3));
                    waiting[class][0]
                }
                _ => first,
            };
            take(
                &mut waiting[usize::from(frame(view.ring, seq).priority.min(3))],
                seq,
            );
            take(&mut durable, seq);
            let frame_chosen = frame(view.ring, seq);
            let position = frame_chosen.position;
            let sent = if !frame_chosen.durable {
                Sent::LiveOnly { seq }
            } else if Some(seq) == oldest {
                let unsent = durable
                    .front()
                    .map_or(u64::MAX, |seq| frame(view.ring, *seq).position);
                trial.advance_before(position, unsent);
                Sent::InOrder {
                    seq,
                    covered: trial.scan(),
                }
            } else {
                trial.overtake(position);
                Sent::Overtaking { seq, position }
            };
            choose(seq, &trial, sent, view);
        }
    }
}

fn choose(seq: Seq, place: &Place, sent: Sent, view: &mut View<'_>) {
    let Some((batch, index)) = view.ring.get(seq) else {
        return;
    };
    if batch.frames[index].expired(view.now.wall_ms) {
        view.chunk.push_expired(batch, index, sent);
    } else {
        view.chunk.push(batch, index, place, view.epoch, sent);
    }
}

fn frame(ring: &Ring, seq: Seq) -> &Frame {
    let (batch, index) = ring
        .get(seq)
        .expect("a connection falls behind before it chooses frames that the ring dropped");
    &batch.frames[index]
}

/// Removes `seq`, which is nearly always the first; whether it was there.
fn take(queue: &mut VecDeque<Seq>, seq: Seq) -> bool {
    if queue.front() == Some(&seq) {
        queue.pop_front();
        return true;
    }
    let found = queue.binary_search(&seq);
    found.is_ok_and(|index| queue.remove(index).is_some())
}
