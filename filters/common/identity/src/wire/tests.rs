//! Vectors fix the wire form; properties show that nothing else is read.

use proptest::collection::{btree_map, vec};
use proptest::option;
use proptest::prelude::*;

use super::*;

fn alice() -> Identity {
    Identity {
        kind: CredentialKind::Jwt,
        credential_id: "main".to_owned(),
        consumer: Some("acme".to_owned()),
        subject: Some("alice".to_owned()),
        issuer: Some("i".to_owned()),
        plan: Some("gold".to_owned()),
        groups: vec!["staff".to_owned(), "é".to_owned()],
        scopes: vec!["a:b".to_owned()],
        labels: vec![("team".to_owned(), "ci".to_owned())],
        claims: vec![("org".to_owned(), "[1]".to_owned())],
        original: OriginalRequest {
            path: b"/a\xff?b".to_vec(),
            content_type: b"application/grpc".to_vec(),
            protocol: RecordedProtocol::Grpc,
        },
    }
}

fn key() -> Identity {
    Identity {
        kind: CredentialKind::ApiKey,
        credential_id: "k".to_owned(),
        subject: Some(String::new()),
        original: OriginalRequest {
            path: b"/".to_vec(),
            ..OriginalRequest::default()
        },
        ..Identity::anonymous()
    }
}

const ANONYMOUS: &[u8] = b"\x02\x00\x00\x00\0\0\0\0\0\0\0\0\0\0\0\0\0\0";
const KEY: &[u8] = b"\x02\x01\x00\x02\x01\0k\0\0\0\0\0\0\0\0\0\0\x01\0/\0\0";
const ALICE: &[u8] = b"\x02\x02\x01\x0f\
    \x04\0main\
    \x04\0acme\x05\0alice\x01\0i\x04\0gold\
    \x02\0\x05\0staff\x02\0\xc3\xa9\
    \x01\0\x03\0a:b\
    \x01\0\x04\0team\x02\0ci\
    \x01\0\x03\0org\x03\0[1]\
    \x05\0/a\xff?b\
    \x10\0application/grpc";

// A changed layout under the old version byte would be misread by the build that drains beside this one.
#[test]
fn version_2_is_these_bytes() {
    for (identity, record) in [
        (Identity::anonymous(), ANONYMOUS),
        (key(), KEY),
        (alice(), ALICE),
    ] {
        assert_eq!(identity.encode(), record);
        assert_eq!(Identity::decode(record), Ok(identity));
    }
}

// The version is the first thing read, so that a later form can differ in everything behind it.
#[test]
fn other_versions_are_refused() {
    for version in [0, 1, 3, 255] {
        let mut record = ALICE.to_vec();
        record[0] = version;
        assert_eq!(
            Identity::decode(&record),
            Err(MalformedIdentity::UnknownVersion)
        );
    }
}

// Each fault has its own name, so that a log line tells what is wrong with a record.
#[test]
fn faults_are_named() {
    let with = |at: usize, byte: u8| {
        let mut record = ALICE.to_vec();
        record[at] = byte;
        Identity::decode(&record)
    };
    assert_eq!(with(1, 3), Err(MalformedIdentity::UnknownKind));
    assert_eq!(with(1, 0), Err(MalformedIdentity::AnonymousWithClaims));
    assert_eq!(with(2, 4), Err(MalformedIdentity::UnknownProtocol));
    assert_eq!(with(3, 0x1f), Err(MalformedIdentity::UnknownPresenceBit));
    assert_eq!(with(6, 0xff), Err(MalformedIdentity::NotUtf8));
    assert_eq!(with(5, 0xff), Err(MalformedIdentity::Truncated));
    assert_eq!(
        Identity::decode(&[ALICE, b"\0"].concat()),
        Err(MalformedIdentity::TrailingBytes)
    );
    assert_eq!(
        Identity::decode(b"\x02\x01\x00\x00\0\0\0\0\0\0\0\0\0\0\0\0\0\0"),
        Err(MalformedIdentity::MissingCredentialId)
    );
}

