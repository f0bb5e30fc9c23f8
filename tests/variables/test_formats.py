from __future__ import annotations

import base64
import io
import json
import re
import subprocess
import tempfile
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path

import dotenv
import pytest
from hypothesis import given
from hypothesis import strategies as st

from langkeys.cli.variable.export import Format, export
from langkeys.config import dotenv as dotenv_files
from langkeys.errors import UsageError
from langkeys.variables.formats import (
    DOTENV_HEAD,
    FOR_ENVIRONMENTS,
    FORMATS,
    check_kubernetes_names,
    is_run_by_shells,
    k8s_secret,
)

# Characters that are difficult for formats, generated more often than others.
_AWKWARD = st.sampled_from(
    ("\n", "\r", "\r\n", "'", '"', "\\", "$", "${", "}", "${A}", "${A:-x}", "$(id)", "`id`", "#",
     " #", " ", "=", "\t", "é", "€", "👩", "\u2028", "\x85", "\x1b", "!", "A")
)  # fmt: skip
_TEXT = st.text(
    st.characters(exclude_categories=("Cs",), exclude_characters="\0"), min_size=1, max_size=12
)
VALUES = st.lists(_AWKWARD | _TEXT, min_size=1, max_size=6).map("".join)
NAMES = st.from_regex(r"[A-Za-z_][A-Za-z0-9_]{0,8}", fullmatch=True)
PAIRS = st.dictionaries(NAMES, VALUES, max_size=4)

# Each character alone, in pairs, and at either end of a value.
_PIECES = ("\n", "\r", "'", '"', "\\", "$", "${", "}", "#", " ", "x", "é", "${A}", "${A:-b}")
HARD = {
    f"V{first}_{second}": _PIECES[first] + _PIECES[second]
    for first in range(len(_PIECES))
    for second in range(len(_PIECES))
} | {f"E{number}": f"x{piece}y{piece}" for number, piece in enumerate(_PIECES)}


def written(format_: str, pairs: Mapping[str, str]) -> str:
    return "".join(f"{line}\n" for line in FORMATS[format_](pairs.items()))


def read_by_python_dotenv(text: str) -> dict[str, str | None]:
    # As Langflow reads its --env-file: from a file, so Python translates newlines.
    with tempfile.NamedTemporaryFile("w", encoding="utf-8", newline="") as file:
        file.write(text)
        file.flush()
        by_langkeys = dotenv_files.read(Path(file.name), environ={}).values
        found = dict(dotenv.dotenv_values(file.name))
    assert by_langkeys == found
    return found


def read_by_sh(text: str, names: list[str]) -> dict[str, str]:
    # sh evaluates the text, and prints each variable with a NUL after it.
    printing = "".join(f'; printf "%s\\0" "${name}"' for name in names)
    done = subprocess.run(
        ["sh", "-c", f'eval "$(cat)"{printing}'],
        input=text.encode(),
        capture_output=True,
        env={"PATH": "/usr/bin:/bin", "LC_ALL": "C.UTF-8"},
        check=True,
    )
    assert done.stderr == b""
    return dict(zip(names, done.stdout.decode().split("\0"), strict=False))


@pytest.mark.parametrize("environment", [{}, {"A": "from the environment"}])
def test_every_awkward_value_reads_back_from_dotenv(
    monkeypatch: pytest.MonkeyPatch, environment: dict[str, str]
) -> None:
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    assert read_by_python_dotenv(written("dotenv", HARD)) == HARD


@given(PAIRS)
def test_dotenv_reads_back_as_the_same_names_and_values(pairs: dict[str, str]) -> None:
    assert read_by_python_dotenv(written("dotenv", pairs)) == pairs


def test_dotenv_does_without_what_its_older_readers_misunderstand() -> None:
    # python-dotenv up to 1.2.2 always reads a quote after a backslash as escaped.
    text = written("dotenv", {"A": "ends in \\", "B": "it's\\"})
    assert "\\'\n" not in text
    assert read_by_python_dotenv(text) == {"A": "ends in \\", "B": "it's\\"}


# With a prefix, because names that sh itself uses could break the printing.
SHELL_PAIRS = st.dictionaries(NAMES.map(lambda name: f"X_{name}"), VALUES, min_size=1, max_size=4)


@given(st.lists(SHELL_PAIRS, min_size=1, max_size=8))
def test_shell_reads_back_as_the_same_names_and_values(batch: list[dict[str, str]]) -> None:
    # Several examples for one sh, because starting it takes most of the time.
    pairs = {f"{name}_{n}": value for n, one in enumerate(batch) for name, value in one.items()}
    assert read_by_sh(written("shell", pairs), list(pairs)) == pairs


