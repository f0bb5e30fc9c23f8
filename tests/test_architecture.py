"""The rooms of langkeys and who may enter them: imports are read, not run."""

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
    """Yield what a module imports, anywhere in it; without what only type checkers import."""
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
    assert "langkeys.errors" in set(imports("langkeys.settings"))
    assert "dotenv.parser" in set(imports("langkeys.dotenv_files"))
    assert "langkeys.crypto" in set(imports("langkeys.verification"))
    assert "langkeys.crypto" not in set(imports("langkeys.verification", for_types=False))


# Ours


def test_errors_import_nothing_of_ours() -> None:
    assert not any(is_in(name, "langkeys") for name in imports("langkeys.errors"))


def test_models_import_nothing_of_ours_but_errors() -> None:
    ours = {name for name in imports("langkeys.models") if is_in(name, "langkeys")}
    assert ours <= {"langkeys.errors"}


def test_nothing_imports_the_command_line_but_main() -> None:
    outside = {module for module in FILES if not is_in(module, "langkeys.cli")}
    assert importers("langkeys.cli", for_types=True) & outside == {"langkeys.__main__"}


def test_the_command_line_reaches_stores_ciphers_and_passwords_by_the_session_alone() -> None:
    # What it may know of a store are its values: base and generations have no engine in them.
    for module in FILES:
        if is_in(module, "langkeys.cli"):
            slow = ("langkeys.store.engines", "langkeys.crypto", "langkeys.passwords")
            found = [name for name in imports(module, for_types=False) if is_in(name, *slow)]
            assert found == [], module


# A session opens its store and cipher on first use; it may be more than one module.
SESSIONS = {module for module in FILES if module.endswith("session")}


ENGINES = {f"langkeys.store.{path.parent.name}" for path in (ROOT / "store").glob("*/engine.py")}


def test_an_engine_is_reached_by_one_door() -> None:
    assert "langkeys.store.sqlite" in ENGINES
    for engine in ENGINES:
        outside = {m for m in importers(engine, for_types=True) if not is_in(m, engine)}
        assert outside == {"langkeys.store.engines"}, engine


def test_only_sessions_open_stores() -> None:
    assert importers("langkeys.store.engines", for_types=True) <= SESSIONS


def test_outside_of_its_folder_nobody_names_an_engine() -> None:
    # Where a setting is read, its schemes are; a URL is shown by its form, whatever engine it is.
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
        "langkeys.places",
        "langkeys.urls",
        "langkeys.settings",  # the folders for temporary files
    }


def test_only_sessions_import_ciphers_and_passwords() -> None:
    assert importers("langkeys.crypto") - SESSIONS == set()
    assert importers("langkeys.passwords") - SESSIONS == set()


def test_a_store_sees_only_ciphertext() -> None:
    for module in FILES:
        if is_in(module, "langkeys.store"):
            above = ("langkeys.crypto", "langkeys.passwords", "langkeys.settings")
            assert not any(is_in(name, *above) for name in imports(module)), module


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


def test_what_asks_a_server_knows_no_store_and_no_session() -> None:
    ground = ("errors", "models", "text", "times", "urls", "remote")
    for module in FILES:
        if is_in(module, "langkeys.remote"):
            names = [name for name in imports(module) if is_in(name, "langkeys")]
            assert all(is_in(name, *(f"langkeys.{room}" for room in ground)) for name in names), (
                module
            )


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


# Others'


@pytest.mark.parametrize(
    ("package", "rooms"),
    [
        ("sqlite3", ("langkeys.store.sqlite",)),
        ("cryptography", ("langkeys.crypto",)),
        ("bcrypt", ("langkeys.passwords",)),
        ("rich", ("langkeys.cli.tables",)),
        ("dotenv", ("langkeys.dotenv_files",)),
        ("typer", ("langkeys.cli",)),
        ("getpass", ("langkeys.cli.prompts",)),
        ("urllib.request", ("langkeys.remote.client",)),
        ("platformdirs", ("langkeys.places",)),
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
    # Ownership asks sudo who called it, for files that are read before there are settings.
    assert readers == {"langkeys.settings", "langkeys.ownership"}


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


# The files themselves


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
