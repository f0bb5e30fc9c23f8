"""A test run leaves no files in the user's folders, and needs no home folder."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from .support import isolation
from .support.unprivileged import reachable_folder

CHECKOUT = Path(__file__).parents[1]

# Tests that write to the default audit log in this process, tests that start processes, and one
# with hypothesis, which keeps files in the working folder by default.
PART = ("tests/library/test_store.py", "tests/test_models.py", "tests/cli/test_whoami.py")
FOLDERS = ("HOME", "XDG_CACHE_HOME", "XDG_CONFIG_HOME", "XDG_DATA_HOME", "XDG_STATE_HOME")


def run_part(environment: dict[str, str], *arguments: str, command: tuple[str, ...] = ()) -> str:
    done = subprocess.run(
        # PostgreSQL's programs could not be started in a folder of root's.
        [*command, sys.executable, "-m", "pytest", "-q", "-k", "not postgresql", *arguments],
        cwd=CHECKOUT,
        env={"PATH": os.environ["PATH"], "PYTHONDONTWRITEBYTECODE": "1", **environment},
        capture_output=True,
        encoding="utf-8",
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


@pytest.mark.parametrize("workers", [(), ("-n", "1")])
def test_a_run_of_the_tests_leaves_nothing_behind(tmp_path: Path, workers: tuple[str, ...]) -> None:
    folders = {name: tmp_path / "of the user" / name for name in FOLDERS}
    for folder in (*folders.values(), temporary := tmp_path / "temporary"):
        folder.mkdir(parents=True)
    log = tmp_path / "audit.jsonl"
    before = set(CHECKOUT.iterdir())
    said = run_part(
        {
            **{name: str(folder) for name, folder in folders.items()},
            "TMPDIR": str(temporary),
            "LANGKEYS_AUDIT_LOG": str(log),
        },
        *workers,
        *PART,
    )
    assert " passed" in said
    assert set((tmp_path / "of the user").rglob("*")) == set(folders.values())
    assert not log.exists()
    # Only the folder in which pytest keeps its last runs.
    assert [path.name.rpartition("-")[0] for path in temporary.iterdir()] == ["pytest-of"]
    assert set(CHECKOUT.iterdir()) == before


def test_a_line_in_the_users_audit_log_is_noticed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    monkeypatch.delenv("LANGKEYS_TESTS_USER")
    with isolation.isolate():
        log = tmp_path / "langflow" / "langkeys-audit.jsonl"
        log.parent.mkdir()
        log.write_text(f'{{"pid": {os.getpid()}, "written": "before"}}\n')
        before = isolation.audit_log_sizes()
        assert before == {log: log.stat().st_size}
        ours = [f'{{"pid": {os.getpid()}, "n": 1}}', '{"pid": 1, "database": "/run/of/tests/a.db"}']
        with log.open("a") as handle:
            print(*ours, '{"pid": 1, "database": "/srv/langflow.db"}', sep="\n", file=handle)
        assert isolation.lines_left(before, Path("/run/of/tests")) == ours


@pytest.mark.skipif(
    os.geteuid() != 0 or shutil.which("setpriv") is None, reason="needs root and setpriv"
)
def test_the_tests_run_without_a_home_and_as_a_user_that_the_system_does_not_know() -> None:
    # The user may read every file, because this Python may be in root's home folder.
    become = (
        "setpriv", "--reuid=12345", "--regid=12345", "--clear-groups",
        "--inh-caps=+dac_read_search", "--ambient-caps=+dac_read_search",
    )  # fmt: skip
    with reachable_folder() as folder:
        os.chown(folder, 12345, 12345)
        assert " passed" in run_part({"TMPDIR": str(folder)}, *PART, command=become)
