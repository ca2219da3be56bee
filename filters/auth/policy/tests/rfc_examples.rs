//! The examples of the standards: RFC 7515 appendix A, RFC 7519 sections 3.1 and 6.1, RFC 8037 appendix A.

use auth_policy::claims::{Claims, ClaimsError, Expected};
use auth_policy::jws::{CompactJws, JwsError};
use auth_policy::key_set::KeySet;
use auth_policy::{Algorithm, SignatureCheck};
use filter_config::FieldPath;
use p521::ecdsa::signature::Verifier as _;
use serde_json::{Value, json};
use std::rc::Rc;
use std::time::Duration;

/// The claims of RFC 7519 section 3.1, with the line ends and spaces that they have there.
const CLAIMS: &str = "eyJpc3MiOiJqb2UiLA0KICJleHAiOjEzMDA4MTkzODAsDQogImh0dHA6Ly9leGFtcGxlLmNvbS9pc19yb290Ijp0cnVlfQ";

/// The question whether the key made the token.
fn check(jwk: Value, token: &str) -> SignatureCheck {
    let jws = CompactJws::parse(token.as_bytes()).unwrap();
    let algorithm = Algorithm::from_name(&jws.header().algorithm).unwrap();
    let keys = KeySet::from_jwks(&json!({ "keys": [jwk] }), &FieldPath::root()).unwrap();
    let key = keys.candidates(algorithm, None).next().unwrap();
    SignatureCheck::new(&Rc::new(jws), key).unwrap()
}

/// RFC 7515 appendix A.1, which is RFC 7519 section 3.1.
#[test]
fn hs256() {
    let jwk = json!({ "kty": "oct", "k": "AyM1SysPpbyDfgZld3umj1qzKObwVMkoqQ-EstJQLr_T-1qS0gZH75aKtMN3Yj0iPS4hcgUuTwjAzZr1Z9CAow" });
    let token = format!(
        "eyJ0eXAiOiJKV1QiLA0KICJhbGciOiJIUzI1NiJ9.{CLAIMS}.dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk"
    );
    assert!(check(jwk, &token).verify());
}

/// RFC 7515 appendix A.2.
#[test]
fn rs256() {
    let jwk = json!({ "kty": "RSA", "e": "AQAB", "n": "ofgWCuLjybRlzo0tZWJjNiuSfb4p4fAkd_wWJcyQoTbji9k0l8W26mPddxHmfHQp-Vaw-4qPCJrcS2mJPMEzP1Pt0Bm4d4QlL-yRT-SFd2lZS-pCgNMsD1W_YpRPEwOWvG6b32690r2jZ47soMZo9wGzjb_7OMg0LOL-bSf63kpaSHSXndS5z5rexMdbBYUsLA9e-KXBdQOS-UTo7WTBEMa2R2CapHg665xsmtdVMTBQY4uDZlxvb3qCo5ZwKh9kG4LT6_I5IhlJH7aGhyxXFvUK-DWNmoudF8NAco9_h9iaGNj8q2ethFkMLs91kzk2PAcDTW9gb54h4FRWyuXpoQ" });
    let token = format!(
        "eyJhbGciOiJSUzI1NiJ9.{CLAIMS}.cC4hiUPoj9Eetdgtv3hF80EGrhuB__dzERat0XF9g2VtQgr9PJbu3XOiZj5RZmh7AAuHIm4Bh-0Qc_lF5YKt_O8W2Fp5jujGbds9uJdbF9CUAr7t1dnZcAcQjbKBYNX4BAynRFdiuB--f_nZLgrnbyTyWzO75vRK5h6xBArLIARNPvkSjtQBMHlb1L07Qe7K0GarZRmB_eSN9383LcOLn6_dO--xi12jzDwusC-eOkHWEsqtFZESc6BfI7noOPqvhJ1phCnvWh6IeYI2w9QOYEUipUTI8np6LbgGY9Fs98rqVt5AXLIhWkWywlVmtVrBp0igcN_IoypGlUPQGe77Rw"
    );
    assert!(check(jwk, &token).verify());
}

/// RFC 7515 appendix A.3.
#[test]
fn es256() {
    let jwk = json!({ "kty": "EC", "crv": "P-256",
        "x": "f83OJ3D2xF1Bg8vub9tLe1gHMzV76e8Tus9uPHvRVEU", "y": "x_FEzRu9m36HLN_tue659LNpXW6pCyStikYjKIWI5a0" });
    let token = format!(
        "eyJhbGciOiJFUzI1NiJ9.{CLAIMS}.DtEhU3ljbEg8L38VWAfUAqOyKAM6-Xx-F4GawxaepmXFCgfTjDxw5djxLa8ISlSApmWQxfKTUJqPP3-Kg6NU1Q"
    );
    assert!(check(jwk, &token).verify());
}

