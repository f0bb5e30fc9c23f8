"""Activate and deactivate an API key: the code that both commands use."""

import typer

from langkeys.api_keys.ending import WholeKey
from langkeys.api_keys.lifecycle import require_key_state
from langkeys.cli import prompts
from langkeys.cli.api_key.selected import resolved_key
from langkeys.cli.invocation import session_of
from langkeys.cli.messages import say_other_rows, warn_of_unreadable
from langkeys.cli.options import invocation
from langkeys.cli.present.api_keys import show_masked_keys
from langkeys.models import dashed
from langkeys.sessions.session import Access, Session


def set_activity(context: typer.Context, ref: str, *, is_active: bool, yes: bool = False) -> None:
    """Run ``activate`` or ``deactivate``; ``yes`` skips the question."""
    out = invocation(context).output
    out.require_stdout()
    with session_of(context, access=Access.WRITE) as session:
        require_key_state(session.generation)
        key = session.endings.whole_key(resolved_key(session, ref))
        if is_active:
            _activate(session, key)
        else:
            _deactivate(session, key, yes=yes)
        new = session.store.find_api_key(key.meant.id)
        assert new is not None
        show_masked_keys(session, out, [new], as_array=False)


def _activate(session: Session, key: WholeKey) -> None:
    named = f"API key {dashed(key.meant.id)} ({key.meant.name})"
    if key.meant.is_active:
        session.note(f"{named} is already active")
        return
    refusal = session.endings.activate(key.meant)
    session.note(f"{named} is now active in {session.store.location}")
    if refusal is not None:
        session.warn(f"a server still refuses the key: {refusal}")


def _deactivate(session: Session, key: WholeKey, *, yes: bool) -> None:
    named = f"API key {dashed(key.meant.id)} ({key.meant.name})"
    if not any(row.is_active for row in key.rows):
        session.note(f"{named} is already inactive")
    else:
        prompts.confirm_at_terminal(
            f"Deactivate {named} in {session.store.location}? Servers refuse it at once.", yes=yes
        )
    ended = session.endings.deactivate(key)
    if ended.rows:
        session.note(f"{named} is now inactive in {session.store.location}")
        say_other_rows(session, [ended], "now inactive", deleted=False)
    warn_of_unreadable(session)
    acting = session.acting.api_key
    if acting is not None and acting.id in {row.id for row in ended.rows}:
        session.warn("LANGKEYS_API_KEY is that key: langkeys can no longer authenticate with it")
