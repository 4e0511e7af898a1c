/// Cuts a stream of bytes into lines, however the bytes arrive.
#[derive(Debug)]
pub(super) struct Lines {
    line_bytes_max: usize,
    bytes: Vec<u8>,
    /// The part of `bytes` before it has been given out.
    start: usize,
    /// There is no line feed between `start` and here.
    searched: usize,
    line: u64,
    /// Whether a part of the present line has been given out already.
    within: bool,
}

/// A line, or a part of one that is longer than the limit.
#[derive(Debug, PartialEq)]
pub(super) struct Piece {
    /// Counted from 1.
    pub(super) line: u64,
    pub(super) text: String,
    pub(super) whole: bool,
}

impl Lines {
    pub(super) fn new(line_bytes_max: usize) -> Self {
        Self {
            line_bytes_max,
            bytes: Vec::new(),
            start: 0,
            searched: 0,
            line: 1,
            within: false,
        }
    }

    pub(super) fn feed(&mut self, bytes: &[u8]) {
        self.bytes.drain(..self.start);
        self.searched -= self.start;
        self.start = 0;
        self.bytes.extend_from_slice(bytes);
    }

    /// The next piece that is certain to be complete.
    pub(super) fn next(&mut self) -> Option<Piece> {
        loop {
            let found = self.bytes[self.searched..]
                .iter()
                .position(|&byte| byte == b'\n');
            let end = found.map_or(self.bytes.len(), |at| self.searched + at);
            self.searched = end;
            if end - self.start > self.line_bytes_max {
                return Some(self.cut());
            }
            found?;
            if let Some(piece) = self.ended(end) {
                return Some(piece);
            }
        }
    }

    /// What is left when the stream has ended; call it after `next` has given `None`.
    pub(super) fn finish(&mut self) -> Option<Piece> {
        if self.start == self.bytes.len() {
            return None;
        }
        self.ended(self.bytes.len())
    }

    /// The line that ends at `end`; none when all of it has been given out.
    fn ended(&mut self, end: usize) -> Option<Piece> {
        let line = &self.bytes[self.start..end];
        let line = line.strip_suffix(b"\r").unwrap_or(line);
        let rest_is_empty = self.within && line.is_empty();
        let piece = Piece {
            line: self.line,
            text: String::from_utf8_lossy(line).into_owned(),
            whole: !self.within,
        };
        self.start = (end + 1).min(self.bytes.len());
        self.searched = self.start;
        self.line += 1;
        self.within = false;
        (!rest_is_empty).then_some(piece)
    }

    /// The first part of a line that is too long, up to a character's boundary.
    fn cut(&mut self) -> Piece {
        let limit = self.start + self.line_bytes_max;
        let continues = |at: usize| self.bytes[at] & 0xC0 == 0x80;
        let end = (limit.saturating_sub(3)..=limit)
            .rev()
            .find(|&at| at > self.start && !continues(at))
            .unwrap_or(limit);
        let piece = Piece {
            line: self.line,
            text: String::from_utf8_lossy(&self.bytes[self.start..end]).into_owned(),
            whole: false,
        };
        self.start = end;
        self.within = true;
        piece
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pieces(chunks: &[&[u8]], line_bytes_max: usize) -> Vec<(u64, String, bool)> {
        let mut lines = Lines::new(line_bytes_max);
        let mut pieces = Vec::new();
        for chunk in chunks {
            lines.feed(chunk);
            pieces.extend(std::iter::from_fn(|| lines.next()));
        }
        pieces.extend(lines.finish());
        pieces
            .into_iter()
            .map(|piece| (piece.line, piece.text, piece.whole))
            .collect()
    }

    /// The same at every place where the input could be cut in two.
    fn check(input: &[u8], line_bytes_max: usize, expected: &[(u64, &str, bool)]) {
        for at in 0..=input.len() {
            let found = pieces(&[&input[..at], &input[at..]], line_bytes_max);
            let found: Vec<_> = found
                .iter()
                .map(|(line, text, whole)| (*line, text.as_str(), *whole))
                .collect();
            assert_eq!(found, expected, "cut at {at}");
        }
    }

    #[test]
    fn lines_end_at_lf_or_crlf_and_the_last_one_also_without() {
        check(
            b"a\nb\r\n\nc",
            10,
            &[
                (1, "a", true),
                (2, "b", true),
                (3, "", true),
                (4, "c", true),
            ],
        );
        check(b"a\n", 10, &[(1, "a", true)]);
        check(b"a\rb\n", 10, &[(1, "a\rb", true)]);
        check(b"", 10, &[]);
    }

    #[test]
    fn a_line_over_the_limit_comes_in_parts_and_nothing_of_it_is_lost() {
        check(
            b"abcdefgh\nx\n",
            3,
            &[
                (1, "abc", false),
                (1, "def", false),
                (1, "gh", false),
                (2, "x", true),
            ],
        );
        check(
            b"abc\nabcdef\r\nx",
            3,
            &[
                (1, "abc", true),
                (2, "abc", false),
                (2, "def", false),
                (3, "x", true),
            ],
        );
    }

    #[test]
    fn characters_stay_whole_and_bytes_that_are_none_do_not_stop_the_cut() {
        check(
            "ab\u{20ac}cd\n".as_bytes(),
            4,
            &[(1, "ab", false), (1, "\u{20ac}c", false), (1, "d", false)],
        );
        let found = pieces(&[&[0x80; 9]], 4);
        assert_eq!(found.len(), 3);
        check(b"a\xffb\n", 10, &[(1, "a\u{fffd}b", true)]);
    }
}
