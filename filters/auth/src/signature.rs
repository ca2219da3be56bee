//! The answer to a signature check: the host's where it has one, else found here.

use auth_policy::key_set::VerificationKey;
use auth_policy::{Policy, SignatureCheck};
use proxy_host::capabilities::Capabilities;
use proxy_host::foreign::{self, Digest};

/// A DER signature of numbers that no key made: enough for the host to read a key with.
const NOBODYS: &[u8] = &[0x30, 6, 2, 1, 1, 2, 1, 1];

/// Whether the signature holds.
///
/// The host verifies RSA some thirty times as fast as code in this VM. What it does not know (PSS, EdDSA, HMAC, secp256k1),
/// and what it answers with an error, is verified in this VM.
#[cold]
#[inline(never)]
pub(crate) fn holds(check: &SignatureCheck, host: Capabilities) -> bool {
    if host.verify_signature
        && let Some(form) = check.host_form()
        && let Ok(answer) = foreign::verify_signature(
            digest(form.digest),
            form.key_der,
            &form.signature,
            form.text,
        )
    {
        return answer;
    }
    check.verify()
}

/// Refuses a configuration with a key that neither this filter nor this host can verify with: every token signed with it
/// would be.
///
/// # Errors
/// The path of the first such key, and why.
pub(crate) fn check_keys(policy: &Policy, host: Capabilities) -> Result<(), String> {
    for (at, key) in policy.keys_for_host() {
        judge(key, host).map_err(|reason| format!("{at}: {reason}"))?;
    }
    Ok(())
}

/// Whether the host can verify with a key that it alone may be able to verify with. It answers a key that it cannot read with an
/// error, and a signature that is not the key's with a no.
///
/// # Errors
/// Why not.
pub(crate) fn judge(key: &VerificationKey, host: Capabilities) -> Result<(), &'static str> {
    if !host.verify_signature {
        return Err(
            "ES512 is verified by the host, and this one has no verify_signature: remove the key, \
             and let the issuer sign with another algorithm",
        );
    }
    let der = key.spki_der().unwrap_or_default();
    match foreign::verify_signature(Digest::Sha512, der, NOBODYS, b"") {
        Ok(_) => Ok(()),
        Err(_) => Err("the host cannot read this key: its point is not on the curve"),
    }
}

fn digest(digest: auth_policy::Digest) -> Digest {
    match digest {
        auth_policy::Digest::Sha256 => Digest::Sha256,
        auth_policy::Digest::Sha384 => Digest::Sha384,
        auth_policy::Digest::Sha512 => Digest::Sha512,
    }
}
