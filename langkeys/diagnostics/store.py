"""Check a database and its rows; a part of ``langkeys.diagnostics.report``."""

from collections import Counter
from datetime import timedelta
from typing import TYPE_CHECKING

from langkeys.authentication import DEFAULT_SUPERUSER, superuser_at_risk
from langkeys.config.settings import Settings
from langkeys.errors import SecretKeyError
from langkeys.models import EncryptedValue, dashed
from langkeys.store.protocol import KeyFilter, Store
from langkeys.text import agreeing, counted, listed, pronoun, shell_word
from langkeys.times import now

if TYPE_CHECKING:
    from langkeys.crypto.cipher import Cipher
    from langkeys.diagnostics.report import Report, Sources

UNUSED_FOR = timedelta(days=90)
"""How long a key must be unused to be reported."""

_FIND_KEY = "find the secret key that encrypted it"

CREATE_SUPERUSER = (
    "create a superuser with another name, and set LANGFLOW_SUPERUSER to it:"
    " langkeys user create NAME --superuser"
)

MAX_NAMED = 20
"""The maximum number of bad values and rows that are named; the others are only counted."""


def check_encrypted(report: "Report", store: Store, sources: "Sources") -> None:
    """Try the secret key on every encrypted value."""
    decrypted: Counter[str] = Counter()
    failed: Counter[str] = Counter()
    old_form: Counter[str] = Counter()
    named: list[tuple[str, str]] = []
    cipher, error = _cipher(sources)
    for value in store.encrypted_values():
        column = f"{value.table}.{value.column}"
        if cipher is not None and cipher.can_decrypt(value.value):
            decrypted[column] += 1
            if not store.generation.reads_old_short_keys and cipher.is_old_form(value.value):
                old_form[column] += 1
            continue
        failed[column] += 1
        if len(named) < MAX_NAMED:
            name = f" ({value.name})" if value.name else ""
            message = f"{column} of row {dashed(value.row)}{name} cannot be decrypted"
            named.append((message, _FIND_KEY + _instead_of(column, value)))
    for column in sorted(decrypted | failed):
        report.encrypted[column] = {"opens": decrypted[column], "fails": failed[column]}
    if failed and not decrypted and report.has_cause:
        report.add(
            "encrypted",
            "problem",
            f"the secret key in force cannot decrypt {counted(failed.total(), 'encrypted value')}",
            "complete or undo the rotation first: until then no key can be called lost",
        )
        return
    if failed and not decrypted:
        _add_lost(report, cipher, error, failed.total())
        return
    if error is not None and sources.has_secret_key():
        report.fail("encrypted", error)  # no value is encrypted yet, and none can be
    for message, hint in named:
        report.add("encrypted", "problem", message, hint)
    if failed.total() > len(named):
        more = f"and {failed.total() - len(named)} more"
        report.add("encrypted", "problem", more, "to see all: langkeys secret-key check")
    if decrypted and not failed:
        report.add(
            "encrypted",
            "ok",
            f"the secret key decrypts {'' if decrypted.total() == 1 else 'all '}"
            f"{counted(decrypted.total(), 'value')}",
        )
    for column, count in old_form.items():
        report.add(
            "encrypted",
            "problem",
            f"{counted(count, 'value')} of {column} {agreeing('are', count)}"
            " encrypted with the old derivation of a"
            f" short secret key, which Langflow {store.generation.release} cannot"
            " decrypt",
            "to re-encrypt API keys: langkeys api-key migrate",
        )


def _instead_of(column: str, value: EncryptedValue) -> str:
    """Say what can be done if the secret key for a value is lost."""
    if column == "apikey.api_key":
        return f", or revoke it: langkeys api-key revoke {dashed(value.row)}"
    return ", or set the value again in Langflow"


def _cipher(sources: "Sources") -> tuple["Cipher | None", SecretKeyError | None]:
    try:
        return sources.cipher(), None
    except SecretKeyError as error:
        return None, error


def _decrypts_none(count: int) -> str:
    if count == 1:
        return "cannot decrypt the only encrypted value"
    return f"can decrypt none of the {count} encrypted values"


def _add_lost(
    report: "Report", cipher: "Cipher | None", error: SecretKeyError | None, count: int
) -> None:
    """Add one finding about the secret key before the other findings, which follow from it."""
    if error is not None:
        said = f"{error.message}, and {counted(count, 'encrypted value', 'need')} it"
    else:
        assert cipher is not None
        said = (
            f"the secret key from {cipher.source} {_decrypts_none(count)}: encrypted with"
            " a different key"
        )
    report.put_first(
        "secret key",
        said,
        "first look for the old key (LANGFLOW_SECRET_KEY of the server, secret_key in"
        " its config folder, a backup) and set it. If it is lost, revoke leaked keys"
        " (langkeys api-key revoke needs no secret key), then set each credential"
        " again (langkeys variable set NAME --accept-secret-key); API keys with a"
        " hash keep working",
    )


