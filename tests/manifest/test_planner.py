"""Property tests: after one apply a plan is empty, and nothing undeclared has changed."""

from __future__ import annotations

import itertools
import json
import random
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from langkeys.manifest.apply import Limits, apply, plan_now
from langkeys.manifest.context import Context
from langkeys.manifest.export import Exporter, yaml_lines
from langkeys.manifest.plans import Plan
from langkeys.manifest.reader import read_manifests
from langkeys.times import now

from ..conftest import SUPERUSER
from ..support import databases, manifests
from ..support.databases import Database, ago, ahead
from ..support.samples import encrypted
from ..support.variable_rows import add

NAMES = st.sampled_from(["a", "b", "c:d", "日本 *#"])
USERS = ("alice", "bob")
PRUNED = Limits(prune=True)

stored_keys = st.lists(
    st.tuples(
        st.sampled_from(USERS),
        NAMES,
        st.sampled_from([None, -1, 5, 40]),  # days to its expiry
        st.booleans(),
        st.integers(1, 80),  # days since its creation
    ),
    max_size=5,
)
stored_variables = st.lists(
    st.tuples(st.sampled_from(USERS), NAMES, st.sampled_from(["v1", "v2"]), st.booleans()),
    max_size=5,
)
variables = st.dictionaries(
    NAMES,
    st.one_of(
        st.just({"state": "absent"}),
        st.fixed_dictionaries(
            {"value_from": st.sampled_from([{"env": "V1"}, {"env": "V2"}])},
            optional={"default_fields": st.lists(st.sampled_from(["x", "z"]), unique=True)},
        ),
        st.just({"type": "Generic", "value": "v1"}),
    ),
    max_size=3,
)
generated = st.fixed_dictionaries(
    {},
    optional={
        "grace": st.just("1h"),
        "renew_after": st.just("60d"),
        "expires": st.sampled_from(["90d", "50d"]),
    },
).flatmap(
    lambda found: st.sampled_from(
        [found, found | {"renew_before": "10d"} if "expires" in found else found]
    )
)
api_keys = st.dictionaries(
    NAMES,
    st.one_of(st.just({"state": "absent"}), generated.map(lambda g: g | {"W": True})),
    max_size=3,
)
users = st.fixed_dictionaries(
    {},
    optional={
        "variables": variables,
        "api_keys": api_keys,
        "is_active": st.just(True),
        "is_superuser": st.booleans(),
        "complete": st.sampled_from([["api_keys"], ["variables"], ["api_keys", "variables"]]),
    },
)
documents = st.fixed_dictionaries(
    {"users": st.fixed_dictionaries(dict.fromkeys(USERS, users))},
    optional={"every_user": st.fixed_dictionaries({"variables": variables})},
)


@contextmanager
def world(keys: list[Any], values: list[Any]) -> Iterator[tuple[Path, Database]]:
    with tempfile.TemporaryDirectory() as folder:
        database = databases.create(Path(folder) / "langflow.db")
        database.add_user(SUPERUSER)
        ids = {name: database.add_user(name, is_superuser=False) for name in (*USERS, "other")}
        for user, name, days, is_active, age in keys:
            database.add_key(
                ids[user],
                name,
                expires_at=None if days is None else ahead(days=days),
                is_active=is_active,
                created_at=ago(days=age),
            )
        for user, name, value, is_generic in values:
            kind = "Generic" if is_generic else "Credential"
            add(database, ids[user], name, value, kind)
        database.add_key(ids["other"], "a")
        add(database, ids["other"], "z", "v1", is_encrypted=True)
        yield Path(folder), database


def write(folder: Path, document: Mapping[str, Any]) -> Path:
    files = itertools.count()
    for user in document["users"].values():
        for key in user.get("api_keys", {}).values():
            if key.pop("W", False):
                key["write_to"] = {"file": f"out-{next(files)}"}
    path = folder / "m.yaml"
    path.write_text(json.dumps({"version": 1, **document}))
    return path


