"""Random arguments and files: each ends in success or a clean error, and no data is lost."""

from __future__ import annotations

import json
from pathlib import Path

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from langkeys.config import dotenv
from langkeys.config.settings import Settings
from langkeys.crypto.cipher import Cipher
from langkeys.errors import LangkeysError
from langkeys.models import parsed_id
from langkeys.secret_key.files import rewritten_env
from langkeys.secret_key.reencryption import Reader
from langkeys.store.protocol import Cell
from langkeys.times import parsed_span, parsed_when

from ..support import vault
from ..support.samples import OTHER_SECRET_KEY, SECRET_KEY, encrypted
from ..support.sites import Site

OLD, NEW = (Cipher(key, source="test") for key in (SECRET_KEY, OTHER_SECRET_KEY))
TOKENS = [encrypted(text) for text in ("", "x", "a longer value of more than a block" * 3)]
# Characters that are special somewhere: in SQL, JSON, shells, dotenv files, terminals, paths.
ODD = st.one_of(
    st.text(max_size=40),
    st.text("\0\t\n\r \"'\\$`{}[]()<>|&;*?%_-=#:/.,\u202e\u200d\x1b\x7f\U0001f511", max_size=20),
    st.sampled_from(["gAAAAA", "sk-", "lf-sso:v1:", "NULL", "true", "'; --", "../..", "9" * 30]),
    st.sampled_from(TOKENS),
)
# Errors may repeat arguments, so no argument looks like a token.
TYPED = ODD.filter(lambda text: "gAAAAA" not in text)
LEVELS = st.recursive(
    ODD | st.none() | st.booleans() | st.integers(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(ODD, inner, max_size=4),
    max_leaves=8,
)


def clean(act: object, *arguments: object) -> None:
    """Call a function; accept success or an error of langkeys, nothing else."""
    try:
        act(*arguments)  # type: ignore[operator]
    except LangkeysError as error:
        said = error.message
    else:
        said = "nothing"
    assert said


def test_spans_times_and_ids(examples: int) -> None:
    @settings(max_examples=50 * examples)
    @given(ODD)
    def hold(text: str) -> None:
        clean(parsed_span, text, "--option")
        clean(parsed_when, text, "--option")
        clean(parsed_id, text)

    hold()


def test_env_files_and_settings(tmp_path: Path, examples: int) -> None:
    file = tmp_path / "f.env"

    @settings(max_examples=20 * examples, suppress_health_check=list(HealthCheck))
    @given(st.lists(st.tuples(ODD, ODD), max_size=4), st.booleans())
    def hold(lines: list[tuple[str, str]], key: bool) -> None:
        text = "\n".join(f"{name}={value}" for name, value in lines)
        text += f"\nLANGFLOW_SECRET_KEY={SECRET_KEY}\n" if key else ""
        file.write_bytes(text.encode("utf-8", "surrogatepass"))

        def read() -> None:
            found = Settings(env_file=str(file), environ={})
            found.check()

        clean(read)

        def rewrite() -> None:
            names = ("LANGFLOW_SECRET_KEY",)
            new = rewritten_env(text, file, names, SECRET_KEY, OTHER_SECRET_KEY)
            before, after = (dotenv.parse(part, "x", environ={}).values for part in (text, new))
            assert after == {**before, "LANGFLOW_SECRET_KEY": OTHER_SECRET_KEY}

        clean(rewrite)

    hold()


def test_json_columns_with_tokens_anywhere(examples: int) -> None:
    @settings(max_examples=20 * examples)
    @given(LEVELS, st.booleans())
    def hold(value: object, ascii_only: bool) -> None:
        text = json.dumps(value, ensure_ascii=ascii_only).encode("utf-8", "surrogatepass")
        cell = Cell("t", "c", "1", None, "json", (1,), text)
        new, view = Reader([OLD], new=NEW).read(cell)
        assert len(new) == len(text)
        json.loads(new.decode("utf-8", "surrogatepass"))
        again, same = Reader([NEW]).read(Cell("t", "c", "1", None, "json", (1,), new))
        assert (again, same) == (new, view)
        back, _ = Reader([NEW], new=OLD).read(Cell("t", "c", "1", None, "json", (1,), new))
        assert Reader([OLD]).read(Cell("t", "c", "1", None, "json", (1,), back))[1] == view

    hold()


def test_references_names_and_values_of_whole_commands(
    site: Site, superuser: str, examples: int
) -> None:
    found = vault.create(site, superuser)

    @settings(max_examples=examples, suppress_health_check=list(HealthCheck))
    @given(TYPED, TYPED)
    def hold(text: str, other: str) -> None:
        text = text.replace("\0", "")
        for arguments in (
            ("api-key", "show", "--", text),
            ("api-key", "revoke", "--yes", "--dry-run", "--", text),
            ("api-key", "create", f"--name={text}", f"--expires={other}"),
            ("api-key", "list", f"--unused-for={text}"),
            ("variable", "set", "--value-file", "-", "--", text),
            ("variable", "show", "--", text),
            ("user", "show", "--", text),
            ("audit", f"--since={text}"),
            ("secret-key", "check", f"--old-key-file={text}"),
        ):
            done = found.site.call(*arguments, stdin=other)
            assert done.code in (0, 1, 2, 3, 4, 5, 7), done

    hold()
    found.site.call("secret-key", "check").done()
    found.site.call("secret-key", "rotate", "--yes").done()
    found.site.call("secret-key", "check").done()
