//! Writing events.

use std::borrow::Cow;

/// Appends one whole event.
pub fn event(out: &mut Vec<u8>, id_text: Option<&str>, name: &str, data: &[u8]) {
    if let Some(text) = id_text {
        id(out, text);
    }
    body(out, name, data);
}

/// Appends the `id:` line alone, to be followed by [`body`]: one body may serve many connections, each with its own id.
pub fn id(out: &mut Vec<u8>, text: &str) {
    field(out, b"id: ", one_line(text).as_bytes());
}

/// Appends an event without `id:`. Line breaks in `data` arrive as LF, whatever they were.
pub fn body(out: &mut Vec<u8>, name: &str, data: &[u8]) {
    field(out, b"event: ", one_line(name).as_bytes());
    lines(data, |line| field(out, b"data: ", line));
    out.push(b'\n');
}

/// Appends the time that a client waits before it connects again.
pub fn retry(out: &mut Vec<u8>, ms: u64) {
    field(out, b"retry: ", ms.to_string().as_bytes());
    out.push(b'\n');
}

/// Appends a comment, which clients ignore; it keeps a connection from looking dead.
pub fn comment(out: &mut Vec<u8>, text: &str) {
    lines(text.as_bytes(), |line| field(out, b": ", line));
    out.push(b'\n');
}

fn field(out: &mut Vec<u8>, prefix: &[u8], value: &[u8]) {
    out.reserve(prefix.len() + value.len() + 2);
    out.extend_from_slice(prefix);
    out.extend_from_slice(value);
    out.push(b'\n');
}

/// Calls `each` with every line of a text, at least once; CR LF is one line break.
fn lines(mut text: &[u8], mut each: impl FnMut(&[u8])) {
    while let Some(end) = line_break(text) {
        each(&text[..end]);
        let length = if text[end..].starts_with(b"\r\n") {
            2
        } else {
            1
        };
        text = &text[end + length..];
    }
    each(text);
}

/// Looks at many bytes at once: JSON on one line, which nearly all text here is, has no break.
fn line_break(text: &[u8]) -> Option<usize> {
    const STEP: usize = 32;
    let breaks = |byte: &u8| matches!(byte, b'\n' | b'\r');
    let clean = |step: &&[u8]| !step.iter().fold(false, |found, byte| found | breaks(byte));
    let passed = text.chunks_exact(STEP).take_while(clean).count() * STEP;
    let found = text[passed..].iter().position(breaks);
    found.map(|index| passed + index)
}

/// Ids and names come from the hub alone; a line break in one would let a sender write fields of its own.
fn one_line(text: &str) -> Cow<'_, str> {
    let clean = !text.contains(BREAKING);
    debug_assert!(clean, "an id or event name with CR, LF or NUL: {text:?}");
    if clean {
        Cow::Borrowed(text)
    } else {
        Cow::Owned(without_breaking(text))
    }
}

const BREAKING: [char; 3] = ['\r', '\n', '\0'];

fn without_breaking(text: &str) -> String {
    text.replace(BREAKING, "")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_would_break_a_line_is_taken_out_of_ids_and_names() {
        assert_eq!(without_breaking("a\r\ndata: b\0c"), "adata: bc");
    }

    #[test]
    fn a_line_break_is_found_wherever_it_is() {
        for length in 0..100 {
            let mut text = vec![b'x'; length];
            assert_eq!(line_break(&text), None);
            for index in (0..length).rev() {
                text[index] = if index % 2 == 0 { b'\n' } else { b'\r' };
                assert_eq!(line_break(&text), Some(index), "of {length}");
            }
        }
    }

    #[test]
    #[should_panic(expected = "an id or event name with CR, LF or NUL")]
    #[cfg(debug_assertions)]
    fn a_line_break_in_a_name_is_found_by_tests() {
        body(&mut Vec::new(), "a\nb", b"");
    }
}
