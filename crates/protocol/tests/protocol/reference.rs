//! A decoder that is slow and plainly follows the wording of the standard: it wants the whole stream at once.

use tidings_protocol::sse::Event;

#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Decoded {
    pub(crate) events: Vec<Event>,
    pub(crate) last_event_id: String,
    pub(crate) retry_ms: Option<u64>,
}

pub(crate) fn decode(stream: &[u8]) -> Decoded {
    let text = String::from_utf8_lossy(stream);
    let text = text.strip_prefix('\u{feff}').unwrap_or(&text);
    let text = text.replace("\r\n", "\n").replace('\r', "\n");
    // What stands behind the last line end is no line.
    let lines = text.rsplit_once('\n').map_or("", |(lines, _)| lines);
    let mut decoded = Decoded::default();
    let (mut data, mut event_type, mut last_event_id) =
        (String::new(), String::new(), String::new());
    for line in lines.split('\n').filter(|_| text.contains('\n')) {
        if line.is_empty() {
            decoded.last_event_id.clone_from(&last_event_id);
            if !data.is_empty() {
                data.pop();
                let name = if event_type.is_empty() {
                    "message".to_owned()
                } else {
                    event_type.clone()
                };
                decoded.events.push(Event {
                    name,
                    data: data.clone(),
                    last_event_id: last_event_id.clone(),
                });
            }
            data.clear();
            event_type.clear();
            continue;
        }
        let (field, value) = line.split_once(':').unwrap_or((line, ""));
        let value = value.strip_prefix(' ').unwrap_or(value);
        match field {
            "event" => event_type = value.to_owned(),
            "data" => data.extend([value, "\n"]),
            "id" if !value.contains('\0') => last_event_id = value.to_owned(),
            "retry" if !value.is_empty() && value.bytes().all(|byte| byte.is_ascii_digit()) => {
                decoded.retry_ms = Some(value.parse().unwrap_or(u64::MAX));
            }
            _ => {}
        }
    }
    decoded
}
