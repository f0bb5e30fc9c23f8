"""Verify API keys as a gateway does."""

from __future__ import annotations

import pytest

import langkeys
from langkeys import LangflowStore


def refusal_reason(store: LangflowStore, api_key: str | None, **options: bool) -> str:
    """Assert that a key is refused, and that the error does not contain it; return the reason."""
    with pytest.raises(langkeys.InvalidKeyError) as caught:
        store.verify(api_key, **options)
    if api_key:
        assert api_key not in f"{caught.value!r}{caught.value.message}{caught.value.hint}"
    return caught.value.reason
