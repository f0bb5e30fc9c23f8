"""What a gateway asks of a store: whether a key is refused, and why."""

from __future__ import annotations

import pytest

import langkeys
from langkeys import LangflowStore


def refused(store: LangflowStore, api_key: str | None, **options: bool) -> str:
    """Hold that a key is refused without showing it, and return the reason."""
    with pytest.raises(langkeys.InvalidKeyError) as caught:
        store.verify(api_key, **options)
    if api_key:
        assert api_key not in f"{caught.value!r}{caught.value.message}{caught.value.hint}"
    return caught.value.reason
