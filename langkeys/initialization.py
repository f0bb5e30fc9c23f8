"""Create what is missing for a new store: settings, secret key, database, superuser.

Existing settings are never changed.
"""

from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from langkeys.audit import log as audit
from langkeys.authentication import DEFAULT_SUPERUSER
from langkeys.config import locations
from langkeys.config.settings import Settings
from langkeys.crypto import password_rules
from langkeys.crypto.hashes import new_secret_key
from langkeys.errors import ConfigError, ConflictError, FailedError, StoreError
from langkeys.files import ownership
from langkeys.files.staged import write_new
from langkeys.models import User
from langkeys.paths import absolute_path
from langkeys.targets import Target
from langkeys.users import new_user
from langkeys.variables.formats import dotenv_value

if TYPE_CHECKING:
    from langkeys.crypto.cipher import Cipher

OWN_SUPERUSER = "administrator"
"""The superuser of a new store; servers delete or deactivate the account ``langflow``."""


@dataclass
class InitPlan:
    """What is missing, determined before anything is written.

    ``env_lines`` are the names and values of a new ``.env``. ``secret_key_file`` is where a new
    secret key is written if there is no new ``.env``. ``secret_key`` and ``password`` are the
    existing ones, or new ones if none exist.
    """

    database: Target
    env_path: Path | None
    env_lines: list[tuple[str, str]] = field(repr=False)
    secret_key: str = field(repr=False)
    secret_key_source: str = ""
    secret_key_file: Path | None = None
    superuser: str = OWN_SUPERUSER
    password: str | None = field(default=None, repr=False)
    new_folders: tuple[Path, ...] = ()
    audit_log: Path | None = None
    """The audit log that the new settings name."""


def plan_init(settings: Settings) -> InitPlan:
    """Return what ``init`` will write; raise ConfigError if it must not.

    An existing ``.env`` is not changed; settings that it lacks come from elsewhere.
    """
    settings.check()
    new_env = settings.env_file is None
    env_path = Path(".env").absolute() if new_env else None
    lines: list[tuple[str, str]] = []

    database = locations.new_database(settings)
    folder = database.folder
    assert folder is not None  # init never creates a database on a server
    if new_env and not locations.is_database_given(settings):
        lines.append(("LANGFLOW_DATABASE_URL", locations.database_url(database)))

    secret_key_file = None
    found = _find_secret_key(settings, is_new=new_env)
    if found is not None:
        secret_key, source = found.text, found.source
    else:
        secret_key = new_secret_key()
        if new_env:
            source = str(env_path)
            lines.append(("LANGFLOW_SECRET_KEY", secret_key))
        else:
            secret_key_file = absolute_path(locations.secret_key_file(settings))
            source = f"file {secret_key_file}"

    if new_env and not settings.is_given("LANGFLOW_AUTO_LOGIN"):
        lines.append(("LANGFLOW_AUTO_LOGIN", "False"))
    superuser = settings.superuser
    if new_env and not settings.is_given("LANGFLOW_SUPERUSER"):
        superuser = OWN_SUPERUSER
        lines.append(("LANGFLOW_SUPERUSER", superuser))
    if superuser == DEFAULT_SUPERUSER and not settings.auto_login:
        raise ConfigError(
            "with LANGFLOW_AUTO_LOGIN false, servers delete or deactivate the"
            f" superuser {DEFAULT_SUPERUSER!r} and its keys",
            hint=f"set LANGFLOW_SUPERUSER to another name, {OWN_SUPERUSER} for example",
        )
    given = settings.find("LANGFLOW_SUPERUSER_PASSWORD")
    password = None if given is None else given.text
    if password is None and new_env:
        password = password_rules.generate_password()
        lines.append(("LANGFLOW_SUPERUSER_PASSWORD", password))
    if password is not None:
        check_password(password)
    audit_log = None
    if lines and not settings.is_given(audit.SETTING):
        audit_log = folder / audit.FILE_NAME
        lines.append((audit.SETTING, str(audit_log)))
    # Asked for only if it is needed: without a home folder, this fails.
    needs_folder = secret_key_file is not None or not folder.is_dir()
    config_folder = absolute_path(locations.config_folder(settings).path) if needs_folder else None
    if not folder.is_dir() and folder != config_folder:
        raise StoreError(
            f"there is no folder {folder} to create the database in",
            hint="create the folder, or set LANGFLOW_DATABASE_URL to another path",
        )
    return InitPlan(
        new_folders=() if config_folder is None else (config_folder,),
        database=database,
        env_path=env_path if lines else None,
        env_lines=lines,
        secret_key=secret_key,
        secret_key_source=source,
        secret_key_file=secret_key_file,
        superuser=superuser,
        password=password,
        audit_log=audit_log,
    )