/// RFC 7515 appendix A.4. Only a host verifies it, so the question that the host is asked is verified here by another
/// implementation.
#[test]
fn es512() {
    let jwk = json!({ "kty": "EC", "crv": "P-521",
        "x": "AekpBQ8ST8a8VcfVOTNl353vSrDCLLJXmPk06wTjxrrjcBpXp5EOnYG_NjFZ6OvLFV1jSfS9tsz4qUxcWceqwQGk",
        "y": "ADSmRA43Z1DSNx_RvcLI87cdL07l6jQyyBXMoxVg_l2Th-x3S1WDhjDly79ajL4Kkd0AZMaZmh9ubmf63e3kyMj2" });
    let token = "eyJhbGciOiJFUzUxMiJ9.UGF5bG9hZA.AdwMgeerwtHoh-l192l60hp9wAHZFVJbLfD_UxMi70cwnZOYaRI1bKPWROc-mZZqwqT2SI-KGDKB34XO0aw_7XdtAG8GaSwFKdCAPZgoXD2YBJZCPEX3xKpRwcdOO8KpEHwJjyqOgzDO7iKvU8vcnwNrmxYbSW9ERBXukOXolLzeO_Jn";
    let check = check(jwk, token);
    let asked = check.host_form().unwrap();
    let key = asked
        .key_der
        .last_chunk::<133>()
        .map(|point| p521::ecdsa::VerifyingKey::from_sec1_bytes(point).unwrap())
        .unwrap();
    let raw = CompactJws::parse(token.as_bytes()).unwrap();
    let signature = p521::ecdsa::Signature::from_slice(raw.signature()).unwrap();
    assert!(key.verify(asked.text, &signature).is_ok());
    // SEQUENCE of 136 bytes with two INTEGERs of 66 and 65: r begins 01 dc, s begins 00 6f.
    assert_eq!(asked.signature[..5], [0x30, 0x81, 0x87, 0x02, 0x42]);
    assert!(!check.verify());
}

/// RFC 8037 appendix A.4.
#[test]
fn ed25519() {
    let jwk = json!({ "kty": "OKP", "crv": "Ed25519", "x": "11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo" });
    let token = "eyJhbGciOiJFZERTQSJ9.RXhhbXBsZSBvZiBFZDI1NTE5IHNpZ25pbmc.hgyY0il_MGCjP0JzlnLWG1PPOt7-09PGcvMg3AIbQR6dWbhijcNR4ki4iylGjg5BhVsPt9g7sVvpAr_MuM0KAg";
    assert!(check(jwk, token).verify());
}

/// RFC 7515 appendix A.5, which is RFC 7519 section 6.1: an unsecured token is a token of no algorithm that a key could have.
#[test]
fn unsecured() {
    let token = format!("eyJhbGciOiJub25lIn0.{CLAIMS}.");
    let jws = CompactJws::parse(token.as_bytes()).unwrap();
    assert_eq!(Algorithm::from_name(&jws.header().algorithm), None);
}

/// RFC 7515 appendix A.6 and A.7: the JSON serialisations; appendix F: detached content; RFC 7519 appendix A.1: an encrypted one.
#[test]
fn other_forms_are_refused() {
    let general = format!(
        r#"{{"payload":"{CLAIMS}","signatures":[{{"protected":"eyJhbGciOiJFUzI1NiJ9","header":{{"kid":"e"}},"signature":"DtEhU3ljbEg8"}}]}}"#
    );
    let flattened = format!(
        r#"{{"payload":"{CLAIMS}","protected":"eyJhbGciOiJFUzI1NiJ9","signature":"DtEhU3ljbEg8"}}"#
    );
    let encrypted = "eyJhbGciOiJSU0ExXzUiLCJlbmMiOiJBMTI4Q0JDLUhTMjU2In0.QR1Owv2ug2WyPBnbQrRARTeEk9kDO2w8.AxY8DCtDaGlsbGljb3RoZQ.MKOle7UQrG6nSxTLX6Mqwt0orbHvAKeWnDYvpIAeZ72deHxz3roJDXQyhxx0wKaM.fiK51VwhsxJ-siBMR-YFiA";
    for token in [general.as_str(), &flattened, encrypted] {
        let Err(error) = CompactJws::parse(token.as_bytes()) else {
            panic!("{token} was read");
        };
        assert_eq!(error, JwsError::NotCompact);
    }
    // Detached: the payload between the dots is empty, and no claims.
    let detached =
        CompactJws::parse(b"eyJhbGciOiJFUzI1NiJ9..DtEhU3ljbEg8L38VWAfUAqOyKAM6").unwrap();
    assert_eq!(
        Claims::parse(detached.payload()),
        Err(ClaimsError::Malformed)
    );
}

/// RFC 7519 section 3.1: the dates of the example, a second before its end and at it.
#[test]
fn the_claims_of_the_example_are_read() {
    let payload = CompactJws::parse(format!("eyJhbGciOiJIUzI1NiJ9.{CLAIMS}.AA").as_bytes())
        .unwrap()
        .payload()
        .to_vec();
    let claims = Claims::parse(&payload).unwrap();
    assert_eq!(claims.issuer(), Some("joe"));
    let expected = Expected {
        issuer: "joe".into(),
        audiences: vec!["api".into()],
        clock_skew: Duration::ZERO,
        max_lifetime: None,
    };
    assert_eq!(claims.check(&expected), Err(ClaimsError::Audience));
}
