"""The context of planners: the acting user, decryption, verification, and generated values."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING

from langkeys import users
from langkeys.api_keys.ending import Endings
from langkeys.authentication import Acting
from langkeys.config import locations
from langkeys.config.settings import Settings
from langkeys.crypto import password_rules
from langkeys.crypto.hashes import new_api_key
from langkeys.errors import ConflictError, LangkeysError
from langkeys.files.reading import without_newline
from langkeys.manifest import output_files
from langkeys.models import ApiKey, User, Variable, new_id
from langkeys.store.generations import Generation
from langkeys.store.protocol import Store
from langkeys.variables import lifecycle as variables
from langkeys.variables.environment_names import imported_names

if TYPE_CHECKING:
    from langkeys.crypto.cipher import Cipher


@dataclass
class Minted:
    """Generated ids, API keys and passwords; planning again in the same run reuses them."""

    _user_ids: dict[str, str] = field(default_factory=dict)
    _keys: dict[tuple[str, str], str] = field(default_factory=dict, repr=False)
    _passwords: dict[Path, str] = field(default_factory=dict, repr=False)

    def user_id(self, username: str) -> str:
        """Return the id of a new user."""
        return self._user_ids.setdefault(username, new_id())

    def api_key(self, username: str, name: str) -> str:
        """Return a new API key for a user."""
        key = (username, name)
        if key not in self._keys:
            self._keys[key] = new_api_key()
        return self._keys[key]

    def password(self, file: Path) -> str:
        """Return a new password for a file."""
        if file not in self._passwords:
            self._passwords[file] = password_rules.generate_password()
        return self._passwords[file]


@dataclass
class Context:
    """The services and settings that planners need besides the manifest and the stored state."""

    store: Store
    settings: Settings
    acting: Acting
    cipher: Callable[[], "Cipher"]
    endings: Endings
    matches_password: Callable[[str, str], bool]
    """Tells whether a password matches a hash."""
    was_revoked: Callable[[str], bool]
    """Tells whether the audit trail records that an API key was revoked."""
    read_files: frozenset[Path] = frozenset()
    """The paths of the manifests, which are never overwritten."""
    minted: Minted = field(default_factory=Minted)
    _verified: dict[tuple[str, str], bool] = field(default_factory=dict, repr=False)
    _decrypted: dict[str, str | None] = field(default_factory=dict, repr=False)

    @property
    def generation(self) -> Generation:
        """The generation of Langflow that the database belongs to."""
        return self.store.generation

    @cached_property
    def imported(self) -> frozenset[str]:
        """The names of variables that a server imports from its environment."""
        return frozenset(imported_names(self.settings))

    def has_password(self, user: User, password: str) -> bool:
        """Tell whether this is the user's password; cached, because the check is slow."""
        asked = (user.password_hash, password)
        if asked not in self._verified:
            self._verified[asked] = self.matches_password(password, user.password_hash)
        return self._verified[asked]

    def find_value(self, row: Variable) -> str | None:
        """Return a variable's value, decrypted at most once; None if it cannot be decrypted."""
        if row.stored not in self._decrypted:
            self._decrypted[row.stored] = variables.find_value(row, self.cipher)
        return self._decrypted[row.stored]

    def find_key(self, row: ApiKey) -> str | None:
        """Return the API key of a row; None if it cannot be decrypted."""
        return self.endings.finder.find_key(row)[1]

    def includes_acting_key(self, rows: Sequence[ApiKey]) -> bool:
        """Tell whether langkeys authenticated with the API key of one of these rows."""
        acting = self.acting.api_key
        return acting is not None and acting.id in {row.id for row in rows}

    def check_dispensable(self, user: User, verb: str) -> str | None:
        """Return why a user cannot be deactivated or demoted, or None if that is possible.

        ``verb`` is ``deactivate`` or ``demote``.
        """
        try:
            users.check_dispensable(self.store, self.settings, self.acting.user, user, verb)
        except LangkeysError as error:
            return error.message
        return None

    def find_text(self, path: Path, what: str) -> str | None:
        """Return the content of an output file; see ``output_files.find_text``.

        Raises ConflictError if the file is a manifest, or one that the deployment itself uses.
        """
        locations.refuse_own_file(self.settings, path)
        if path.resolve() in self.read_files:
            raise ConflictError(f"{path} is a manifest, and is not overwritten")
        return output_files.find_text(path, what)

    def find_password(self, path: Path) -> str | None:
        """Return the password in a file, without one trailing newline; None if there is none."""
        return without_newline(self.find_text(path, "a password") or "") or None