def _find_secret_key(settings: Settings, *, is_new: bool) -> locations.SecretKey | None:
    try:
        return locations.find_secret_key(settings)
    except ConfigError:
        if not is_new or settings.is_given("LANGFLOW_CONFIG_DIR"):
            raise
        return None  # no home folder, so no secret_key file: the new .env gets the key


def check_password(password: str) -> None:
    """Raise ConfigError for a password that is not allowed; see ``password_rules``."""
    refusal = password_rules.refusal(password)
    if refusal is not None:
        raise ConfigError(
            f"the superuser's password {refusal}",
            hint="set LANGFLOW_SUPERUSER_PASSWORD to another one",
        )


def apply_plan(
    plan: InitPlan,
    *,
    cipher: Callable[[str, str], "Cipher"],
    hashed: Callable[[str], str],
    create_store: Callable[[Target, User], str | None],
    warn: Callable[[str], None] = lambda _: None,
) -> None:
    """Write the planned files, each atomically; remove them if a later one fails.

    ``cipher`` makes a cipher from a secret key and its source, so that an unusable key is refused
    before anything is written. A file that root creates belongs to the owner of its folder.
    ``warn`` is called if the owner cannot be changed, and with the warning that ``create_store``
    returns. The settings are written first: after a crash, the next run creates the database.
    """
    assert plan.password is not None
    cipher(plan.secret_key, plan.secret_key_source)
    superuser = new_user(plan.superuser, hashed(plan.password), is_superuser=True)
    for folder in plan.new_folders:
        for said in _make_folder(folder):
            warn(said)
    with ExitStack() as undo:
        if plan.env_path is not None:
            _write_new(plan.env_path, env_text(plan.env_lines), warn)
            undo.callback(plan.env_path.unlink)
        if plan.secret_key_file is not None:
            # Without a newline: servers would treat it as part of the key.
            _write_new(plan.secret_key_file, plan.secret_key, warn)
            undo.callback(plan.secret_key_file.unlink)
        try:
            warning = create_store(plan.database, superuser)
        except ConflictError:
            undo.pop_all()  # another init was faster and may use these settings: keep them
            raise
        if warning is not None:
            warn(warning)
        undo.pop_all()


def env_text(lines: list[tuple[str, str]]) -> str:
    """Return the text of an ``.env`` file that every reader parses in the same way.

    Values are quoted only if necessary, because docker --env-file and kubectl keep quotes.
    """
    header = "# Written by langkeys init. Langflow reads it, too: langflow run --env-file .env\n"
    return header + "".join(f"{name}={dotenv_value(value)}\n" for name, value in lines)


def _make_folder(folder: Path) -> list[str]:
    try:
        return ownership.make_folder(folder)
    except OSError as error:
        raise FailedError(f"cannot create the folder {folder}: {error.strerror}") from None


def _write_new(path: Path, text: str, warn: Callable[[str], None]) -> None:
    try:
        warnings = write_new(path, text, for_server=True)
    except ConflictError as error:
        error.hint = "run langkeys init again"
        raise
    for warning in warnings:
        warn(warning)
