//! The answer to a signature check: the host's where it has one, else found here.

use auth_policy::SignatureCheck;
use proxy_host::capabilities::Capabilities;
use proxy_host::foreign::{self, Digest};

/// Whether the signature holds.
///
/// The host verifies RSA some thirty times as fast as code in this VM. What it does not know (EdDSA, HMAC), and what it
/// answers with an error, is verified in this VM.
pub(crate) fn holds(check: &SignatureCheck, host: Capabilities) -> bool {
    if host.verify_signature
        && let Some(form) = check.host_form()
        && let Ok(answer) =
            foreign::verify_signature(Digest::Sha256, form.key_der, &form.signature, form.text)
    {
        return answer;
    }
    check.verify()
}
