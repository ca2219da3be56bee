//! The caller as one word for access logs.

use crate::credential_kind::CredentialKind;
use crate::record::Identity;

/// The longest display form in bytes.
pub const MAX_DISPLAY_BYTES: usize = 256;

/// What a display form ends with when it was cut.
const CUT: &str = "...";

impl Identity {
    /// `anonymous`, `api_key:<key id>` or `jwt:<subject>` (`jwt:-` for a token without one), for access logs.
    ///
    /// Visible ASCII only, at most [`MAX_DISPLAY_BYTES`]: other bytes, `%`, `"` and `\` are percent-encoded, and what
    /// is cut ends in `...`. Not for decisions: two callers with long names may share a display form.
    pub fn display(&self) -> String {
        let mut out = String::from(self.kind.name());
        let who = match self.kind {
            CredentialKind::Anonymous => return out,
            CredentialKind::ApiKey => self.credential_id.as_str(),
            CredentialKind::Jwt => self.subject.as_deref().unwrap_or("-"),
        };
        out.push(':');
        let limit = MAX_DISPLAY_BYTES.saturating_sub(CUT.len());
        // Where to cut if the rest does not fit: behind the last whole byte that leaves room for the dots.
        let mut cut_at = out.len();
        for byte in who.bytes() {
            push_byte(&mut out, byte);
            if out.len() <= limit {
                cut_at = out.len();
            }
            if out.len() > MAX_DISPLAY_BYTES {
                out.truncate(cut_at);
                out.push_str(CUT);
                break;
            }
        }
        out
    }
}

fn push_byte(out: &mut String, byte: u8) {
    if byte.is_ascii_graphic() && !matches!(byte, b'%' | b'"' | b'\\') {
        out.push(char::from(byte));
    } else {
        out.push('%');
        for half in [byte >> 4, byte & 0x0f] {
            let digit = char::from_digit(u32::from(half), 16).unwrap_or('0');
            out.push(digit.to_ascii_uppercase());
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn token(subject: Option<&str>) -> Identity {
        Identity {
            kind: CredentialKind::Jwt,
            credential_id: "main".to_owned(),
            subject: subject.map(str::to_owned),
            ..Identity::anonymous()
        }
    }

    // The access log names the caller by these three forms; dashboards split on the colon.
    #[test]
    fn names_the_kind_and_the_caller() {
        assert_eq!(Identity::anonymous().display(), "anonymous");
        let key = Identity {
            kind: CredentialKind::ApiKey,
            ..token(None)
        };
        assert_eq!(key.display(), "api_key:main");
        assert_eq!(token(Some("alice")).display(), "jwt:alice");
        assert_eq!(token(None).display(), "jwt:-");
    }

    // A subject with a line feed would forge a log line, one with a quote a log field.
    #[test]
    fn encodes_what_could_forge_a_log_line() {
        assert_eq!(
            token(Some("a\r\nb\"c\\%é\0 ")).display(),
            "jwt:a%0D%0Ab%22c%5C%25%C3%A9%00%20"
        );
    }

    // Exactly at the cap nothing is cut; one byte more is cut, and says so.
    #[test]
    fn cuts_at_the_cap() {
        let fits = "a".repeat(MAX_DISPLAY_BYTES - 4);
        assert_eq!(token(Some(&fits)).display(), format!("jwt:{fits}"));
        let long = "a".repeat(MAX_DISPLAY_BYTES - 3);
        assert_eq!(
            token(Some(&long)).display(),
            format!("jwt:{}...", "a".repeat(MAX_DISPLAY_BYTES - 7))
        );
    }

    // Cutting inside an escape would leave `%C` in the log.
    #[test]
    fn cuts_between_escapes() {
        let shown = token(Some(&"é".repeat(200))).display();
        assert!(shown.len() <= MAX_DISPLAY_BYTES);
        let body = shown
            .strip_prefix("jwt:")
            .unwrap()
            .strip_suffix("...")
            .unwrap();
        assert_eq!(body.len() % 3, 0);
        assert!(body.split('%').skip(1).all(|escape| escape.len() == 2));
    }

    proptest! {
        // Whatever a token says, the log field stays one short printable word.
        #[test]
        fn is_printable_and_capped(subject in "\\PC{0,300}|[\\x00-\\x7f]{0,300}") {
            let shown = token(Some(&subject)).display();
            prop_assert!(shown.len() <= MAX_DISPLAY_BYTES);
            prop_assert!(shown.bytes().all(|byte| byte.is_ascii_graphic()));
        }
    }
}
