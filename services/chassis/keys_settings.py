"""Settings of the keys: a file, HashiCorp Vault or OpenBao, or Azure Key Vault."""

from __future__ import annotations

from pathlib import Path
from typing import Literal

from pydantic import Field, FilePath, HttpUrl, ValidationInfo, field_validator
from pydantic_settings import SettingsConfigDict

from services.chassis.section import Section

_KMS_NAME = r"^[A-Za-z0-9-]{1,127}$"
_GUID = r"^[0-9A-Fa-f]{8}(-[0-9A-Fa-f]{4}){3}-[0-9A-Fa-f]{12}$"


class KeysSettings(Section):
    """The keys that protect the keys: in a file, or wrapped by a KMS and stored in the service's own database."""

    model_config = SettingsConfigDict(env_prefix="KEYS_")

    provider: Literal["file", "vault", "azure"] = Field(
        "file", description="Who holds the master and wrapping keys. Nothing moves keys from one to another."
    )
    file: Path | None = Field(
        None, description="File of the provider `file`; made with mode 600 at first use. Back it up apart."
    )
    kms_timeout_s: float = Field(5.0, gt=0, le=60, description="How long a KMS may take to answer.")
    kms_ca_file: FilePath | None = Field(
        None, description="Certificates of the authorities to trust for the KMS, as PEM; the system's if not set."
    )
    vault_url: HttpUrl | None = Field(None, description="Address of HashiCorp Vault or OpenBao.")
    vault_key: str | None = Field(
        None,
        pattern=_KMS_NAME,
        description="Name of a Transit key there, of type aes256-gcm96; each service best has its own.",
    )
    vault_token_file: Path | None = Field(
        None, description="File with the token, which an agent keeps fresh; it may encrypt and decrypt with that key."
    )
    vault_mount: str = Field(
        "transit", pattern=r"^[A-Za-z0-9_-]+(/[A-Za-z0-9_-]+)*$", description="Where Transit is mounted."
    )
    vault_namespace: str | None = Field(
        None, pattern=r"^[A-Za-z0-9_-]+(/[A-Za-z0-9_-]+)*/?$", description="Namespace, where Vault has them."
    )
    azure_url: HttpUrl | None = Field(None, description="Address of the key vault, https://NAME.vault.azure.net.")
    azure_key: str | None = Field(
        None,
        pattern=_KMS_NAME,
        description="Name of an RSA key there; the role is Key Vault Crypto Service Encryption User.",
    )
    azure_identity: Literal["managed", "workload"] = Field(
        "managed", description="How the service signs in: managed identity of its machine, or workload identity."
    )
    azure_client_id: str | None = Field(
        None,
        pattern=_GUID,
        description="Client id of the identity; with `managed` only where the machine has several.",
    )
    azure_tenant_id: str | None = Field(None, pattern=_GUID, description="Tenant of a workload identity.")
    azure_token_file: Path | None = Field(None, description="File with the federated token of a workload identity.")
    azure_login_url: HttpUrl = Field(
        HttpUrl("https://login.microsoftonline.com"), description="Where a workload identity gets its token."
    )
    azure_identity_url: HttpUrl = Field(
        HttpUrl("http://169.254.169.254"), description="Where a managed identity gets its token."
    )

    @field_validator("file", "vault_url", "vault_key", "vault_token_file", "azure_url", "azure_key")
    @classmethod
    def _of_the_provider(cls, value: object, info: ValidationInfo) -> object:
        """What a provider needs must be set; what is another one's must not, since somebody counts on it."""
        own, provider = str(info.field_name).partition("_")[0], info.data.get("provider")
        if value is None and own == provider:
            raise ValueError(f"must be set when KEYS_PROVIDER is {provider}")
        if value is not None and provider is not None and own != provider:
            raise ValueError(f"is for KEYS_PROVIDER {own}, and that is {provider}")
        return value

    @field_validator("azure_client_id", "azure_tenant_id", "azure_token_file")
    @classmethod
    def _of_a_workload_identity(cls, value: object, info: ValidationInfo) -> object:
        azure = info.data.get("provider") == "azure"
        if value is None and azure and info.data.get("azure_identity") == "workload":
            raise ValueError("must be set when KEYS_AZURE_IDENTITY is workload")
        return value

    @field_validator("vault_url", "azure_url", "azure_login_url")
    @classmethod
    def _protected(cls, value: HttpUrl | None) -> HttpUrl | None:
        """Tokens and keys travel there; unprotected only within this machine."""
        if value and value.scheme != "https" and value.host not in ("127.0.0.1", "localhost", "[::1]"):
            raise ValueError("must begin with https://")
        return value