ANY_PAIRS = st.dictionaries(_TEXT, st.text(st.characters(exclude_categories=("Cs",))), max_size=4)


@given(ANY_PAIRS)
def test_json_reads_back_as_the_same_names_and_values(pairs: dict[str, str]) -> None:
    assert json.loads(written("json", pairs)) == pairs


KUBERNETES_KEYS = st.from_regex(r"[-_a-zA-Z0-9][-._a-zA-Z0-9]{0,20}", fullmatch=True)


@given(st.dictionaries(KUBERNETES_KEYS, st.text(st.characters(exclude_categories=("Cs",)))))
def test_a_kubernetes_secret_reads_back_as_the_same_names_and_values(
    pairs: dict[str, str],
) -> None:
    manifest = json.loads(written("k8s-secret", pairs))
    assert (manifest["apiVersion"], manifest["kind"], manifest["type"]) == (
        "v1",
        "Secret",
        "Opaque",
    )
    # The name of the Secret must be a DNS label.
    assert manifest["metadata"] == {"name": "langflow-variables"}
    assert read_as_kubernetes_secret(written("k8s-secret", pairs)) == pairs


def read_as_kubernetes_secret(text: str) -> dict[str, str]:
    data = json.loads(text)["data"]
    return {name: base64.b64decode(value).decode() for name, value in data.items()}


READERS: dict[str, Callable[[str], Mapping[str, str | None]]] = {
    "dotenv": read_by_python_dotenv,
    "json": json.loads,
    "shell": lambda text: read_by_sh(text, list(HARD)),
    "k8s-secret": read_as_kubernetes_secret,
}


@pytest.mark.parametrize("format_", FORMATS)
def test_every_awkward_value_reads_back_from_every_format(format_: str) -> None:
    assert READERS[format_](written(format_, HARD)) == HARD


REFUSED = {
    "dotenv": ["", "MY KEY", "a=b", "a#b", "1A", "é", "'a'", "a\nb", "a'b", "export A", "A\n"],
    "shell": ["", "MY KEY", "a-b", "a.b", "1A", "é", "a=b", "a;id", "A\n", "$(id)"],
    "k8s-secret": ["", "MY KEY", "a=b", "é", "a/b", ".", "..", "..a", "x" * 254, "A\n"],
}


@pytest.mark.parametrize(
    ("format_", "name"), [(format_, name) for format_, names in REFUSED.items() for name in names]
)
def test_a_name_that_a_format_cannot_hold_is_an_error_that_names_it(
    format_: str, name: str
) -> None:
    with pytest.raises(UsageError) as caught:
        written(format_, {"GOOD": "x", name: "the-value"})
    assert caught.value.message == f"the format {format_} cannot hold the name {name!r}"
    assert "--format json" in str(caught.value.hint)
    assert "the-value" not in f"{caught.value.message}{caught.value.hint}"


@pytest.mark.parametrize("format_", ["dotenv", "k8s-secret"])
@pytest.mark.parametrize("name", ["my-key", "my.key", "_x", "A1"])
def test_names_that_a_format_holds_are_taken(format_: str, name: str) -> None:
    assert name in written(format_, {name: "x"})


def test_a_nul_is_no_part_of_a_shell_value() -> None:
    with pytest.raises(UsageError, match="NUL") as caught:
        written("shell", {"A": "secret\0"})
    assert "secret" not in caught.value.message


def test_the_command_offers_every_format_and_no_other() -> None:
    assert [format_.value for format_ in Format] == list(FORMATS)


def test_help_and_page_explain_every_format() -> None:
    path = Path(__file__).parents[2] / "docs" / "variables.md"
    page = " ".join(path.read_text(encoding="utf-8").split())
    help_ = " ".join(str(export.__doc__).split())
    sentence = page.partition("`export` writes ")[2].partition("Every format")[0]
    for format_ in FORMATS:
        assert f"`{format_}`" in sentence
        assert re.search(rf"[:;] {format_} is ", help_), format_
    # Both name the formats that leave out names.
    filtered = [format_ for format_ in FORMATS if format_ in FOR_ENVIRONMENTS]
    assert f"in {' and '.join(filtered)} without" in help_
    assert f"`export --format {'` and `'.join(filtered)}` leave out" in page


@pytest.mark.parametrize("format_", FORMATS)
def test_nothing_is_a_document_too(format_: str) -> None:
    text = written(format_, {})
    if format_ in ("json", "k8s-secret"):
        json.loads(text)
    else:
        assert text == (f"{DOTENV_HEAD}\n" if format_ == "dotenv" else "")
        assert dict(dotenv.dotenv_values(stream=io.StringIO(text))) == {}


