//! A game's page over real sockets: embedded, from a directory, and the page of a game that has none.

use std::fs;
use std::net::SocketAddr;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use axum::routing::get;
use gundo_edge::{Front, FrontSettings, Page};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

/// Nothing here takes long; a wait longer than this is a wait for ever.
const PATIENCE: Duration = Duration::from_secs(20);

/// An answer: its status, the lines of its head, and its body.
struct Answer {
    head: String,
    body: Vec<u8>,
}

impl Answer {
    fn status(&self) -> &str {
        self.head.split(' ').nth(1).expect("a status")
    }

    fn header(&self, name: &str) -> &str {
        let line = self.head.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(": "));
        line.unwrap_or_else(|| panic!("no {name} in {}", self.head))
    }

    fn text(&self) -> &str {
        std::str::from_utf8(&self.body).expect("text")
    }
}

struct Server {
    _front: Front,
    address: SocketAddr,
}

impl Server {
    fn start(page: Page) -> Self {
        let bound = Front::bind("127.0.0.1:0".parse().expect("an address")).expect("a free port");
        let address = bound.address();
        let routes = axum::Router::new().route("/admin/nodes", get(async || "nodes\n"));
        let metrics = Box::new(|| "gundo_up 1\n".to_owned());
        let front = Front::start(bound, None, FrontSettings::new(Arc::new(page)), metrics, routes);
        Self { _front: front, address }
    }

    async fn ask(&self, method: &str, path: &str, more: &str) -> Answer {
        let mut stream = TcpStream::connect(self.address).await.expect("the edge listens");
        let request = format!("{method} {path} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n{more}\r\n");
        stream.write_all(request.as_bytes()).await.expect("open");
        let mut all = Vec::new();
        let read = tokio::time::timeout(PATIENCE, stream.read_to_end(&mut all)).await;
        read.expect("it ends").expect("cleanly");
        let end = all.windows(4).position(|four| four == b"\r\n\r\n").expect("the end of the head");
        let body = all.split_off(end + 4);
        Answer { head: String::from_utf8(all).expect("a head is text"), body }
    }

    async fn get(&self, path: &str) -> Answer {
        self.ask("GET", path, "").await
    }

    /// The body at `path`, or nothing if it is not there.
    async fn body(&self, path: &str) -> Option<String> {
        let answer = self.get(path).await;
        (answer.status() == "200").then(|| answer.text().to_owned())
    }
}

fn embedded() -> Page {
    Page::embedded(&[
        ("index.html", b"<p>hello</p>"),
        ("game.js", b"start()"),
        ("art/my tree.png", b"\x89PNG\xff"),
    ])
}

#[tokio::test]
async fn embedded_files_are_served_as_what_they_are() {
    let server = Server::start(embedded());
    for path in ["/", "/index.html", "/?from=mail"] {
        let index = server.get(path).await;
        assert_eq!((index.status(), index.text()), ("200", "<p>hello</p>"), "{path}");
        assert_eq!(index.header("content-type"), "text/html; charset=utf-8");
        assert_eq!(index.header("cache-control"), "no-cache");
        assert_eq!(index.header("x-content-type-options"), "nosniff");
        assert!(index.header("content-security-policy").starts_with("default-src 'self';"));
    }
    assert_eq!(server.get("/game.js").await.header("content-type"), "text/javascript; charset=utf-8");
    let tree = server.get("/art/my%20tree.png").await;
    assert_eq!((tree.header("content-type"), &tree.body[..]), ("image/png", &b"\x89PNG\xff"[..]));
    let head = server.ask("HEAD", "/game.js", "").await;
    assert_eq!((head.status(), head.header("content-length"), head.body.len()), ("200", "7", 0));
}

#[tokio::test]
async fn a_file_that_has_not_changed_is_not_sent_again() {
    let server = Server::start(embedded());
    let tag = server.get("/").await.header("etag").to_owned();
    let again = server.ask("GET", "/", &format!("If-None-Match: {tag}\r\n")).await;
    assert_eq!((again.status(), again.body.len(), again.header("etag")), ("304", 0, &tag[..]));
    let other = server.ask("GET", "/game.js", &format!("If-None-Match: {tag}\r\n")).await;
    assert_eq!((other.status(), other.text()), ("200", "start()"));
}

