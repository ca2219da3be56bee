//! The wire form of a record, version 2.
//!
//! | part | bytes | content |
//! |---|---|---|
//! | version | 1 | `2`; version 1 had no claims |
//! | kind | 1 | `0` anonymous, `1` API key, `2` JWT; `3` opaque token and `4` client certificate are reserved |
//! | protocol | 1 | `0` HTTP, `1` gRPC, `2` gRPC-Web, `3` Connect |
//! | presence | 1 | bit 0 consumer, bit 1 subject, bit 2 issuer, bit 3 plan; the other bits are zero |
//! | credential id | string | empty if and only if anonymous |
//! | consumer, subject, issuer, plan | string each | those whose presence bit is set, in this order |
//! | groups | list | at most 256 strings |
//! | scopes | list | at most 256 strings |
//! | labels | list | at most 64 pairs of strings, name then value, each name once |
//! | claims | list | as the labels |
//! | original path | bytes | as on the wire |
//! | original content type | bytes | empty if there was none |
//!
//! *bytes* is a length of two bytes, little-endian, and as many bytes; *string* is the same in UTF-8; *list* is a count
//! of two bytes, little-endian, and as many entries. A record is at most 32 KiB.
//!
//! The form is canonical: each record has one encoding, and `decode` refuses everything else, trailing bytes too. Any
//! change to it takes a new version byte, because old and new builds run side by side while a worker drains.

use crate::bounds::{MAX_CLAIMS, MAX_GROUPS, MAX_LABELS, MAX_RECORD_BYTES, MAX_SCOPES};
use crate::credential_kind::CredentialKind;
use crate::malformed::MalformedIdentity;
use crate::original_request::{OriginalRequest, RecordedProtocol};
use crate::record::Identity;

/// The version byte that every record starts with.
pub const VERSION: u8 = 2;

/// Version, kind, protocol and presence.
const FIXED_BYTES: usize = 4;
/// Where the protocol is among these.
const PROTOCOL_AT: usize = 2;
/// A length or a count.
pub(crate) const LENGTH_BYTES: usize = 2;

/// The presence bits, in the order of the fields.
const CONSUMER: u8 = 1;
const SUBJECT: u8 = 2;
const ISSUER: u8 = 4;
const PLAN: u8 = 8;

/// The id of the credential in a record, without reading the rest of it; empty if there is none.
pub fn credential_id(record: &[u8]) -> &[u8] {
    let rest = record.get(FIXED_BYTES..).unwrap_or_default();
    Reader { rest }.bytes().unwrap_or_default()
}

pub(crate) fn encoded_len(identity: &Identity) -> usize {
    let text = |text: &str| text.len().saturating_add(LENGTH_BYTES);
    let list = |texts: &[String]| {
        texts
            .iter()
            .fold(LENGTH_BYTES, |sum, entry| sum.saturating_add(text(entry)))
    };
    let pairs = |pairs: &[(String, String)]| {
        pairs.iter().fold(LENGTH_BYTES, |sum, (name, value)| {
            sum.saturating_add(text(name)).saturating_add(text(value))
        })
    };
    [
        &identity.consumer,
        &identity.subject,
        &identity.issuer,
        &identity.plan,
    ]
    .into_iter()
    .flatten()
    .map(|present| text(present))
    .chain([
        text(&identity.credential_id),
        list(&identity.groups),
        list(&identity.scopes),
        pairs(&identity.labels),
        pairs(&identity.claims),
        identity.original.path.len().saturating_add(LENGTH_BYTES),
        identity
            .original
            .content_type
            .len()
            .saturating_add(LENGTH_BYTES),
    ])
    .fold(FIXED_BYTES, usize::saturating_add)
}

pub(crate) fn encode(identity: &Identity) -> Vec<u8> {
    if identity.check().is_err() {
        // A record that is cut short: every reader refuses it and denies.
        return vec![VERSION];
    }
    let mut out = Vec::with_capacity(encoded_len(identity));
    put_caller(&mut out, identity);
    put_original(&mut out, &identity.original);
    out
}

/// All but the request, whose protocol is written as the default.
pub(crate) fn put_caller(out: &mut Vec<u8>, identity: &Identity) {
    let optional = [
        (CONSUMER, &identity.consumer),
        (SUBJECT, &identity.subject),
        (ISSUER, &identity.issuer),
        (PLAN, &identity.plan),
    ];
    let presence = optional
        .iter()
        .filter(|(_, value)| value.is_some())
        .fold(0, |bits, (bit, _)| bits | bit);
    out.extend([
        VERSION,
        identity.kind.wire(),
        RecordedProtocol::default().wire(),
        presence,
    ]);
    put_bytes(out, identity.credential_id.as_bytes());
    for present in optional.iter().filter_map(|(_, value)| value.as_ref()) {
        put_bytes(out, present.as_bytes());
    }
    for list in [&identity.groups, &identity.scopes] {
        put_length(out, list.len());
        for entry in list {
            put_bytes(out, entry.as_bytes());
        }
    }
    for pairs in [&identity.labels, &identity.claims] {
        put_length(out, pairs.len());
        for (name, value) in pairs {
            put_bytes(out, name.as_bytes());
            put_bytes(out, value.as_bytes());
        }
    }
}

