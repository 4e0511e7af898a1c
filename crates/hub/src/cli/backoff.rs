use std::hash::BuildHasher as _;
use std::time::Duration;

/// Start of the delays until the hub asks for another.
const BASE: Duration = Duration::from_millis(500);
const BASE_MIN: Duration = Duration::from_millis(250);
/// Long enough to spare a hub that is down, short enough that its return is noticed soon.
const DELAY_MAX: Duration = Duration::from_secs(30);
/// Keeps attempts apart when chance says zero.
const DELAY_MIN: Duration = Duration::from_millis(100);
/// What a hub asks for beyond this is taken for a mistake.
const ASKED_MAX: Duration = Duration::from_secs(600);
/// 2^16 times any base is beyond `DELAY_MAX`.
const EXPONENT_MAX: u32 = 16;

/// Delays between attempts: exponential with full jitter, so that many clients do not come back together.
#[derive(Debug)]
pub(super) struct Backoff {
    base: Duration,
    attempt: u32,
}

impl Backoff {
    pub(super) fn new() -> Self {
        Self {
            base: BASE,
            attempt: 0,
        }
    }

    /// The next delay. What the hub asked for is a floor, spread by up to half.
    pub(super) fn next(&mut self, asked: Option<Duration>) -> Duration {
        self.next_with(asked, random())
    }

    /// After a connection has proved good.
    pub(super) fn reset(&mut self) {
        self.attempt = 0;
    }

    /// The base that the hub wishes (`retry:`).
    pub(super) fn set_base(&mut self, base_ms: u64) {
        self.base = Duration::from_millis(base_ms).clamp(BASE_MIN, DELAY_MAX);
    }

    fn next_with(&mut self, asked: Option<Duration>, random: f64) -> Duration {
        let factor = 1 << self.attempt.min(EXPONENT_MAX);
        let ceiling = self.base.saturating_mul(factor).min(DELAY_MAX);
        self.attempt = self.attempt.saturating_add(1);
        let own = DELAY_MIN + ceiling.mul_f64(random);
        match asked.map(|asked| asked.min(ASKED_MAX)) {
            Some(asked) => own.max(asked + asked.mul_f64(random / 2.0)),
            None => own,
        }
    }
}

/// From 0 up to 1. The standard library's hash keys are random in each process; jitter needs nothing better.
fn random() -> f64 {
    let bits = std::hash::RandomState::new().hash_one(()) >> 11;
    bits as f64 / (1_u64 << 53) as f64
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ms(delay: Duration) -> u128 {
        delay.as_millis()
    }

    #[test]
    fn delays_double_up_to_the_maximum_and_start_again_after_a_reset() {
        let mut backoff = Backoff::new();
        let delays: Vec<_> = (0..9).map(|_| ms(backoff.next_with(None, 1.0))).collect();
        assert_eq!(
            delays,
            [
                600, 1_100, 2_100, 4_100, 8_100, 16_100, 30_100, 30_100, 30_100
            ]
        );
        backoff.reset();
        assert_eq!(ms(backoff.next_with(None, 1.0)), 600);
    }

    #[test]
    fn chance_covers_the_whole_range_down_to_a_small_floor() {
        let mut backoff = Backoff::new();
        for _ in 0..100 {
            assert_eq!(backoff.next_with(None, 0.0), DELAY_MIN);
        }
        assert!((0..1_000).all(|_| (0.0..1.0).contains(&random())));
    }

    #[test]
    fn what_the_hub_asks_for_is_a_floor_with_a_spread() {
        let mut backoff = Backoff::new();
        let asked = Some(Duration::from_secs(4));
        assert_eq!(ms(backoff.next_with(asked, 0.0)), 4_000);
        assert_eq!(ms(backoff.next_with(asked, 1.0)), 6_000);
        let absurd = Some(Duration::from_secs(1_000_000));
        assert_eq!(backoff.next_with(absurd, 0.0), ASKED_MAX);
    }

    #[test]
    fn the_base_that_the_hub_wishes_is_kept_within_bounds() {
        let mut backoff = Backoff::new();
        for (wish, first) in [(0, 350), (2_000, 2_100), (u64::MAX, 30_100)] {
            backoff.reset();
            backoff.set_base(wish);
            assert_eq!(ms(backoff.next_with(None, 1.0)), first);
        }
    }
}
