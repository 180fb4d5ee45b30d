//! A file's bytes in the encodings that browsers ask for: packed once, by the first request that wants them.

use std::io::Write;
use std::sync::{Arc, OnceLock};

use bytes::Bytes;
use flate2::Compression;
use flate2::write::GzEncoder;

use super::File;

/// Shorter files are sent as they are, bytes.
const BYTES_MIN: usize = 512;
/// Of 11: on the pages here a twentieth larger than with the highest, in a twentieth of the time.
const BROTLI_QUALITY: i32 = 9;
/// log2 of the window, bytes.
const BROTLI_WINDOW: i32 = 22;

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

    /// The best that a request accepts (RFC 9110, section 12.5.3): Brotli before gzip, unless it prefers otherwise.
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
#[derive(Default)]
pub(super) struct Packed {
    gzip: OnceLock<Option<Bytes>>,
    brotli: OnceLock<Option<Bytes>>,
}

impl Packed {
    fn slot(&self, encoding: Encoding) -> Option<&OnceLock<Option<Bytes>>> {
        match encoding {
            Encoding::Identity => None,
            Encoding::Gzip => Some(&self.gzip),
            Encoding::Brotli => Some(&self.brotli),
        }
    }
}

/// The file's bytes so encoded, or as they are if that would not be shorter.
pub(super) async fn encoded(file: &Arc<File>, wanted: Encoding) -> (Encoding, Bytes) {
    let plain = (Encoding::Identity, file.bytes.clone());
    let Some(slot) = file.packed.slot(wanted) else { return plain };
    if file.bytes.len() < BYTES_MIN || !packs(file.content_type) {
        return plain;
    }
    if let Some(known) = slot.get() {
        return known.clone().map_or(plain, |bytes| (wanted, bytes));
    }
    let owned = Arc::clone(file);
    let packing = tokio::task::spawn_blocking(move || {
        let slot = owned.packed.slot(wanted)?;
        slot.get_or_init(|| pack(&owned.bytes, wanted).filter(|packed| packed.len() < owned.bytes.len()))
            .clone()
    });
    match packing.await {
        Ok(Some(bytes)) => (wanted, bytes),
        // It is as long as before, or the server ends.
        Ok(None) | Err(_) => plain,
    }
}

/// Whether files of this type become shorter: pictures, sounds and fonts are packed already.
fn packs(content_type: &str) -> bool {
    let text =
        ["text/", "application/json", "application/manifest+json", "application/xml", "application/wasm"];
    content_type == "image/svg+xml" || text.iter().any(|start| content_type.starts_with(start))
}

fn pack(bytes: &[u8], encoding: Encoding) -> Option<Bytes> {
    let mut packed = Vec::new();
    match encoding {
        Encoding::Identity => return None,
        Encoding::Gzip => {
            let mut encoder = GzEncoder::new(&mut packed, Compression::best());
            encoder.write_all(bytes).ok()?;
            encoder.finish().ok()?;
        }
        Encoding::Brotli => {
            let parameters = brotli::enc::BrotliEncoderParams {
                quality: BROTLI_QUALITY,
                lgwin: BROTLI_WINDOW,
                size_hint: bytes.len(),
                ..Default::default()
            };
            brotli::BrotliCompress(&mut &bytes[..], &mut packed, &parameters).ok()?;
        }
    }
    Some(packed.into())
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
        let gzip = pack(text.as_bytes(), Encoding::Gzip).expect("packed");
        let mut unpacked = String::new();
        flate2::read::GzDecoder::new(&gzip[..]).read_to_string(&mut unpacked).expect("gzip");
        assert_eq!(unpacked, text);
        let brotli = pack(text.as_bytes(), Encoding::Brotli).expect("packed");
        let mut unpacked = Vec::new();
        brotli::BrotliDecompress(&mut &brotli[..], &mut unpacked).expect("brotli");
        assert!(unpacked == text.as_bytes() && brotli.len() < 200 && gzip.len() < 300);
    }
}