/// The request, behind a caller.
pub(crate) fn put_original(out: &mut Vec<u8>, original: &OriginalRequest) {
    if let Some(protocol) = out.get_mut(PROTOCOL_AT) {
        *protocol = original.protocol.wire();
    }
    put_bytes(out, &original.path);
    put_bytes(out, &original.content_type);
}

pub(crate) fn decode(bytes: &[u8]) -> Result<Identity, MalformedIdentity> {
    if bytes.len() > MAX_RECORD_BYTES {
        return Err(MalformedIdentity::TooLarge);
    }
    let mut reader = Reader { rest: bytes };
    if reader.byte()? != VERSION {
        return Err(MalformedIdentity::UnknownVersion);
    }
    let kind = CredentialKind::from_wire(reader.byte()?).ok_or(MalformedIdentity::UnknownKind)?;
    let protocol =
        RecordedProtocol::from_wire(reader.byte()?).ok_or(MalformedIdentity::UnknownProtocol)?;
    let presence = reader.byte()?;
    if presence & !(CONSUMER | SUBJECT | ISSUER | PLAN) != 0 {
        return Err(MalformedIdentity::UnknownPresenceBit);
    }
    let identity = Identity {
        kind,
        credential_id: reader.text()?,
        consumer: reader.optional(presence & CONSUMER)?,
        subject: reader.optional(presence & SUBJECT)?,
        issuer: reader.optional(presence & ISSUER)?,
        plan: reader.optional(presence & PLAN)?,
        groups: reader.list(MAX_GROUPS, Reader::text)?,
        scopes: reader.list(MAX_SCOPES, Reader::text)?,
        labels: reader.list(MAX_LABELS, Reader::pair)?,
        claims: reader.list(MAX_CLAIMS, Reader::pair)?,
        original: OriginalRequest {
            path: reader.bytes()?.to_vec(),
            content_type: reader.bytes()?.to_vec(),
            protocol,
        },
    };
    if !reader.rest.is_empty() {
        return Err(MalformedIdentity::TrailingBytes);
    }
    identity.check()?;
    Ok(identity)
}

fn put_length(out: &mut Vec<u8>, length: usize) {
    // `check` bounded the whole record, so every length fits.
    out.extend(u16::try_from(length).unwrap_or(u16::MAX).to_le_bytes());
}

fn put_bytes(out: &mut Vec<u8>, bytes: &[u8]) {
    put_length(out, bytes.len());
    out.extend(bytes);
}

/// What is left of a record.
struct Reader<'a> {
    rest: &'a [u8],
}

impl<'a> Reader<'a> {
    fn byte(&mut self) -> Result<u8, MalformedIdentity> {
        let (first, rest) = self
            .rest
            .split_first()
            .ok_or(MalformedIdentity::Truncated)?;
        self.rest = rest;
        Ok(*first)
    }

    fn length(&mut self) -> Result<usize, MalformedIdentity> {
        let (length, rest) = self
            .rest
            .split_first_chunk::<LENGTH_BYTES>()
            .ok_or(MalformedIdentity::Truncated)?;
        self.rest = rest;
        Ok(usize::from(u16::from_le_bytes(*length)))
    }

    fn bytes(&mut self) -> Result<&'a [u8], MalformedIdentity> {
        let length = self.length()?;
        let (bytes, rest) = self
            .rest
            .split_at_checked(length)
            .ok_or(MalformedIdentity::Truncated)?;
        self.rest = rest;
        Ok(bytes)
    }

    fn text(&mut self) -> Result<String, MalformedIdentity> {
        let text = std::str::from_utf8(self.bytes()?).map_err(|_| MalformedIdentity::NotUtf8)?;
        Ok(text.to_owned())
    }

    fn pair(&mut self) -> Result<(String, String), MalformedIdentity> {
        Ok((self.text()?, self.text()?))
    }

    fn optional(&mut self, present: u8) -> Result<Option<String>, MalformedIdentity> {
        if present == 0 {
            Ok(None)
        } else {
            self.text().map(Some)
        }
    }

    fn list<T>(
        &mut self,
        most: usize,
        mut entry: impl FnMut(&mut Self) -> Result<T, MalformedIdentity>,
    ) -> Result<Vec<T>, MalformedIdentity> {
        let count = self.length()?;
        if count > most {
            return Err(MalformedIdentity::TooMany);
        }
        (0..count).map(|_| entry(self)).collect()
    }
}

#[cfg(test)]
mod tests;
