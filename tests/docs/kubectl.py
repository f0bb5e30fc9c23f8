"""Stand in for kubectl in a scene: what is applied must be valid by Kubernetes' own schemas."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import kubernetes_validate
import yaml


def main() -> None:
    """Take ``apply -f FILE|-`` and print what kubectl prints."""
    verb, option, file = sys.argv[1:]
    assert (verb, option) == ("apply", "-f"), sys.argv
    text = sys.stdin.read() if file == "-" else Path(file).read_text(encoding="utf-8")
    for manifest in yaml.safe_load_all(text):
        kubernetes_validate.validate(json.loads(json.dumps(manifest)), "1.31", strict=True)
        print(f"{manifest['kind'].lower()}/{manifest['metadata']['name']} created")


if __name__ == "__main__":
    main()
