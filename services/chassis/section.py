"""The base of all settings classes."""

from __future__ import annotations

from pydantic_settings import BaseSettings, SettingsConfigDict


class Section(BaseSettings):
    """Base of all settings classes; a subclass sets `env_prefix`. Values come from the environment alone."""

    model_config = SettingsConfigDict(frozen=True, extra="ignore", env_ignore_empty=True)
