"""The file that an API key is written to, as a plan finds it."""

from langkeys.crypto.hashes import api_key_hash
from langkeys.errors import LangkeysError
from langkeys.manifest import targets
from langkeys.manifest.context import Context
from langkeys.manifest.declared import Target
from langkeys.manifest.problems import CONFLICT, Problems, code_of
from langkeys.models import ApiKey, User


class KeyFile:
    """What is in the file of a target; what must not be there goes to ``problems``."""

    def __init__(self, context: Context, problems: Problems, target: Target) -> None:
        self._context = context
        self._problems = problems
        self._target = target
        self._text: str | None = None
        try:
            self._text = context.find_text(target.file, "an API key")
        except LangkeysError as error:
            self._add(error.message, code_of(error))

    def _add(self, what: str, code: str) -> None:
        self._problems.add(self._target.position, self._target.path, what, code=code)

    def check(self, owner: User, name: str) -> None:
        """Refuse a file that holds anything but a key of this name and owner."""
        if self._text is None:
            return
        key = targets.find_key(self._text)
        if key is None:
            what = "the file holds something that is not an API key; it is not replaced"
            self._add(what, CONFLICT)
            return
        rows = self._context.endings.finder.find_all(key)
        if not rows:
            what = (
                "the file holds an API key that is not of this name and user: it is not in the"
                " database. Remove the file to get a key that works"
            )
            self._add(what, CONFLICT)
        elif all((row.key.user_id, row.key.name) != (owner.id, name) for row in rows):
            what = "the file holds an API key that is not of this name and user; it is not replaced"
            self._add(what, CONFLICT)

    def holds(self, current: ApiKey) -> bool:
        """Tell whether the file holds this key, in the form that is declared."""
        key = None if self._text is None else targets.find_key(self._text)
        if key is None or self._text != targets.text_of(self._target, key):
            return False
        return self._context.endings.finder.find_hash(current) == api_key_hash(key)
