//! Requests for a page: each is a name that is looked up among the page's files.

use std::sync::Arc;

use axum::Router;
use axum::extract::{Path, State};
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::get;

use super::INDEX;
use crate::front::Hall;

/// Only our own scripts, styles and sockets; edges may be on other hosts, as the operator advertises them.
const POLICY: &str = "default-src 'self'; connect-src 'self' ws: wss:; img-src 'self' data: blob:; \
                      style-src 'self' 'unsafe-inline'; frame-ancestors 'none'; base-uri 'none'";

/// Routes of the page: everything that no other route takes.
pub(crate) fn router() -> Router<Arc<Hall>> {
    Router::new().route("/", get(index)).route("/{*path}", get(file))
}

async fn index(State(hall): State<Arc<Hall>>, headers: HeaderMap) -> Response {
    serve(&hall, INDEX, &headers).await
}

async fn file(State(hall): State<Arc<Hall>>, Path(path): Path<String>, headers: HeaderMap) -> Response {
    serve(&hall, &path, &headers).await
}

async fn serve(hall: &Hall, path: &str, headers: &HeaderMap) -> Response {
    let found = hall.settings.page.file(path).await;
    let Some(file) = found else {
        let head = [(header::CACHE_CONTROL, "no-cache"), (header::X_CONTENT_TYPE_OPTIONS, "nosniff")];
        return (StatusCode::NOT_FOUND, head, "this page has no such file\n").into_response();
    };
    let known = headers.get(header::IF_NONE_MATCH).is_some_and(|v| v.as_bytes() == file.etag.as_bytes());
    let head = [
        (header::CONTENT_TYPE, file.content_type),
        // A new server brings a new page: ask each time, transfer only what changed.
        (header::CACHE_CONTROL, "no-cache"),
        (header::ETAG, file.etag.as_str()),
        (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
        (header::CONTENT_SECURITY_POLICY, POLICY),
    ];
    match known {
        true => (StatusCode::NOT_MODIFIED, head).into_response(),
        false => (head, file.bytes.clone()).into_response(),
    }
}
