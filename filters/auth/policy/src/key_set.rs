//! The keys that a provider signs with, read from a JSON Web Key set (RFC 7517, 7518, 8037).
//!
//! A key is bound to one algorithm when it is read. A token's `alg` can then only agree with its key or be refused, so
//! no token turns a public key into an HMAC secret. A set that could be read two ways (one `kid` twice, secrets beside
//! public keys) is refused whole.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::sync::Arc;

use filter_config::{ConfigError, FieldPath};
use p256::elliptic_curve::point::AffineCoordinates as _;
use serde_json::{Map, Value};
use superboring::reexports::rsa::{BigUint, RsaPublicKey};

use crate::algorithm::Algorithm;
use crate::curve::Curve;
use crate::jws::{MAX_KID_BYTES, decode_base64url};
use crate::{roca, secp256k1, spki};

/// The most keys in one set.
pub const MAX_KEYS: usize = 64;

/// How many keys are tried for a token that names none.
pub const MAX_KEYS_WITHOUT_ID: usize = 8;

/// The shortest RSA modulus, in bits (RFC 7518 section 3.3).
pub const MIN_RSA_BITS: usize = 2048;

/// The longest RSA modulus, in bits: what the `rsa` crate accepts.
pub const MAX_RSA_BITS: usize = 4096;

/// The longest secret for an HMAC, in bytes. The shortest is as long as the hash (RFC 7518 section 3.2).
pub const MAX_SECRET_BYTES: usize = 1024;

/// One key, and the one algorithm it is good for.
pub struct VerificationKey {
    key_id: Option<String>,
    algorithm: Algorithm,
    material: Material,
    signature_bytes: usize,
    spki_der: Option<Vec<u8>>,
    fingerprint: KeyFingerprint,
}

/// The SHA-256 of all that a key is: two keys with the same one are the same key.
pub(crate) type KeyFingerprint = [u8; 32];

/// What a key verifies with.
pub(crate) enum Material {
    /// For which hash and padding is the algorithm's to say.
    Rsa(Box<RsaPublicKey>),
    P256(p256::ecdsa::VerifyingKey),
    Secp256k1(secp256k1::ecdsa::VerifyingKey),
    P384(p384::ecdsa::VerifyingKey),
    /// A key of P-521: only the host verifies with it, by its DER.
    OfHost,
    Ed25519(ed25519_compact::PublicKey),
    Secret(Box<[u8]>),
}

/// What the host says to a key that only it verifies with: nothing, or why it cannot.
pub type HostJudge<'a> = &'a dyn Fn(&VerificationKey) -> Result<(), &'static str>;

/// The keys of one provider.
#[derive(Clone, Debug)]
pub struct KeySet {
    keys: Vec<Arc<VerificationKey>>,
}

impl VerificationKey {
    /// `kid`.
    pub fn key_id(&self) -> Option<&str> {
        self.key_id.as_deref()
    }

    /// The algorithm that this key is bound to.
    pub fn algorithm(&self) -> Algorithm {
        self.algorithm
    }

    pub(crate) fn fingerprint(&self) -> KeyFingerprint {
        self.fingerprint
    }

    pub(crate) fn material(&self) -> &Material {
        &self.material
    }

    /// The length of its signatures, in bytes.
    pub(crate) fn signature_bytes(&self) -> usize {
        self.signature_bytes
    }

    /// The public key as a DER SubjectPublicKeyInfo, where a host can verify with it: RSA and the NIST curves.
    pub fn spki_der(&self) -> Option<&[u8]> {
        self.spki_der.as_deref()
    }

    fn from_jwk(jwk: &Value) -> Result<Self, String> {
        let Value::Object(members) = jwk else {
            return Err("wrong type, expected an object".into());
        };
        let key_id = optional_string(members, "kid")?;
        if key_id.is_some_and(|id| id.is_empty() || id.len() > MAX_KID_BYTES) {
            return Err(format!("kid has to be 1 to {MAX_KID_BYTES} bytes"));
        }
        if optional_string(members, "use")?.is_some_and(|purpose| purpose != "sig") {
            return Err("use is not sig: this key is not for signatures".into());
        }
        match members.get("key_ops") {
            None => {}
            Some(Value::Array(operations)) if operations.iter().any(|op| op == "verify") => {}
            Some(_) => {
                return Err("key_ops does not list verify: this key is not for signatures".into());
            }
        }
        let named = optional_string(members, "alg")?;
        let read = match required_string(members, "kty")? {
            "RSA" => rsa(members, named)?,
            "EC" => ec(members)?,
            "OKP" => ed25519(members)?,
            "oct" => secret(members, named)?,
            _ => return Err("kty is not one of RSA, EC, OKP, oct".into()),
        };
        if named.is_some_and(|name| name != read.algorithm.name()) {
            let expected = read.algorithm.name();
            return Err(format!(
                "alg does not fit: a key of this type verifies {expected}"
            ));
        }
        Ok(Self {
            key_id: key_id.map(Into::into),
            algorithm: read.algorithm,
            material: read.material,
            signature_bytes: read.signature_bytes,
            spki_der: read.spki_der,
            fingerprint: fingerprint(members),
        })
    }
}