#[tokio::test]
async fn text_is_packed_for_browsers_that_accept_it() {
    let script: &str = Box::leak("walk(); dig(); build(); ".repeat(400).into_boxed_str());
    let server = Server::start(Page::embedded(&[
        ("index.html", b"<script src=\"game.js\"></script>"),
        ("game.js", script.as_bytes()),
        ("game.js.br", b"as if packed"),
        ("other.js", script.as_bytes()),
        ("tree.png", &[7; 9_000]),
        ("short.js", b"start()"),
    ]));
    let plain = server.get("/game.js").await;
    assert_eq!((plain.text(), plain.header("vary")), (script, "accept-encoding"));
    let mut tags = vec![plain.header("etag").to_owned()];
    for (accepted, encoding) in [("gzip, deflate", "gzip"), ("gzip, deflate, br, zstd", "br")] {
        let accept = format!("Accept-Encoding: {accepted}\r\n");
        let packed = server.ask("GET", "/game.js", &accept).await;
        assert_eq!((packed.status(), packed.header("content-encoding")), ("200", encoding));
        assert!(packed.body.len() < 400, "{encoding}: {} bytes", packed.body.len());
        let tag = packed.header("etag").to_owned();
        let again =
            server.ask("GET", "/game.js", &format!("{accept}If-None-Match: \"x\", W/{tag}\r\n")).await;
        assert_eq!((again.status(), again.body.len()), ("304", 0));
        tags.push(tag);
        for path in ["/tree.png", "/short.js"] {
            let answer = server.ask("GET", path, &accept).await;
            assert!(!answer.head.contains("content-encoding"), "{path} would not be shorter");
        }
    }
    let brotli = "Accept-Encoding: br, gzip\r\n";
    assert_eq!(server.ask("GET", "/game.js", brotli).await.text(), "as if packed");
    assert_eq!(server.ask("GET", "/other.js", brotli).await.header("content-encoding"), "gzip");
    let only = server.ask("GET", "/other.js", "Accept-Encoding: br\r\n").await;
    assert_eq!(only.text(), script, "it has no form that this one accepts");
    assert_eq!(server.get("/game.js.br").await.status(), "404", "it is a form, not a file");
    tags.sort();
    tags.dedup();
    assert_eq!(tags.len(), 3, "each form has its own tag");
}

#[tokio::test]
async fn a_file_asked_for_by_its_version_is_kept() {
    let server = Server::start(Page::embedded(&[
        ("index.html", b"<script src=\"game.js\"></script>"),
        ("game.js", b"start()"),
    ]));
    let index = server.get("/").await;
    assert_eq!(index.header("cache-control"), "no-cache");
    let name = index.text().split('"').nth(1).expect("a name").to_owned();
    assert!(name.starts_with("game.js?v="), "{name}");
    let script = server.get(&format!("/{name}")).await;
    assert_eq!(
        (script.text(), script.header("cache-control")),
        ("start()", "public, max-age=31536000, immutable")
    );
    // The page of another server's version gets what is here, and asks again.
    let other = server.get("/game.js?v=0123456789abcdef").await;
    assert_eq!((other.text(), other.header("cache-control")), ("start()", "no-cache"));
}

#[tokio::test]
async fn the_server_answers_its_own_paths_and_unknown_ones_with_a_word() {
    let server = Server::start(embedded());
    for path in ["/ws", "/ws/1"] {
        assert_eq!(server.get(path).await.status(), "503", "no node runs behind this page");
    }
    assert_eq!(server.get("/healthz").await.text(), "no node runs\n");
    assert_eq!(server.get("/metrics").await.text(), "gundo_up 1\n");
    assert_eq!(server.get("/admin/nodes").await.text(), "nodes\n");
    let sdk = server.get("/gundo.js").await;
    assert_eq!(sdk.header("content-type"), "text/javascript; charset=utf-8");
    assert!(sdk.text().contains("as Client"), "the module exports the client");
    for path in [
        "/nothing",
        "/art",
        "/art/",
        "/admin",
        "/edges",
        "/../Cargo.toml",
        "/%2e%2e/Cargo.toml",
        "//index.html",
    ] {
        let answer = server.get(path).await;
        assert_eq!((answer.status(), answer.text()), ("404", "this page has no such file\n"), "{path}");
        assert_eq!(answer.header("x-content-type-options"), "nosniff");
    }
    assert_eq!(server.ask("POST", "/game.js", "Content-Length: 0\r\n").await.status(), "405");
}

#[tokio::test]
async fn a_game_without_a_page_says_how_to_make_one() {
    let server = Server::start(Page::placeholder("meadow", "4711"));
    let index = server.get("/").await;
    for word in ["meadow", "4711", "--page DIR", "App::new(\"meadow\"", ".page(&amp;[", "/gundo.js"] {
        assert!(index.text().contains(word), "{word} is not in {}", index.text());
    }
    assert_eq!(server.get("/gundo.js").await.status(), "200");
}

fn write(root: &Path, path: &str, text: &str) {
    let path = root.join(path);
    fs::create_dir_all(path.parent().expect("it has a folder")).expect("a folder");
    fs::write(path, text).expect("written");
}

