//! Finds the browser that the tests of the page drive.

use std::path::PathBuf;

use crate::apt;

const NAMES: [&str; 3] = ["chromium", "chromium-browser", "google-chrome"];
const BY_HAND: &str = "there is no Chromium: install it (on Debian: apt-get update && apt-get install -y \
                       --no-install-recommends chromium), or name one in $CHROMIUM";

/// `$CHROMIUM`, else one on `PATH`, else the one that apt-get installs when we are root on Debian.
pub(crate) fn find() -> Result<PathBuf, String> {
    if let Some(named) = std::env::var_os("CHROMIUM").filter(|named| !named.is_empty()) {
        let named = PathBuf::from(named);
        let missing = || format!("$CHROMIUM names {}, which is no file", named.display());
        return named.is_file().then(|| named.clone()).ok_or_else(missing);
    }
    apt::find(&NAMES, "chromium")?.ok_or_else(|| BY_HAND.into())
}
