//! One event of a stream.

use serde_json::Value;

use crate::check::ensure;

/// An event, as the standard's algorithm reads it, and its block as it came.
#[derive(Debug, Clone)]
pub(crate) struct Event {
    pub(crate) name: String,
    pub(crate) data: String,
    /// What the client would resume with after it.
    pub(crate) cursor: String,
    /// The lines of its block, without their ends.
    pub(crate) lines: Vec<String>,
}

impl Event {
    pub(crate) fn message(&self) -> Result<Value, String> {
        let message: Value = serde_json::from_str(&self.data)
            .map_err(|error| format!("the data is no JSON ({error}): {:?}", self.data))?;
        ensure!(
            message.is_object(),
            "the data is no message: {:?}",
            self.data
        );
        Ok(message)
    }

    pub(crate) fn has_id(&self) -> bool {
        self.values("id").next().is_some()
    }

    /// The values of all lines of this field.
    pub(crate) fn values(&self, field: &str) -> impl Iterator<Item = &str> {
        self.lines.iter().filter_map(move |line| {
            let rest = line.strip_prefix(field)?;
            let value = rest.strip_prefix(':').or(rest.is_empty().then_some(""))?;
            Some(value.strip_prefix(' ').unwrap_or(value))
        })
    }
}