@pytest.mark.parametrize("format_", FORMATS)
def test_lines_come_as_values_do(format_: str) -> None:
    asked = []

    def counted() -> Iterator[tuple[str, str]]:
        for number in range(1000):
            asked.append(number)
            yield f"N{number}", "x"

    lines = FORMATS[format_](counted())
    for _ in range(8):
        next(lines)
    assert len(asked) < 12


def read_as_it_is(text: str) -> dict[str, str]:
    """Read lines as ``docker run --env-file`` and ``kubectl --from-env-file`` do."""
    lines = [line for line in text.split("\n") if line and not line.startswith("#")]
    return dict(line.split("=", 1) for line in lines)


NEED_NO_QUOTES = (
    "sk-proj-A_b.c", "https://u@h:1/p,q+r%20=", "é", "鍵", "a*b?", "!x", "[a]{b}", "^", "0", "=",
)  # fmt: skip


@pytest.mark.parametrize("value", NEED_NO_QUOTES)
def test_a_value_that_needs_no_quotes_has_none(value: str) -> None:
    assert written("dotenv", {"A": value}) == f"{DOTENV_HEAD}\nA={value}\n"


@given(VALUES)
def test_a_value_without_quotes_reads_the_same_for_who_knows_none(value: str) -> None:
    text = written("dotenv", {"A": value})
    assert read_by_python_dotenv(text) == {"A": value}
    if not text.partition("A=")[2].startswith(("'", '"')):
        assert read_as_it_is(text) == {"A": value}
        assert read_by_sh(text + "export A", ["A"]) == {"A": value}


COMMAND = "touch was-run"
INJECTIONS = (
    f"$({COMMAND})", f"`{COMMAND}`", f"'$({COMMAND})'", f"x'; {COMMAND}; '", f"x; {COMMAND}",
    f"x && {COMMAND}", f"x\n{COMMAND}", f"\r$({COMMAND})", f"\r`{COMMAND}`", f'"$({COMMAND})"',
    f"\r\"; {COMMAND}; \"", f"${{A:-$({COMMAND})}}", f"x|{COMMAND}", f"it's\n{COMMAND}\n'",
    f"\\'$({COMMAND})", f"#'\n{COMMAND}", f"x & {COMMAND}", "x > was-run", "x>was-run",
    f"<({COMMAND})", f"\\\n{COMMAND}",
)  # fmt: skip


@pytest.mark.parametrize("value", INJECTIONS)
@pytest.mark.parametrize("shell", ["sh", "bash"])
def test_a_value_that_a_shell_would_run_is_known(value: str, shell: str, tmp_path: Path) -> None:
    text = written("dotenv", {"A": value})
    assert read_by_python_dotenv(text) == {"A": value}
    (tmp_path / "env").write_text(text, newline="")
    subprocess.run([shell, "-c", ". ./env"], cwd=tmp_path, capture_output=True, check=False)
    if (tmp_path / "was-run").exists():
        assert is_run_by_shells(value)


def test_some_values_are_run_by_shells_and_most_are_not() -> None:
    assert is_run_by_shells("x'; id; '")
    assert is_run_by_shells("\r$(id)")
    assert not any(map(is_run_by_shells, ("$(id)", "`id`", "x; id", "a\nb", *NEED_NO_QUOTES)))


@pytest.mark.parametrize("name", ["a", "my-secret", "a.b-c.d", "0", "x" * 63, ("x" * 63 + ".") * 3])
def test_names_of_kubernetes_objects_are_taken(name: str) -> None:
    check_kubernetes_names(name.removesuffix("."), None)


@pytest.mark.parametrize(
    "name", ["", "A", "a_b", "-a", "a-", "a..b", ".a", "a.", "a/b", "é", "a\n", "a b", "x" * 254]
)
def test_other_names_are_refused_for_kubernetes_objects(name: str) -> None:
    with pytest.raises(UsageError):
        check_kubernetes_names(name, None)
    with pytest.raises(UsageError):
        check_kubernetes_names("fine", name)


def test_a_namespace_is_one_label() -> None:
    check_kubernetes_names("a", "production")
    for namespace in ("a.b", "x" * 64):
        with pytest.raises(UsageError):
            check_kubernetes_names("a", namespace)
    text = "".join(k8s_secret([("A", "x")], "mine", "production"))
    assert json.loads(text)["metadata"] == {"name": "mine", "namespace": "production"}


def test_no_control_character_stands_raw_in_json() -> None:
    value = "a\x7f\x9b\u202e\U000e0041"
    text = written("json", {value: value})
    assert json.loads(text) == {value: value}
    assert text.isascii()
    assert "\x7f" not in text
