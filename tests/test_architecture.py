"""The rooms of langkeys and what each may import; the sources are parsed, not run."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

import langkeys

ROOT = Path(langkeys.__file__).parent
FILES = {
    ".".join(path.relative_to(ROOT.parent).with_suffix("").parts).removesuffix(".__init__"): path
    for path in sorted(ROOT.rglob("*.py"))
}
TREES = {module: ast.parse(path.read_text(encoding="utf-8")) for module, path in FILES.items()}
OURS = [module for module in FILES if module != "langkeys"]


def imports(module: str, *, for_types: bool = True) -> Iterator[str]:
    """Yield all imports of a module; ``for_types``: also those under ``TYPE_CHECKING``."""
    waiting: list[ast.AST] = [TREES[module]]
    while waiting:
        node = waiting.pop()
        if isinstance(node, ast.If) and "TYPE_CHECKING" in ast.unparse(node.test) and not for_types:
            continue
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{module}: imports are absolute"
            base = node.module or ""
            for alias in node.names:
                name = f"{base}.{alias.name}"
                yield name if name in FILES else base
        waiting.extend(ast.iter_child_nodes(node))


def is_in(module: str, *packages: str) -> bool:
    return any(module == package or module.startswith(f"{package}.") for package in packages)


def importers(*packages: str, for_types: bool = False) -> set[str]:
    return {
        module
        for module in FILES
        if any(is_in(name, *packages) for name in imports(module, for_types=for_types))
    }


def test_the_walk_sees_imports_wherever_they_are() -> None:
    assert "langkeys.errors" in set(imports("langkeys.config.settings"))
    assert "dotenv.parser" in set(imports("langkeys.config.dotenv"))
    cipher = "langkeys.crypto.cipher"
    assert cipher in set(imports("langkeys.api_keys.verification"))
    assert cipher not in set(imports("langkeys.api_keys.verification", for_types=False))


# Rooms: the packages and single modules of langkeys, each with the rooms that it may import.

GROUND = {
    "errors",
    "models",
    "text",
    "times",
    "progress",
    "batches",
    "failpoints",
    "paths",
    "ref_forms",
    "targets",
    "undo",
}
ROOMS: dict[str, set[str]] = {
    "errors": set(),
    "batches": set(),
    "progress": set(),
    "models": set(),
    "text": {"errors"},
    "failpoints": set(),
    "paths": set(),
    "ref_forms": {"errors", "models"},
    "targets": {"models", "paths"},
    "times": {"errors", "text"},
    "undo": {"errors"},
    "crypto": {"errors", "models"},
    "files": {"errors", "paths"},
    "config": GROUND | {"files"},
    "store": GROUND | {"files"},
    "api_keys": GROUND | {"files", "config", "crypto", "store"},
    "variables": GROUND | {"config", "crypto", "store"},
    "secret_key": GROUND | {"files", "config", "crypto", "store"},
    "authentication": GROUND | {"config", "crypto", "store", "api_keys"},
    "audit": GROUND | {"files", "config", "store", "authentication"},
    "users": GROUND | {"config", "store", "api_keys", "authentication"},
    "diagnostics": GROUND
    | {"files", "config", "crypto", "store", "authentication", "audit", "secret_key"},
    "initialization": GROUND
    | {"files", "config", "crypto", "variables", "authentication", "audit", "users"},
    "sessions": GROUND
    | {"files", "config", "crypto", "store", "api_keys", "secret_key", "authentication"}
    | {"audit", "users", "diagnostics", "initialization"},
    "remote": GROUND | {"config"},
    "manifest": GROUND
    | {"files", "config", "crypto", "store", "api_keys", "variables", "authentication", "users"},
    "library": GROUND | {"config", "store", "api_keys", "variables", "audit", "sessions"},
    "cli": GROUND
    | {"files", "config", "crypto", "store", "api_keys", "variables", "secret_key"}
    | {"authentication", "audit", "users", "diagnostics", "initialization", "sessions", "remote"}
    | {"manifest"},
}


def room_of(module: str) -> str:
    return module.split(".")[1]


def test_every_module_is_in_a_room_that_is_on_the_map() -> None:
    assert {room_of(module) for module in OURS} == {*ROOMS, "__main__"}


@pytest.mark.parametrize("room", ROOMS)
def test_a_room_imports_only_what_is_below_it(room: str) -> None:
    inside = [module for module in OURS if room_of(module) == room]
    found = {
        f"{module} imports {name}"
        for module in inside
        for name in imports(module)
        if is_in(name, "langkeys") and (name == "langkeys" or room_of(name) != room)
        if name == "langkeys" or room_of(name) not in ROOMS[room]
    }
    assert found - EXCEPTIONS == set()


# `langkeys --version` shows the version, which is in the package itself.
EXCEPTIONS = {"langkeys.cli imports langkeys"}


def test_the_exceptions_are_needed() -> None:
    found = {f"{module} imports {name}" for module in OURS for name in imports(module)}
    assert found >= EXCEPTIONS


def test_rooms_are_floors_with_no_way_back_up() -> None:
    floors = list(ROOMS)
    for room, below in ROOMS.items():
        assert below & set(floors[floors.index(room) :]) <= (GROUND if room in GROUND else set()), (
            room
        )


def test_packages_import_nothing_when_they_are_imported() -> None:
    # The import of one module must not load the other modules of its room.
    for module, path in FILES.items():
        if path.name == "__init__.py" and not is_in(module, "langkeys.cli", "langkeys.library"):
            top = [n for n in TREES[module].body if isinstance(n, ast.Import | ast.ImportFrom)]
            names = {name for node in top for name in _names_of(node)}
            assert not any(is_in(name, "langkeys") for name in names), module


def test_nothing_imports_the_command_line_but_main() -> None:
    outside = {module for module in FILES if not is_in(module, "langkeys.cli")}
    assert importers("langkeys.cli", for_types=True) & outside == {"langkeys.__main__"}


# Only a few modules import slow packages.
CIPHER = "langkeys.crypto.cipher"
PASSWORDS = "langkeys.crypto.passwords"


def test_the_command_line_reaches_stores_ciphers_and_passwords_by_the_session_alone() -> None:
    for module in FILES:
        if is_in(module, "langkeys.cli"):
            slow = ("langkeys.store.engines", CIPHER, PASSWORDS)
            found = [name for name in imports(module, for_types=False) if is_in(name, *slow)]
            assert found == [], module


ENGINES = {f"langkeys.store.{path.parent.name}" for path in (ROOT / "store").glob("*/engine.py")}


def test_an_engine_is_reached_by_one_door() -> None:
    assert "langkeys.store.sqlite" in ENGINES
    for engine in ENGINES:
        outside = {m for m in importers(engine, for_types=True) if not is_in(m, engine)}
        assert outside == {"langkeys.store.engines"}, engine


def test_only_sessions_open_stores() -> None:
    openers = importers("langkeys.store.engines", for_types=True)
    assert {module for module in openers if not is_in(module, "langkeys.sessions")} == set()


def test_outside_of_its_folder_nobody_names_an_engine() -> None:
    # These modules open databases, or parse or show database URLs.
    named_in = {
        module
        for module, tree in TREES.items()
        for node in ast.walk(tree)
        if isinstance(node, ast.Constant | ast.Name | ast.Attribute | ast.ClassDef)
        and re.search("sqlite", ast.unparse(node).splitlines()[0], re.IGNORECASE)
        and not is_in(module, "langkeys.store.sqlite")
        and not (isinstance(node, ast.Constant) and "\n" in str(node.value))
    }
    assert named_in == {
        "langkeys.store.engines",
        "langkeys.config.locations",
        "langkeys.config.urls",
        "langkeys.config.settings",  # the folders for temporary files
    }


def test_only_sessions_import_ciphers_and_passwords() -> None:
    found = importers(CIPHER, PASSWORDS)
    assert {m for m in found if not is_in(m, "langkeys.sessions", "langkeys.crypto")} == set()


def test_the_protocol_and_the_generations_know_no_engine() -> None:
    for module in (
        "langkeys.store.protocol",
        "langkeys.store.key_batch",
        "langkeys.store.generations",
        "langkeys.store.records",
    ):
        names = {name for name in imports(module) if is_in(name, "langkeys")}
        ours = (
            "errors", "models", "progress", "store.generations", "store.key_batch", "store.records",
        )  # fmt: skip
        assert names <= {f"langkeys.{name}" for name in ours}, module


def test_imports_at_the_top_of_modules_have_no_cycle() -> None:
    graph = {
        module: {
            name
            for node in TREES[module].body
            if isinstance(node, ast.Import | ast.ImportFrom)
            for name in _names_of(node)
            if name in FILES
        }
        for module in FILES
    }
    done: set[str] = set()

    def visit(module: str, path: tuple[str, ...]) -> None:
        assert module not in path, " -> ".join((*path, module))
        if module not in done:
            for name in graph[module] - {module}:
                visit(name, (*path, module))
            done.add(module)

    for module in graph:
        visit(module, ())


def _names_of(node: ast.Import | ast.ImportFrom) -> list[str]:
    if isinstance(node, ast.Import):
        return [alias.name for alias in node.names]
    names = [f"{node.module}.{alias.name}" for alias in node.names]
    return [name if name in FILES else str(node.module) for name in names]


# Other packages


@pytest.mark.parametrize(
    ("package", "rooms"),
    [
        ("sqlite3", ("langkeys.store.sqlite",)),
        ("psycopg2", ("langkeys.store.postgresql.connections",)),
        ("cryptography", ("langkeys.crypto.cipher",)),
        ("bcrypt", ("langkeys.crypto.passwords",)),
        ("yaml", ("langkeys.manifest.document",)),
        ("rich", ("langkeys.cli.tables",)),
        ("dotenv", ("langkeys.config.dotenv",)),
        ("typer", ("langkeys.cli",)),
        ("getpass", ("langkeys.cli.prompts",)),
        ("urllib.request", ("langkeys.remote.client",)),
        ("platformdirs", ("langkeys.config.locations",)),
    ],
)
def test_a_package_is_imported_in_its_own_room_alone(package: str, rooms: tuple[str, ...]) -> None:
    found = importers(package, for_types=True)
    assert found
    assert {module for module in found if not is_in(module, *rooms)} == set()


def test_click_is_never_imported() -> None:
    assert importers("click", for_types=True) == set()


def test_only_settings_and_ownership_read_the_environment() -> None:
    readers = {
        module
        for module, tree in TREES.items()
        for node in ast.walk(tree)
        if (isinstance(node, ast.Attribute) and ast.unparse(node) in ("os.environ", "os.environb"))
        or (isinstance(node, ast.Attribute) and ast.unparse(node) in ("os.getenv", "os.getenvb"))
        or (
            isinstance(node, ast.ImportFrom)
            and node.module == "os"
            and {alias.name for alias in node.names} & {"environ", "environb", "getenv"}
        )
    }
    # cli: whether a shell asks for completions, before anything is parsed. wrapping: COLUMNS.
    # ownership: sudo's variables, for files that are read before the settings. connections: libpq
    # gets the PG* variables of a .env file through the environment. copying: pg_dump and
    # pg_restore get the environment without langkeys' own variables.
    assert readers == {
        "langkeys.cli",
        "langkeys.cli.wrapping",
        "langkeys.config.settings",
        "langkeys.files.ownership",
        "langkeys.failpoints",
        "langkeys.store.postgresql.connections",
        "langkeys.store.postgresql.copying",
    }


def test_only_one_module_prints() -> None:
    printers = {
        module
        for module, tree in TREES.items()
        for node in ast.walk(tree)
        if (isinstance(node, ast.Attribute) and ast.unparse(node) == "sys.stdout.write")
        or (isinstance(node, ast.Name) and node.id == "print")
        or (isinstance(node, ast.Attribute) and ast.unparse(node) == "typer.echo")
    }
    assert printers == {"langkeys.cli.output"}


# Source files


@pytest.mark.parametrize("folder", ["langkeys", "tests"])
def test_no_file_has_more_than_400_lines(folder: str) -> None:
    long = {
        str(path): count
        for path in (ROOT.parent / folder).rglob("*.py")
        if (count := len(path.read_text(encoding="utf-8").splitlines())) > 400
    }
    assert long == {}


@pytest.mark.parametrize("module", OURS)
def test_every_module_says_what_lives_in_it(module: str) -> None:
    assert ast.get_docstring(TREES[module])


def test_nothing_is_named_for_what_it_is_not() -> None:
    for path in (*ROOT.rglob("*.py"), *(ROOT.parent / "tests").rglob("*.py")):
        assert path.stem not in ("utils", "util", "helpers", "helper", "common", "manager"), path
