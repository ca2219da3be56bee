//! The certificates of one run: a certificate authority and a server certificate under it.

use std::fs;
use std::io;
use std::path::Path;

use rcgen::{
    BasicConstraints, CertificateParams, DnType, ExtendedKeyUsagePurpose, IsCa, Issuer, KeyPair,
    KeyUsagePurpose,
};

use crate::private_file;

/// Names and addresses that the server certificate is good for.
const SERVER_NAMES: [&str; 4] = ["localhost", "127.0.0.1", "::1", "api.gatehouse.test"];

/// A certificate authority and a server certificate, made now and known to nobody else.
pub struct Certificates {
    ca: String,
    server: String,
    server_key: String,
}

impl Certificates {
    /// Makes both, with ECDSA P-256 keys.
    pub fn generate() -> Result<Self, rcgen::Error> {
        let ca_key = KeyPair::generate()?;
        let mut params = CertificateParams::new(Vec::new())?;
        params
            .distinguished_name
            .push(DnType::CommonName, "Gatehouse test authority");
        params.is_ca = IsCa::Ca(BasicConstraints::Constrained(0));
        params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
        let ca = params.self_signed(&ca_key)?;
        let authority = Issuer::new(params, ca_key);

        let server_key = KeyPair::generate()?;
        let mut params = CertificateParams::new(SERVER_NAMES.map(String::from).to_vec())?;
        params
            .distinguished_name
            .push(DnType::CommonName, "api.gatehouse.test");
        params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
        params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth];
        params.use_authority_key_identifier_extension = true;
        let server = params.signed_by(&server_key, &authority)?;
        Ok(Self {
            ca: ca.pem(),
            server: server.pem(),
            server_key: server_key.serialize_pem(),
        })
    }

    /// The authority's certificate, PEM: what a client trusts.
    pub fn ca_pem(&self) -> &str {
        &self.ca
    }

    /// Writes `ca.pem`, `server.pem` and `server.key` (readable by the owner alone) into `folder`, which is made if need be.
    pub fn write(&self, folder: &Path) -> io::Result<()> {
        fs::create_dir_all(folder)?;
        fs::write(folder.join("ca.pem"), &self.ca)?;
        fs::write(folder.join("server.pem"), &self.server)?;
        private_file::write(&folder.join("server.key"), self.server_key.as_bytes())
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt;

    use super::*;

    // Without it a private key could lie readable in a shared temporary folder.
    #[test]
    fn the_private_key_is_the_owners_alone() {
        let folder =
            std::env::temp_dir().join(format!("upstreams-certificates-{}", std::process::id()));
        let certificates = Certificates::generate().unwrap();
        certificates.write(&folder).unwrap();
        certificates.write(&folder).unwrap();
        let mode = fs::metadata(folder.join("server.key"))
            .unwrap()
            .permissions()
            .mode();
        let written = fs::read_to_string(folder.join("ca.pem")).unwrap();
        fs::remove_dir_all(&folder).unwrap();
        assert_eq!(mode & 0o777, 0o600);
        assert_eq!(written, certificates.ca_pem());
    }
}
