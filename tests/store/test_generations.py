from __future__ import annotations

import itertools
from dataclasses import replace
from pathlib import Path

import pytest

from langkeys.errors import StoreError, UnsupportedError
from langkeys.store import generations
from langkeys.store.generations import GENERATIONS, NEWEST, Generation

from ..support import databases
from ..support.databases import ADOPTED_BY_1_13, SHAPES, Shape
from ..support.sites import Site
from ..support.stores import opened


def generation_of(path: Path, shape: Shape, revision: str | None = None) -> Generation:
    with opened(databases.create(path / "langflow.db", shape, revision=revision)) as store:
        return store.generation


def is_same(found: Generation, expected: Generation) -> bool:
    """Compare the facts of two generations, but not how they were recognised."""
    return found._replace(revision=None, note=None) == expected._replace(revision=None, note=None)


# By generation: encrypts keys, has hash, has expiry, honours a key's state, honours its owner's
# state, derives a short secret key by seeding a random generator.
FACTS = {
    "1.5": (False, False, False, False, False, True),
    "1.6": (False, False, False, False, False, True),
    "1.7": (False, False, False, False, False, True),
    "1.8": (True, False, False, False, False, True),
    "1.9": (True, True, False, False, False, True),
    "1.10": (True, True, True, True, False, False),
    "1.11": (True, True, True, True, True, False),
    "1.12": (True, True, True, True, True, False),
    "1.12.8": (True, True, True, True, True, False),
    "1.13": (True, True, True, True, True, False),
}


@pytest.mark.parametrize("release", FACTS)
def test_each_generation_is_recognized_with_the_measured_facts(
    tmp_path: Path, release: str
) -> None:
    shape = SHAPES[release]
    found = generation_of(tmp_path, shape)
    assert found.revision == shape.revision
    assert found.note is None
    assert ".".join(found.release.split(".")[:2]) == ".".join(release.split(".")[:2])
    assert FACTS[release] == (
        found.encrypts_keys,
        found.has_key_hash,
        found.has_key_expiry,
        found.honours_key_state,
        found.honours_owner_state,
        bool(found.short_keys_by_prng),
    )


def test_1_10_0_supports_expiry_but_auto_login_is_not_named(tmp_path: Path) -> None:
    found = generation_of(tmp_path, SHAPES["1.10.0"])
    assert found.release.startswith("1.10")
    assert (found.encrypts_keys, found.has_key_expiry, found.honours_key_state) == (True,) * 3
    assert not found.auto_login_is_named


@pytest.mark.parametrize("release", SHAPES)
def test_facts_that_depend_only_on_the_release_are_as_measured(
    tmp_path: Path, release: str
) -> None:
    found = generation_of(tmp_path, SHAPES[release])
    old = ("1.5", "1.6", "1.7")
    assert found.auto_login_is_named == (release not in (*old, "1.8", "1.9", "1.10.0"))
    assert found.deletes_default_superuser == (release != "1.13")
    assert found.reads_env_key == (release not in ("1.5", "1.6"))
    assert found.encrypts_generic == (release in old)
    assert found.keeps_set_variables == (release not in old)
    assert found.auto_login_default == (release != "1.13")
    assert found.skip_auth_default == (release == "1.5")
    assert found.has_environment_managed == (release in ("1.12.8", "1.13"))


def test_a_database_from_init_is_the_newest_without_a_note(tmp_path: Path) -> None:
    found = generation_of(tmp_path, ADOPTED_BY_1_13)
    assert is_same(found, NEWEST)
    assert (found.revision, found.note) == (None, None)


def test_an_unknown_revision_with_the_newest_columns_is_the_newest_with_a_note(
    tmp_path: Path,
) -> None:
    found = generation_of(tmp_path, SHAPES["1.13"], "0123456789ab")
    assert is_same(found, NEWEST)
    assert found.revision == "0123456789ab"
    assert "0123456789ab" in str(found.note)
    assert "newer" in str(found.note)


@pytest.mark.parametrize("release", ["1.8", "1.9", "1.10", "1.11", "1.12.8"])
def test_an_unknown_revision_is_recognized_by_its_columns_with_a_note(
    tmp_path: Path, release: str
) -> None:
    by_revision = generation_of(tmp_path, SHAPES[release])
    (tmp_path / "langflow.db").unlink()
    found = generation_of(tmp_path, SHAPES[release], "0123456789ab")
    assert is_same(found, by_revision)
    assert "0123456789ab" in str(found.note)
    assert "newer" not in str(found.note)


def test_columns_decide_where_they_contradict_the_revision(tmp_path: Path) -> None:
    # The revision of 1.9 with the columns of 1.13.
    found = generation_of(tmp_path, SHAPES["1.13"], SHAPES["1.9"].revision)
    assert is_same(found, NEWEST)
    assert found.note


@pytest.mark.parametrize("revision", [None, "0123456789ab"])
def test_a_database_older_than_1_5_is_unsupported(tmp_path: Path, revision: str | None) -> None:
    shape = replace(SHAPES["1.5"], revision=None)
    with pytest.raises(UnsupportedError) as caught:
        generation_of(tmp_path, shape, revision)
    assert caught.value.exit_code == 2
    assert str(tmp_path) in caught.value.message
    assert "1.5" in str(caught.value.hint)


