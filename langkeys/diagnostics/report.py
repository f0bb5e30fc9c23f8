"""Check a deployment. Every check is read-only, and a failing check does not stop the others.

The level of a finding is ``problem`` (exit 1), ``note`` (worth knowing, or usual for this
generation) or ``ok``. No finding contains a secret; secret settings are shown as fingerprints.
"""

from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from langkeys.authentication import (
    DEFAULT_SUPERUSER,
    Acting,
    needs_no_password,
    require_superuser,
    superuser_at_risk,
)
from langkeys.config import locations, rotation_files
from langkeys.config.env_file import conflict_warning
from langkeys.config.known_settings import ENV_FILE, KNOWN
from langkeys.config.settings import Settings
from langkeys.config.urls import shown_url
from langkeys.diagnostics.databases import check_source
from langkeys.diagnostics.files import check_files
from langkeys.diagnostics.store import CREATE_SUPERUSER, check_encrypted, check_keys, check_rows
from langkeys.errors import LangkeysError
from langkeys.secret_key.journal import find_entry, find_journal, find_unfinished
from langkeys.store.generations import Generation
from langkeys.store.protocol import Store

if TYPE_CHECKING:
    from langkeys.crypto.cipher import Cipher


@dataclass(frozen=True)
class Finding:
    """A result of a check: ``level`` is ``ok``, ``note`` or ``problem``."""

    section: str
    level: str
    message: str
    hint: str | None = None


@dataclass(frozen=True)
class ShownSetting:
    """A setting for display: secrets are shown as fingerprints; ``value`` is None if unset."""

    name: str
    value: str | None
    source: str | None


@dataclass
class Sources:
    """Functions that provide what the checks need; each may raise an error."""

    store: Callable[[], Store]
    cipher: Callable[[], "Cipher"]
    acting: Callable[[], Acting]
    has_secret_key: Callable[[], bool]
    fingerprint: Callable[[str], str]


@dataclass
class Report:
    """The results of all checks."""

    settings: list[ShownSetting] = field(default_factory=list)
    findings: list[Finding] = field(default_factory=list)
    database: str | None = None
    generation: Generation | None = None
    counts: dict[str, int] = field(default_factory=dict)
    encrypted: dict[str, dict[str, int]] = field(default_factory=dict)
    acting: Acting | None = None
    has_cause: bool = False
    """Whether the first finding explains the others, and so is shown before the settings."""
    is_open: bool = False
    """Whether a server logs in anybody who can reach it."""

    @property
    def is_sound(self) -> bool:
        """Whether there are no problems."""
        return all(finding.level != "problem" for finding in self.findings)

    def add(self, section: str, level: str, message: str, hint: str | None = None) -> None:
        """Add a finding."""
        self.findings.append(Finding(section, level, message, hint))

    def put_first(self, section: str, message: str, hint: str) -> None:
        """Insert a problem that explains most others before all other findings.

        The other findings of its section follow from it, and are removed.
        """
        self.findings = [finding for finding in self.findings if finding.section != section]
        self.findings.insert(0, Finding(section, "problem", message, hint))
        self.has_cause = True

    def fail(self, section: str, error: LangkeysError) -> None:
        """Add an error as a problem, unless another check has already reported the same error."""
        if all(finding.message != error.message for finding in self.findings):
            self.add(section, "problem", error.message, error.hint)


