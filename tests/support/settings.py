"""Settings from an environment, a .env file in the working folder, and options."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from langkeys.config.settings import Settings


def settings_of(
    environ: Mapping[str, str] | None = None, dotenv: str | None = None, **options: str
) -> Settings:
    """Return settings; ``dotenv`` is written to .env in the test's own working folder."""
    if dotenv is not None:
        Path(".env").write_text(dotenv, encoding="utf-8")
    given_options = {name: (text, "--option") for name, text in options.items()}
    return Settings(given_options, environ=environ or {})
