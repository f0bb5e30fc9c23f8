"""Administration of Langflow's API keys and credential variables.

Programs import ``open_store`` and its types from here. Each name is imported at first use, so that
``import langkeys`` costs nothing.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

__version__ = "0.2.0"

if TYPE_CHECKING:
    from langkeys.api_keys.lifecycle import NewApiKey
    from langkeys.api_keys.rotation import Replacement
    from langkeys.api_keys.verification import Verified
    from langkeys.errors import (
        AmbiguousError,
        ConfigError,
        ConflictError,
        FailedError,
        ForbiddenError,
        InvalidKeyError,
        LangkeysError,
        NotFoundError,
        SecretKeyError,
        StoreError,
        UnauthenticatedError,
        UnsupportedError,
        UsageError,
    )
    from langkeys.library import LangflowStore, open_store
    from langkeys.models import ApiKey, User, Variable

__all__ = [
    "AmbiguousError",
    "ApiKey",
    "ConfigError",
    "ConflictError",
    "FailedError",
    "ForbiddenError",
    "InvalidKeyError",
    "LangflowStore",
    "LangkeysError",
    "NewApiKey",
    "NotFoundError",
    "Replacement",
    "SecretKeyError",
    "StoreError",
    "UnauthenticatedError",
    "UnsupportedError",
    "UsageError",
    "User",
    "Variable",
    "Verified",
    "open_store",
]

_HOMES = {
    "ApiKey": "models",
    "LangflowStore": "library",
    "NewApiKey": "api_keys.lifecycle",
    "Replacement": "api_keys.rotation",
    "User": "models",
    "Variable": "models",
    "Verified": "api_keys.verification",
    "open_store": "library",
}


def __getattr__(name: str) -> Any:
    if name not in __all__:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f"{__name__}.{_HOMES.get(name, 'errors')}"), name)


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