def examine(settings: Settings, sources: Sources) -> Report:
    """Run all checks and return their findings. Raises no LangkeysError."""
    report = Report()
    _settings(report, settings, sources)
    _secret_key(report, settings, sources)
    try:
        check_files(report, settings)
    except LangkeysError as error:
        report.fail("files", error)
    try:
        store = sources.store()
    except LangkeysError as error:
        report.fail("database", error)
        with suppress(LangkeysError):  # it was reported already
            check_source(report, settings)
        return report
    # Unreadable rows are reported by a check here, so no warnings are needed.
    store.listen(note=lambda _: None, warn=lambda _: None)
    report.generation = generation = store.generation
    report.database = store.location
    report.add("database", "ok", f"{store.location}, of Langflow {generation.release}")
    for problem in store.schema_problems:
        report.add(
            "database",
            "problem",
            problem,
            "restore the copy from before the upgrade, or let the server finish it",
        )
    if store.is_snapshot:
        report.add(
            "database",
            "note",
            "its folder is not writable, so the file is read without a lock, and"
            " changes of a running server may be missing",
            "run langkeys as the server's user to see all of them",
        )
    if generation.note and generation.note not in store.schema_problems:
        report.add("database", "note", generation.note)
    if rotation_files.find_rotation_journal(settings) is None:
        others = rotation_files.other_rotation_journals(settings)
        if journal := find_journal(others, store):
            _unfinished(report, journal)
    checks: tuple[tuple[str, Callable[[], None]], ...] = (
        ("database", lambda: check_source(report, settings)),
        ("database", lambda: _observe(report, store)),
        ("database", lambda: report.counts.update(store.counts())),
        ("acting", lambda: _acting(report, settings, store, sources)),
        ("access", lambda: _access(report, settings, generation)),
        ("rows", lambda: check_rows(report, store)),
        ("encrypted", lambda: check_encrypted(report, store, sources)),
        ("API keys", lambda: check_keys(report, settings, store)),
    )
    for section, check in checks:
        try:
            check()
        except LangkeysError as error:
            report.fail(section, error)
    if report.has_cause and settings.is_given("LANGKEYS_API_KEY") and not generation.has_key_hash:
        # Without hashes, authenticating by API key needs decryption, so this problem follows from
        # the cause.
        report.findings = [
            finding
            for finding in report.findings
            if (finding.section, finding.level) != ("acting", "problem")
        ]
    return report


def _observe(report: Report, store: Store) -> None:
    for level, message, hint in store.observations():
        report.add("database", level, message, hint)


def _settings(report: Report, settings: Settings, sources: Sources) -> None:
    for name, definition in KNOWN.items():
        try:
            value = settings.find(name)
            if definition.kind == "flag":
                settings.flag(name)
            elif definition.kind == "choice":
                settings.text(name)
        except LangkeysError as error:
            report.fail("settings", error)
            continue
        if value is None:
            report.settings.append(ShownSetting(name, None, None))
            continue
        shown = value.text
        if definition.kind == "secret":
            shown = f"fingerprint {sources.fingerprint(value.text)}"
        elif name.endswith("_URL") or "://" in shown:
            shown = shown_url(shown)
        report.settings.append(ShownSetting(name, shown, value.source))
        overriding = settings.env_file_setting(name)
        if value.source == "environment" and overriding not in (None, value.text):
            report.add(
                "settings",
                "note",
                conflict_warning([name], settings.env_file),
                f"give both the same value, or unset {name} in the environment",
            )
    for warning in settings.warnings:
        report.add("settings", "note", warning)
    with suppress(LangkeysError):  # opening the database reports this
        for warning in locations.database(settings).warnings:
            report.add("settings", "note", warning)
    if settings.env_file is None:
        report.add(
            "settings",
            "note",
            f"no .env here, and neither --env-file nor {ENV_FILE} is set",
            "if the server has one: langkeys --env-file FILE doctor",
        )


def _unfinished(report: Report, journal: Path) -> None:
    if said := find_unfinished(journal):
        hint = (
            "the next langkeys command that writes, run as the user who started the"
            " rotation, completes or undoes it: langkeys api-key migrate"
        )
        if find_entry(journal) is None:
            report.add("secret key", "problem", said, hint)
        else:
            report.put_first("rotation", said, hint)


def _secret_key(report: Report, settings: Settings, sources: Sources) -> None:
    section = "secret key"
    try:
        _unfinished(report, rotation_files.rotation_journal(settings))
        found = locations.find_secret_key(settings)
        if found is None:
            report.add(
                section,
                "note",
                "no secret key: LANGFLOW_SECRET_KEY is not set and"
                f" {locations.secret_key_file(settings)} does not exist",
                "a server generates one when it starts; langkeys init generates one"
                " for a new store",
            )
            return
        report.add(
            section, "ok", f"from {found.source}, fingerprint {sources.fingerprint(found.text)}"
        )
        if found.text.endswith("\n"):
            report.add(
                section,
                "problem",
                f"the secret key from {found.source} ends with a newline, which"
                " servers treat as part of the key: without it, it is a different key",
                "if no server has used it with the newline, rewrite it without (printf %s)",
            )
        if len(found.text) < 32:
            report.add(
                section,
                "note",
                f"it has only {len(found.text)} characters, and can be guessed by brute force",
                "use a key of 43 characters, as servers generate them (langkeys secret-key rotate)",
            )
        if found.path is None:
            path = locations.secret_key_file(settings)
            if path.is_file() and path.read_bytes() != found.text.encode():
                report.add(
                    section,
                    "note",
                    f"{path} has a different secret key: a server started with"
                    " LANGFLOW_SECRET_KEY set overwrites that file",
                    "to see which of them decrypts the stored values: langkeys secret-key check"
                    f" --old-key-file {path}",
                )
    except LangkeysError as error:
        report.fail(section, error)
    except OSError as error:
        report.add(section, "problem", f"{error.filename}: {error.strerror}")


