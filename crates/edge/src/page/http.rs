//! Requests for a page: each is a name that is looked up among the page's files.

use std::sync::Arc;

use axum::Router;
use axum::extract::{Path, RawQuery, State};
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::get;

use super::INDEX;
use super::packed::{Encoding, encoded};
use crate::front::Hall;

/// Only our own scripts, styles and sockets; edges may be on other hosts, as the operator advertises them.
const POLICY: &str = "default-src 'self'; connect-src 'self' ws: wss:; img-src 'self' data: blob:; \
                      style-src 'self' 'unsafe-inline'; frame-ancestors 'none'; base-uri 'none'";

/// Routes of the page: everything that no other route takes.
pub(crate) fn router() -> Router<Arc<Hall>> {
    Router::new().route("/", get(index)).route("/{*path}", get(file))
}

async fn index(State(hall): State<Arc<Hall>>, headers: HeaderMap) -> Response {
    serve(&hall, INDEX, None, &headers).await
}

async fn file(
    State(hall): State<Arc<Hall>>,
    Path(path): Path<String>,
    RawQuery(query): RawQuery,
    headers: HeaderMap,
) -> Response {
    serve(&hall, &path, query.as_deref(), &headers).await
}

async fn serve(hall: &Hall, path: &str, query: Option<&str>, headers: &HeaderMap) -> Response {
    let found = hall.settings.page.file(path).await;
    let Some(file) = found else {
        let head = [(header::CACHE_CONTROL, "no-cache"), (header::X_CONTENT_TYPE_OPTIONS, "nosniff")];
        return (StatusCode::NOT_FOUND, head, "this page has no such file\n").into_response();
    };
    let said = |name| headers.get(name).and_then(|value| value.to_str().ok()).unwrap_or_default();
    let (encoding, bytes) = encoded(&file, Encoding::accepted(said(header::ACCEPT_ENCODING))).await;
    let etag = match encoding.name() {
        Some(name) => format!("\"{}-{name}\"", file.version),
        None => format!("\"{}\"", file.version),
    };
    // A proxy that packs or unpacks by itself makes the tag a weak one.
    let is_it = |tag: &str| tag.trim().trim_start_matches("W/") == etag;
    let known = said(header::IF_NONE_MATCH).split(',').any(is_it);
    // A request with the version of the file that it gets: that never changes. With another version, or with none, a new server may
    // have brought a new file: the browser asks each time, and gets only what changed.
    let asked = query.and_then(|query| query.split('&').find_map(|pair| pair.strip_prefix("v=")));
    let kept = asked == Some(file.version.as_str());
    let cache = if kept { "public, max-age=31536000, immutable" } else { "no-cache" };
    let head = [
        (header::CONTENT_TYPE, file.content_type),
        (header::CACHE_CONTROL, cache),
        (header::ETAG, etag.as_str()),
        (header::VARY, "accept-encoding"),
        (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
        (header::CONTENT_SECURITY_POLICY, POLICY),
    ];
    if known {
        return (StatusCode::NOT_MODIFIED, head).into_response();
    }
    match encoding.name() {
        Some(name) => (head, [(header::CONTENT_ENCODING, name)], bytes).into_response(),
        None => (head, bytes).into_response(),
    }
}
