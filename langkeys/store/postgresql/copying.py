"""Copies of a live database, made and checked with PostgreSQL's own clients."""

import os
import shutil
import subprocess
import tempfile
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from langkeys.errors import ConflictError, FailedError, LangkeysError, UnsupportedError
from langkeys.files.new import publish_new
from langkeys.files.staged import sync_folder
from langkeys.paths import absolute_path
from langkeys.store.postgresql.calls import SLOW_SECONDS, interruptible
from langkeys.store.postgresql.catalog import require_all_rows
from langkeys.store.postgresql.connections import answers, connection_parameters, silence_error
from langkeys.store.postgresql.database import Database
from langkeys.store.postgresql.refusals import refusal
from langkeys.targets import Target

BLOCK = 8192
"""The size of a server's page in bytes, for progress reports."""
LOOK_SECONDS = 0.1
_LOCK_WAIT = "10s"
_MOST_SAID = 1 << 20
_DUMP, _RESTORE = "pg_dump", "pg_restore"


class Copying(Database):
    """The part of a store that copies the database."""

    def copy_size(self) -> int:
        rows = self._rows("SELECT pg_database_size(current_database()) / %s", (BLOCK,))
        return int(rows[0][0])

    def copy_to(
        self, path: Path, progress: Callable[[int, int], None], *, with_indexes: bool = True
    ) -> None:
        del with_indexes  # a dump contains no indexes; pg_restore creates them
        # pg_dump would refuse, too, without a hint.
        require_all_rows(self._hidden, self.location)
        path = absolute_path(path)
        dump, restore = _client(_DUMP), _client(_RESTORE)
        if path.exists() or path.is_symlink():
            raise ConflictError(
                f"{path} already exists, and a backup never replaces a file",
                hint="choose another file",
            )
        staged = path.with_name(f".{path.name}.{os.urandom(4).hex()}.tmp")
        try:
            descriptor = os.open(staged, os.O_CREAT | os.O_EXCL | os.O_WRONLY | os.O_CLOEXEC, 0o600)
            try:
                self._dump(dump, descriptor, progress)
                os.fsync(descriptor)
                self._check(restore, staged)
                publish_new(staged, path)
            finally:
                os.close(descriptor)
                staged.unlink(missing_ok=True)
            sync_folder(path.parent)
        except FileExistsError:
            raise ConflictError(f"{path} has just been created by another process") from None
        except OSError as error:
            raise FailedError(f"cannot write the backup {path}: {error.strerror}") from None

    def _dump(self, dump: str, descriptor: int, progress: Callable[[int, int], None]) -> None:
        if "sslpassword" in self._target.parameters:
            raise UnsupportedError(
                f"{_DUMP} cannot be given the password of a TLS key but as an argument",
                hint="use a key without a password, or make the backup yourself",
            )
        total = self.copy_size()
        arguments = [
            dump, "--format=custom", "--no-password", f"--lock-wait-timeout={_LOCK_WAIT}",
            f"--dbname={_connection_string(self._own_parameters())}",
        ]  # fmt: skip
        # Send its messages to a file: a pipe that is read only at the end may fill up.
        with (
            tempfile.TemporaryFile() as messages,
            subprocess.Popen(  # noqa: S603 - PostgreSQL's own client, without a shell
                arguments,
                stdin=subprocess.DEVNULL,
                stdout=descriptor,
                stderr=messages,
                env=_environment(self._target),
            ) as process,
        ):
            try:
                self._follow(
                    process, descriptor, lambda blocks: progress(min(blocks, total), total)
                )
            except BaseException:
                process.kill()
                raise
            messages.seek(0)
            said = messages.read(_MOST_SAID).decode("utf-8", "replace")
        if process.returncode != 0:
            raise self._failure(said)
        progress(total, total)

    def _own_parameters(self) -> dict[str, str]:
        """Return connection parameters with the host in use, if the target has several hosts."""
        parameters = connection_parameters(self._target)
        used = self._connection.info
        if "," in used.dsn_parameters.get("host", "") + used.dsn_parameters.get("hostaddr", ""):
            parameters.pop("hostaddr", None)
            parameters.update(host=used.host, port=str(used.port))
        return parameters

    def _follow(
        self, process: subprocess.Popen[bytes], descriptor: int, progress: Callable[[int], None]
    ) -> None:
        """Wait until pg_dump ends; raise StoreError if the server stops answering."""
        size, grown_at = 0, time.monotonic()
        while process.poll() is None:
            before, size = size, os.fstat(descriptor).st_size
            progress(size // BLOCK)
            if size != before:
                grown_at = time.monotonic()
            elif time.monotonic() - grown_at > SLOW_SECONDS:
                if not interruptible(lambda: answers(self._target)):
                    raise silence_error(self.location)
                grown_at = time.monotonic()
            time.sleep(LOOK_SECONDS)

    def _failure(self, said: str) -> LangkeysError:
        location = self.location
        if "connection to server" in said:
            return refusal(location, said[said.index("connection to server") :])
        if "server version mismatch" in said:
            return FailedError(
                f"{_DUMP} is older than the server of {location}",
                hint="install the client of the server's version (postgresql-client)",
            )
        if "permission denied" in said or "lack SELECT privilege" in said:
            return FailedError(
                f"{_DUMP} may not read all tables and sequences in {location}",
                hint="connect as the server's own user, who owns the tables",
            )
        if "canceling statement due to" in said:  # lock_timeout or statement_timeout
            return FailedError(
                f"{_DUMP} waited {_LOCK_WAIT} for a lock on {location}", hint="try again"
            )
        if "No space left" in said:
            return FailedError("there is no space left for the backup")
        return FailedError(f"{_DUMP} could not copy {location}")

    def _check(self, restore: str, staged: Path) -> None:
        """Check that the copy's table of contents is readable and lists Langflow's tables."""
        listed = subprocess.run(  # noqa: S603 - PostgreSQL's own client, without a shell
            [restore, "--list", str(staged)],
            stdin=subprocess.DEVNULL,
            capture_output=True,
            check=False,
            env=_bare_environment(),
        )
        data = [line for line in listed.stdout.splitlines() if b" TABLE DATA " in line]
        missing = [
            table
            for table in ("apikey", "user", "variable")
            if not any(f" {table} ".encode() in line for line in data)
        ]
        if listed.returncode != 0 or missing:
            raise FailedError(f"the copy of {self.location} is damaged: {_RESTORE} cannot read it")

    def clean_free_pages(self, temporary: Sequence[str]) -> None:
        del temporary
        self._tell(
            f"what was replaced stays in {self.location} until the server cleans its tables"
            " (VACUUM), and in its write-ahead log, replicas and backups for as long as these are"
            " kept",
            is_warning=False,
        )


def _client(name: str) -> str:
    found = shutil.which(name)
    if found is None:
        raise UnsupportedError(
            f"a backup of a database on PostgreSQL needs {name}, which is not installed",
            hint="install PostgreSQL's clients (postgresql-client)",
        )
    return found


def _connection_string(parameters: Mapping[str, str]) -> str:
    """Return libpq's parameters without passwords: every user can see a program's arguments."""
    shown = {
        name: text for name, text in parameters.items() if name not in ("password", "sslpassword")
    }
    return " ".join(
        "{}='{}'".format(name, text.replace("\\", "\\\\").replace("'", "\\'"))
        for name, text in shown.items()
    )


def _environment(target: Target) -> dict[str, str]:
    """Return the environment of pg_dump, with the password but without langkeys' own settings."""
    variables = {name: text for name, text in os.environ.items() if name.startswith("PG")}
    # Those of the .env file last, as for a connection: they replace only what is empty.
    environment = {**_bare_environment(), **variables, **target.environment}
    if "password" in target.parameters:
        environment["PGPASSWORD"] = target.parameters["password"]
    return environment


def _bare_environment() -> dict[str, str]:
    """Return this process's environment without variables that may be secret."""
    environment = {
        name: text
        for name, text in os.environ.items()
        if not name.upper().startswith(("LANGFLOW_", "LANGKEYS_", "PG"))
    }
    environment["LC_ALL"] = "C"  # errors are recognized by English text
    return environment
