//! A game's page: the files that a browser gets from the edge, all of them in memory.
//!
//! A page is embedded in the program, or read from a directory, or it is the placeholder of a game without a page. Every page has
//! `gundo.js` beside its own files: the client SDK as one ES module. Because a request is only looked up by name among the files in
//! memory, no request reaches anything else on the disk.
//!
//! Start at [`Page`]; `directory` reads a directory, `http` answers requests, `packed` compresses. Not here: what a game's page shows, and how the SDK is
//! built (`clients/web`).

mod directory;
mod http;
mod packed;

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::fmt;
use std::io;
use std::path::PathBuf;
use std::sync::{Arc, PoisonError, RwLock};

use bytes::Bytes;

use directory::Directory;
pub(crate) use http::router;

/// The file that is served at `/`.
const INDEX: &str = "index.html";
/// The client SDK, built from `clients/web/sdk`.
const SDK: (&str, &[u8]) =
    ("gundo.js", include_bytes!(concat!(env!("CARGO_MANIFEST_DIR"), "/../../clients/web/dist/gundo.js")));
/// The same, packed.
const SDK_BROTLI: &[u8] =
    include_bytes!(concat!(env!("CARGO_MANIFEST_DIR"), "/../../clients/web/dist/gundo.js.br"));
/// The page of a game without a page.
const PLACEHOLDER: &str = include_str!("page/placeholder.html");
/// What the server answers itself: no file of a page has such a name, or lies in such a folder.
const RESERVED: [&str; 9] =
    ["ws", "healthz", "livez", "readyz", "startupz", "metrics", "admin", "edges", SDK.0];

/// What a browser gets from the edge at `/` and below: the game's page.
///
/// Files are named by their path without a leading slash (`art/tree.png` is served at `/art/tree.png`); `index.html` is also
/// served at `/`. The ending of a name decides the content type. Text is sent packed to browsers that accept that: with gzip, or with Brotli if the page brings that form. In the HTML
/// files, `src` and `href` of other files of the page get `?v=` and a number that says what is in the file: browsers keep those for a year
/// and ask for the next version by another name. For all else they ask each time whether it has changed, and transfer it only then. The page may load scripts, pictures, sounds and fonts from the server itself only, and no script inside the HTML runs: put
/// scripts into files.
///
/// Each page also has `/gundo.js`, the client SDK as an ES module:
/// `import { Client, LocalStore } from "/gundo.js"`.
pub struct Page {
    files: RwLock<Arc<Files>>,
    directory: Option<Directory>,
}

impl Page {
    /// Bytes that all files of a directory may have together.
    pub const BYTES_MAX: u64 = 64 * 1024 * 1024;
    /// Files and folders that a directory may have.
    pub const FILES_MAX: usize = 2_000;

    /// A page whose files are part of the program: `("index.html", include_bytes!("../page/index.html"))` and so on. A file `app.js.br` is
    /// the Brotli form of `app.js`: the build that makes one makes both. HTML gets none, because the server changes it (see above).
    ///
    /// # Panics
    /// There is no `index.html`, or a path begins with a slash or with a name that the server answers itself: `ws`, `healthz`, `livez`, `readyz`,
    /// `startupz`, `metrics`, `admin`, `edges`, `gundo.js`. That shows when the program starts.
    pub fn embedded(files: &[(&'static str, &'static [u8])]) -> Self {
        let bytes_of = |name: &str| files.iter().find(|(path, _)| *path == name).map(|(_, bytes)| *bytes);
        let is_packed = |path: &str| path.strip_suffix(".br").is_some_and(|plain| bytes_of(plain).is_some());
        let plain = files.iter().filter(|(path, _)| !is_packed(path)).map(|(path, bytes)| {
            assert!(!path.starts_with('/'), "the page's file {path:?}: leave the leading slash out");
            ((*path).to_owned(), Bytes::from_static(bytes))
        });
        let brotli = |path: &str| bytes_of(&format!("{path}.br")).map(Bytes::from_static);
        let files = Files::new(plain, brotli).unwrap_or_else(|why| panic!("a page cannot be served: {why}"));
        Self { files: RwLock::new(Arc::new(files)), directory: None }
    }

    /// A page that is all files below the directory `path`: at most [`FILES_MAX`](Self::FILES_MAX) with at most
    /// [`BYTES_MAX`](Self::BYTES_MAX) in all. Symbolic links and names that begin with a dot are left out.
    ///
    /// The files are read now, and again when a browser asks for `/` and any of them has changed: an edit shows when
    /// the page is reloaded. If they cannot be read then, that is logged and the page stays as it was.
    ///
    /// # Errors
    /// The directory or a file cannot be read, there are too many, a name is not UTF-8 or one that the server answers itself, or there is no
    /// `index.html`.
    pub fn directory(path: impl Into<PathBuf>) -> io::Result<Self> {
        let (directory, files) = Directory::open(path.into())?;
        Ok(Self { files: RwLock::new(Arc::new(files)), directory: Some(directory) })
    }