@pytest.mark.parametrize("table", ["user", "apikey", "variable"])
def test_a_database_that_lacks_a_table_is_not_langflows(tmp_path: Path, table: str) -> None:
    database = databases.create(tmp_path / "langflow.db")
    database.rows(f'DROP TABLE "{table}"')
    with pytest.raises(StoreError, match="not a Langflow database") as caught, opened(database):
        pass
    assert table in caught.value.message
    assert caught.value.exit_code == 6


@pytest.mark.parametrize(
    ("table", "column"), [("user", "is_superuser"), ("apikey", "total_uses"), ("variable", "type")]
)
def test_a_database_that_lacks_a_column_is_not_langflows(
    tmp_path: Path, table: str, column: str
) -> None:
    database = databases.create(tmp_path / "langflow.db")
    database.rows(f'ALTER TABLE "{table}" DROP COLUMN {column}')
    with pytest.raises(StoreError, match=column), opened(database):
        pass


def test_another_programs_database_is_not_langflows(tmp_path: Path) -> None:
    database = databases.Database(tmp_path / "other.db")
    database.rows("CREATE TABLE user (id INTEGER, name TEXT)")
    with pytest.raises(StoreError, match="not a Langflow database") as caught, opened(database):
        pass
    assert "--database" in str(caught.value.hint)


def test_a_foreign_table_in_langflows_database_does_no_harm(tmp_path: Path) -> None:
    database = databases.create(tmp_path / "langflow.db")
    database.rows("CREATE TABLE of_somebody_else (id INTEGER)")
    with opened(database) as store:
        assert is_same(store.generation, NEWEST)


@pytest.mark.parametrize("revisions", [[], ["e5a7c9b1d3f2", "0123456789ab"]])
def test_other_than_one_revision_counts_as_none(tmp_path: Path, revisions: list[str]) -> None:
    database = databases.create(tmp_path / "langflow.db")
    database.rows("DELETE FROM alembic_version")
    for revision in revisions:
        database.rows("INSERT INTO alembic_version VALUES (?)", (revision,))
    with opened(database) as store:
        assert is_same(store.generation, NEWEST)


# A future generation after 1.13


LATER = NEWEST._replace(release="1.14", heads=("fedcba987654",), introduced=None)


@pytest.fixture(params=[None, "apikey.scopes", "new_table"])
def later(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Generation:
    """1.14, which introduces only a new revision, or also a new column or table."""
    added = LATER._replace(introduced=request.param, honours_owner_state=False)
    monkeypatch.setattr(generations, "GENERATIONS", (*GENERATIONS, added))
    return added


def introduce(database: databases.Database, later: Generation) -> None:
    if later.introduced == "apikey.scopes":
        database.rows("ALTER TABLE apikey ADD COLUMN scopes JSON")
    elif later.introduced == "new_table":
        database.rows("CREATE TABLE new_table (id CHAR(32))")


def test_a_database_from_init_stays_at_1_13(empty_site: Site, later: Generation) -> None:
    empty_site.call("init").done()
    with opened(empty_site.database) as store:
        assert is_same(store.generation, NEWEST)
        assert store.generation.release == "1.13"
        assert store.generation.note is None


def test_a_database_of_1_13_stays_at_1_13(tmp_path: Path, later: Generation) -> None:
    found = generation_of(tmp_path, SHAPES["1.13"])
    assert is_same(found, NEWEST)
    assert found.note is None


@pytest.mark.parametrize("revision", ["fedcba987654", "0123456789ab"])
def test_the_newest_generation_is_recognized_by_head_or_by_columns(
    tmp_path: Path, later: Generation, revision: str
) -> None:
    database = databases.create(tmp_path / "langflow.db", SHAPES["1.13"], revision=revision)
    introduce(database, later)
    with opened(database) as store:
        found = store.generation
    assert is_same(found, later)
    assert (found.note is None) is (revision in later.heads)
    assert found.note is None or "1.14 or newer" in found.note


def test_the_hint_names_the_newest(tmp_path: Path, later: Generation) -> None:
    with pytest.raises(UnsupportedError) as caught:
        generation_of(tmp_path, replace(SHAPES["1.5"], revision=None))
    assert "1.5 to 1.14" in str(caught.value.hint)


def test_each_head_and_each_new_column_belongs_to_one_generation() -> None:
    heads = [head for generation in GENERATIONS for head in generation.heads]
    marks = [generation.introduced for generation in GENERATIONS if generation.introduced]
    assert all(generation.heads for generation in GENERATIONS)
    assert len(heads) == len(set(heads))
    assert len(marks) == len(set(marks))


def test_no_generation_loses_a_capability_of_an_older_one() -> None:
    for older, newer in itertools.pairwise(GENERATIONS):
        for name in ("encrypts_keys", "has_key_hash", "has_key_expiry", "honours_key_state"):
            assert getattr(older, name) <= getattr(newer, name), (newer.release, name)
