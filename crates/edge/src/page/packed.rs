//! A file's bytes in the encodings that browsers ask for: gzip, packed once by the first request that wants it, and Brotli, if the page
//! brings it. To pack with Brotli well takes a second or two of a core: that is for builds.

use std::io::Write;
use std::sync::{Arc, OnceLock};

use bytes::Bytes;
use flate2::Compression;
use flate2::write::GzEncoder;

use super::File;

/// Shorter files are sent as they are, bytes.
const BYTES_MIN: usize = 512;

/// How the body of an answer is encoded.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Encoding {
    /// As it is.
    Identity,
    Gzip,
    Brotli,
}

impl Encoding {
    /// The header's word for it.
    pub(super) fn name(self) -> Option<&'static str> {
        match self {
            Self::Identity => None,
            Self::Gzip => Some("gzip"),
            Self::Brotli => Some("br"),
        }
    }

    /// The best that a request accepts (RFC 9110, section 12.5.3): Brotli before gzip, unless it prefers otherwise. Who accepts Brotli gets
    /// gzip of files that have no Brotli form.
    pub(super) fn wanted(accepted: &str) -> Self {
        let weight = |name: &str| {
            let of = |item: &str| {
                let (coding, parameters) = item.split_once(';').unwrap_or((item, ""));
                let weight =
                    parameters.trim().strip_prefix("q=").map_or(Some(1.0), |q| q.trim().parse().ok());
                coding.trim().eq_ignore_ascii_case(name).then_some(weight.unwrap_or(0.0))
            };
            accepted.split(',').find_map(of)
        };
        let any = weight("*").unwrap_or(0.0);
        let [brotli, gzip]: [f32; 2] = ["br", "gzip"].map(|name| weight(name).unwrap_or(any));
        let plain = weight("identity").unwrap_or(0.0);
        if brotli > 0.0 && brotli >= gzip && brotli >= plain {
            Self::Brotli
        } else if gzip > 0.0 && gzip >= plain {
            Self::Gzip
        } else {
            Self::Identity
        }
    }
}

/// The packed forms of a file.
pub(super) struct Packed {
    /// `Some(None)`: it would not be shorter.
    gzip: OnceLock<Option<Bytes>>,
    brotli: Option<Bytes>,
}

impl Packed {
    /// `brotli`: that form, if somebody has made it.
    pub(super) fn with(brotli: Option<Bytes>) -> Self {
        Self { gzip: OnceLock::new(), brotli }
    }
}

/// The file's bytes as a request accepts them, or as they are if they would not be shorter.
pub(super) async fn encoded(file: &Arc<File>, wanted: Encoding) -> (Encoding, Bytes) {
    let plain = (Encoding::Identity, file.bytes.clone());
    if wanted == Encoding::Identity || file.bytes.len() < BYTES_MIN || !packs(file.content_type) {
        return plain;
    }
    if let Some(bytes) = file.packed.brotli.as_ref().filter(|_| wanted == Encoding::Brotli) {
        return (wanted, bytes.clone());
    }
    let gzip = match file.packed.gzip.get() {
        Some(known) => known.clone(),
        None => {
            let owned = Arc::clone(file);
            let pack = move || owned.packed.gzip.get_or_init(|| gzip(&owned.bytes)).clone();
            // If the server ends meanwhile, it is sent as it is.
            tokio::task::spawn_blocking(pack).await.unwrap_or_default()
        }
    };
    gzip.map_or(plain, |bytes| (Encoding::Gzip, bytes))
}

/// Whether files of this type become shorter: pictures, sounds and fonts are packed already.
fn packs(content_type: &str) -> bool {
    let text =
        ["text/", "application/json", "application/manifest+json", "application/xml", "application/wasm"];
    content_type == "image/svg+xml" || text.iter().any(|start| content_type.starts_with(start))
}

/// `None`: it would not be shorter.
fn gzip(bytes: &[u8]) -> Option<Bytes> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::best());
    encoder.write_all(bytes).ok()?;
    let packed = encoder.finish().ok()?;
    (packed.len() < bytes.len()).then(|| packed.into())
}

#[cfg(test)]
mod tests {
    use std::io::Read;

    use super::*;

    #[test]
    fn the_best_that_is_accepted() {
        use Encoding::{Brotli, Gzip, Identity};
        for (accepted, best) in [
            ("", Identity),
            ("gzip, deflate, br, zstd", Brotli),
            ("gzip, deflate", Gzip),
            ("br;q=0, gzip", Gzip),
            ("br;q=0.5, gzip;q=0.8", Gzip),
            ("BR ; q=1.0", Brotli),
            ("*", Brotli),
            ("*;q=0.2, br;q=0", Gzip),
            ("identity, gzip;q=0.5", Identity),
            ("gzip;q=much", Identity),
            ("deflate", Identity),
        ] {
            assert_eq!(Encoding::wanted(accepted), best, "{accepted}");
        }
    }

    #[test]
    fn what_is_packed_can_be_unpacked() {
        let text = "every word of a page comes again and again; ".repeat(200);
        let packed = gzip(text.as_bytes()).expect("shorter");
        let mut unpacked = String::new();
        flate2::read::GzDecoder::new(&packed[..]).read_to_string(&mut unpacked).expect("gzip");
        assert!(unpacked == text && packed.len() < 300);
        assert_eq!(gzip(&packed), None, "a second time it is longer");
    }
}
