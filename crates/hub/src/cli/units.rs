//! Values of flags that are more than text.

use std::time::Duration;

const UNITS_MS: [(&str, u64); 5] = [
    ("ms", 1),
    ("s", 1_000),
    ("m", 60_000),
    ("h", 3_600_000),
    ("d", 86_400_000),
];

/// `500ms`, `90s`, `15m`, `12h`, `7d`.
pub(super) fn duration(text: &str) -> Result<Duration, String> {
    let digits = text.bytes().take_while(u8::is_ascii_digit).count();
    let (number, unit) = text.split_at(digits);
    UNITS_MS
        .iter()
        .find(|(name, _)| *name == unit)
        .and_then(|(_, ms)| number.parse::<u64>().ok()?.checked_mul(*ms))
        .filter(|&ms| ms > 0)
        .map(Duration::from_millis)
        .ok_or_else(|| "a duration is a number with a unit: 500ms, 90s, 15m, 12h, 7d".to_owned())
}

/// By name or number.
pub(super) fn priority(text: &str) -> Result<u8, String> {
    match text {
        "low" | "0" => Ok(0),
        "normal" | "1" => Ok(1),
        "high" | "2" => Ok(2),
        "critical" | "3" => Ok(3),
        _ => Err("a priority is low, normal, high, critical, or 0 to 3".to_owned()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_duration_needs_a_number_and_a_known_unit() {
        for (text, ms) in [
            ("500ms", 500),
            ("90s", 90_000),
            ("15m", 900_000),
            ("7d", 604_800_000),
        ] {
            assert_eq!(duration(text), Ok(Duration::from_millis(ms)), "{text}");
        }
        let wrong = ["", "5", "s", "1w", "-1s", "1.5h", "0s", "1é"];
        for text in wrong.into_iter().chain(["18446744073709551615d"]) {
            assert!(duration(text).is_err(), "{text}");
        }
    }

    #[test]
    fn a_priority_has_a_name_and_a_number() {
        let names = ["low", "normal", "high", "critical"];
        for (number, name) in names.into_iter().enumerate() {
            assert_eq!(priority(name).map(usize::from), Ok(number));
            assert_eq!(priority(name), priority(&number.to_string()));
        }
        for text in ["", "4", "-1", "urgent", "High"] {
            assert!(priority(text).is_err(), "{text}");
        }
    }
}
