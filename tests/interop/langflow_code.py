"""Run the code of an installed Langflow package, in a process with its own Python."""

from __future__ import annotations

import json
import os
import subprocess
from collections.abc import Sequence

from .langflow_install import install
from .langflow_server import LangflowServer

_DECRYPT = """
import json, sys
from langflow.services.auth import utils
from langflow.services.deps import get_settings_service
try:
    from langflow.services.utils import register_all_service_factories
except ImportError:
    pass
else:
    register_all_service_factories()
settings = get_settings_service()
tokens = json.load(sys.stdin)
print(json.dumps([utils.decrypt_api_key(token, settings_service=settings) for token in tokens]))
"""


def decrypted(server: LangflowServer, stored: Sequence[str]) -> list[str]:
    """Decrypt stored values with the server's own ``decrypt_api_key``."""
    done = subprocess.run(
        [install(server.version) / "bin" / "python", "-c", _DECRYPT],
        cwd=server.folder / "work",
        env={
            "PATH": os.environ.get("PATH", os.defpath),
            "HOME": str(server.folder / "home"),
            "TMPDIR": str(server.folder / "tmp"),
            "LANG": "C.UTF-8",
            **server.settings,
        },
        input=json.dumps(stored),
        capture_output=True,
        encoding="utf-8",
        timeout=180,
        check=False,
    )
    assert done.returncode == 0, done.stderr[-2000:]
    # Some releases first log to stdout.
    values: list[str] = json.loads(done.stdout.splitlines()[-1])
    return values