impl fmt::Debug for VerificationKey {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter
            .debug_struct("VerificationKey")
            .field("key_id", &self.key_id)
            .field("algorithm", &self.algorithm)
            .finish_non_exhaustive()
    }
}

impl KeySet {
    /// Reads a key set: an object whose `keys` are JSON Web Keys. Members that are not known are ignored, as RFC 7517
    /// section 5 asks; keys that cannot be used are not.
    ///
    /// # Errors
    /// The path and the fault of the first key that is unusable; never anything of the key itself.
    pub fn from_jwks(jwks: &Value, at: &FieldPath) -> Result<Self, ConfigError> {
        let Some(jwks) = jwks.as_object() else {
            return Err(ConfigError::new(
                at,
                "wrong type, expected an object with keys",
            ));
        };
        let keys = jwks.get("keys").unwrap_or(&Value::Null);
        Self::from_keys(keys, &at.field("keys"))
    }

    pub(crate) fn from_keys(keys: &Value, at: &FieldPath) -> Result<Self, ConfigError> {
        let Value::Array(values) = keys else {
            return Err(ConfigError::new(at, "missing, expected a list of keys"));
        };
        if values.is_empty() || values.len() > MAX_KEYS {
            return Err(ConfigError::new(
                at,
                format!("has to list 1 to {MAX_KEYS} keys"),
            ));
        }
        let mut keys: Vec<Arc<VerificationKey>> = Vec::with_capacity(values.len());
        let mut ids = BTreeSet::new();
        for (index, value) in values.iter().enumerate() {
            let at = at.index(index);
            let key =
                VerificationKey::from_jwk(value).map_err(|reason| ConfigError::new(&at, reason))?;
            if let Some(id) = key.key_id()
                && !ids.insert(id.to_owned())
            {
                return Err(ConfigError::new(
                    &at.field("kid"),
                    "another key of this set has the same kid",
                ));
            }
            keys.push(Arc::new(key));
        }
        let secrets = keys
            .iter()
            .filter(|key| key.algorithm().is_symmetric())
            .count();
        if secrets != 0 && secrets != keys.len() {
            return Err(ConfigError::new(
                at,
                "a set holds secrets (oct) or public keys, never both",
            ));
        }
        Ok(Self { keys })
    }

    /// The keys that an issuer publishes, as far as they can be used, and the faults of the others. A secret is never published,
    /// and of several keys with one id none is used: which of them a token means could not be told. Keys that only the host
    /// verifies with are shown to it.
    pub(crate) fn usable(values: &[Value], host: HostJudge<'_>) -> (Self, Vec<ConfigError>) {
        let at = FieldPath::root().field("keys");
        let mut refused = Vec::new();
        let mut ids = BTreeMap::new();
        for value in values {
            if let Some(id) = value.get("kid").and_then(Value::as_str) {
                let count: &mut usize = ids.entry(id).or_default();
                *count = count.saturating_add(1);
            }
        }
        let mut keys = Vec::with_capacity(values.len());
        for (index, value) in values.iter().enumerate() {
            let key = VerificationKey::from_jwk(value).and_then(|key| {
                if key.algorithm().is_symmetric() {
                    return Err("a secret (oct) that is published is none".to_owned());
                }
                if key.algorithm().needs_host() {
                    host(&key)?;
                }
                match key.key_id().and_then(|id| ids.get(id)) {
                    Some(2..) => Err("another key of this set has the same kid".to_owned()),
                    _ => Ok(key),
                }
            });
            match key {
                Ok(key) => keys.push(Arc::new(key)),
                Err(reason) => refused.push(ConfigError::new(&at.index(index), reason)),
            }
        }
        (Self { keys }, refused)
    }

