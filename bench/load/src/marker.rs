//! What the tool writes into every payload and looks for in every stream.
//!
//! A marker is fixed in length and delimited by a byte that occurs nowhere else in these streams, so the receiver needs
//! neither an event parser nor a JSON parser, and chunk framing between events does not matter to it.

const DELIMITER: u8 = b'~';

/// Two delimiters around four words of eight hexadecimal digits.
pub(crate) const LENGTH: usize = 34;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Marker {
    /// Tells this run's messages from those of an earlier one in the same history.
    pub(crate) run: u16,
    /// Which sequence this message belongs to: one per publishing connection.
    pub(crate) stream: u16,
    /// The client it was sent to, or `EVERYONE`.
    pub(crate) target: u32,
    /// Its place in the sequence of its stream (for one client: of its stream to that client), from 0.
    pub(crate) seq: u32,
    /// When it was due, in microseconds since the tool started.
    pub(crate) due_us: u32,
}

pub(crate) const EVERYONE: u32 = u32::MAX;

impl Marker {
    pub(crate) fn write(self, out: &mut [u8]) {
        out[0] = DELIMITER;
        let words = [
            u32::from(self.run) << 16 | u32::from(self.stream),
            self.target,
            self.seq,
            self.due_us,
        ];
        for (word, digits) in words.into_iter().zip(out[1..LENGTH - 1].chunks_mut(8)) {
            for (at, digit) in digits.iter_mut().enumerate() {
                *digit = b"0123456789abcdef"[(word >> (28 - 4 * at) & 0xf) as usize];
            }
        }
        out[LENGTH - 1] = DELIMITER;
    }

    /// None when the text is damaged.
    fn read(text: &[u8; LENGTH]) -> Option<Self> {
        if text[0] != DELIMITER || text[LENGTH - 1] != DELIMITER {
            return None;
        }
        let word = |at: usize| {
            let digits = text[1 + 8 * at..][..8].try_into().expect("eight digits");
            unhex(u64::from_be_bytes(digits))
        };
        let first = word(0)?;
        Some(Self {
            run: (first >> 16) as u16,
            stream: first as u16,
            target: word(1)?,
            seq: word(2)?,
            due_us: word(3)?,
        })
    }
}

/// Eight lower-case hexadecimal digits at once: this runs for every delivery.
fn unhex(text: u64) -> Option<u32> {
    const ONES: u64 = 0x0101_0101_0101_0101;
    let letters = text >> 6 & ONES;
    let nibbles = (text & (0x0f * ONES)) + 9 * letters;
    // Back to text: whatever was no digit comes out as something else.
    let over_nine = (nibbles + 6 * ONES) >> 4 & ONES;
    if nibbles & (0xf0 * ONES) != 0 || nibbles + 0x30 * ONES + 0x27 * over_nine != text {
        return None;
    }
    let pairs = (nibbles | nibbles >> 4) & 0x00ff_00ff_00ff_00ff;
    let fours = (pairs | pairs >> 8) & 0x0000_ffff_0000_ffff;
    Some((fours | fours >> 16) as u32)
}

/// The marker whose end has not arrived yet.
#[derive(Debug)]
pub(crate) struct Carry {
    text: [u8; LENGTH],
    length: usize,
}

impl Carry {
    pub(crate) const fn new() -> Self {
        Self {
            text: [0; LENGTH],
            length: 0,
        }
    }

    /// Calls `each` with every marker that these bytes complete; a damaged one is `None`.
    pub(crate) fn scan(&mut self, mut bytes: &[u8], mut each: impl FnMut(Option<Marker>)) {
        if self.length > 0 {
            let more = (LENGTH - self.length).min(bytes.len());
            self.text[self.length..][..more].copy_from_slice(&bytes[..more]);
            self.length += more;
            bytes = &bytes[more..];
            if self.length < LENGTH {
                return;
            }
            self.length = 0;
            each(Marker::read(&self.text));
        }
        while let Some(at) = memchr::memchr(DELIMITER, bytes) {
            bytes = &bytes[at..];
            let Some((text, rest)) = bytes.split_first_chunk() else {
                self.text[..bytes.len()].copy_from_slice(bytes);
                self.length = bytes.len();
                return;
            };
            each(Marker::read(text));
            bytes = rest;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MARKER: Marker = Marker {
        run: 0xabcd,
        stream: 3,
        target: EVERYONE,
        seq: 0x0012_34ef,
        due_us: 0x9876_5432,
    };

    fn text(marker: Marker) -> Vec<u8> {
        let mut text = vec![0; LENGTH];
        marker.write(&mut text);
        text
    }

    #[test]
    fn a_marker_is_found_wherever_the_reads_split_it() {
        let mut stream = b"id: 7\ndata: {\"m\":\"".to_vec();
        stream.extend(text(MARKER));
        stream.extend(b"\"}\n\n: hb\n\ndata: ");
        stream.extend(text(Marker { seq: 9, ..MARKER }));
        for first in 0..stream.len() {
            for second in first..stream.len() {
                let mut found = Vec::new();
                let mut carry = Carry::new();
                for part in [&stream[..first], &stream[first..second], &stream[second..]] {
                    carry.scan(part, |marker| found.push(marker.unwrap()));
                }
                assert_eq!(found, [MARKER, Marker { seq: 9, ..MARKER }]);
            }
        }
    }

    #[test]
    fn any_damaged_byte_is_noticed() {
        for at in 1..LENGTH {
            for byte in [b'g', b'/', b':', b'@', b'`', b'A', b'F', 0, 0xff, 0xb1] {
                let mut damaged = text(MARKER);
                damaged[at] = byte;
                let mut found = Vec::new();
                Carry::new().scan(&damaged, |marker| found.push(marker));
                assert_eq!(found, [None], "byte {at} is {byte}");
            }
        }
    }
}