// Two builds run side by side while a worker drains: what version 1 wrote is not this version with something missing.
#[test]
fn version_1_is_refused() {
    let anonymous = b"\x01\x00\x00\x00\0\0\0\0\0\0\0\0\0\0\0\0";
    let key = b"\x01\x01\x00\x02\x01\0k\0\0\0\0\0\0\0\0\x01\0/\0\0";
    for record in [&anonymous[..], key] {
        let read = Identity::read(Some(record));
        assert_eq!(read, Err(MalformedIdentity::UnknownVersion));
    }
    assert!(Identity::read(Some(ANONYMOUS)).is_ok());
}

// A count that runs ahead of the bytes must not reserve memory or loop.
#[test]
fn counts_are_capped() {
    let too_many = b"\x02\x01\x00\x00\x01\0k\x01\x01";
    assert_eq!(Identity::decode(too_many), Err(MalformedIdentity::TooMany));
    let cut = b"\x02\x01\x00\x00\x01\0k\x00\x01";
    assert_eq!(Identity::decode(cut), Err(MalformedIdentity::Truncated));
}

// Readers that take the first and readers that take the last would disagree on the caller's label.
#[test]
fn a_label_twice_is_refused() {
    let label = ("team".to_owned(), "ci".to_owned());
    let identity = Identity {
        labels: vec![label.clone(), label],
        ..alice()
    };
    assert_eq!(identity.check(), Err(MalformedIdentity::RepeatedLabel));
    let claim = ("org".to_owned(), "a".to_owned());
    let identity = Identity {
        claims: vec![claim.clone(), claim],
        ..alice()
    };
    assert_eq!(identity.check(), Err(MalformedIdentity::RepeatedClaim));
    let mut record = ALICE.to_vec();
    let labels = record
        .windows(4)
        .position(|bytes| bytes == b"team")
        .unwrap()
        - 4;
    record[labels] = 2;
    let pair = record[labels + 2..labels + 12].to_vec();
    record.splice(labels + 2..labels + 2, pair);
    assert_eq!(
        Identity::decode(&record),
        Err(MalformedIdentity::RepeatedLabel)
    );
}

// At the bounds a record still passes; one step over, the writer produces what every reader refuses.
#[test]
fn bounds_hold_on_both_sides() {
    let many = |count: usize| {
        (0..count)
            .map(|number| number.to_string())
            .collect::<Vec<_>>()
    };
    let pairs = |count: usize| {
        many(count)
            .into_iter()
            .map(|name| (name, String::new()))
            .collect::<Vec<_>>()
    };
    let full = Identity {
        groups: many(MAX_GROUPS),
        scopes: many(MAX_SCOPES),
        labels: pairs(MAX_LABELS),
        claims: pairs(MAX_CLAIMS),
        ..alice()
    };
    assert_eq!(Identity::decode(&full.encode()), Ok(full));

    let mut large = alice();
    large.original.path.resize(
        MAX_RECORD_BYTES - ALICE.len() + large.original.path.len(),
        b'a',
    );
    assert_eq!(large.encode().len(), MAX_RECORD_BYTES);
    assert_eq!(Identity::decode(&large.encode()), Ok(large.clone()));
    large.original.path.push(b'a');

    for (identity, reason) in [
        (large, MalformedIdentity::TooLarge),
        (
            Identity {
                groups: many(MAX_GROUPS + 1),
                ..alice()
            },
            MalformedIdentity::TooMany,
        ),
        (
            Identity {
                scopes: many(MAX_SCOPES + 1),
                ..alice()
            },
            MalformedIdentity::TooMany,
        ),
        (
            Identity {
                labels: pairs(MAX_LABELS + 1),
                ..alice()
            },
            MalformedIdentity::TooMany,
        ),
        (
            Identity {
                claims: pairs(MAX_CLAIMS + 1),
                ..alice()
            },
            MalformedIdentity::TooMany,
        ),
        (
            Identity {
                credential_id: String::new(),
                ..alice()
            },
            MalformedIdentity::MissingCredentialId,
        ),
        (
            Identity {
                scopes: many(1),
                ..Identity::anonymous()
            },
            MalformedIdentity::AnonymousWithClaims,
        ),
    ] {
        assert_eq!(identity.check(), Err(reason));
        assert_eq!(
            Identity::decode(&identity.encode()),
            Err(MalformedIdentity::Truncated)
        );
    }
    assert_eq!(
        Identity::decode(&[VERSION; MAX_RECORD_BYTES + 1]),
        Err(MalformedIdentity::TooLarge)
    );
}

