"""The current content of an API key's output file."""

from langkeys.crypto.hashes import api_key_hash
from langkeys.errors import LangkeysError
from langkeys.manifest import output_files
from langkeys.manifest.context import Context
from langkeys.manifest.declared import OutputFile
from langkeys.manifest.problems import CONFLICT, Problems, problem_code
from langkeys.models import ApiKey, User


class KeyFile:
    """Reads an output file; adds to ``problems`` if that fails."""

    def __init__(self, context: Context, problems: Problems, output: OutputFile) -> None:
        self._context = context
        self._problems = problems
        self._output = output
        self._text: str | None = None
        try:
            self._text = context.find_text(output.file, "an API key")
        except LangkeysError as error:
            self._add(error.message, problem_code(error))

    def _add(self, what: str, code: str) -> None:
        self._problems.add(self._output.position, self._output.path, what, code=code)

    def check(self, owner: User, name: str) -> None:
        """Add a problem if the file contains anything but a key with this name and owner."""
        if self._text is None:
            return
        key = output_files.find_key(self._text)
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
        """Tell whether the file contains this key in the declared format."""
        key = None if self._text is None else output_files.find_key(self._text)
        if key is None or self._text != output_files.file_text(self._output, key):
            return False
        return self._context.endings.finder.find_hash(current) == api_key_hash(key)
