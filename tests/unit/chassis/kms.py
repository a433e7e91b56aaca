"""KMSs of the tests: an HTTP server in this process that speaks Vault's Transit and Azure Key Vault as documented."""

from __future__ import annotations

import base64
import json
import os
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.asymmetric import padding, rsa
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.hashes import SHA256
from pydantic import HttpUrl

from services.chassis.settings import KeysSettings

TOKEN = "hvs.token-of-the-test"
CLIENT = "11111111-1111-1111-1111-111111111111"
TENANT = "22222222-2222-2222-2222-222222222222"
_OAEP = padding.OAEP(mgf=padding.MGF1(SHA256()), algorithm=SHA256(), label=None)
_Answer = tuple[int, dict[str, Any]]


class FakeKms:
    """What the server holds, what it was asked, and how it is to fail: `status` for a status, `silent` for none."""

    def __init__(self) -> None:
        self.url = ""
        self.requests: list[str] = []
        self.headers: list[dict[str, str]] = []
        self.forms: list[dict[str, str]] = []
        self.status = 0
        self.garbage = False
        self.silent = threading.Event()
        self.silent.set()
        self.expires_in = "3600"
        self.version = "a" * 32
        self._cipher = AESGCM(os.urandom(32))
        self._rsa = {self.version: _rsa(self.version)}

    def rotate(self) -> None:
        """A new version of the key in Key Vault; the old one still opens."""
        self.version = "b" * 32
        self._rsa[self.version] = _rsa(self.version)

    def answer(self, method: str, path: str, body: bytes) -> _Answer:
        """One request."""
        if self.status:
            return self.status, {"errors": ["permission denied"]}
        parts = path.strip("/").split("/")
        match method, parts:
            case "POST", ["v1", "transit", "encrypt" | "decrypt" as what, "hulpketen"]:
                return self._transit(what, json.loads(body)["batch_input"])
            case "GET", ["metadata", "identity", "oauth2", "token"]:
                return 200, {"access_token": TOKEN, "expires_in": self.expires_in}
            case "POST", [_, "oauth2", "v2.0", "token"]:
                self.forms.append({name: values[0] for name, values in parse_qs(body.decode()).items()})
                return 200, {"access_token": TOKEN, "expires_in": 3600}
            case "GET", ["keys", "hulpketen"]:
                return 200, {"key": {"kid": f"{self.url}/keys/hulpketen/{self.version}", "kty": "RSA"}}
            case "POST", ["keys", "hulpketen", version, "wrapkey" | "unwrapkey" as what] if version in self._rsa:
                return self._key_vault(what, version, json.loads(body))
        return 404, {"errors": []}

    def _transit(self, what: str, items: list[dict[str, str]]) -> _Answer:
        results = [self._encrypt(item) if what == "encrypt" else self._decrypt(item) for item in items]
        return 400 if any("error" in result for result in results) else 200, {"data": {"batch_results": results}}

    def _encrypt(self, item: dict[str, str]) -> dict[str, str]:
        nonce = os.urandom(12)
        plain, associated = base64.b64decode(item["plaintext"]), base64.b64decode(item["associated_data"])
        sealed = nonce + self._cipher.encrypt(nonce, plain, associated)
        return {"ciphertext": f"vault:v1:{base64.b64encode(sealed).decode()}"}

    def _decrypt(self, item: dict[str, str]) -> dict[str, str]:
        try:
            sealed = base64.b64decode(item["ciphertext"].removeprefix("vault:v1:"))
            plain = self._cipher.decrypt(sealed[:12], sealed[12:], base64.b64decode(item["associated_data"]))
        except (InvalidTag, ValueError):
            return {"error": "invalid ciphertext: unable to decrypt"}
        return {"plaintext": base64.b64encode(plain).decode()}

    def _key_vault(self, what: str, version: str, body: dict[str, str]) -> _Answer:
        assert body["alg"] == "RSA-OAEP-256"
        key, value = self._rsa[version], base64.urlsafe_b64decode(body["value"] + "==")
        try:
            done = key.public_key().encrypt(value, _OAEP) if what == "wrapkey" else key.decrypt(value, _OAEP)
        except ValueError:
            return 400, {"error": {"code": "BadParameter"}}
        text = base64.urlsafe_b64encode(done).rstrip(b"=").decode()
        return 200, {"kid": f"{self.url}/keys/hulpketen/{version}", "value": text}


@cache
def _rsa(version: str) -> rsa.RSAPrivateKey:
    """Made once for all tests: it takes a while."""
    assert version
    return rsa.generate_private_key(public_exponent=65537, key_size=2048)


@contextmanager
def serving() -> Iterator[FakeKms]:
    """A KMS on a free port of this machine."""
    kms = FakeKms()

    class Handler(BaseHTTPRequestHandler):
        def _any(self) -> None:
            body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
            kms.requests.append(f"{self.command} {urlsplit(self.path).path}")
            kms.headers.append(dict(self.headers))
            kms.silent.wait()
            status, content = kms.answer(self.command, urlsplit(self.path).path, body)
            answer = b"<html>" if kms.garbage else json.dumps(content).encode()
            self.send_response(status)
            self.send_header("Content-Length", str(len(answer)))
            self.end_headers()
            self.wfile.write(answer)

        do_GET = do_POST = _any  # noqa: N815 - names of http.server

        def log_message(self, format: str, *args: Any) -> None: ...

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    kms.url = f"http://127.0.0.1:{server.server_port}"
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    try:
        yield kms
    finally:
        kms.silent.set()
        server.shutdown()
        thread.join()
        server.server_close()


def vault_settings(kms: FakeKms, folder: Path, **changes: Any) -> KeysSettings:
    """Settings that lead to it as to Vault."""
    token = folder / "token"
    token.write_text(f"{TOKEN}\n")
    own: dict[str, Any] = {"vault_url": HttpUrl(kms.url), "vault_key": "hulpketen", "vault_token_file": token}
    return KeysSettings(provider="vault", **own | changes)


def azure_settings(kms: FakeKms, **changes: Any) -> KeysSettings:
    """Settings that lead to it as to Azure Key Vault and to who gives its tokens."""
    url = HttpUrl(kms.url)
    own: dict[str, Any] = {
        "azure_url": url,
        "azure_key": "hulpketen",
        "azure_identity_url": url,
        "azure_login_url": url,
    }
    return KeysSettings(provider="azure", **own | changes)
