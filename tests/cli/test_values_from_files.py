"""No error shows a value from a file that a setting names: it could be the content of any file."""

from __future__ import annotations

import pytest

from ..support.samples import new_api_key
from ..support.sites import Site

FROM_FILE = "content-of-some-file-of-roots"


@pytest.mark.parametrize(
    "name",
    [
        "LANGFLOW_DATABASE_URL",
        "LANGFLOW_SUPERUSER",
        "LANGFLOW_AUTO_LOGIN",
        "LANGFLOW_API_KEY_SOURCE",
        "LANGFLOW_CONFIG_DIR",
        "LANGKEYS_AUDIT_LOG",
        "LANGFLOW_URL",
        "LANGFLOW_SECRET_KEY",
    ],
)
@pytest.mark.parametrize(
    "form", ["{0}", "{0}://x", "{1}/{0}/x.jsonl", "sqlite:///{1}/{0}/x", "http://{0}"]
)
def test_a_value_that_came_from_a_file_is_in_no_error(site: Site, name: str, form: str) -> None:
    path = site.folder / "value"
    path.write_text(form.format(FROM_FILE, site.folder))
    site.settings.pop(name, None)
    key = new_api_key()
    for line in (("api-key", "create"), ("whoami", "--remote"), ("audit",), ("init",)):
        result = site.call(*line, LANGFLOW_API_KEY=key, **{f"{name}_FILE": str(path)})
        if result.code != 0:
            assert FROM_FILE not in result.stdout + result.stderr, result