    /// Whether there is no key.
    pub fn is_empty(&self) -> bool {
        self.keys.is_empty()
    }

    /// Whether a key has this id, whatever it is good for.
    pub(crate) fn has_id(&self, id: &str) -> bool {
        self.keys.iter().any(|key| key.key_id() == Some(id))
    }

    /// Whether this very key is in the set.
    pub(crate) fn has(&self, fingerprint: &KeyFingerprint) -> bool {
        self.keys.iter().any(|key| key.fingerprint == *fingerprint)
    }

    /// The keys that may have made a signature of this algorithm: the one of exactly this id, or for a token that names
    /// none, the first [`MAX_KEYS_WITHOUT_ID`] of the algorithm.
    pub fn candidates<'a>(
        &'a self,
        algorithm: Algorithm,
        key_id: Option<&'a str>,
    ) -> impl Iterator<Item = &'a Arc<VerificationKey>> {
        self.keys
            .iter()
            .filter(move |key| key.algorithm() == algorithm)
            .filter(move |key| key_id.is_none() || key.key_id() == key_id)
            .take(MAX_KEYS_WITHOUT_ID)
    }

    /// All keys.
    pub fn iter(&self) -> impl Iterator<Item = &Arc<VerificationKey>> {
        self.keys.iter()
    }
}

/// A hash of the members that make a key what it is.
fn fingerprint(members: &Map<String, Value>) -> KeyFingerprint {
    let mut hash = hmac_sha256::Hash::new();
    for name in ["kid", "kty", "alg", "crv", "n", "e", "x", "y", "k"] {
        // The lengths keep what is beside each other apart.
        let value = members.get(name).and_then(Value::as_str).unwrap_or("\0");
        hash.update(name);
        hash.update(value.len().to_le_bytes());
        hash.update(value);
    }
    hash.finalize()
}

/// A key but for its name.
struct Read {
    algorithm: Algorithm,
    material: Material,
    signature_bytes: usize,
    spki_der: Option<Vec<u8>>,
}

/// A key that names no `alg` verifies RS256, which issuers that leave it out mean.
fn rsa(members: &Map<String, Value>, named: Option<&str>) -> Result<Read, String> {
    refuse_private_members(members)?;
    let named = named.map_or(Some(Algorithm::Rs256), Algorithm::from_name);
    let Some(algorithm) = named.filter(|algorithm| algorithm.is_rsa()) else {
        let fitting = "RS256, RS384, RS512, PS256, PS384 or PS512";
        return Err(format!("alg does not fit: an RSA key verifies {fitting}"));
    };
    let modulus = bytes(members, "n")?;
    let exponent = bytes(members, "e")?;
    let bits = bit_length(&modulus);
    if bits < MIN_RSA_BITS {
        return Err(format!(
            "the RSA modulus has {bits} bits, fewer than {MIN_RSA_BITS}"
        ));
    }
    if bits > MAX_RSA_BITS {
        return Err(format!(
            "the RSA modulus has {bits} bits, more than {MAX_RSA_BITS}"
        ));
    }
    if exponent != [1, 0, 1] {
        return Err("the RSA exponent is not 65537".into());
    }
    if roca::has_fingerprint(&modulus) {
        return Err(
            "the RSA modulus was made by a broken generator (CVE-2017-15361): replace this key"
                .into(),
        );
    }
    let number = BigUint::from_bytes_be;
    let key = RsaPublicKey::new(number(&modulus), number(&exponent))
        .map_err(|_| "not a usable RSA key".to_owned())?;
    Ok(Read {
        algorithm,
        material: Material::Rsa(Box::new(key)),
        signature_bytes: bits.div_ceil(8),
        spki_der: Some(spki::rsa(&modulus, &exponent)),
    })
}

/// The key of a crate for one curve, by its coordinates. Not read as an encoded point: the compressed form, which no JSON Web
/// Key has, would be in the module too.
macro_rules! point {
    ($curve:ident, $x:ident, $y:ident) => {{
        let number = |bytes: &[u8]| $curve::FieldBytes::try_from(bytes).ok();
        let point = number(&$x)
            .zip(number(&$y))
            .and_then(|(x, y)| $curve::AffinePoint::from_coordinates(&x, &y).into_option());
        point
            .and_then(|point| $curve::ecdsa::VerifyingKey::from_affine(point).ok())
            .ok_or("the point is not on the curve")?
    }};
}

