"""New API keys on their way to whoever asked for them: stored, then delivered, or taken back."""

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

from langkeys import api_keys
from langkeys.api_keys import NewApiKey
from langkeys.authentication import superuser_at_risk
from langkeys.cli.key_rows import key_object
from langkeys.cli.output import Output
from langkeys.errors import LangkeysError
from langkeys.files import StagedFile
from langkeys.models import User, dashed, masked
from langkeys.session import Session


def store_and_deliver(
    session: Session,
    out: Output,
    keys: Sequence[NewApiKey],
    *,
    as_array: bool,
    staged: StagedFile | None,
    additions: Callable[[NewApiKey], dict[str, Any]] = lambda _: {},
) -> None:
    """Store new keys and deliver them, to ``staged`` or else to stdout; take them back otherwise.

    Returns once the keys are stored, read back, and whole and synced where they were to go.
    ``additions`` are fields for the end of a key's JSON object.
    """
    if staged is not None:
        staged.write("".join(f"{key.plaintext}\n" for key in keys))
    api_keys.store_keys(session.store, keys, session.check_secret_key)
    with _taken_back(session, keys):
        api_keys.check_stored(session.store, keys)
        if staged is None:
            _to_stdout(out, keys, as_array=as_array, additions=additions)
        else:
            staged.publish()
    if staged is not None and out.as_json:
        # The keys have arrived already: should this fail, they stay.
        objects = [
            {
                **key_object(key.row, masked(key.plaintext)),
                **additions(key),
                "written_to": str(staged.path),
            }
            for key in keys
        ]
        out.document(objects if as_array else objects[0])


def _to_stdout(
    out: Output,
    keys: Sequence[NewApiKey],
    *,
    as_array: bool,
    additions: Callable[[NewApiKey], dict[str, Any]],
) -> None:
    if out.as_json:
        objects = [{**key_object(key.row, key.plaintext), **additions(key)} for key in keys]
        out.document(objects if as_array else objects[0])
    elif out.is_terminal and len(keys) == 1:
        out.new_key_panel(keys[0].plaintext, keys[0].row.name or "")
    elif len(keys) == 1:
        out.data(f"{keys[0].plaintext}\n")
    else:
        out.lines(key.plaintext for key in keys)


@contextmanager
def _taken_back(session: Session, keys: Sequence[NewApiKey]) -> Iterator[None]:
    """Revoke new keys where the block that delivers them fails, Ctrl-C included."""
    try:
        yield
    except BaseException as error:
        what = "the new API key" if len(keys) == 1 else f"the {len(keys)} new API keys"
        try:
            api_keys.revoke(session.store, [key.row for key in keys])
        except LangkeysError as second:
            ids = ", ".join(dashed(key.row.id) for key in keys[:10])
            hint = f"revoke what nobody has received: {ids} ({second.message})"
        else:
            hint = f"{what} could not be delivered and has been taken back"
        if isinstance(error, LangkeysError):
            error.hint = hint
        raise


def warn_of_file(out: Output, staged: StagedFile | None) -> None:
    """Say that a file that others could read has been narrowed."""
    if staged is not None and staged.narrowed:
        out.warn(f"{staged.path} could be read by others; its mode is 0600 now")


def warn_of_owner(session: Session, owner: User) -> None:
    """Say what endangers the keys of this owner."""
    risk = superuser_at_risk(session.settings, session.generation, owner)
    if risk is not None:
        session.warn(risk)
    if not owner.is_active:
        session.warn(f"the owner {owner.username} is inactive: servers refuse the key")
