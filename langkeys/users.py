"""Create users, and change their password and state."""

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, NamedTuple

from langkeys.authentication import DEFAULT_SUPERUSER, auto_login_name
from langkeys.config.settings import Settings
from langkeys.errors import ConflictError, FailedError, NotFoundError, UsageError
from langkeys.models import ApiKey, User, UserSummary, dashed, new_id, parsed_id
from langkeys.store.owners import get_owner
from langkeys.store.protocol import KeyFilter, Store
from langkeys.store.read_back import require_deleted, require_stored
from langkeys.text import checked_name
from langkeys.times import now

if TYPE_CHECKING:
    from langkeys.api_keys.ending import Endings, WholeKey


def get_user(store: Store, text: str, *, warn: Callable[[str], None]) -> User:
    """Return the user with this id, or else with this name; raise NotFoundError.

    The id comes first: whoever signs up can choose a name, but not an id. ``warn`` is called if
    another user's name equals that id. For an id that does not come from user input, use
    ``Store.find_user``.
    """
    user_id = parsed_id(text)
    user = None if user_id is None else store.find_user(user_id)
    if user is None:
        user = store.find_user_named(text)
    else:
        for name in _spellings(user.id) | {text}:
            if (other := store.find_user_named(name)) is not None and other.id != user.id:
                warn(
                    f"user {dashed(other.id)} in {store.location} is named {name!r},"
                    f" which is the id of user {user.username!r}; the user with the id"
                    " is used"
                )
    if user is None:
        alike = "".join(f"there is {name!r}; " for name in store.usernames_like(text)[:3])
        raise NotFoundError(
            f"no user {text!r} in {store.location}",
            hint=f"{alike}to see names and ids: langkeys user list",
        )
    return user


def _spellings(user_id: str) -> set[str]:
    return {
        spelling for text in (user_id, dashed(user_id)) for spelling in (text.lower(), text.upper())
    }


def get_summary(store: Store, user_id: str) -> UserSummary:
    """Return a user with the number of their API keys and variables; raise NotFoundError."""
    for summary in store.users(user_id=user_id):
        return summary
    raise NotFoundError(f"user {dashed(user_id)} is no longer in {store.location}")


def checked_username(name: str) -> str:
    """Return the name if it is valid for a new user; else raise UsageError.

    Langflow itself accepts every name, even an empty one.
    """
    checked_name(name)
    if name != name.strip():
        raise UsageError(f"the user name {name!r} starts or ends with a space")
    if parsed_id(name) is not None:
        raise UsageError("the user name looks like an id, and would hide the user with that id")
    return name


def new_user(username: str, password_hash: str, *, is_superuser: bool) -> User:
    """Return an active user as a server creates one.

    The default project and the variables are missing: a server creates them at the first login
    (measured on 1.5 to 1.13).
    """
    moment = now()
    return User(
        id=new_id(),
        username=username,
        password_hash=password_hash,
        is_active=True,
        is_superuser=is_superuser,
        created_at=moment,
        updated_at=moment,
        optins={"github_starred": False, "dialog_dismissed": False, "discord_clicked": False},
    )


def check_new(store: Store, settings: Settings, username: str, *, is_superuser: bool) -> None:
    """Raise ConflictError if this user cannot be created.

    ``create`` calls it again within the transaction. Names are compared in lower case, in Unicode.
    The index of 1.13 does the same, but on SQLite only for ASCII. Before 1.13 there is no index.
    """
    taken = store.usernames_like(username)
    if taken:
        raise ConflictError(
            f"a user {taken[0]!r} already exists in {store.location}; user names are"
            " unique regardless of case",
            hint="choose another name, or change that user: set-password, activate, promote",
        )
    if not is_superuser and username.lower() == settings.superuser.lower():
        raise ConflictError(
            f"LANGFLOW_SUPERUSER names {settings.superuser!r}: servers do not start"
            " unless that user is a superuser",
            hint="use --superuser, or choose another name",
        )


def create(store: Store, settings: Settings, user: User) -> None:
    """Store a new user, then check it through a new connection."""
    with store.transaction():
        check_new(store, settings, user.username, is_superuser=user.is_superuser)
        store.insert_user(user)
    with store.reopened() as fresh:
        is_stored = fresh.find_user(user.id) == user
    require_stored(f"user {user.username!r}", store.location, is_stored=is_stored)


def set_password(
    store: Store, user: User, password_hash: str, *, proves: Callable[[str], bool]
) -> tuple[User, User]:
    """Set a user's password; return the old and the new row.

    ``proves`` checks the password against a hash. It gets the hash that a new connection reads; if
    they do not match, FailedError is raised.
    """
    with store.transaction():
        old = get_owner(store, user.id, user.username)
        new = old._replace(password_hash=password_hash, updated_at=now())
        store.update_user(new)
    with store.reopened() as fresh:
        found = fresh.find_user(new.id)
        if found is None or not proves(found.password_hash):
            raise FailedError(
                f"the new password of {user.username!r} does not match the hash stored in"
                f" {store.location}",
                hint="check the disk, then set the password again",
            )
    return old, new


def undo_undelivered(store: Store, new: User, old: User | None) -> None:
    """Restore the old password, or delete the new user if ``old`` is None.

    Called if the new password could not be delivered. Raises ConflictError if somebody else has
    changed the user since.
    """
    with store.transaction():
        current = get_summary(store, new.id)
        if current.user.password_hash != new.password_hash or (
            old is None and (current.api_keys or current.variables)
        ):
            raise ConflictError(f"user {new.username!r} has changed in the meantime")
        if old is None:
            store.delete_user(new.id)
        else:
            store.update_user(
                current.user._replace(password_hash=old.password_hash, updated_at=old.updated_at)
            )


