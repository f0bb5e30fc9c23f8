"""Draw the pictures of the documents by running langkeys in a terminal.

A test draws the pictures again. A picture is only replaced if more than ids and times differ. It
downloads no font: the viewer's own fonts are used.
"""

from __future__ import annotations

import io
import re
import xml.etree.ElementTree as ET
from dataclasses import dataclass
from pathlib import Path

from rich.console import Console
from rich.terminal_theme import TerminalTheme
from rich.text import Text

from .markdown import ROOT
from .masks import masked
from .shell import Shell

FOLDER = ROOT / "docs" / "pictures"
COLUMNS = 100

_THEME = TerminalTheme(
    (24, 26, 31),
    (214, 219, 228),
    [(90, 97, 110), (240, 113, 120), (143, 200, 120), (229, 192, 112), (104, 170, 240),
     (200, 146, 234), (95, 200, 205), (214, 219, 228)],
    [(128, 136, 150), (255, 139, 146), (168, 220, 148), (246, 214, 143), (138, 192, 255),
     (219, 174, 247), (130, 220, 225), (255, 255, 255)],
)  # fmt: skip

_SVG = """\
<svg viewBox="0 0 {width} {height}" role="img" xmlns="http://www.w3.org/2000/svg">
<title>{title}</title>
<style>
.{unique_id}-matrix {{ font-family: ui-monospace, Menlo, Consolas, "DejaVu Sans Mono", \
monospace; font-size: {char_height}px; line-height: {line_height}px; \
font-variant-east-asian: full-width; white-space: pre; }}
.{unique_id}-title {{ font-family: ui-sans-serif, system-ui, sans-serif; font-size: 17px; }}
{styles}
</style>
<defs>
<clipPath id="{unique_id}-clip-terminal">
<rect x="0" y="0" width="{terminal_width}" height="{terminal_height}" />
</clipPath>
{lines}
</defs>
{chrome}
<g transform="translate({terminal_x}, {terminal_y})" clip-path="url(#{unique_id}-clip-terminal)">
{backgrounds}
<g class="{unique_id}-matrix">
{matrix}
</g>
</g>
</svg>
"""


@dataclass(frozen=True)
class Picture:
    """A terminal session: the scene that it starts from, and the commands that are typed."""

    name: str
    title: str
    scene: str
    commands: tuple[str, ...]

    @property
    def path(self) -> Path:
        return FOLDER / f"{self.name}.svg"

    @property
    def drawn(self) -> str:
        """The picture in its file."""
        return self.path.read_text(encoding="utf-8")


PICTURES = (
    Picture(
        "first-minute",
        "A store, an API key, the list of keys, and a check",
        "empty",
        (
            "langkeys init",
            "langkeys api-key create --name ci --expires 90d",
            "langkeys api-key list",
            "langkeys doctor",
        ),
    ),
    Picture(
        "leaked-key",
        "A leaked API key: whose it is, its end, and the proof",
        "leak",
        (
            "langkeys api-key show - < leaked.txt",
            "langkeys api-key revoke - --yes --reason 'found in a public repository' < leaked.txt",
            "langkeys whoami --api-key - < leaked.txt",
        ),
    ),
)


def draw(picture: Picture) -> str:
    """Run a picture's commands, and return what the terminal shows as SVG."""
    console = Console(
        record=True,
        width=COLUMNS,
        file=io.StringIO(),
        force_terminal=True,
        color_system="truecolor",
    )
    with Shell(picture.scene, columns=COLUMNS, colours=True) as shell:
        for command in picture.commands:
            output, _ = shell.run(command)
            console.print(Text("$ ", style="bold green").append(command, style="bold default"))
            console.print(Text.from_ansi(output.strip("\n")))
            console.print()
    form = _SVG.replace("{title}", picture.title)
    drawn = console.export_svg(
        title=picture.title, theme=_THEME, code_format=form, unique_id=picture.name
    )
    return "\n".join(line.rstrip() for line in drawn.splitlines() if line.strip()) + "\n"


def content(svg: str) -> list[str]:
    """Return the lines of a picture with their styles; ids and times are masked."""
    styles = dict(re.findall(r"\.[\w-]+-(r\d+) \{ (.*?) \}", svg))
    lines: dict[float, list[tuple[float, str, str]]] = {}
    for text in ET.fromstring(svg).iter("{http://www.w3.org/2000/svg}text"):
        words = "".join(text.itertext()).replace("\N{NO-BREAK SPACE}", " ")
        style = styles.get(text.get("class", "").rpartition("-")[2], "")
        lines.setdefault(float(text.get("y", 0)), []).append(
            (float(text.get("x", 0)), words, style)
        )
    return [
        masked("".join(f"{words}{{{style}}}" if style else words for _, words, style in parts))
        for _, parts in sorted((y, sorted(parts)) for y, parts in lines.items())
    ]


def update(picture: Picture) -> bool:
    """Draw a picture; keep the file if it shows the same. Return whether it was written."""
    drawn = draw(picture)
    if picture.path.exists() and content(picture.drawn) == content(drawn):
        return False
    picture.path.parent.mkdir(exist_ok=True)
    picture.path.write_text(drawn, encoding="utf-8")
    return True
