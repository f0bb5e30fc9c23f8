"""Complete API keys, users, variables and help topics in a shell.

Completion only reads, without authentication or secret key, and never asks. If a lookup takes too
long, completion offers and prints nothing: a shell would show a message in the middle of the line
being typed.

Everybody who can sign up can choose a name, and shells may execute an offered word: zsh evaluates
it, and bash inserts it without quotes. So a name is only offered if it consists of letters, digits
and a few marks. Otherwise, the id is offered.
"""

import re
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from itertools import islice
from threading import Thread
from typing import TYPE_CHECKING

import typer

if TYPE_CHECKING:
    from langkeys.models import ApiKey
    from langkeys.sessions.session import Session

_MAX_ROWS = 5000
"""The maximum number of rows that are read while a shell waits."""

_PATIENCE = 2.0
"""The time limit of a lookup, in seconds."""

_ID_START = 8
"""This many digits of an id are sufficient for every command."""

_PLAIN = re.compile(r"\w[\w.@:/+-]*")

Completion = tuple[str, str]
"""A word to offer, and its description."""


def complete_api_keys(ctx: typer.Context, incomplete: str) -> list[Completion]:
    """Offer names of API keys, or starts of ids if a name is unsafe."""
    return _look_up(ctx, lambda session: _api_keys(session, incomplete))


def complete_users(ctx: typer.Context, incomplete: str) -> list[Completion]:
    """Offer user names, or ids if a name is unsafe."""
    return _look_up(ctx, lambda session: _users(session, incomplete))


def complete_variables(ctx: typer.Context, incomplete: str) -> list[Completion]:
    """Offer names of variables of the user in --user, or else of all users."""
    user = ctx.params.get("user")
    owner = user if isinstance(user, str) else None
    return _look_up(ctx, lambda session: _variables(session, incomplete, owner))


def complete_help(ctx: typer.Context, incomplete: str) -> list[Completion]:
    """Offer the words that can follow ``langkeys help``."""
    from langkeys.cli.groups import Group, context_of
    from langkeys.cli.help.topics import TOPICS

    context = ctx.find_root()
    words = ctx.params.get("words") or ()
    for word in words:
        command = context.command
        found = command.get_command(context, word) if isinstance(command, Group) else None
        if found is None:
            return []
        context = context_of(context, found, word)
    if not isinstance(context.command, Group):
        return []
    offered = [(name, text) for name, (_, text) in context.command.members.items()]
    if not words:
        offered += [(name, topic.title) for name, topic in TOPICS.items()]
    return [one for one in offered if one[0].startswith(incomplete)]


def _look_up(
    context: typer.Context, find: "Callable[[Session], Iterable[Completion]]"
) -> list[Completion]:
    from langkeys.cli.options import invocation

    given = invocation(context).given
    if "url" in given or "remote" in given:
        return []  # this would need a request with a key
    found: list[Completion] = []

    def look() -> None:
        from langkeys.cli.invocation import settings_of
        from langkeys.sessions.session import Access, Session

        try:
            with Session(
                settings_of(context),
                access=Access.NOBODY,
                ask_password=_never,
                note=_discard,
                warn=_discard,
            ) as session:
                found.extend(find(session))
        except Exception:  # noqa: BLE001, S110 - after any error, nothing is offered
            pass

    # Use a thread, because it can be abandoned if a locked database makes the lookup wait.
    thread = Thread(target=look, daemon=True)
    thread.start()
    thread.join(_PATIENCE)
    return list(found)


def _never(_: str) -> str:
    raise RuntimeError("a completion asks for nothing")


def _discard(_: str) -> None:
    """Ignore a message: completion prints nothing."""


def _api_keys(session: "Session", incomplete: str) -> Iterator[Completion]:
    from langkeys.store.records import KeyFilter
    from langkeys.times import now

    moment = now()
    digits = incomplete.lower().replace("-", "")
    if re.fullmatch(r"[0-9a-f]+", digits):
        keys = session.store.api_keys_by_id_start(digits, _MAX_ROWS)
        yield from _by_id(keys, incomplete.lower())
    rows = session.store.api_keys(KeyFilter(now=moment), limit=_MAX_ROWS)
    named = [key for key in rows if (key.name or "").startswith(incomplete)]
    names = Counter(key.name for key in named)
    others = []
    for key in named:
        if names[key.name] == 1 and _is_plain(key.name or ""):
            yield key.name or "", _about(key.username, key.status(moment))
        else:
            others.append(key)
    if not incomplete:
        yield from _by_id(others, "")
    elif others:
        # Several keys have this name. Offer it: some commands accept it.
        several = {key.name for key in others if key.name and _is_plain(key.name)}
        yield from ((name, f"{names[name]} keys") for name in sorted(several))


def _by_id(keys: "Iterable[ApiKey]", typed: str) -> Iterator[Completion]:
    """Offer ids: only their start, unless the user has typed more or the start is ambiguous."""
    from langkeys.models import dashed

    found = list(keys)
    starts = Counter(key.id[:_ID_START] for key in found)
    for key in found:
        start = key.id[:_ID_START]
        if len(typed) <= _ID_START and starts[start] == 1:
            offered = start
        else:
            offered = dashed(key.id) if "-" in typed or len(typed) <= _ID_START else key.id
        yield offered, _about(key.name, key.username)


def _users(session: "Session", incomplete: str) -> Iterator[Completion]:
    from langkeys.models import dashed

    for summary in session.store.users(limit=_MAX_ROWS):
        user = summary.user
        about = "superuser" if user.is_superuser else "user"
        if _is_plain(user.username):
            if user.username.startswith(incomplete):
                yield user.username, about
        elif dashed(user.id).startswith(incomplete.lower()):
            yield dashed(user.id), about


def _variables(session: "Session", incomplete: str, owner: str | None) -> Iterator[Completion]:
    user_id = None
    if owner is not None:
        from langkeys.users import get_user

        user_id = get_user(session.store, owner, warn=_discard).id
    found = {
        variable.name: variable.type or ""
        for variable in islice(session.store.variables(user_id), _MAX_ROWS)
        if variable.name and variable.name.startswith(incomplete) and _is_plain(variable.name)
    }
    yield from ((name, _about(kind)) for name, kind in sorted(found.items()))


def _is_plain(name: str) -> bool:
    from langkeys.text import visible

    return _PLAIN.fullmatch(name) is not None and visible(name) == name


def _about(*words: str | None) -> str:
    return ", ".join(word for word in words if word and _is_plain(word))
