"""A substitute for kubectl in scenes: it validates manifests by Kubernetes' own schemas."""

from __future__ import annotations

import json
import re
import sys
from pathlib import Path

import kubernetes_validate
import yaml


def main() -> None:
    """Do what the documents need: apply a file, create a secret from a file, or patch a secret."""
    arguments = sys.argv[1:]
    if arguments[:2] == ["apply", "-f"]:
        file = arguments[2]
        text = sys.stdin.read() if file == "-" else Path(file).read_text(encoding="utf-8")
        for manifest in yaml.safe_load_all(text):
            kubernetes_validate.validate(json.loads(json.dumps(manifest)), "1.31", strict=True)
            print(f"{manifest['kind'].lower()}/{manifest['metadata']['name']} created")
    elif arguments[:3] == ["create", "secret", "generic"]:
        name, option = arguments[3:]
        text = Path(option.removeprefix("--from-env-file=")).read_text(encoding="utf-8")
        assert all(re.fullmatch(r"[A-Z_]+=[\w-]{43}", line) for line in text.splitlines()), "values"
        print(f"secret/{name} created")
    elif arguments[:2] == ["patch", "secret"] and arguments[3] == "--patch-file":
        patch = json.loads(Path(arguments[4]).read_text(encoding="utf-8"))
        assert list(patch) == ["stringData"], "what is patched"
        print(f"secret/{arguments[2]} patched")
    else:
        raise SystemExit(f"what is kubectl {' '.join(arguments)}?")


if __name__ == "__main__":
    main()
