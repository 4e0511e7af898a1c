//! Health, readiness, metrics and the page.

use crate::check::{Claim, Trying as _, checks, ensure, same};
use crate::context::Context;

checks! {
    "Health, readiness, metrics and the page" {
        Client health_answers_ok_and_a_version,
        Client ready_answers_ready_and_a_version,
        Client metrics_are_openmetrics_text,
        Client the_page_is_html,
    }
}

fn health_answers_ok_and_a_version(cx: &Context<'_>) -> Claim {
    status(cx, "/health", "ok")
}

fn ready_answers_ready_and_a_version(cx: &Context<'_>) -> Claim {
    status(cx, "/ready", "ready")
}

/// Without credentials, in every mode.
fn status(cx: &Context<'_>, path: &str, expected: &str) -> Claim {
    let answer = cx.get(path)?.ok()?;
    same("status", &answer["status"], expected)?;
    ensure!(
        answer["version"]
            .as_str()
            .is_some_and(|text| !text.is_empty()),
        "no version: {answer}"
    );
    Ok(())
}

fn metrics_are_openmetrics_text(cx: &Context<'_>) -> Claim {
    let answer = cx.get("/metrics")?;
    same("status", answer.status, 200)?;
    let media = answer.header("content-type").unwrap_or_default();
    ensure!(
        media.starts_with("application/openmetrics-text"),
        "content-type is `{media}`"
    );
    ensure!(
        answer.body.ends_with("# EOF\n"),
        "the text does not end with # EOF"
    );
    for line in answer.body.lines().filter(|line| !line.starts_with('#')) {
        let value = line.rsplit(' ').next().unwrap_or_default();
        value
            .parse::<f64>()
            .map_err(|error| error.to_string())
            .trying(line)?;
    }
    Ok(())
}

fn the_page_is_html(cx: &Context<'_>) -> Claim {
    let answer = cx.get("/")?;
    same("status", answer.status, 200)?;
    let media = answer.header("content-type").unwrap_or_default();
    ensure!(media.starts_with("text/html"), "content-type is `{media}`");
    ensure!(
        answer
            .body
            .to_ascii_lowercase()
            .starts_with("<!doctype html"),
        "the page begins otherwise"
    );
    Ok(())
}
