"""A fake Langflow server, and an empty site from which langkeys calls it."""

from __future__ import annotations

from collections.abc import Callable

from .fake_langflow import FakeKey, Langflow
from .servers import Server
from .sites import Result, Site


class Deployment:
    """A fake Langflow with a superuser's API key, and the site."""

    def __init__(self, langflow: Langflow, server: Server, site: Site) -> None:
        self.langflow = langflow
        self.server = server
        self.site = site
        self.acting = langflow.add_key(langflow.superuser, "acting")

    def call(self, *arguments: str, stdin: str = "", **settings: str | None) -> Result:
        settings = {"LANGKEYS_API_KEY": self.acting.value} | settings
        return self.site.call(*arguments, "--url", self.server.url, stdin=stdin, **settings)

    def job(self, *arguments: str, stdin: str = "", **settings: str | None) -> Result:
        """Call as a job whose only API key comes on stdin."""
        return self.call(*arguments, stdin=stdin, LANGKEYS_API_KEY=None, **settings)

    def names(self) -> list[str | None]:
        return [key.name for key in self.langflow.keys]

    def add(self, name: str = "ci", **state: object) -> FakeKey:
        return self.langflow.add_key(self.langflow.superuser, name, **state)

    def writes(self) -> list[str]:
        """Return the requests other than GET, such as ``POST /api/v1/api_key/``."""
        return [f"{a.method} {a.path}" for a in self.server.requests if a.method != "GET"]


Deploy = Callable[[str], Deployment]
