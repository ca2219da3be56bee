//! Both codings, in chunks of every size, against what another implementation (zlib, by Python) has written and reads.

use std::io::Write as _;
use std::process::{Command, Stdio};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use content_coding::{Caps, Coding, Decoder, Encoder, Fault, Form, Step};
use proptest::prelude::*;

const CAPS: Caps = Caps {
    max_bytes: 1 << 20,
    max_ratio: 200,
};

/// zlib's, level 9, with a file name.
const GZIP: &str = "H4sICAEAAAAC/2JvZHkuanNvbgCrVkpUslKINtRRMNJRMI7VUVBKzU3MzAGKKSWmJDqkViTmFuSk6pWkFpcoASVLUitKQHI5+UWpuQqZBcWluQop+UCewqjIqMjQFVGqBQAqZN6xCQMAAA==";
/// With an extra field, a name, a comment, and a checksum of the header.
const GZIP_ALL_FLAGS: &str = "H4sIHgcAAAAAAwYAYWICAHh5bgBjAOS5q1ZKVLJSiDbUUTDSUTCO1VFQSs1NzMwBiiklpiQ6pFYk5hbkpOqVpBaXKAElS1IrSkByOflFqbkKmQXFpbkKKflAnsKoyKjI0BVRqgUAKmTesQkDAAA=";
/// With an extra field of no bytes, and a checksum of the header.
const GZIP_EXTRA: &str = "H4sIBgcAAAAAAwAAB4irVkpUslKINtRRMNJRMI7VUVBKzU3MzAGKKSWmJDqkViTmFuSk6pWkFpcoASVLUitKQHI5+UWpuQqZBcWluQop+UCewqjIqMjQFVGqBQAqZN6xCQMAAA==";
const ZLIB: &str = "eJyrVkpUslKINtRRMNJRMI7VUVBKzU3MzAGKKSWmJDqkViTmFuSk6pWkFpcoASVLUitKQHI5+UWpuQqZBcWluQop+UCewqjIqMjQFVGqBQBq3iBe";
const ZLIB_FASTEST: &str = "eAGrVkpUslKINtRRMNJRMI7VUVBKzU3MzAGKKSWmJDqkViTmFuSk6pWkFpcoASVLUitKQHI5+UWpuQqZBcWluQop+UCewqjIaGgM3ZSgVAsAat4gXg==";
const RAW: &str = "q1ZKVLJSiDbUUTDSUTCO1VFQSs1NzMwBiiklpiQ6pFYk5hbkpOqVpBaXKAElS1IrSkByOflFqbkKmQXFpbkKKflAnsKoyKjI0BVRqgUA";
/// The first 100 bytes, flushed.
const FLUSHED: &str = "H4sIAAAAAAAAA6pWSlSyUog21FEw0lEwjtVRUErNTczMAYopJaYkOqRWJOYW5KTqlaQWlygBJUtSK0pAcjn5Ram5CpkFxaW5Cin5QJ4CHhEAAAAA//8=";

