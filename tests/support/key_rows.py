"""One API key in several rows, in every combination that restores and merges can produce."""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from typing import Any

from .databases import Database, SampleKey, ago, ahead
from .samples import new_api_key

STATES: dict[str, dict[str, Any]] = {
    "active": {},
    "inactive": {"is_active": False},
    "expired": {"expires_at": ago(days=1)},
    "expiring": {"expires_at": ahead(days=1)},
}
FORMS: dict[str, dict[str, Any]] = {
    "hashed": {"at_rest": "fernet"},
    "unhashed": {"at_rest": "fernet", "hashed": False},
    "plaintext": {"at_rest": "plaintext", "hashed": False},
    "plaintext with hash": {"at_rest": "plaintext"},
}
KINDS = {
    f"{form}, {state}": {**FORMS[form], **STATES[state]}
    for form, state in itertools.product(FORMS, STATES)
}
"""All kinds of rows, by name, with the arguments of ``Database.add_key``."""

PAIRS = list(itertools.product(KINDS, KINDS))


def add_rows(database: Database, owners: Sequence[str], kinds: Sequence[str]) -> list[SampleKey]:
    """Add rows of one key, each with an owner and a kind; impossible rows are left out.

    Only one row can hold the plaintext, because its index is unique.
    """
    api_key = new_api_key()
    rows: list[SampleKey] = []
    has_plaintext = False
    for number, (owner, kind) in enumerate(zip(owners, kinds, strict=True)):
        if kind.startswith("plaintext"):
            if has_plaintext:
                continue
            has_plaintext = True
        rows.append(database.add_key(owner, f"row {number}", plaintext=api_key, **KINDS[kind]))
    return rows
