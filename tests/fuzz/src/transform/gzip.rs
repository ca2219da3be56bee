//! Any bytes as a coded body, cut anywhere, and any bytes through both ends: within the caps, and what went in comes out.
//!
//! An input is a byte that says how it is wrapped and flushed, one that says where to cut, and the bytes.

use std::io::{Read as _, Write as _};

use content_coding::{Caps, Coding, Decoder, Encoder, Fault, Form, Step};
use flate2::Compression;
use flate2::read::{DeflateDecoder, MultiGzDecoder, ZlibDecoder};
use flate2::write::{DeflateEncoder, GzEncoder, ZlibEncoder};

const CAPS: Caps = Caps {
    max_bytes: 1 << 20,
    max_ratio: 100,
};

/// # Panics
/// A cap does not hold, cuts make a difference within them, another reader reads something else, or what is encoded does not come back.
pub fn run(input: &[u8]) {
    let Some(([kind, cut], bytes)) = input.split_first_chunk() else {
        return;
    };
    let size = usize::from(*cut).max(1);
    for coding in Coding::ALL {
        let whole = decode(coding, bytes, bytes.len(), CAPS);
        let cut = decode(coding, bytes, size, CAPS);
        // The ratio is to what has come, which depends on the cuts.
        let is_cap =
            |read: &Result<Vec<u8>, Fault>| read.as_ref().is_err_and(|fault| fault.is_cap());
        if !is_cap(&cut) && !is_cap(&whole) {
            assert_eq!(cut, whole, "cut every {size}");
        }
        let Ok(text) = whole else { continue };
        let free = Caps::FREE_BYTES.max(bytes.len() as u64 * CAPS.max_ratio);
        assert!(text.len() as u64 <= free.min(CAPS.max_bytes));
        let mut other = Vec::new();
        let read = match coding {
            Coding::Gzip => MultiGzDecoder::new(bytes).read_to_end(&mut other),
            Coding::Deflate => ZlibDecoder::new(bytes)
                .read_to_end(&mut other)
                .or_else(|_| {
                    other.clear();
                    DeflateDecoder::new(bytes).read_to_end(&mut other)
                }),
        };
        assert!(read.is_ok() && other == text, "{coding:?}");
    }
    let (form, coding) = match kind % 3 {
        0 => (Form::Gzip, Coding::Gzip),
        1 => (Form::Zlib, Coding::Deflate),
        _ => (Form::Raw, Coding::Deflate),
    };
    let mut encoder = Encoder::new(form);
    let mut coded = Vec::new();
    for chunk in bytes.chunks(size) {
        encoder.push(chunk, &mut coded).expect("it encodes");
        if kind & 0x80 != 0 {
            encoder.flush(&mut coded).expect("it flushes");
        }
        if kind & 0x40 != 0 && form == Form::Gzip {
            encoder.end(&mut coded).expect("a member ends");
        }
    }
    encoder.end(&mut coded).expect("it ends");
    if bytes.is_empty() {
        assert!(coded.is_empty());
        return;
    }
    let caps = Caps {
        max_bytes: bytes.len() as u64,
        max_ratio: 1032,
    };
    match decode(coding, &coded, size, caps) {
        Ok(text) => assert_eq!(text, bytes),
        // Members of a few bytes each.
        Err(fault) => assert!(
            fault == Fault::TooManyMembers && kind & 0x40 != 0,
            "{fault:?}"
        ),
    }
}

/// What comes out, by chunks of that size.
fn decode(coding: Coding, coded: &[u8], size: usize, caps: Caps) -> Result<Vec<u8>, Fault> {
    let mut decoder = Decoder::new(coding, caps);
    let mut out = Vec::new();
    for mut chunk in coded.chunks(size.max(1)) {
        loop {
            match decoder.next(&mut chunk)? {
                Step::Decoded(bytes, _) => {
                    assert!(!bytes.is_empty() && bytes.len() <= Decoder::SLICE);
                    out.extend_from_slice(bytes);
                }
                Step::Ended => {}
                Step::NeedsInput => break,
            }
        }
        assert!(chunk.is_empty());
    }
    decoder.finish()?;
    Ok(out)
}

/// What encoders of all kinds write, and texts.
///
/// # Panics
/// Never: writing into memory does not fail.
pub fn seeds() -> Vec<Vec<u8>> {
    let text = br#"{"customers": [{"id": 1, "email": "ada@example.test"}, {"id": 2, "email": "ada@example.test"}]}"#;
    let mut gzip = GzEncoder::new(Vec::new(), Compression::best());
    let mut zlib = ZlibEncoder::new(Vec::new(), Compression::best());
    let mut raw = DeflateEncoder::new(Vec::new(), Compression::fast());
    let mut stored = GzEncoder::new(Vec::new(), Compression::none());
    let mut bomb = GzEncoder::new(Vec::new(), Compression::best());
    let wrote = gzip
        .write_all(text)
        .and_then(|()| zlib.write_all(text))
        .and_then(|()| raw.write_all(text))
        .and_then(|()| stored.write_all(text))
        .and_then(|()| bomb.write_all(&[b'0'; 200_000]));
    wrote.expect("memory takes it");
    let coded = [
        gzip.finish(),
        zlib.finish(),
        raw.finish(),
        stored.finish(),
        bomb.finish(),
        Ok(text.to_vec()),
        Ok(b"\x1f\x8b\x08\x1e\0\0\0\0\0\xff\x03\0abcname\0text\0\0\0\x03\0".to_vec()),
    ]
    .map(|coded| coded.expect("memory takes it"));
    let two = [&coded[0][..], &coded[3]].concat();
    let kinds = [0, 1, 0x82, 0xc0, 0x40];
    coded
        .into_iter()
        .chain([two])
        .enumerate()
        .map(|(index, coded)| [&[kinds[index % kinds.len()], 7], &coded[..]].concat())
        .collect()
}
