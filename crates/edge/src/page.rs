//! The game's page: three files, embedded in the binary so that it needs no files beside it.

use std::sync::Arc;

use axum::Router;
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::get;

use crate::Shared;

struct File {
    path: &'static str,
    kind: &'static str,
    bytes: &'static [u8],
}

macro_rules! dist {
    ($name:literal) => {
        include_bytes!(concat!(env!("CARGO_MANIFEST_DIR"), "/../../clients/web/dist/", $name))
    };
}

const FILES: [File; 3] = [
    File { path: "/", kind: "text/html; charset=utf-8", bytes: dist!("index.html") },
    File { path: "/app.js", kind: "text/javascript; charset=utf-8", bytes: dist!("app.js") },
    File { path: "/app.css", kind: "text/css; charset=utf-8", bytes: dist!("app.css") },
];

/// Only our own scripts, styles and sockets; the page talks to edges on other ports of the same host.
const POLICY: &str = "default-src 'self'; connect-src 'self' ws: wss:; img-src 'self' data: blob:; \
                      style-src 'self' 'unsafe-inline'; frame-ancestors 'none'; base-uri 'none'";

/// Routes of the page's files.
pub(crate) fn router() -> Router<Arc<Shared>> {
    FILES.iter().fold(Router::new(), |router, file| {
        let etag = format!("\"{:016x}\"", gundo_wire::fingerprint(file.bytes));
        router.route(file.path, get(move |headers: HeaderMap| async move { serve(file, &etag, &headers) }))
    })
}

fn serve(file: &'static File, etag: &str, headers: &HeaderMap) -> Response {
    let known = headers.get(header::IF_NONE_MATCH).is_some_and(|v| v.as_bytes() == etag.as_bytes());
    let head = [
        (header::CONTENT_TYPE, file.kind),
        // A new server brings a new page: let the browser revalidate every time, and transfer only changes.
        (header::CACHE_CONTROL, "no-cache"),
        (header::ETAG, etag),
        (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
        (header::CONTENT_SECURITY_POLICY, POLICY),
    ];
    match known {
        true => (StatusCode::NOT_MODIFIED, head).into_response(),
        false => (head, file.bytes).into_response(),
    }
}