fn ec(members: &Map<String, Value>) -> Result<Read, String> {
    refuse_private_members(members)?;
    let Some(curve) = Curve::from_name(required_string(members, "crv")?) else {
        return Err("crv is not one of P-256, P-384, P-521, secp256k1".into());
    };
    let (x, y) = (bytes(members, "x")?, bytes(members, "y")?);
    let length = curve.number_bytes();
    if x.len() != length || y.len() != length {
        return Err(format!("x and y have to be {length} bytes each"));
    }
    let (algorithm, material) = match curve {
        Curve::P256 => (Algorithm::Es256, Material::P256(point!(p256, x, y))),
        Curve::Secp256k1 => (
            Algorithm::Es256k,
            Material::Secp256k1(point!(secp256k1, x, y)),
        ),
        Curve::P384 => (Algorithm::Es384, Material::P384(point!(p384, x, y))),
        // Whether the point is on this curve only the host can say.
        Curve::P521 => (Algorithm::Es512, Material::OfHost),
    };
    let known_to_hosts = algorithm.is_known_to_hosts();
    Ok(Read {
        algorithm,
        material,
        signature_bytes: length.saturating_mul(2),
        spki_der: known_to_hosts.then(|| spki::ec(curve.identifier(), &x, &y)),
    })
}

fn ed25519(members: &Map<String, Value>) -> Result<Read, String> {
    refuse_private_members(members)?;
    if required_string(members, "crv")? != "Ed25519" {
        return Err("crv is not Ed25519".into());
    }
    let x = bytes(members, "x")?;
    // A point of small order, which signatures that anybody can make hold for, is read and then found invalid.
    let key = ed25519_compact::PublicKey::from_slice(&x)
        .ok()
        .filter(|key| key.validate().is_ok())
        .ok_or("not a usable Ed25519 key")?;
    Ok(Read {
        algorithm: Algorithm::EdDsa,
        material: Material::Ed25519(key),
        signature_bytes: 64,
        spki_der: None,
    })
}

/// A secret that names no `alg` is for HS256.
fn secret(members: &Map<String, Value>, named: Option<&str>) -> Result<Read, String> {
    let secret = bytes(members, "k")?;
    let named = named.map_or(Some(Algorithm::Hs256), Algorithm::from_name);
    let Some(algorithm) = named.filter(|algorithm| algorithm.is_symmetric()) else {
        return Err("alg does not fit: a secret verifies HS256, HS384 or HS512".into());
    };
    let hash_bytes = algorithm.digest().bytes();
    if secret.len() < hash_bytes || secret.len() > MAX_SECRET_BYTES {
        let name = algorithm.name();
        return Err(format!(
            "k has to be {hash_bytes} to {MAX_SECRET_BYTES} bytes for {name}"
        ));
    }
    Ok(Read {
        algorithm,
        material: Material::Secret(secret.into()),
        signature_bytes: hash_bytes,
        spki_der: None,
    })
}

fn refuse_private_members(members: &Map<String, Value>) -> Result<(), String> {
    if ["d", "p", "q", "dp", "dq", "qi", "oth"]
        .iter()
        .any(|name| members.contains_key(*name))
    {
        return Err("a private key in a configuration: keep the public members only".into());
    }
    Ok(())
}

fn optional_string<'a>(
    members: &'a Map<String, Value>,
    name: &str,
) -> Result<Option<&'a str>, String> {
    match members.get(name) {
        None => Ok(None),
        Some(Value::String(text)) => Ok(Some(text)),
        Some(_) => Err(format!("{name} has to be a string")),
    }
}

fn required_string<'a>(members: &'a Map<String, Value>, name: &str) -> Result<&'a str, String> {
    optional_string(members, name)?.ok_or_else(|| format!("missing field {name}"))
}

/// The decoded bytes of a member.
fn bytes(members: &Map<String, Value>, name: &str) -> Result<Vec<u8>, String> {
    let text = required_string(members, name)?;
    decode_base64url(text).map_err(|_| format!("{name} is not canonical base64url without padding"))
}

fn bit_length(integer: &[u8]) -> usize {
    let mut significant = integer.iter().skip_while(|byte| **byte == 0);
    match significant.next() {
        None => 0,
        Some(first) => {
            let top = 8usize.saturating_sub(usize::try_from(first.leading_zeros()).unwrap_or(0));
            significant.count().saturating_mul(8).saturating_add(top)
        }
    }
}