def check_rows(report: "Report", store: Store) -> None:
    """Read every row, and report those that other commands skip."""
    section, count = "rows", 0
    hint = "fix or delete it: no server writes such a row"
    for row in store.unreadable_rows():
        count += 1
        if count <= MAX_NAMED:
            name = f" ({row.name})" if row.name else ""
            report.add(
                section,
                "problem",
                f"row {row.id}{name} of table {row.table} cannot be read: its"
                f" {row.problem} is malformed",
                hint,
            )
    if count > MAX_NAMED:
        report.add(section, "problem", f"and {count - MAX_NAMED} more", hint)


def check_keys(report: "Report", settings: Settings, store: Store) -> None:
    """Check API keys for risks, and for values that are not stored in the preferred form."""
    section = "API keys"
    generation = store.generation
    owner = store.find_user_named(DEFAULT_SUPERUSER)
    risk = None if owner is None else superuser_at_risk(settings, generation, owner)
    if owner is not None and risk is not None:
        keys = sum(1 for _ in store.api_keys(KeyFilter(now=now(), user_id=owner.id)))
        report.add(
            section,
            "problem" if keys else "note",
            f"{counted(keys, 'key')} at risk: {risk}",
            CREATE_SUPERUSER,
        )
    plaintext = sum(1 for _ in store.plaintext_api_keys())
    if plaintext and generation.encrypts_keys:
        report.add(
            section,
            "problem",
            f"{counted(plaintext, 'key', 'are')} stored as plaintext, from before Langflow 1.8",
            "to encrypt them: langkeys api-key migrate",
        )
    elif plaintext:
        report.add(
            section,
            "note",
            f"{counted(plaintext, 'key', 'are')} stored as plaintext, as Langflow"
            f" {generation.release} stores them",
            "to encrypt them after an upgrade to 1.8 or later: langkeys api-key migrate",
        )
    credentials = store.plaintext_credentials()
    if credentials:
        report.add(
            section,
            "note",
            f"{counted(credentials, 'Credential variable', 'are')} stored as plaintext",
            "to encrypt one, set it again: langkeys variable set NAME --user USER",
        )
    inactive = report.counts.get("inactive API keys", 0)
    if inactive and not generation.honours_key_state:
        report.add(
            section,
            "problem",
            f"{counted(inactive, 'key', 'are')} marked inactive, but Langflow"
            f" {generation.release} accepts them",
            f"revoke {pronoun(inactive)}; to see {pronoun(inactive)}:"
            " langkeys api-key list --status inactive --all-users",
        )
    _note_worth_knowing(report, settings, store)


def _note_worth_knowing(report: "Report", settings: Settings, store: Store) -> None:
    """Note which keys have an inactive owner, never expire, are not used, or open everything."""
    moment = now()
    superusers, inactive = set[str](), dict[str, str]()
    for summary in store.users():
        user = summary.user
        if not user.is_active:
            inactive[user.id] = user.username
        elif user.is_superuser:
            superusers.add(user.id)
    of_inactive, owners = 0, dict[str, None]()
    lasting = unused = powerful = 0
    unused_since = moment - UNUSED_FOR
    for key in store.api_keys(KeyFilter(now=moment, status="active")):
        if key.user_id in inactive:
            of_inactive += 1
            owners[inactive[key.user_id]] = None
            if store.generation.honours_owner_state:
                continue  # no server accepts it
        lasting += key.expires_at is None
        unused += (key.last_used_at or key.created_at) <= unused_since
        powerful += key.user_id in superusers
    command = "langkeys api-key list --all-users --status active"
    section = "API keys"
    if of_inactive:
        named = listed([repr(name) for name in owners])
        meaning = (
            f": servers refuse {pronoun(of_inactive)}"
            if store.generation.honours_owner_state
            else f", but Langflow {store.generation.release} still lets {pronoun(of_inactive)}"
            " run flows"
        )
        report.add(
            section,
            "note",
            f"{counted(of_inactive, 'key', 'belong')} to the inactive"
            f" {'user' if len(owners) == 1 else 'users'} {named}{meaning}",
            f"to see {pronoun(of_inactive)}: langkeys api-key list --user"
            f" {shell_word(next(iter(owners))) if len(owners) == 1 else 'USER'}",
        )
    if lasting and store.generation.has_key_expiry:
        report.add(
            section,
            "note",
            f"{counted(lasting, 'key')} never {agreeing('expire', lasting)}",
            f"to see {pronoun(lasting)}, last in the list: {command} --sort expires_at",
        )
    if unused:
        days = UNUSED_FOR.days
        if settings.flag("LANGFLOW_DISABLE_TRACK_APIKEY_USAGE"):
            report.add(
                section,
                "note",
                "whether keys are in use is not known: LANGFLOW_DISABLE_TRACK_APIKEY_USAGE is set",
                "to let the server count uses, unset it",
            )
        elif store.has_used_api_keys():
            report.add(
                section,
                "note",
                f"{counted(unused, 'key', 'were')} not used for {days} days",
                f"to see {pronoun(unused)}: {command} --unused-for {days}d",
            )
        else:
            report.add(section, "note", "the server has counted no use of any key")
    if powerful:
        verb = (
            "belongs to a superuser and gives full access"
            if powerful == 1
            else "belong to superusers and give full access"
        )
        report.add(
            section,
            "note",
            f"{counted(powerful, 'key')} {verb}",
            "for less access, create keys for a user who is not a superuser:"
            " langkeys api-key create --user USER",
        )
