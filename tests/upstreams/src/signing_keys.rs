//! The issuer's key pairs, and the file that keeps them from one start to the next.

use std::fs;
use std::io;
use std::path::Path;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use jwt_simple::prelude::{ES256KeyPair, Ed25519KeyPair, RS256KeyPair};
use serde::{Deserialize, Serialize};

use crate::private_file;

/// A key pair for each algorithm.
pub struct SigningKeys {
    pub(crate) rsa: RS256KeyPair,
    pub(crate) ecdsa: ES256KeyPair,
    pub(crate) eddsa: Ed25519KeyPair,
}

/// The file: base64 of PKCS #1 DER, of the scalar, and of seed and public key.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Kept {
    rs256: String,
    es256: String,
    eddsa: String,
}

impl SigningKeys {
    /// New keys. Takes about a second: RSA keys are slow to make.
    pub fn generate() -> Self {
        Self {
            rsa: RS256KeyPair::generate(2048).expect("2048 is a size that RSA keys have"),
            ecdsa: ES256KeyPair::generate(),
            eddsa: Ed25519KeyPair::generate(),
        }
    }

    /// The keys in a file.
    ///
    /// # Errors
    /// It cannot be read, or holds something else.
    pub fn read(file: &Path) -> io::Result<Self> {
        let kept: Kept = serde_json::from_slice(&fs::read(file)?)?;
        let bytes = |text: &str| STANDARD.decode(text).map_err(io::Error::other);
        Ok(Self {
            rsa: RS256KeyPair::from_der(&bytes(&kept.rs256)?).map_err(io::Error::other)?,
            ecdsa: ES256KeyPair::from_bytes(&bytes(&kept.es256)?).map_err(io::Error::other)?,
            eddsa: Ed25519KeyPair::from_bytes(&bytes(&kept.eddsa)?).map_err(io::Error::other)?,
        })
    }

    /// Writes the keys to a file that the owner alone can read.
    pub fn write(&self, file: &Path) -> io::Result<()> {
        let rsa = self.rsa.to_der().map_err(io::Error::other)?;
        let kept = Kept {
            rs256: STANDARD.encode(rsa),
            es256: STANDARD.encode(self.ecdsa.to_bytes()),
            eddsa: STANDARD.encode(self.eddsa.to_bytes()),
        };
        private_file::write(file, &serde_json::to_vec(&kept)?)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Issuer;

    // Without it an issuer that starts anew would sign with keys that the gateway does not know.
    #[test]
    fn kept_keys_are_the_same_keys() {
        let file = std::env::temp_dir().join(format!("upstreams-keys-{}", std::process::id()));
        let keys = SigningKeys::generate();
        keys.write(&file).unwrap();
        let read = SigningKeys::read(&file);
        fs::remove_file(&file).unwrap();
        let [one, other] = [&keys, &read.unwrap()].map(|keys| Issuer::with_keys("https://a", keys));
        assert_eq!(one.key_set(), other.key_set());
    }
}
