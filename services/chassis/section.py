"""The base of all settings classes."""

from __future__ import annotations

import os
from pathlib import Path

from pydantic_settings import BaseSettings, PydanticBaseSettingsSource, SecretsSettingsSource, SettingsConfigDict

FOLDER, USUAL = "SECRETS_DIRECTORY", "/run/secrets"


class Section(BaseSettings):
    """Base of all settings classes; a subclass sets `env_prefix`.

    Values come from the environment, or else from a file in the folder that SECRETS_DIRECTORY names (/run/secrets if
    it is not set), named like the variable in lower case: so a password need not stand in an environment.
    """

    model_config = SettingsConfigDict(frozen=True, extra="ignore", env_ignore_empty=True)

    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],
        init_settings: PydanticBaseSettingsSource,
        env_settings: PydanticBaseSettingsSource,
        dotenv_settings: PydanticBaseSettingsSource,
        file_secret_settings: PydanticBaseSettingsSource,
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        """The environment before the files; no other source."""
        folder = Path(os.environ.get(FOLDER) or USUAL)
        files = (SecretsSettingsSource(settings_cls, secrets_dir=folder),) if folder.is_dir() else ()
        return (init_settings, env_settings, *files)
