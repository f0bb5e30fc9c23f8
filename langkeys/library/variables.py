"""Operations on variables for programs."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager

from langkeys.errors import SecretKeyError, UsageError
from langkeys.library.acting import Sessions
from langkeys.models import CREDENTIAL, GENERIC, Variable
from langkeys.sessions.session import Access, Session
from langkeys.variables import deletion
from langkeys.variables import lifecycle as variables


class Variables:
    """The variables of a store; ``user`` is a user name or id, by default the acting user."""

    def __init__(self, acting: Sessions) -> None:
        self._acting = acting

    @contextmanager
    def _session(self, command: str, *, access: Access = Access.READ) -> Iterator[Session]:
        with self._acting(command, access=access) as session:
            variables.require_in_database(session.settings)
            yield session

    def set(
        self,
        name: str,
        value: str,
        *,
        type: str | None = None,
        default_fields: Sequence[str] | None = None,
        user: str | None = None,
    ) -> Variable:
        """Create or update a variable; None keeps the stored setting.

        ``type`` is Credential or Generic; by default, a new variable is a Credential.
        """
        if type not in (None, CREDENTIAL, GENERIC):
            raise UsageError(f"unknown type {type!r}: use Credential or Generic")
        with self._session("variable set", access=Access.WRITE) as session:
            owner = session.owner(user)
            session.check_secret_key()
            update = variables.new_update(
                session.generation,
                lambda: session.cipher,
                name,
                value,
                type_=type,
                default_fields=default_fields,
            )
            (outcome,) = variables.set_all(session.store, variables.one_owner(owner), [update])
            return outcome.rows[0]

    def list(self, *, user: str | None = None, all_users: bool = False) -> Iterator[Variable]:
        """Yield variables, oldest first, without their values."""
        with self._session("variable list") as session:
            owner = session.owner(user)
            yield from session.store.variables(None if all_users else owner.id)

    def reveal(self, name: str, *, user: str | None = None) -> str:
        """Return a variable's value; NotFoundError, or SecretKeyError if it cannot be decrypted."""
        with self._session("variable show") as session:
            variable = variables.get_variable(session.store, session.owner(user), name)
            value = variables.find_value(variable, lambda: session.cipher)
            if value is None:
                raise SecretKeyError(
                    f"the secret key from {session.cipher.source} cannot decrypt {variable.name}"
                    f" of {variable.username} in {session.store.location}",
                    hint="use the secret key of the server that wrote it",
                )
            return value

    def delete(self, *names: str, user: str | None = None) -> Sequence[Variable]:
        """Delete variables, all or none, and return them as they were.

        An unreadable row is deleted, too, but not returned.
        """
        with self._session("variable delete", access=Access.WRITE) as session:
            owner = session.owner(user)
            rows, stubs = deletion.find_rows(session.store, owner, names)
            deletion.delete(session.store, rows, stubs)
            return tuple(rows)
