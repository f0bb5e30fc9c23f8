"""New keys that a server has made, on their way to whoever asked for them."""

from collections.abc import Callable, Sequence
from typing import Any

from langkeys.cli.key_rows import key_object
from langkeys.cli.output import Output, array_lines, json_text
from langkeys.files import StagedFile
from langkeys.models import masked
from langkeys.remote.api_keys import NewKey
from langkeys.remote.server import Server


def deliver(
    out: Output,
    server: Server,
    keys: Sequence[NewKey],
    *,
    as_array: bool,
    staged: StagedFile | None,
    additions: Callable[[NewKey], dict[str, Any]] = lambda _: {},
) -> None:
    """Put keys into ``staged`` or else on stdout, whole and synced; raise where that fails.

    ``additions`` are fields for the end of a key's JSON object.
    """
    if staged is not None:
        # One key stands alone, without a newline: servers take what a mounted secret holds.
        staged.write("\n".join(key.plaintext for key in keys) + "\n" * (len(keys) > 1))
        staged.publish()
        return
    lines = [key.plaintext for key in keys]
    if out.as_json:
        objects = [{**key_object(key.row, key.plaintext), **additions(key)} for key in keys]
        lines = list(array_lines(objects)) if as_array else [json_text(objects[0])]
    elif out.is_terminal and len(keys) == 1:
        panel = out.new_key_panel(keys[0].plaintext, keys[0].row.name or "", server.location)
        lines = [panel.removesuffix("\n")]
    out.lines(lines)


def report_written(
    out: Output,
    keys: Sequence[NewKey],
    staged: StagedFile | None,
    *,
    as_array: bool,
    additions: Callable[[NewKey], dict[str, Any]] = lambda _: {},
) -> None:
    """Describe in JSON the keys that are in a file by now; they stay, should this fail."""
    if staged is None or not out.as_json:
        return
    objects = [
        {
            **key_object(key.row, masked(key.plaintext)),
            **additions(key),
            "written_to": str(staged.path),
        }
        for key in keys
    ]
    if as_array:
        out.array(objects)
    else:
        out.document(objects[0])
