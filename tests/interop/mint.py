"""Tokens of three libraries that know nothing of each other, and the server that publishes their keys.

Prints one line of JSON: the port, and for each library and algorithm a token. Ends when standard input does.
"""

import http.server
import json
import sys
import threading
import time

import jwt
from joserfc import jwt as joserfc_jwt
from joserfc.jwk import ECKey, OKPKey, RSAKey
from jwcrypto import jwk as jwcrypto_jwk
from jwcrypto import jwt as jwcrypto_jwt

ISSUER = "https://mint.test"
JWCRYPTO = {
    "RS256": {"kty": "RSA", "size": 2048},
    "ES256": {"kty": "EC", "crv": "P-256"},
    "EdDSA": {"kty": "OKP", "crv": "Ed25519"},
}


def claims(subject):
    now = int(time.time())
    return {"iss": ISSUER, "aud": "api", "sub": subject, "iat": now, "exp": now + 600}


def by_joserfc(algorithm, key_id):
    make = {
        "RS256": lambda: RSAKey.generate_key(2048, parameters={"kid": key_id}),
        "ES256": lambda: ECKey.generate_key("P-256", parameters={"kid": key_id}),
        "EdDSA": lambda: OKPKey.generate_key("Ed25519", parameters={"kid": key_id}),
    }
    key = make[algorithm]()
    header = {"alg": algorithm, "kid": key_id}
    token = joserfc_jwt.encode(header, claims("joserfc"), key, algorithms=[algorithm])
    return token, key.as_dict(private=False)


def by_jwcrypto(algorithm, key_id):
    key = jwcrypto_jwk.JWK.generate(kid=key_id, **JWCRYPTO[algorithm])
    token = jwcrypto_jwt.JWT(header={"alg": algorithm, "kid": key_id}, claims=claims("jwcrypto"))
    token.make_signed_token(key)
    return token.serialize(), key.export_public(as_dict=True)


def by_pyjwt(algorithm, key_id):
    # PyJWT makes no keys: it signs with those of cryptography, here in a key of jwcrypto's making.
    key = jwcrypto_jwk.JWK.generate(kid=key_id, **JWCRYPTO[algorithm])
    pem = key.export_to_pem(private_key=True, password=None)
    token = jwt.encode(claims("PyJWT"), pem, algorithm=algorithm, headers={"kid": key_id})
    return token, key.export_public(as_dict=True)


keys, tokens = [], []
for library, mint in (("PyJWT", by_pyjwt), ("joserfc", by_joserfc), ("jwcrypto", by_jwcrypto)):
    for algorithm in JWCRYPTO:
        token, key = mint(algorithm, f"{library}-{algorithm}")
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
print(json.dumps({"issuer": ISSUER, "port": server.server_port, "tokens": tokens}), flush=True)
sys.stdin.read()