    /// The page of a game that has none yet: it says which `game` and `world` this is and how to give the game a page.
    pub fn placeholder(game: &str, world: &str) -> Self {
        let html = PLACEHOLDER.replace("{game}", &escape(game)).replace("{world}", &escape(world));
        let files = [(INDEX.to_owned(), Bytes::from(html))];
        let files = Files::new(files, |_| None).expect("it has an index.html");
        Self { files: RwLock::new(Arc::new(files)), directory: None }
    }

    /// The file at `path`, if there is one. The index of a directory is looked up only after its changes were read.
    async fn file(self: &Arc<Self>, path: &str) -> Option<Arc<File>> {
        if path == INDEX {
            self.refresh().await;
        }
        self.files().0.get(path).cloned()
    }

    fn files(&self) -> Arc<Files> {
        // The lock is held for one assignment: it is whole even if somebody panicked with it.
        Arc::clone(&self.files.read().unwrap_or_else(PoisonError::into_inner))
    }

    fn replace(&self, files: Files) {
        *self.files.write().unwrap_or_else(PoisonError::into_inner) = Arc::new(files);
    }
}

impl fmt::Debug for Page {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let files = self.files();
        f.debug_struct("Page").field("directory", &self.directory).field("files", &files.0.keys()).finish()
    }
}

/// The files of a page by path, the SDK among them.
struct Files(BTreeMap<String, Arc<File>>);

/// One file as it is sent.
struct File {
    content_type: &'static str,
    /// Says what is in it: 16 hexadecimal digits.
    version: String,
    bytes: Bytes,
    packed: packed::Packed,
}

impl Files {
    /// `brotli`: the Brotli form of a file, if there is one. `Err`: why these are no page.
    fn new(
        files: impl IntoIterator<Item = (String, Bytes)>,
        brotli: impl Fn(&str) -> Option<Bytes>,
    ) -> Result<Self, String> {
        let mut all = BTreeMap::new();
        let (sdk, sdk_bytes) = SDK;
        let packed = Some(Bytes::from_static(SDK_BROTLI));
        all.insert(sdk.to_owned(), Arc::new(File::new(sdk, Bytes::from_static(sdk_bytes), packed)));
        for (path, bytes) in files {
            let first = path.split('/').next().unwrap_or_default();
            if RESERVED.contains(&first) {
                return Err(format!(
                    "the server answers /{first} itself: give the file {path:?} another name"
                ));
            }
            let packed = brotli(&path);
            let file = Arc::new(File::new(&path, bytes, packed));
            all.insert(path, file);
        }
        name_versions(&mut all);
        match all.contains_key(INDEX) {
            true => Ok(Self(all)),
            false => Err(format!("a page needs the file {INDEX}")),
        }
    }
}

impl File {
    fn new(path: &str, bytes: Bytes, brotli: Option<Bytes>) -> Self {
        let version = format!("{:016x}", gundo_wire::fingerprint(&bytes));
        Self { content_type: content_type(path), version, bytes, packed: packed::Packed::with(brotli) }
    }
}

/// Has the HTML files name the other files with their versions: `src="app.js"` becomes `src="app.js?v=…"`.
fn name_versions(files: &mut BTreeMap<String, Arc<File>>) {
    let is_html = |file: &File| file.content_type.starts_with("text/html");
    let html: Vec<_> = files.iter().filter(|(_, file)| is_html(file)).map(|(path, _)| path.clone()).collect();
    for path in html {
        let folder = path.rsplit_once('/').map_or(String::new(), |(folder, _)| format!("{folder}/"));
        let version = |name: &str| {
            let whole = name.strip_prefix('/').map_or_else(|| format!("{folder}{name}"), str::to_owned);
            files.get(&whole).filter(|file| !is_html(file)).map(|file| file.version.clone())
        };
        let Some(text) = std::str::from_utf8(&files[&path].bytes).ok().map(|html| versioned(html, version))
        else {
            continue;
        };
        let file = Arc::new(File::new(&path, text.into(), None));
        files.insert(path, file);
    }
}

/// The HTML with `?v=` and a version behind each name of which there is one, in double quotes after `src=` or `href=`.
fn versioned(html: &str, version: impl Fn(&str) -> Option<String>) -> String {
    let mut parts = html.split('"');
    let mut all = parts.next().unwrap_or_default().to_owned();
    let mut names = false;
    for part in parts {
        names = !names && [" src=", " href=", "\nsrc=", "\nhref="].iter().any(|start| all.ends_with(start));
        all.push('"');
        all.push_str(part);
        if names && let Some(version) = version(part) {
            all.push_str("?v=");
            all.push_str(&version);
        }
    }
    all
}

