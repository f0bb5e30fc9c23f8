"""The output files of a run: staged before anything is stored, published afterwards."""

import fcntl
import os
from collections.abc import Callable, Iterable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path
from types import TracebackType

from langkeys import failpoints
from langkeys.errors import LangkeysError
from langkeys.files.staged import StagedFile
from langkeys.manifest import output_files
from langkeys.manifest.context import Context
from langkeys.manifest.declared import OutputFile
from langkeys.manifest.plans import KeyAction, UserAction
from langkeys.models import dashed


class Deliveries:
    """Context manager that stages and publishes the files of API keys; removes unpublished ones."""

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
        """Stage exactly the files of these actions; files that are already staged are kept."""
        wanted = {}
        for action in actions:
            assert action.declared is not None
            assert action.declared.output is not None
            assert action.value is not None
            output = action.declared.output
            wanted[output.file] = output_files.file_text(output, action.value)
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
        """Publish the staged files; if one fails, the next run delivers its key."""
        for action in actions:
            assert action.declared is not None
            assert action.declared.output is not None
            path = action.declared.output.file
            staged, _ = self._staged[path]
            try:
                staged.publish()
            except LangkeysError as error:
                row = action.new or action.current
                named = "" if row is None else f" {dashed(row.id)}"
                error.hint = (
                    f"API key{named} is stored, but its file was not written. The next run writes"
                    " the file, and only then ends the key that it replaces"
                )
                raise
            self.warnings += staged.warnings
            failpoints.reach("apply-file")


def publish_passwords(
    context: Context, actions: Iterable[UserAction], warn: Callable[[str], None]
) -> None:
    """Write generated passwords to their files, unless a file already contains a password.

    This happens before the commit, because a password cannot be read back from the database. If the
    run dies in between, the next run uses the password in the file.
    """
    for action in actions:
        if action.declared is None or action.declared.output is None or action.password is None:
            continue
        output: OutputFile = action.declared.output
        with (
            StagedFile(output.file, what="a password", for_server=True) as staged,
            _alone_in(output.file.parent),
        ):
            # Check under the lock: if another run was faster, use its password.
            if context.find_password(output.file) is None:
                staged.write(action.password)
                staged.publish()
        for warning in staged.warnings:
            warn(warning)
        failpoints.reach("apply-password")


@contextmanager
def _alone_in(folder: Path) -> Iterator[None]:
    """Keep other runs out of a folder, if the file system supports locks."""
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        with suppress(OSError):
            fcntl.flock(descriptor, fcntl.LOCK_EX)
        yield
    finally:
        os.close(descriptor)