class StateChange(NamedTuple):
    """A user before and after a change, and the API keys revoked with it."""

    old: User
    new: User
    revoked: Sequence[ApiKey] = ()


def plan_change(
    store: Store,
    settings: Settings,
    acting: User,
    user: User,
    *,
    is_active: bool | None = None,
    is_superuser: bool | None = None,
) -> StateChange:
    """Return what ``change_state`` would do; for None, a flag stays as it is.

    Raises ConflictError if the server or langkeys needs the user unchanged.
    """
    old = get_owner(store, user.id, user.username)
    new = old._replace(
        is_active=old.is_active if is_active is None else is_active,
        is_superuser=old.is_superuser if is_superuser is None else is_superuser,
    )
    if new == old:
        return StateChange(old, old)
    if old.is_active and not new.is_active:
        check_dispensable(store, settings, acting, old, "deactivate")
    elif old.is_superuser and not new.is_superuser:
        check_dispensable(store, settings, acting, old, "demote")
    return StateChange(old, new._replace(updated_at=now()))


def change_state(
    store: Store,
    settings: Settings,
    acting: User,
    user: User,
    *,
    is_active: bool | None = None,
    is_superuser: bool | None = None,
    revoke_keys: bool = False,
    endings: "Endings | None" = None,
) -> StateChange:
    """Activate, deactivate, promote or demote a user, then check the stored row.

    ``revoke_keys`` deletes the user's API keys in the same transaction. With ``endings``, all rows
    of each key are deleted, even those of other users. Raises what ``plan_change`` raises.
    """
    keys: list[WholeKey] = []
    with store.transaction():
        planned = plan_change(
            store, settings, acting, user, is_active=is_active, is_superuser=is_superuser
        )
        if planned.new != planned.old:
            store.update_user(planned.new)
        if revoke_keys:
            rows = keys_of(store, user)
            if endings is not None:
                keys = endings.whole_keys(rows)
                rows += [row for key in keys for row in key.rows if row.user_id != user.id]
            planned = planned._replace(revoked=rows)
            store.delete_api_keys([row.id for row in rows])
    with store.reopened() as fresh:
        found = fresh.find_user(user.id)
        # Compare only what this call sets: others, and a login, may change the rest meanwhile.
        require_stored(
            f"user {user.username!r}",
            store.location,
            is_stored=found is not None
            and is_active in (None, found.is_active)
            and is_superuser in (None, found.is_superuser),
        )
        require_deleted(
            f"an API key of {user.username!r}",
            store.location,
            is_deleted=all(fresh.find_api_key(key.id) is None for key in planned.revoked),
        )
    if endings is not None and keys:
        endings.prove_revoked(keys)
    return planned


def keys_of(store: Store, user: User) -> list[ApiKey]:
    """Return the user's API keys."""
    return list(store.api_keys(KeyFilter(now=now(), user_id=user.id)))


def check_dispensable(
    store: Store, settings: Settings, acting: User, user: User, verb: str
) -> None:
    """Raise ConflictError if this user must stay active, or a superuser."""
    name, done = repr(user.username), f"{verb}d"
    if _is_configured(store, settings, user):
        # Measured on 1.13.0: the server does not start without that user.
        default = "" if settings.is_given("LANGFLOW_SUPERUSER") else " by default"
        raise ConflictError(
            f"LANGFLOW_SUPERUSER names {name}{default}, which cannot be {done}: servers do not"
            " start without it",
            hint="first set LANGFLOW_SUPERUSER to another superuser, for the server too",
        )
    if user.is_active and user.is_superuser and not store.has_other_superuser(user.id):
        raise ConflictError(
            f"{name} is the last active superuser in {store.location} and cannot be {done}",
            hint="promote or activate another user first",
        )
    if user.id == acting.id:
        raise ConflictError(
            f"{name} is the user that langkeys acts as, and cannot {verb} itself",
            hint="act as another superuser",
        )


def _is_configured(store: Store, settings: Settings, user: User) -> bool:
    """Tell whether the settings name this user, as superuser or for AUTO_LOGIN."""
    names = {settings.superuser}
    if settings.auto_login:
        names.add(auto_login_name(settings, store))
    if user.username in names:
        return True
    # From 1.13 on, a server ignores case when it looks up the superuser.
    alike = settings.superuser.lower() == user.username.lower()
    return alike and store.find_user_named(settings.superuser) is None


def stale_setting(settings: Settings, store: Store, user: User, password: str) -> str | None:
    """Return a warning if the settings contain a user's old password.

    The warning says what a server will do with that password. None if the settings contain no
    password of this user, or already contain the new one.
    """
    value = settings.find("LANGFLOW_SUPERUSER_PASSWORD")
    if value is None or value.text == password or user.username != settings.superuser:
        return None
    generation = store.generation
    server = f"a Langflow {generation.release} server"
    if (
        user.username == DEFAULT_SUPERUSER
        and user.last_login_at is None
        and not settings.auto_login
    ):
        if generation.deletes_default_superuser:
            does = (
                f"{server} deletes this user, who has never logged in, and creates it"
                " again with the old password"
            )
        else:
            does = (
                f"{server} restores the old password at its next start, as this user has"
                " never logged in"
            )
    else:
        does = f"{server} leaves the new password as it is"
    return (
        f"LANGFLOW_SUPERUSER_PASSWORD ({value.source}) is out of date: langkeys can no"
        f" longer authenticate with it, and {does}. Set it to the new password"
    )