def _acting(report: Report, settings: Settings, store: Store, sources: Sources) -> None:
    section = "acting"
    if needs_no_password(settings):
        acting = sources.acting()
        require_superuser(acting, store.location)
        report.acting = acting
        report.add(section, "ok", f"{acting.user.username}, by {acting.how}")
        risk = superuser_at_risk(settings, store.generation, acting.user)
        if risk is not None:
            report.add(section, "note", risk, CREATE_SUPERUSER)
        return
    name = settings.superuser
    user = store.find_user_named(name)
    if user is None:
        report.add(
            section,
            "problem",
            f"LANGFLOW_SUPERUSER is {name!r}, but {store.location} has no such user",
            "set LANGFLOW_SUPERUSER to the name of a superuser",
        )
        return
    require_superuser(Acting(user, "password"), store.location)
    report.add(
        section,
        "note",
        f"{name}, whose password will be asked for",
        "where nobody can be asked, set LANGFLOW_SUPERUSER_PASSWORD or LANGKEYS_API_KEY",
    )


def _access(report: Report, settings: Settings, generation: Generation) -> None:
    """Add findings about how a server lets requests in without an API key in the database."""
    section = "access"
    given = settings.is_given("LANGFLOW_AUTO_LOGIN")
    auto_login = settings.auto_login if given else generation.auto_login_default
    whose = "" if given else f" (Langflow {generation.release}'s own default)"
    skip = settings.flag("LANGFLOW_SKIP_AUTH_AUTO_LOGIN")
    if skip is None or not generation.reads_skip_auth:
        skip = generation.skip_auth_default
    if not auto_login:
        report.add(
            section,
            "ok",
            f"LANGFLOW_AUTO_LOGIN is false{whose}: a password or an API key is needed",
        )
    else:
        report.is_open = True
        user = settings.superuser if generation.auto_login_is_named else DEFAULT_SUPERUSER
        report.add(
            section,
            "note",
            f"LANGFLOW_AUTO_LOGIN is true{whose}: anybody who can reach the server"
            f" gets a session of {user} from GET /api/v1/auto_login"
            + (
                "; and LANGFLOW_SKIP_AUTH_AUTO_LOGIN lets requests without a key run flows"
                if skip and generation.reads_skip_auth
                else "; and requests without a key run flows"
                if skip
                else ""
            ),
            "set LANGFLOW_AUTO_LOGIN=false if others can reach the server",
        )
    if settings.text("LANGFLOW_API_KEY_SOURCE") == "env":
        if not generation.reads_env_key:
            report.add(
                section,
                "note",
                f"LANGFLOW_API_KEY_SOURCE=env has no effect on Langflow {generation.release}",
                "remove the setting, or upgrade Langflow",
            )
        elif settings.text("LANGFLOW_API_KEY") is None:
            report.add(
                section,
                "note",
                "LANGFLOW_API_KEY_SOURCE is env, but LANGFLOW_API_KEY is not set",
                "set LANGFLOW_API_KEY, or remove LANGFLOW_API_KEY_SOURCE",
            )
        else:
            report.add(
                section,
                "note",
                "LANGFLOW_API_KEY_SOURCE is env: a request with LANGFLOW_API_KEY acts"
                f" as {settings.superuser}, and revoking keys does not change that",
                "to end that access, change LANGFLOW_API_KEY and restart the server",
            )
    if auto_login and generation.open_mcp:
        report.add(
            section,
            "note",
            f"with auto-login, the MCP endpoints of Langflow {generation.release} (/api/v1/mcp)"
            " need no key, whatever LANGFLOW_SKIP_AUTH_AUTO_LOGIN is",
            "set LANGFLOW_AUTO_LOGIN=false, block them with a proxy, or upgrade",
        )
    if generation.open_webhooks:
        report.add(
            section,
            "note",
            f"the webhooks of Langflow {generation.release} (/api/v1/webhook/FLOW)"
            " need no key unless LANGFLOW_WEBHOOK_AUTH_ENABLE is true",
            "set LANGFLOW_WEBHOOK_AUTH_ENABLE=true on the server",
        )
