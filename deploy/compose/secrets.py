"""`python -m deploy.compose.secrets`: makes what no repository may hold, each secret in the volume of who needs it.

It runs as root in a container of its own, before all others, since each volume belongs to another user. What is there
stays as it is: doing it again changes nothing, but for certificates that are about to expire.
"""

from __future__ import annotations

import base64
import json
import os
import secrets
from datetime import UTC, datetime, timedelta
from ipaddress import ip_address
from pathlib import Path
from string import Template
from urllib.parse import urlsplit

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from deploy.local.access import BOARD_CLIENT, CLI_CLIENT
from deploy.local.ports import SERVICES

REPLICA_SET = "hulpketen"
METRICS_CLIENT = "hulpketen-metrics"
HERE = Path(__file__).parent
VOLUMES = Path("/volumes")
# Where the folder generated/ of the host is mounted: what commands on the host need to find the stack.
GENERATED = Path("/generated")
# Users of the images: our own, Apache Kafka's, MongoDB's, nginx's, Keycloak's, Prometheus', Grafana's.
OWN, KAFKA, MONGO, PROXY, KEYCLOAK, PROMETHEUS, GRAFANA = 10001, 1000, 999, 101, 1000, 65534, 472
_DAYS, _RENEW_DAYS = 825, 30


def main() -> None:
    """Make what is missing."""
    url = os.environ["HULPKETEN_URL"].rstrip("/")
    vault = Vault(VOLUMES / "secrets")
    _services(vault)
    _kafka(vault)
    _own(VOLUMES / "kafka", KAFKA)
    _cluster_id(VOLUMES / "kafka" / "cluster.id")
    _give("secrets-mongo", "keyfile", base64.b64encode(vault.secret("mongo-keyfile").encode()).decode(), MONGO)
    vault.secret("mongo-admin")
    _own(VOLUMES / "mongo", MONGO)
    _give("secrets-eyes", "metrics_client_secret", vault.secret(CLI_CLIENT), PROMETHEUS)
    _give("secrets-grafana", "admin_password", vault.secret("grafana"), GRAFANA)
    _keycloak(vault, url)
    authority = _certificates(url)
    _describe(vault, url, authority)


def _cluster_id(path: Path) -> None:
    """Kafka's way to write a random UUID: 22 characters of base64, of which the first is no dash."""
    if not path.exists():
        _write(path, "A" + base64.urlsafe_b64encode(secrets.token_bytes(16)).decode()[1:22], KAFKA)


class Vault:
    """The administrator's volume: every secret that was made, by name."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        _own(folder, OWN)

    def secret(self, name: str) -> str:
        """A random secret, made at the first call and the same ever after."""
        path = self.folder / name
        if not path.exists():
            _write(path, secrets.token_urlsafe(32), OWN)
        return path.read_text(encoding="utf-8")


def _services(vault: Vault) -> None:
    for name in SERVICES:
        volume = f"secrets-{name}"
        password = vault.secret(f"mongo-{name}")
        where = f"mongo:27017/?replicaSet={REPLICA_SET}&authSource=hulpketen_{name}"
        _give(volume, "mongo_uri", f"mongodb://{name}:{password}@{where}", OWN)
        _give(volume, "kafka_sasl_password", vault.secret(f"kafka-{name}"), OWN)
        _own(VOLUMES / f"keys-{name}", OWN)
    _own(VOLUMES / "trail", OWN)
    _give("secrets-notifications", "notifications_client_secret", vault.secret(BOARD_CLIENT), OWN)
    keys = VOLUMES / "issuer" / "keys"
    _own(VOLUMES / "issuer", OWN)
    _own(keys, OWN)
    for client in (BOARD_CLIENT, CLI_CLIENT):
        _write(keys / f"{client}.secret", vault.secret(client), OWN)


def _kafka(vault: Vault) -> None:
    password = vault.secret("kafka-admin")
    _give("secrets-kafka", "jaas.conf", Template(_read("jaas.conf")).substitute(password=password), KAFKA)
    _give("secrets-topics", "kafka_sasl_password", password, OWN)
    for name in SERVICES:
        _give("secrets-topics", name, vault.secret(f"kafka-{name}"), OWN)


def _keycloak(vault: Vault, url: str) -> None:
    values = {
        "url": url,
        "board_secret": vault.secret(BOARD_CLIENT),
        "cli_secret": vault.secret(CLI_CLIENT),
        "metrics_secret": vault.secret(METRICS_CLIENT),
        "password": vault.secret("keycloak-sample"),
        "admin_password": vault.secret("keycloak-admin"),
    }
    # Keycloak's own way to name a variable is ${…} as well: what is not ours stays.
    for name in ("hulpketen-realm.json", "keycloak.conf"):
        filled = Template(_read(f"keycloak/{name}")).safe_substitute(values)
        _give("secrets-keycloak", name, filled, KEYCLOAK)
    _own(VOLUMES / "keycloak", KEYCLOAK)


def _certificates(url: str) -> str:
    """The proxy's certificate, unless somebody put another there. The certificate of who signed it, as PEM."""
    folder = VOLUMES / "secrets-proxy"
    authority = folder / "ca.pem"
    if not (folder / "tls.crt").exists() or (authority.exists() and _expires_soon(folder / "tls.crt")):
        signed_by, certificate, key = certificates(str(urlsplit(url).hostname))
        _give(folder.name, "ca.pem", signed_by, PROXY)
        _give(folder.name, "tls.key", key, PROXY)
        _give(folder.name, "tls.crt", certificate, PROXY)
    return authority.read_text(encoding="utf-8") if authority.exists() else ""


