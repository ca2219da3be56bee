"""Tokens of three libraries that know nothing of each other, and the server that publishes their keys.

Prints one line of JSON: the port, the secrets, and for each library and algorithm a token. Ends when standard input does.
"""

import http.server
import json
import secrets
import sys
import threading
import time

import jwt
from joserfc import jwt as joserfc_jwt
from joserfc.jwk import JWKRegistry, OctKey
from jwcrypto import jwk as jwcrypto_jwk
from jwcrypto import jwt as jwcrypto_jwt

ISSUER = "https://mint.test"
SECRET_ISSUER = "https://secret.mint.test"
RSA = {"kty": "RSA", "size": 2048}
KEYS = {
    "RS256": RSA,
    "RS384": RSA,
    "RS512": RSA,
    "PS256": RSA,
    "PS384": RSA,
    "PS512": RSA,
    "ES256": {"kty": "EC", "crv": "P-256"},
    "ES256K": {"kty": "EC", "crv": "secp256k1"},
    "ES384": {"kty": "EC", "crv": "P-384"},
    "ES512": {"kty": "EC", "crv": "P-521"},
    "EdDSA": {"kty": "OKP", "crv": "Ed25519"},
}
MACS = ["HS256", "HS384", "HS512"]


def claims(issuer, subject):
    now = int(time.time())
    return {"iss": issuer, "aud": "api", "sub": subject, "iat": now, "exp": now + 600}


def by_joserfc(algorithm, key_id, issuer, secret):
    if secret:
        key = OctKey.import_key(secret)
    else:
        kind = KEYS[algorithm]
        size = kind.get("crv") or kind["size"]
        key = JWKRegistry.generate_key(kind["kty"], size, parameters={"kid": key_id, "alg": algorithm})
    header = {"alg": algorithm, "kid": key_id}
    token = joserfc_jwt.encode(header, claims(issuer, "joserfc"), key, algorithms=[algorithm])
    return token, key.as_dict(private=False) if not secret else None


def by_jwcrypto(algorithm, key_id, issuer, secret):
    if secret:
        key = jwcrypto_jwk.JWK.from_password(secret.decode())
    else:
        key = jwcrypto_jwk.JWK.generate(kid=key_id, alg=algorithm, **KEYS[algorithm])
    token = jwcrypto_jwt.JWT(
        header={"alg": algorithm, "kid": key_id}, claims=claims(issuer, "jwcrypto"), algs=[algorithm]
    )
    token.make_signed_token(key)
    return token.serialize(), key.export_public(as_dict=True) if not secret else None


def by_pyjwt(algorithm, key_id, issuer, secret):
    # PyJWT makes no keys: it signs with those of cryptography, here in a key of jwcrypto's making.
    public, private = None, secret
    if not secret:
        key = jwcrypto_jwk.JWK.generate(kid=key_id, alg=algorithm, **KEYS[algorithm])
        public, private = key.export_public(as_dict=True), key.export_to_pem(private_key=True, password=None)
    headers = {"kid": key_id}
    return jwt.encode(claims(issuer, "PyJWT"), private, algorithm=algorithm, headers=headers), public


keys, secret_keys, tokens = [], [], []
for library, mint in (("PyJWT", by_pyjwt), ("joserfc", by_joserfc), ("jwcrypto", by_jwcrypto)):
    for algorithm in [*KEYS, *MACS]:
        key_id = f"{library}-{algorithm}"
        secret = secrets.token_urlsafe(64).encode() if algorithm in MACS else None
        token, key = mint(algorithm, key_id, SECRET_ISSUER if secret else ISSUER, secret)
        if secret:
            known = jwcrypto_jwk.JWK.from_password(secret.decode())["k"]
            secret_keys.append({"kty": "oct", "kid": key_id, "alg": algorithm, "k": known})
        else:
            keys.append(key)
        tokens.append({"library": library, "algorithm": algorithm, "token": token})

BODY = json.dumps({"keys": keys}).encode()


class Handler(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        self.send_response(200)
        self.send_header("content-type", "application/jwk-set+json")
        self.send_header("content-length", str(len(BODY)))
        self.end_headers()
        self.wfile.write(BODY)

    def log_message(self, *_):
        pass


server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
threading.Thread(target=server.serve_forever, daemon=True).start()
said = {
    "issuer": ISSUER,
    "secret_issuer": SECRET_ISSUER,
    "secret_keys": secret_keys,
    "port": server.server_port,
    "tokens": tokens,
}
print(json.dumps(said), flush=True)
sys.stdin.read()
