"""Mask what differs from run to run, such as ids, keys and times, before outputs are compared."""

from __future__ import annotations

import re

_SPAN = r"(?:\d+ ?(?:µs|ms|s|m|h|d|w|mo|y|seconds?|minutes?|hours?|days?|weeks?|months?|years?))"
_TIME = r"\d\d:\d\d(?::\d\d(?:\.\d+)?)?(?:Z|\+00:00| UTC)?"

_MASKS = [
    (re.compile(r"\b[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}\b"), "<id>"),
    (re.compile(r"\b[0-9a-f]{64}\b"), "<hash>"),
    (re.compile(r"\b(?=[a-f]*\d)[0-9a-f]{12}\b"), "<fingerprint>"),
    (re.compile(r"\b(?=[a-f]*\d)[0-9a-f]{8}\b"), "<id>"),
    (re.compile(r"\bsk-[\w-]{32,}"), "<key>"),
    (re.compile(r"\bsk-[\w-]+(?:\*+|…)"), "<key>…"),
    (re.compile(rf"\d{{4}}-\d\d-\d\d(?:[T ]{_TIME})?"), "<time>"),
    (re.compile(r"\b\d{8}T\d{6}Z"), "<time>"),
    (re.compile(rf"\b(?:in )?{_SPAN}(?: ago)?(?![\w-])|\bnow\b"), "<time>"),
    (re.compile(r"^[\w-]{32,}$", re.MULTILINE), "<secret>"),
    (re.compile(r"\b\d+ (?:bytes|kB|KiB)\b|\t\d{5,}\t"), "<size>"),
    (re.compile(r"\bpid \d+"), "pid <pid>"),
    (re.compile(r"\bof [\w-]+ \(uid \d+\)"), "of <user>"),
    # The values above also change where a message is wrapped, and how wide a column is.
    (re.compile(r"\n {2,}(?=\S)"), " "),
    (re.compile(r"[─━-]{3,}"), "───"),
    (re.compile(r"  +"), "  "),
    (re.compile(r" +$", re.MULTILINE), ""),
]  # fmt: skip

NAMED = re.compile(
    r"\b[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}\b|\bsk-[\w-]{32,}|(?<=\s)[0-9a-f]{8}\b"
)
"""Values that a later command may use: ids, keys and starts of ids."""  # fmt: skip


def masked(text: str) -> str:
    """Return a text in which everything that differs from run to run is masked."""
    for pattern, mask in _MASKS:
        text = pattern.sub(mask, text)
    return text