fn document() -> Vec<u8> {
    let text = "lorem ipsum dolor ".repeat(40);
    format!(r#"{{"a": [1, 2, 3], "email": "ada@example.test", "text": "{text}"}}"#).into_bytes()
}

fn bytes(base64: &str) -> Vec<u8> {
    STANDARD.decode(base64).unwrap()
}

/// What comes out, or the fault; by chunks of that size.
fn decode(coding: Coding, coded: &[u8], chunk: usize, caps: Caps) -> Result<Vec<u8>, Fault> {
    let mut decoder = Decoder::new(coding, caps);
    let mut out = Vec::new();
    for mut input in coded.chunks(chunk.max(1)) {
        loop {
            match decoder.next(&mut input)? {
                Step::Decoded(bytes, _) => {
                    assert!(!bytes.is_empty() && bytes.len() <= Decoder::SLICE);
                    out.extend_from_slice(bytes);
                }
                Step::Ended => {}
                Step::NeedsInput => break,
            }
        }
        assert!(input.is_empty());
    }
    decoder.finish()?;
    Ok(out)
}

fn encode(form: Form, text: &[u8], chunk: usize, flush: bool) -> Vec<u8> {
    let mut encoder = Encoder::new(form);
    let mut out = Vec::new();
    for chunk in text.chunks(chunk.max(1)) {
        encoder.push(chunk, &mut out).unwrap();
        if flush {
            encoder.flush(&mut out).unwrap();
        }
    }
    encoder.end(&mut out).unwrap();
    out
}

fn coding(form: Form) -> Coding {
    match form {
        Form::Gzip => Coding::Gzip,
        Form::Zlib | Form::Raw => Coding::Deflate,
    }
}

/// Letters that compress well, and bytes that do not.
fn mixed(length: usize) -> Vec<u8> {
    let mut state = 0x9e37_79b9_u32;
    let mut next = || {
        state ^= state << 13;
        state ^= state >> 17;
        state ^= state << 5;
        state
    };
    (0..length)
        .map(|index| match index / 1000 % 2 {
            0 => b"abcd"[next() as usize % 4],
            _ => next() as u8,
        })
        .collect()
}

// What other implementations write is read, wherever chunks end.
#[test]
fn what_zlib_has_written_is_read_by_chunks_of_every_size() {
    for (coding, coded) in [
        (Coding::Gzip, GZIP),
        (Coding::Gzip, GZIP_ALL_FLAGS),
        (Coding::Gzip, GZIP_EXTRA),
        (Coding::Deflate, ZLIB),
        (Coding::Deflate, ZLIB_FASTEST),
        (Coding::Deflate, RAW),
    ] {
        let coded = bytes(coded);
        for chunk in 1..=coded.len() {
            let out = decode(coding, &coded, chunk, CAPS);
            assert_eq!(out.as_deref(), Ok(&document()[..]), "{chunk}");
        }
    }
    let mut decoder = Decoder::new(Coding::Deflate, CAPS);
    let raw = bytes(RAW);
    assert!(matches!(
        decoder.next(&mut &raw[..]),
        Ok(Step::Decoded(_, Form::Raw))
    ));
}

// Cut off, changed by one bit, or with anything behind it, nothing passes for the whole.
#[test]
fn nothing_that_is_damaged_passes_for_whole() {
    for (coding, coded) in [
        (Coding::Gzip, GZIP_ALL_FLAGS),
        (Coding::Deflate, ZLIB),
        (Coding::Deflate, RAW),
    ] {
        let coded = bytes(coded);
        for length in 0..coded.len() {
            let cut = decode(coding, &coded[..length], 7, CAPS);
            assert_eq!(cut, Err(Fault::Incomplete), "{length}");
        }
        for behind in [&[0][..], b"\0\0\0\0", b"x", b"{}"] {
            let longer = [&coded, behind].concat();
            for chunk in [1, 5, longer.len()] {
                let read = decode(coding, &longer, chunk, CAPS);
                assert_eq!(read, Err(Fault::TrailingData), "{behind:?}");
            }
        }
        // Half a second member is no end; nor is a member of another format.
        let second = [&coded[..], &[0x1f]].concat();
        let expected = match coding {
            Coding::Gzip => Fault::Incomplete,
            Coding::Deflate => Fault::TrailingData,
        };
        assert_eq!(decode(coding, &second, 9, CAPS), Err(expected));
    }
    for coded in [GZIP_ALL_FLAGS, GZIP_EXTRA, ZLIB] {
        let coded = bytes(coded);
        let coding = if coded[0] == 0x1f {
            Coding::Gzip
        } else {
            Coding::Deflate
        };
        for bit in 0..coded.len() * 8 {
            let mut damaged = coded.clone();
            damaged[bit / 8] ^= 1 << (bit % 8);
            // The last byte of compressed data may have bits that mean nothing.
            let read = decode(coding, &damaged, 11, CAPS);
            let trailer = if coding == Coding::Gzip { 8 } else { 4 };
            let is_padding = bit / 8 == coded.len() - trailer - 1;
            assert!(
                read.is_err() || is_padding && read == Ok(document()),
                "bit {bit}"
            );
        }
    }
    for (coding, coded, fault) in [
        (Coding::Gzip, &b"{\"a\": 1}"[..], Fault::Corrupt),
        (Coding::Gzip, b"", Fault::Incomplete),
        (Coding::Deflate, b"", Fault::Incomplete),
        // The first letter is a block's header.
        (Coding::Deflate, b"{\"a\": 1}", Fault::Incomplete),
        // A preset dictionary, which nobody has.
        (
            Coding::Deflate,
            b"\x78\xbb\x00\x00\x00\x01\x01\x00",
            Fault::Corrupt,
        ),
        // A block of a type that there is not.
        (Coding::Deflate, b"\x06", Fault::Corrupt),
        // Reserved flags, another method.
        (
            Coding::Gzip,
            b"\x1f\x8b\x08\x20\0\0\0\0\0\x03",
            Fault::Corrupt,
        ),
        (
            Coding::Gzip,
            b"\x1f\x8b\x07\0\0\0\0\0\0\x03",
            Fault::Corrupt,
        ),
    ] {
        assert_eq!(decode(coding, coded, 3, CAPS), Err(fault), "{coded:?}");
    }
    let whole = bytes(GZIP);
    assert_eq!(decode(Coding::Gzip, &whole, 3, CAPS), Ok(document()));
}

// A fault stays: whoever asks again does not get the rest.
#[test]
fn after_a_fault_nothing_more_comes() {
    let mut decoder = Decoder::new(Coding::Gzip, CAPS);
    assert_eq!(decoder.next(&mut &b"{"[..]), Err(Fault::Corrupt));
    let coded = bytes(GZIP);
    assert_eq!(decoder.next(&mut &coded[..]), Err(Fault::Corrupt));
    assert_eq!(decoder.finish(), Err(Fault::Corrupt));
}

// Members one after the other are one body (RFC 1952 section 2.2); each starts the decoder anew, so their number is capped.
#[test]
fn members_are_one_body_and_their_number_is_capped() {
    let (one, empty) = (bytes(GZIP), encode_empty());
    let coded = [&one[..], &empty, &one, &empty].concat();
    for chunk in 1..=coded.len() {
        let read = decode(Coding::Gzip, &coded, chunk, CAPS).unwrap();
        assert_eq!(read, document().repeat(2), "{chunk}");
    }
    let mut decoder = Decoder::new(Coding::Gzip, CAPS);
    let (mut rest, mut ends) = (&coded[..], 0);
    loop {
        match decoder.next(&mut rest).unwrap() {
            Step::Ended => ends += 1,
            Step::Decoded(..) => {}
            Step::NeedsInput => break,
        }
    }
    assert_eq!(ends, 4);
    let few = empty.repeat(16);
    assert_eq!(decode(Coding::Gzip, &few, 100, CAPS), Ok(Vec::new()));
    let many = empty.repeat(10_000);
    let read = decode(Coding::Gzip, &many, 16_384, CAPS);
    assert_eq!(read, Err(Fault::TooManyMembers));
    // A log of members as they are written, a kilobyte or more each, has no end.
    let log = encode(Form::Gzip, &mixed(3000), 3000, false).repeat(200);
    assert_eq!(
        decode(Coding::Gzip, &log, 16_384, CAPS).unwrap().len(),
        600_000
    );
}

/// As zlib writes nothing.
fn encode_empty() -> Vec<u8> {
    bytes("H4sIAAAAAAAAAwMAAAAAAAAAAAA=")
}

// Some kilobytes must not cost a worker a thousand times as much; an ordinary document that repeats itself is no bomb.
#[test]
fn what_inflates_too_far_is_refused() {
    for form in [Form::Gzip, Form::Zlib, Form::Raw] {
        let bomb = smallest(form, &vec![b'0'; 16 << 20]);
        assert!(bomb.len() < 17_000, "{}", bomb.len());
        let large = Caps {
            max_bytes: u64::MAX,
            ..CAPS
        };
        for chunk in [1, 100, 16_384, bomb.len()] {
            let read = decode(coding(form), &bomb, chunk, large);
            assert_eq!(read, Err(Fault::TooDense), "{chunk}");
        }
        let any = Caps {
            max_bytes: 16 << 20,
            max_ratio: 1032,
        };
        let read = decode(coding(form), &bomb, 16_384, any).unwrap();
        assert_eq!(read.len(), 16 << 20);
        let short = Caps {
            max_bytes: (16 << 20) - 1,
            ..any
        };
        let read = decode(coding(form), &bomb, 16_384, short);
        assert_eq!(read, Err(Fault::TooLong));
        // What is free of the ratio, to the byte.
        let free = smallest(form, &vec![b'0'; 64 << 10]);
        assert!(free.len() < 100, "{}", free.len());
        assert_eq!(
            decode(coding(form), &free, 1, large).unwrap().len(),
            64 << 10
        );
    }
    // A short list whose items are all alike, and a long one of ordinary items.
    let row = |id: usize| format!(r#"{{"id": {id}, "name": "Ada Example", "active": true}},"#);
    for (rows, ratio) in [
        (row(7).repeat(1000), 100),
        ((0..10_000).map(row).collect(), 10),
    ] {
        let text = format!("[{rows}{{}}]");
        let coded = encode(Form::Gzip, text.as_bytes(), 4096, false);
        assert!(
            text.len() / coded.len() > ratio,
            "{}",
            text.len() / coded.len()
        );
        for chunk in [1, 16_384] {
            let read = decode(Coding::Gzip, &coded, chunk, CAPS);
            assert_eq!(read.unwrap().len(), text.len());
        }
    }
}

// What was flushed can be read at once, and nothing is written twice.
#[test]
fn what_is_flushed_can_be_read_at_once() {
    for form in [Form::Gzip, Form::Zlib, Form::Raw] {
        let mut encoder = Encoder::new(form);
        let mut decoder = Decoder::new(coding(form), CAPS);
        for record in [&b"{\"n\": 1}\n"[..], b"{\"n\": 2}\n", &mixed(100_000)] {
            let mut out = Vec::new();
            encoder.push(record, &mut out).unwrap();
            encoder.flush(&mut out).unwrap();
            let length = out.len();
            encoder.flush(&mut out).unwrap();
            assert_eq!(out.len(), length);
            let (mut rest, mut read) = (&out[..], Vec::new());
            while let Step::Decoded(bytes, _) = decoder.next(&mut rest).unwrap() {
                read.extend_from_slice(bytes);
            }
            assert!(read == record && decoder.is_flushed());
        }
        let mut out = Vec::new();
        encoder.end(&mut out).unwrap();
        encoder.end(&mut out).unwrap();
        assert_eq!(decoder.next(&mut &out[..]), Ok(Step::Ended));
        assert!(!decoder.is_flushed());
        assert_eq!(decoder.finish(), Ok(()));
        let again = encoder.push(b"x", &mut out);
        assert_eq!(again.is_ok(), form == Form::Gzip);
    }
    let flushed = bytes(FLUSHED);
    let mut decoder = Decoder::new(Coding::Gzip, CAPS);
    let (mut first, mut second) = flushed.split_at(flushed.len() - 2);
    assert!(
        matches!(decoder.next(&mut first), Ok(Step::Decoded(text, Form::Gzip)) if text == &document()[..100])
    );
    assert!(!decoder.is_flushed());
    assert_eq!(decoder.next(&mut second), Ok(Step::NeedsInput));
    assert!(decoder.is_flushed());
}

/// As an attacker compresses.
fn smallest(form: Form, text: &[u8]) -> Vec<u8> {
    use flate2::{Compression, write};
    let best = Compression::best();
    match form {
        Form::Gzip => {
            let mut encoder = write::GzEncoder::new(Vec::new(), best);
            encoder.write_all(text).unwrap();
            encoder.finish().unwrap()
        }
        Form::Zlib => {
            let mut encoder = write::ZlibEncoder::new(Vec::new(), best);
            encoder.write_all(text).unwrap();
            encoder.finish().unwrap()
        }
        Form::Raw => {
            let mut encoder = write::DeflateEncoder::new(Vec::new(), best);
            encoder.write_all(text).unwrap();
            encoder.finish().unwrap()
        }
    }
}

/// `gzip -dc`, `None` where there is none.
fn gunzip(coded: &[u8]) -> Option<Vec<u8>> {
    let mut gzip = Command::new("gzip")
        .arg("-dc")
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .ok()?;
    let mut input = gzip.stdin.take()?;
    let coded = coded.to_vec();
    let writer = std::thread::Builder::new().spawn(move || input.write_all(&coded));
    let output = gzip.wait_with_output().ok()?;
    writer.ok()?.join().ok()?.ok()?;
    assert!(output.status.success());
    Some(output.stdout)
}

// A stream that only its own decoder can read helps no client.
#[test]
fn another_program_reads_what_is_written() {
    for text in [
        document(),
        mixed(300_000),
        vec![b' '; 100_000],
        b"{".to_vec(),
    ] {
        for (chunk, flush) in [(1000, false), (1000, true), (text.len(), false)] {
            let coded = encode(Form::Gzip, &text, chunk, flush);
            match gunzip(&coded) {
                Some(read) => assert!(read == text),
                None => return eprintln!("SKIPPED another_program_reads_what_is_written: no gzip"),
            }
        }
    }
    let mut members = encode(Form::Gzip, b"[1,", 1, true);
    members.extend(encode(Form::Gzip, b"2]", 2, false));
    assert_eq!(gunzip(&members).as_deref(), Some(&b"[1,2]"[..]));
}

// The memory of a worker is its streams times these.
#[test]
fn neither_holds_more_than_it_says() {
    let text = mixed(2 << 20);
    let coded = encode(Form::Gzip, &text, 1 << 20, false);
    let caps = Caps {
        max_bytes: u64::MAX,
        max_ratio: 1032,
    };
    let held = allocation_counter::measure(|| {
        let mut decoder = Decoder::new(Coding::Gzip, caps);
        let mut rest = &coded[..];
        while !matches!(decoder.next(&mut rest), Ok(Step::NeedsInput)) {}
        decoder.finish().unwrap();
    });
    assert!(held.bytes_max <= Decoder::BYTES as u64, "{held:?}");
    assert!(held.bytes_max >= Decoder::BYTES as u64 / 4 * 3, "{held:?}");
    let mut out = Vec::with_capacity(4 << 20);
    let held = allocation_counter::measure(|| {
        let mut encoder = Encoder::new(Form::Gzip);
        encoder.push(&text, &mut out).unwrap();
        encoder.end(&mut out).unwrap();
    });
    assert!(held.bytes_max <= Encoder::BYTES as u64, "{held:?}");
    assert!(held.bytes_max >= Encoder::BYTES as u64 / 4 * 3, "{held:?}");
}

fn forms() -> impl Strategy<Value = Form> {
    prop_oneof![Just(Form::Gzip), Just(Form::Zlib), Just(Form::Raw)]
}

proptest! {
    // Whatever goes in comes out, wherever it is cut, going in and coming back.
    #[test]
    fn what_goes_in_comes_out(
        form in forms(),
        text in prop_oneof![
            proptest::collection::vec(any::<u8>(), 1..3000),
            "[ab{}\":,]{1,5000}".prop_map(String::into_bytes),
            (1_usize..200_000).prop_map(mixed),
        ],
        (put, take) in (1_usize..5000, 1_usize..5000),
        flush in any::<bool>(),
    ) {
        let coded = encode(form, &text, put, flush);
        let caps = Caps { max_bytes: text.len() as u64, max_ratio: 1032 };
        prop_assert_eq!(decode(coding(form), &coded, take, caps), Ok(text));
    }

    // Any bytes are read or refused alike, wherever they are cut, within the caps.
    #[test]
    fn any_bytes_are_read_alike_however_they_come(
        coded in prop_oneof![
            proptest::collection::vec(any::<u8>(), 0..200),
            (0_usize..110, any::<u8>()).prop_map(|(at, byte)| {
                let mut coded = bytes(GZIP_ALL_FLAGS);
                if let Some(place) = coded.get_mut(at) { *place = byte }
                coded
            }),
        ],
        chunk in 1_usize..50,
    ) {
        for coding in Coding::ALL {
            let whole = decode(coding, &coded, coded.len(), CAPS);
            prop_assert_eq!(decode(coding, &coded, chunk, CAPS), whole.clone());
            if let Ok(text) = whole {
                prop_assert!(text.len() <= 1 << 20);
            }
        }
    }
}
