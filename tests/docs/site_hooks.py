"""Add files outside docs/ that pages link to: examples, and documents of the root folder.

MkDocs calls these functions; see mkdocs.yml.
"""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

from mkdocs.structure.files import File, Files

ROOT = Path(__file__).parents[2]
_DOCUMENTS = ("CHANGELOG.md", "CONTRIBUTING.md", "SECURITY.md", ".env.example")


def on_files(files: Files, config: Any) -> Files:
    """Add the files that are not in docs/."""
    paths = [ROOT / name for name in _DOCUMENTS]
    paths += sorted(path for path in (ROOT / "examples").rglob("*") if path.is_file())
    for path in paths:
        name = str(path.relative_to(ROOT))
        files.append(File.generated(config, name, abs_src_path=str(path)))
    return files


def on_page_markdown(markdown: str, page: Any, **_: Any) -> str:
    """Change links to the paths that files have in the site."""
    if page.file.src_path.startswith("examples/"):
        return markdown
    if page.file.src_path in _DOCUMENTS:
        return re.sub(r"\]\(docs/", "](", markdown)
    return re.sub(r"\]\(\.\./", "](", markdown)
