"""Delete variables, and rows of variables that are unreadable."""

from collections.abc import Iterable, Sequence

from langkeys.errors import NotFoundError, UnreadableRowError
from langkeys.models import User, Variable, parsed_id
from langkeys.store.protocol import Store
from langkeys.store.read_back import require_deleted
from langkeys.store.records import RowStub
from langkeys.store.unreadable import choose_unreadable, delete_unreadable
from langkeys.text import counted
from langkeys.variables.lifecycle import get_variable


def find_rows(
    store: Store, owner: User, names: Iterable[str]
) -> tuple[list[Variable], list[RowStub]]:
    """Return a user's variables to delete, by name or id, and their unreadable rows.

    Raises NotFoundError or AmbiguousError, as ``get_variable`` does.
    """
    found: dict[str, Variable] = {}
    stubs: dict[tuple[object, ...], RowStub] = {}
    for name in names:
        try:
            row = get_variable(store, owner, name)
        except (NotFoundError, UnreadableRowError):
            named = store.variable_stubs(owner.id, name=name) or store.variable_stubs(
                owner.id, variable_id=parsed_id(name) or name
            )
            unreadable = choose_unreadable(store, named, name, "variable")
            if not unreadable:
                raise
            stubs.update((stub.position, stub) for stub in unreadable)
        else:
            found[row.id] = row
    return list(found.values()), list(stubs.values())


def delete(store: Store, variables: Sequence[Variable], stubs: Sequence[RowStub] = ()) -> None:
    """Delete variables, all or none, and check through a new connection that they are gone.

    ``stubs`` are unreadable rows; see ``find_rows``.
    """
    with store.transaction():
        delete_unreadable(store, stubs)
        deleted = store.delete_variables([row.id for row in variables])
        if deleted != len(variables):
            _require_deleted(store, variables)
            raise NotFoundError(
                f"{len(variables) - deleted} of {counted(len(variables), 'variable', 'have')}"
                f" just been deleted from {store.location} by another process; nothing"
                " was done",
                hint="run the command again",
            )
    with store.reopened() as fresh:
        _require_deleted(fresh, variables)
        for stub in stubs:
            left = fresh.variable_stubs(stub.user_id or "", variable_id=stub.id)
            is_deleted = all(row.position != stub.position for row in left)
            require_deleted(f"row {stub.id} of variable", store.location, is_deleted=is_deleted)


def _require_deleted(store: Store, variables: Sequence[Variable]) -> None:
    gone = {row.id for row in variables}
    for row in store.variables_named({row.name for row in variables}):
        require_deleted(f"variable {row.name}", store.location, is_deleted=row.id not in gone)
