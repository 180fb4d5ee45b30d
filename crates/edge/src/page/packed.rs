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

    /// What a request accepts (RFC 9110, section 12.5.3), the best first: Brotli before gzip, unless it prefers otherwise.
    pub(super) fn accepted(accepted: &str) -> impl Iterator<Item = Self> {
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
        let both = [(Self::Brotli, brotli), (Self::Gzip, gzip)];
        let [first, second] = if brotli >= gzip { both } else { [both[1], both[0]] };
        let wanted =
            move |(encoding, weight): (Self, f32)| (weight > 0.0 && weight >= plain).then_some(encoding);
        [first, second].into_iter().filter_map(wanted)
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

/// The file's bytes in the first of these forms that it has, or as they are if they would not be shorter.
pub(super) async fn encoded(file: &Arc<File>, accepted: impl Iterator<Item = Encoding>) -> (Encoding, Bytes) {
    if file.bytes.len() >= BYTES_MIN && packs(file.content_type) {
        for encoding in accepted {
            let packed = match encoding {
                Encoding::Identity => None,
                Encoding::Brotli => file.packed.brotli.clone(),
                Encoding::Gzip => gzipped(file).await,
            };
            if let Some(bytes) = packed {
                return (encoding, bytes);
            }
        }
    }
    (Encoding::Identity, file.bytes.clone())
}

/// `None`: it would not be shorter, or the server ends meanwhile.
async fn gzipped(file: &Arc<File>) -> Option<Bytes> {
    if let Some(known) = file.packed.gzip.get() {
        return known.clone();
    }
    let owned = Arc::clone(file);
    let pack = move || owned.packed.gzip.get_or_init(|| gzip(&owned.bytes)).clone();
    tokio::task::spawn_blocking(pack).await.unwrap_or_default()
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
        use Encoding::{Brotli, Gzip};
        for (accepted, best) in [
            ("", &[][..]),
            ("gzip, deflate, br, zstd", &[Brotli, Gzip]),
            ("gzip, deflate", &[Gzip]),
            ("br", &[Brotli]),
            ("br;q=0, gzip", &[Gzip]),
            ("br;q=0.5, gzip;q=0.8", &[Gzip, Brotli]),
            ("BR ; q=1.0", &[Brotli]),
            ("*", &[Brotli, Gzip]),
            ("*;q=0.2, br;q=0", &[Gzip]),
            ("identity, gzip;q=0.5", &[]),
            ("gzip;q=much", &[]),
            ("deflate", &[]),
        ] {
            assert_eq!(Encoding::accepted(accepted).collect::<Vec<_>>(), best, "{accepted}");
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
