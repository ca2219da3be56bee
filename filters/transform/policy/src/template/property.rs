//! What only the host knows of a request.

/// A property of the host that a template reads.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Property {
    /// `source.address`.
    Address,
    /// The server name that the client asked for (TLS SNI).
    Sni,
    /// The version of TLS.
    TlsVersion,
    /// The subject of the client's certificate.
    PeerSubject,
    /// The first URI among the names of the client's certificate.
    PeerUriSan,
    /// The first DNS name of the client's certificate.
    PeerDnsSan,
    /// The SHA-256 of the client's certificate, in hexadecimal digits.
    PeerFingerprint,
}

impl Property {
    /// Every property.
    pub const ALL: [Property; 7] = [
        Property::Address,
        Property::Sni,
        Property::TlsVersion,
        Property::PeerSubject,
        Property::PeerUriSan,
        Property::PeerDnsSan,
        Property::PeerFingerprint,
    ];

    /// Its path among [Envoy's attributes](https://www.envoyproxy.io/docs/envoy/v1.40.0/intro/arch_overview/advanced/attributes).
    pub const fn path(self) -> [&'static str; 2] {
        match self {
            Property::Address => ["source", "address"],
            Property::Sni => ["connection", "requested_server_name"],
            Property::TlsVersion => ["connection", "tls_version"],
            Property::PeerSubject => ["connection", "subject_peer_certificate"],
            Property::PeerUriSan => ["connection", "uri_san_peer_certificate"],
            Property::PeerDnsSan => ["connection", "dns_san_peer_certificate"],
            Property::PeerFingerprint => ["connection", "sha256_peer_certificate_digest"],
        }
    }
}