/// The content type of a file by the ending of its name.
fn content_type(path: &str) -> &'static str {
    let ending =
        path.rsplit('/').next().and_then(|name| name.rsplit_once('.')).map_or("", |(_, ending)| ending);
    match ending.to_ascii_lowercase().as_str() {
        "html" | "htm" => "text/html; charset=utf-8",
        "js" | "mjs" => "text/javascript; charset=utf-8",
        "css" => "text/css; charset=utf-8",
        "txt" | "md" | "ts" | "proto" => "text/plain; charset=utf-8",
        "json" | "map" | "gltf" => "application/json",
        "webmanifest" => "application/manifest+json",
        "xml" => "application/xml",
        "wasm" => "application/wasm",
        "svg" => "image/svg+xml",
        "png" => "image/png",
        "jpg" | "jpeg" => "image/jpeg",
        "gif" => "image/gif",
        "webp" => "image/webp",
        "avif" => "image/avif",
        "ico" => "image/x-icon",
        "woff" => "font/woff",
        "woff2" => "font/woff2",
        "ttf" => "font/ttf",
        "otf" => "font/otf",
        "mp3" => "audio/mpeg",
        "ogg" | "oga" | "opus" => "audio/ogg",
        "wav" => "audio/wav",
        "m4a" => "audio/mp4",
        "mp4" => "video/mp4",
        "webm" => "video/webm",
        _ => "application/octet-stream",
    }
}

/// Text as it stands in HTML.
fn escape(text: &str) -> Cow<'_, str> {
    match text.contains(['&', '<', '>', '"']) {
        true => Cow::Owned(
            text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;").replace('"', "&quot;"),
        ),
        false => Cow::Borrowed(text),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_ending_of_the_last_name_decides_the_type() {
        assert_eq!(content_type("art/Tree.PNG"), "image/png");
        assert_eq!(content_type("a.js/b.css"), "text/css; charset=utf-8");
        assert_eq!(content_type("a.js/b"), "application/octet-stream");
        assert_eq!(content_type("LICENCE"), "application/octet-stream");
        assert_eq!(content_type(""), "application/octet-stream");
    }

    #[test]
    fn a_page_without_index_or_with_a_name_of_the_server_is_none() {
        let files = |names: &[&str]| {
            Files::new(names.iter().map(|name| ((*name).to_owned(), Bytes::new())), |_| None)
        };
        assert!(files(&["index.html", "wsx", "art/ws", "administration/a"]).is_ok());
        for reserved in [
            "ws",
            "ws/a",
            "admin/nodes",
            "edges",
            "metrics",
            "healthz",
            "livez",
            "readyz",
            "startupz",
            "gundo.js",
        ] {
            let why = files(&["index.html", reserved]).err().expect("the server's own");
            assert!(why.contains(reserved), "{why}");
        }
        assert!(files(&["app.js"]).err().expect("no index").contains("index.html"));
    }

    #[test]
    fn html_names_other_files_with_their_versions() {
        let files = [
            (
                "index.html",
                "<a href=\"b/c.html\"><script src=\"app.js\" title=\"app.js\"></script><img src=\"/b/d.png\">",
            ),
            (
                "b/c.html",
                "<img\nsrc=\"d.png\"><img src=\"gone.png\"><link href=\"../app.js\"><a href=\"app.js",
            ),
            ("app.js", "\" src=\"app.js\""),
            ("b/d.png", "x"),
        ];
        let files = files.map(|(path, text)| (path.to_owned(), Bytes::from(text)));
        let files = Files::new(files, |_| None).expect("a page").0;
        let text = |path: &str| String::from_utf8(files[path].bytes.to_vec()).expect("text");
        let (js, png) = (&files["app.js"].version, &files["b/d.png"].version);
        assert_eq!(
            text("index.html"),
            format!(
                "<a href=\"b/c.html\"><script src=\"app.js?v={js}\" title=\"app.js\"></script><img src=\"/b/d.png?v={png}\">"
            )
        );
        assert_eq!(
            text("b/c.html"),
            format!(
                "<img\nsrc=\"d.png?v={png}\"><img src=\"gone.png\"><link href=\"../app.js\"><a href=\"app.js"
            )
        );
        assert_eq!(text("app.js"), "\" src=\"app.js\"", "only HTML");
    }

    #[test]
    fn names_in_html_are_text() {
        assert_eq!(escape("a<b> & \"c\""), "a&lt;b&gt; &amp; &quot;c&quot;");
        assert_eq!(escape("meadow"), "meadow");
    }
}