fn refused(root: &Path) -> String {
    Page::directory(root).expect_err("it cannot be served").to_string()
}

#[tokio::test]
async fn a_reload_shows_what_was_edited_in_the_directory() {
    let dir = tempfile::tempdir().expect("a directory");
    let root = dir.path();
    write(root, "index.html", "one");
    write(root, "art/tree.svg", "<svg/>");
    let server = Server::start(Page::directory(root).expect("a page"));
    assert_eq!(server.body("/").await.as_deref(), Some("one"));
    assert_eq!(server.get("/art/tree.svg").await.header("content-type"), "image/svg+xml");

    write(root, "index.html", "number two");
    write(root, "art/bush.svg", "<svg/>");
    fs::remove_file(root.join("art/tree.svg")).expect("it is there");
    assert_eq!(server.body("/art/bush.svg").await, None, "only a reload reads the directory");
    let all: Vec<_> = (0..20).map(|_| server.body("/")).collect();
    for body in futures_util::future::join_all(all).await {
        assert_eq!(body.as_deref(), Some("number two"), "each request sees what was written before it");
    }
    assert_eq!(server.body("/art/bush.svg").await.as_deref(), Some("<svg/>"));
    assert_eq!(server.body("/art/tree.svg").await, None);
}

#[tokio::test]
async fn a_directory_that_cannot_be_read_any_more_leaves_the_old_page() {
    let dir = tempfile::tempdir().expect("a directory");
    let root = dir.path();
    write(root, "index.html", "old");
    let server = Server::start(Page::directory(root).expect("a page"));
    write(root, "game.js", "start()");
    fs::remove_file(root.join("index.html")).expect("it is there");
    assert_eq!(server.body("/").await.as_deref(), Some("old"));
    assert_eq!(server.body("/game.js").await, None, "a page changes as a whole");
    write(root, "index.html", "young");
    assert_eq!(server.body("/").await.as_deref(), Some("young"));
    assert_eq!(server.body("/game.js").await.as_deref(), Some("start()"));
}

#[test]
fn what_cannot_be_a_page_is_said() {
    let dir = tempfile::tempdir().expect("a directory");
    let root = dir.path();
    assert!(refused(&root.join("nowhere")).contains("nowhere"));
    assert!(refused(root).contains("index.html"));
    write(root, "index.html", "");
    write(root, "admin/tool.js", "");
    assert!(refused(root).contains("admin/tool.js"));
    fs::remove_dir_all(root.join("admin")).expect("it is there");
    assert!(Page::directory(root).is_ok());

    let large = fs::File::create(root.join("large.bin")).expect("a file");
    large.set_len(Page::BYTES_MAX).expect("a hole");
    assert!(Page::directory(root).is_ok(), "as much as it may have");
    large.set_len(Page::BYTES_MAX + 1).expect("a hole");
    assert!(refused(root).contains("more than 67108864 bytes"));
    fs::remove_file(root.join("large.bin")).expect("it is there");

    for index in 1..Page::FILES_MAX {
        write(root, &format!("{index}.txt"), "");
    }
    assert!(Page::directory(root).is_ok(), "as many as it may have");
    write(root, "one-more.txt", "");
    assert!(refused(root).contains("more than 2000 files"));
}

#[tokio::test]
#[cfg(unix)]
async fn links_and_hidden_files_are_left_out() {
    use std::os::unix::fs::symlink;
    let dir = tempfile::tempdir().expect("a directory");
    let secret = dir.path().join("secret");
    write(&secret, "key.txt", "secret");
    let root = dir.path().join("page");
    write(&root, "index.html", "hello");
    write(&root, ".git/config", "secret");
    write(&root, ".env", "secret");
    symlink(secret.join("key.txt"), root.join("key.txt")).expect("a link");
    symlink(&secret, root.join("keys")).expect("a link");
    symlink(&root, root.join("again")).expect("a link");
    let server = Server::start(Page::directory(&root).expect("a page"));
    assert_eq!(server.body("/").await.as_deref(), Some("hello"));
    for path in
        ["/key.txt", "/keys/key.txt", "/.env", "/.git/config", "/again/index.html", "/../secret/key.txt"]
    {
        assert_eq!(server.get(path).await.status(), "404", "{path}");
    }
}

#[test]
#[should_panic(expected = "index.html")]
fn an_embedded_page_without_index_shows_at_once() {
    let _ = Page::embedded(&[("game.js", b"")]);
}

#[test]
#[should_panic(expected = "/ws itself")]
fn an_embedded_page_with_a_name_of_the_server_shows_at_once() {
    let _ = Page::embedded(&[("index.html", b""), ("ws", b"")]);
}
