//! The files in `conformance/vectors/`, which the SDKs read too.

use serde::de::DeserializeOwned;

pub(crate) fn load<T: DeserializeOwned>(file: &str) -> T {
    let path = format!(
        "{}/../../conformance/vectors/{file}",
        env!("CARGO_MANIFEST_DIR")
    );
    let text = std::fs::read_to_string(&path).unwrap_or_else(|error| panic!("{path}: {error}"));
    serde_json::from_str(&text).unwrap_or_else(|error| panic!("{path}: {error}"))
}

/// The bytes of a text in which each character stands for the byte of its number.
pub(crate) fn bytes(text: &str) -> Vec<u8> {
    text.chars()
        .map(|character| u8::try_from(u32::from(character)).expect("a character up to U+00FF"))
        .collect()
}