def manifest(path: Path) -> Any:
    environ = {"V1": "v1", "V2": "v2"}
    return read_manifests([str(path)], environ=environ, read_stdin=lambda: b"")


def said(plan: Plan) -> list[tuple[Any, ...]]:
    return [(a.action, a.kind, a.owner.username, a.name, a.fields) for a in plan.actions]


def other_rows(database: Database) -> list[tuple[Any, ...]]:
    """Return the rows of users who are not declared, and variables that are not declared."""
    return [
        *database.rows(
            "SELECT * FROM apikey WHERE user_id IN (SELECT id FROM user WHERE username = 'other')"
        ),
        *database.rows("SELECT * FROM user WHERE username IN ('other', ?)", (SUPERUSER,)),
        *database.rows("SELECT * FROM variable WHERE name = 'z'"),
    ]


several = settings(
    suppress_health_check=[HealthCheck.too_slow],
    max_examples=25,
    phases=(Phase.explicit, Phase.generate),
)


@several
@given(documents, stored_keys, stored_variables)
def test_after_apply_a_plan_is_empty_and_nothing_else_has_changed(
    document: dict[str, Any], keys: list[Any], values: list[Any]
) -> None:
    with world(keys, values) as (folder, database):
        declared = manifest(write(folder, document))
        before = other_rows(database)
        with manifests.context(database) as context:
            first = plan_now(declared, context, PRUNED)
            done = apply(declared, context, PRUNED, manifests.services())
            assert said(done) == said(first)
        with manifests.context(database) as context:
            assert said(plan_now(declared, context, PRUNED)) == []
        assert other_rows(database) == before


@several
@given(documents, stored_keys, stored_variables, st.integers(0, 10))
def test_the_order_of_entries_changes_nothing(
    document: dict[str, Any], keys: list[Any], values: list[Any], seed: int
) -> None:
    with world(keys, values) as (folder, database), manifests.context(database) as context:
        path = write(folder, document)
        first = plan_now(manifest(path), context, PRUNED)
        path.write_text(json.dumps(_shuffled({"version": 1, **document}, seed)))
        second = plan_now(manifest(path), context, PRUNED)
        assert said(first) == said(second)
        assert first.plan_id("key") == second.plan_id("key")


def _shuffled(value: Any, seed: int) -> Any:
    if not isinstance(value, dict):
        return value
    names = list(value)
    random.Random(seed).shuffle(names)
    return {name: _shuffled(value[name], seed) for name in names}


@several
@given(stored_keys, stored_variables, st.booleans())
def test_an_exported_manifest_changes_nothing(
    keys: list[Any], values: list[Any], reveal: bool
) -> None:
    with world(keys, values) as (folder, database), manifests.context(database) as context:
        text = exported(context, reveal=reveal)
        (folder / "m.yaml").write_text(text)
        plan = plan_now(manifest(folder / "m.yaml"), context, Limits())
        assert said(plan) == []
        assert "v1" not in text or reveal


def exported(context: Context, *, reveal: bool) -> str:
    left_out: list[str] = []
    exporter = Exporter(context, reveal=reveal, left_out=left_out.append)
    found = exporter.describe((s.user for s in context.store.users()), now())
    text = "".join(f"{line}\n" for line in yaml_lines(None, found))
    assert left_out == []
    return text


odd_names = st.text(min_size=1, max_size=12).filter(lambda name: "gAAAAA" not in name)


@several
@given(st.lists(odd_names, min_size=1, max_size=4, unique=True))
def test_an_export_preserves_names_with_any_characters(names: list[str]) -> None:
    with world([], []) as (folder, database):
        alice = database.rows("SELECT id FROM user WHERE username = 'alice'")[0][0]
        for name in names:
            database.add_key(alice, name)
            add(database, alice, name, encrypted("v1"), is_encrypted=False)
        with manifests.context(database) as context:
            (folder / "m.yaml").write_text(exported(context, reveal=True), encoding="utf-8")
            declared = manifest(folder / "m.yaml")
            assert set(declared.users["alice"].api_keys) == set(names)
            assert said(plan_now(declared, context, Limits())) == []
