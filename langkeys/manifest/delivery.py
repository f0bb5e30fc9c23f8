"""The files of a run: staged before anything is stored, and published after that."""

import fcntl
import os
from collections.abc import Callable, Iterable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path
from types import TracebackType

from langkeys import failpoints
from langkeys.errors import LangkeysError
from langkeys.files.staged import StagedFile
from langkeys.manifest import targets
from langkeys.manifest.context import Context
from langkeys.manifest.declared import Target
from langkeys.manifest.plans import KeyAction, UserAction
from langkeys.models import dashed


class Deliveries:
    """Stages the files of API keys, however many, and publishes them. Use it in a ``with``."""

    def __init__(self) -> None:
        self._stacks: dict[Path, ExitStack] = {}
        self._staged: dict[Path, tuple[StagedFile, str]] = {}
        self.warnings: list[str] = []

    def __enter__(self) -> "Deliveries":
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        for path in list(self._stacks):
            self._discard(path)

    def _discard(self, path: Path) -> None:
        self._staged.pop(path, None)
        self._stacks.pop(path).close()

    def stage(self, actions: Iterable[KeyAction]) -> None:
        """Stage the files of these actions, and of no others; what is right already stays."""
        wanted = {}
        for action in actions:
            assert action.declared is not None
            assert action.declared.target is not None
            assert action.value is not None
            target = action.declared.target
            wanted[target.file] = targets.text_of(target, action.value)
        for path in [path for path in self._stacks if path not in wanted]:
            self._discard(path)
        for path, text in wanted.items():
            if path in self._staged and self._staged[path][1] == text:
                continue
            if path in self._stacks:
                self._discard(path)
            stack = self._stacks[path] = ExitStack()
            staged = stack.enter_context(StagedFile(path, what="an API key", for_server=True))
            staged.write(text)
            staged.seal()
            self._staged[path] = staged, text

    def publish(self, actions: Iterable[KeyAction]) -> None:
        """Publish the files; the next run delivers what could not be published."""
        for action in actions:
            assert action.declared is not None
            assert action.declared.target is not None
            path = action.declared.target.file
            staged, _ = self._staged[path]
            try:
                staged.publish()
            except LangkeysError as error:
                row = action.new or action.current
                named = "" if row is None else f" {dashed(row.id)}"
                error.hint = (
                    f"API key{named} is stored, and its file is not written; the next run writes"
                    " it, and only then ends what it replaces"
                )
                raise
            self.warnings += staged.warnings
            failpoints.reach("apply-file")


def publish_passwords(
    context: Context, actions: Iterable[UserAction], warn: Callable[[str], None]
) -> None:
    """Put made-up passwords into their files, where there is nothing yet.

    Before they are stored: nobody can read them back from the database. A run that dies behind this
    leaves a file whose password the next run stores.
    """
    for action in actions:
        if action.declared is None or action.declared.target is None or action.password is None:
            continue
        target: Target = action.declared.target
        with (
            StagedFile(target.file, what="a password", for_server=True) as staged,
            _alone_in(target.file.parent),
        ):
            # Looked for under the lock: where another run has been faster, its password counts.
            if context.find_password(target.file) is None:
                staged.write(action.password)
                staged.publish()
        for warning in staged.warnings:
            warn(warning)
        failpoints.reach("apply-password")


@contextmanager
def _alone_in(folder: Path) -> Iterator[None]:
    """Keep other runs out of a folder, on file systems that have locks."""
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        with suppress(OSError):
            fcntl.flock(descriptor, fcntl.LOCK_EX)
        yield
    finally:
        os.close(descriptor)