// A length over 65,535 would wrap around in its two bytes and be read as another field.
#[test]
fn a_huge_content_type_never_becomes_a_readable_record() {
    for length in [65_535, 65_536, 65_537, 70_000] {
        let mut identity = alice();
        identity.original.content_type = vec![b'a'; length];
        assert!(Identity::decode(&identity.encode()).is_err());
    }
}

fn identities() -> impl Strategy<Value = Identity> {
    let texts = || vec(any::<String>(), 0..6);
    let claims = (
        any::<bool>(),
        "\\PC{1,20}",
        option::of(any::<String>()),
        option::of(any::<String>()),
        option::of(any::<String>()),
        option::of(any::<String>()),
        texts(),
        texts(),
        btree_map(any::<String>(), any::<String>(), 0..6),
        btree_map(any::<String>(), any::<String>(), 0..6),
    );
    let original = (
        vec(any::<u8>(), 0..300),
        vec(any::<u8>(), 0..40),
        0..RecordedProtocol::ALL.len(),
    );
    (option::of(claims), original).prop_map(|(claims, (path, content_type, protocol))| {
        let mut identity = match claims {
            None => Identity::anonymous(),
            Some((
                is_key,
                credential_id,
                consumer,
                subject,
                issuer,
                plan,
                groups,
                scopes,
                labels,
                claims,
            )) => Identity {
                kind: if is_key {
                    CredentialKind::ApiKey
                } else {
                    CredentialKind::Jwt
                },
                credential_id,
                consumer,
                subject,
                issuer,
                plan,
                groups,
                scopes,
                labels: labels.into_iter().collect(),
                claims: claims.into_iter().collect(),
                original: OriginalRequest::default(),
            },
        };
        identity.original = OriginalRequest {
            path,
            content_type,
            protocol: RecordedProtocol::ALL[protocol],
        };
        identity
    })
}

proptest! {
    // What one filter writes is what the next one reads.
    #[test]
    fn round_trips(identity in identities()) {
        let record = identity.encode();
        prop_assert_eq!(record.len(), encoded_len(&identity));
        prop_assert_eq!(Identity::decode(&record), Ok(identity));
    }

    // Every record has one encoding: what is accepted is what would be written.
    #[test]
    fn only_canonical_bytes_are_read(identity in identities(), at in any::<prop::sample::Index>(), byte in any::<u8>()) {
        let mut record = identity.encode();
        let at = at.index(record.len());
        record[at] = byte;
        if let Ok(read) = Identity::decode(&record) {
            prop_assert_eq!(read.encode(), record);
        }
    }

    // A record cut anywhere is refused: the shorter one must not be a caller with fewer restrictions.
    #[test]
    fn every_cut_is_refused(identity in identities(), at in any::<prop::sample::Index>()) {
        let record = identity.encode();
        let cut = at.index(record.len());
        prop_assert_eq!(Identity::decode(&record[..cut]), Err(MalformedIdentity::Truncated));
    }

    // Bytes of any origin end in an answer, never in a lost VM.
    #[test]
    fn any_bytes_get_an_answer(bytes in vec(any::<u8>(), 0..200), head in any::<bool>()) {
        let bytes = if head { [&[VERSION, 1, 0, 0], bytes.as_slice()].concat() } else { bytes };
        if let Ok(read) = Identity::decode(&bytes) {
            prop_assert_eq!(read.encode(), bytes);
        }
    }
}