def certificates(host: str) -> tuple[str, str, str]:
    """As PEM: an authority that signed this one certificate and then forgot its key; the certificate; its key."""
    authority_key, key = ec.generate_private_key(ec.SECP256R1()), ec.generate_private_key(ec.SECP256R1())
    issuer = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "Hulpketen on one machine")])
    now = datetime.now(UTC)

    def begin(subject: x509.Name, public: ec.EllipticCurvePublicKey) -> x509.CertificateBuilder:
        made = x509.CertificateBuilder().subject_name(subject).issuer_name(issuer).public_key(public)
        made = made.serial_number(x509.random_serial_number()).not_valid_before(now - timedelta(hours=1))
        return made.not_valid_after(now + timedelta(days=_DAYS))

    usage = x509.KeyUsage(False, False, False, False, False, True, True, False, False)
    identifier = x509.SubjectKeyIdentifier.from_public_key(authority_key.public_key())
    authority = (
        begin(issuer, authority_key.public_key())
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        .add_extension(usage, critical=True)
        .add_extension(identifier, critical=False)
        .sign(authority_key, hashes.SHA256())
    )
    names: list[x509.GeneralName] = [_name(host)]
    if host == "localhost":
        names += [_name("127.0.0.1"), _name("::1")]
    signed = (
        begin(x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, host)]), key.public_key())
        .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
        .add_extension(x509.SubjectAlternativeName(names), critical=False)
        .add_extension(x509.ExtendedKeyUsage([ExtendedKeyUsageOID.SERVER_AUTH]), critical=False)
        .add_extension(x509.AuthorityKeyIdentifier.from_issuer_subject_key_identifier(identifier), critical=False)
        .sign(authority_key, hashes.SHA256())
    )
    pem, plain = serialization.Encoding.PEM, serialization.NoEncryption()
    private = key.private_bytes(pem, serialization.PrivateFormat.PKCS8, plain)
    return authority.public_bytes(pem).decode(), signed.public_bytes(pem).decode(), private.decode()


def _name(host: str) -> x509.GeneralName:
    try:
        return x509.IPAddress(ip_address(host))
    except ValueError:
        return x509.DNSName(host)


def _expires_soon(path: Path) -> bool:
    ends = x509.load_pem_x509_certificate(path.read_bytes()).not_valid_after_utc
    return ends < datetime.now(UTC) + timedelta(days=_RENEW_DAYS)


def _describe(vault: Vault, url: str, authority: str) -> None:
    """For commands on the host: where the stack is. The files belong to whom the folder belongs to."""
    owner = GENERATED.stat().st_uid
    _own(GENERATED / "keys", owner)
    _write(GENERATED / "keys" / f"{CLI_CLIENT}.secret", vault.secret(CLI_CLIENT), owner)
    stack = {name: f"{url}/{name}" for name in ("issuer", *SERVICES)}
    stack |= {"clientId": CLI_CLIENT, "clientSecretFile": f"keys/{CLI_CLIENT}.secret"}
    if authority:
        _write(GENERATED / "ca.pem", authority, owner)
        stack["ca"] = "ca.pem"
    _write(GENERATED / "stack.json", json.dumps(stack, indent=2) + "\n", owner)


def _read(name: str) -> str:
    return (HERE / name).read_text(encoding="utf-8")


def _give(volume: str, name: str, text: str, user: int) -> None:
    """A file in a volume of secrets, for one user."""
    _own(VOLUMES / volume, user)
    _write(VOLUMES / volume / name, text, user)


def _own(folder: Path, user: int) -> None:
    folder.mkdir(exist_ok=True)
    folder.chmod(0o700)
    os.chown(folder, user, user)


def _write(path: Path, text: str, user: int) -> None:
    """A file that only this user may read, whole or not at all."""
    draft = path.with_name(f".{path.name}.new")
    draft.unlink(missing_ok=True)
    with os.fdopen(os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o400), "w", encoding="utf-8") as file:
        file.write(text)
    os.chown(draft, user, user)
    draft.replace(path)


if __name__ == "__main__":
    main()
