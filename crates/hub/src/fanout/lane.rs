//! The live lane: high and critical messages that overtake while a connection reads history.
//!
//! A lane holds positions only, at most [`LANE_MAX`]. Inside one priority it is ordered by position and has no holes up
//! to where it was closed: once it has refused a message, nothing more of that priority enters until the scan has
//! passed the newest refused one. Otherwise a later message of one source could overtake an earlier one.

use tidings_protocol::Priority;

/// As many as may be ahead at once: more could not be sent anyway.
pub(crate) const LANE_MAX: usize = tidings_protocol::limits::AHEAD_MAX;

/// The least priority that takes the lane.
pub(crate) const LANE_PRIORITY_MIN: u8 = Priority::High as u8;

const HIGH: usize = 0;
const CRITICAL: usize = 1;

#[derive(Debug, Default)]
pub(crate) struct Lane {
    waiting: [Vec<u64>; 2],
    /// The newest refused position of each priority; the lane is closed to it until the scan is there.
    closed_until: [u64; 2],
    scan: u64,
}

impl Lane {
    pub(crate) fn new(scan: u64) -> Self {
        Self {
            scan,
            ..Self::default()
        }
    }

    /// Offers a message; a lane that cannot take it leaves it to the scan.
    pub(crate) fn offer(&mut self, position: u64, priority: u8) {
        if priority < LANE_PRIORITY_MIN || position <= self.scan {
            return;
        }
        let class = if priority == LANE_PRIORITY_MIN {
            HIGH
        } else {
            CRITICAL
        };
        if self.closed_until[class] > self.scan {
            self.refuse(class, position);
        } else if self.len() < LANE_MAX || (class == CRITICAL && self.give_up_a_high()) {
            let waiting = &mut self.waiting[class];
            if let Err(index) = waiting.binary_search(&position) {
                waiting.insert(index, position);
            }
        } else {
            self.refuse(class, position);
        }
    }

    /// Puts what was stored before, found up to `upto`, under what has been offered since.
    pub(crate) fn fill(&mut self, found: &[(u64, u8)], upto: u64, complete: bool) {
        let Self {
            waiting: [high, critical],
            closed_until,
            scan,
        } = std::mem::take(self);
        self.scan = scan;
        for (position, priority) in found {
            self.offer(*position, *priority);
        }
        if !complete {
            self.close_until(upto);
        }
        high.into_iter()
            .for_each(|position| self.offer(position, LANE_PRIORITY_MIN));
        critical
            .into_iter()
            .for_each(|position| self.offer(position, LANE_PRIORITY_MIN + 1));
        self.refuse(HIGH, closed_until[HIGH]);
        self.refuse(CRITICAL, closed_until[CRITICAL]);
    }

    /// Closes the lane until the scan is at `position`: what lies before is not known here.
    pub(crate) fn close_until(&mut self, position: u64) {
        #[cfg(test)]
        if crate::sim::planted::is(crate::sim::planted::Planted::LaneStaysOpen) {
            return;
        }
        self.refuse(HIGH, position);
        self.refuse(CRITICAL, position);
    }

    /// The scan has passed `position`.
    pub(crate) fn pass(&mut self, position: u64) {
        self.scan = self.scan.max(position);
        for waiting in &mut self.waiting {
            let passed = waiting.partition_point(|waiting| *waiting <= position);
            waiting.drain(..passed);
        }
    }

    /// The message at `position` was sent or is not wanted.
    pub(crate) fn remove(&mut self, position: u64) {
        for waiting in &mut self.waiting {
            if let Ok(index) = waiting.binary_search(&position) {
                waiting.remove(index);
            }
        }
    }

    /// What waits, in the order in which it goes: critical before high, each by position.
    pub(crate) fn waiting(&self) -> impl Iterator<Item = u64> + '_ {
        self.waiting[CRITICAL]
            .iter()
            .chain(&self.waiting[HIGH])
            .copied()
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.len() == 0
    }

    pub(crate) fn len(&self) -> usize {
        self.waiting[HIGH].len() + self.waiting[CRITICAL].len()
    }

    fn refuse(&mut self, class: usize, position: u64) {
        self.closed_until[class] = self.closed_until[class].max(position);
    }

    fn give_up_a_high(&mut self) -> bool {
        let Some(position) = self.waiting[HIGH].pop() else {
            return false;
        };
        self.refuse(HIGH, position);
        true
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const HIGH: u8 = 2;
    const CRITICAL: u8 = 3;

    fn waiting(lane: &Lane) -> Vec<u64> {
        lane.waiting().collect()
    }

    #[test]
    fn critical_goes_before_high_and_each_by_position() {
        let mut lane = Lane::new(0);
        for (position, priority) in [
            (5, HIGH),
            (9, CRITICAL),
            (7, CRITICAL),
            (3, HIGH),
            (4, 1),
            (2, 0),
        ] {
            lane.offer(position, priority);
        }
        assert_eq!(waiting(&lane), [7, 9, 3, 5]);
    }

    #[test]
    fn after_a_refusal_nothing_of_that_priority_enters_until_the_scan_passed_the_newest_refused() {
        let mut lane = Lane::new(0);
        for position in 1..=LANE_MAX as u64 + 2 {
            lane.offer(position, CRITICAL);
        }
        assert_eq!(lane.len(), LANE_MAX);
        lane.pass(LANE_MAX as u64 + 1);
        lane.offer(1_000, CRITICAL);
        assert!(
            lane.is_empty(),
            "position {} was refused and is not passed yet",
            LANE_MAX + 2
        );
        lane.pass(1_000);
        lane.offer(1_001, CRITICAL);
        assert_eq!(waiting(&lane), [1_001]);
    }

    #[test]
    fn a_critical_message_takes_the_place_of_the_newest_high_one() {
        let mut lane = Lane::new(0);
        for position in 1..=LANE_MAX as u64 {
            lane.offer(position, HIGH);
        }
        lane.offer(500, CRITICAL);
        lane.offer(501, HIGH);
        assert_eq!(lane.len(), LANE_MAX);
        assert_eq!(lane.waiting().next(), Some(500));
        assert!(!waiting(&lane).contains(&(LANE_MAX as u64)) && !waiting(&lane).contains(&501));
    }

    #[test]
    fn what_was_offered_before_the_fill_stays_behind_what_it_brings() {
        let mut lane = Lane::new(0);
        lane.offer(11, CRITICAL);
        lane.fill(&[(3, CRITICAL), (4, HIGH)], 10, true);
        assert_eq!(waiting(&lane), [3, 11, 4]);
    }

    #[test]
    fn a_lane_filled_in_part_takes_nothing_more_until_the_scan_is_there() {
        let mut lane = Lane::new(0);
        lane.offer(11, CRITICAL);
        lane.fill(&[(3, CRITICAL)], 10, false);
        lane.offer(12, CRITICAL);
        assert_eq!(waiting(&lane), [3]);
        lane.pass(12);
        lane.offer(13, CRITICAL);
        assert_eq!(waiting(&lane), [13]);
    }
}
