"""The few REST calls of Langflow that these tests need, with urllib only."""

from __future__ import annotations

import json
import time
import urllib.error
import urllib.parse
import urllib.request
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

Via = Literal["header", "query"]


@dataclass(frozen=True)
class Answer:
    """A server's answer: the status, and the body as parsed JSON, or as text if it is not JSON."""

    status: int
    body: Any


class Rest:
    """Calls one server. A refusal is an Answer, too; an exception means that no answer arrived."""

    def __init__(self, url: str, timeout: float = 60) -> None:
        self.url = url
        self._timeout = timeout

    def request(
        self,
        method: str,
        path: str,
        *,
        key: str | None = None,
        via: Via = "header",
        token: str | None = None,
        json_body: object = None,
        form: Mapping[str, str] | None = None,
    ) -> Answer:
        """Send one request, with an API key in a header or the query string, or a session token.

        The Answer of an event stream has only the status: the stream is not read.
        """
        url = self.url + path
        headers = {}
        data = None
        if key is not None and via == "query":
            url += "?" + urllib.parse.urlencode({"x-api-key": key})
        elif key is not None:
            headers["x-api-key"] = key
        if token is not None:
            headers["Authorization"] = f"Bearer {token}"
        if json_body is not None:
            headers["Content-Type"] = "application/json"
            data = json.dumps(json_body).encode()
        elif form is not None:
            data = urllib.parse.urlencode(form).encode()
        request = urllib.request.Request(url, data=data, headers=headers, method=method)
        # No proxy from the environment, because the server is on this machine.
        opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
        try:
            with opener.open(request, timeout=self._timeout) as response:
                if response.headers.get_content_type() == "text/event-stream":
                    return Answer(response.status, None)
                return Answer(response.status, _parsed(response.read()))
        except urllib.error.HTTPError as refusal:
            with refusal:
                return Answer(refusal.code, _parsed(refusal.read()))

    def health(self) -> Answer:
        return self.request("GET", "/health")

    def version(self) -> str:
        """Return the server's version of langflow-base."""
        return str(self.request("GET", "/api/v1/version").body["version"])

    def whoami(self, key: str | None, via: Via = "header") -> Answer:
        return self.request("GET", "/api/v1/users/whoami", key=key, via=via)

    def login(self, username: str, password: str) -> str:
        """Log in, which sets the user's last_login_at; return the session token."""
        form = {"username": username, "password": password}
        answer = self.request("POST", "/api/v1/login", form=form)
        assert answer.status == 200, answer
        return str(answer.body["access_token"])

    def create_key(self, name: str, *, key: str | None = None, token: str | None = None) -> Answer:
        body = {"name": name}
        return self.request("POST", "/api/v1/api_key/", key=key, token=token, json_body=body)

    def keys(self, key: str) -> Answer:
        """List the caller's keys: `{"total_count": N, "user_id": ..., "api_keys": [...]}`."""
        return self.request("GET", "/api/v1/api_key/", key=key)

    def delete_key(self, key_id: str, *, key: str) -> Answer:
        return self.request("DELETE", f"/api/v1/api_key/{key_id}", key=key)

    def create_user(self, username: str, password: str, *, key: str) -> str:
        """Create an active user who is not a superuser, and return the id."""
        body: dict[str, object] = {"username": username, "password": password}
        answer = self.request("POST", "/api/v1/users/", key=key, json_body=body)
        assert answer.status == 201, answer
        user_id = str(answer.body["id"])
        self.update_user(user_id, {"is_active": True}, key=key)
        return user_id

    def update_user(self, user_id: str, changes: Mapping[str, object], *, key: str) -> None:
        path = f"/api/v1/users/{user_id}"
        # Up to 1.11, a server answers before it commits, so the user may not exist yet.
        deadline = time.monotonic() + 5
        while True:
            answer = self.request("PATCH", path, key=key, json_body=changes)
            if answer.status == 200:
                return
            assert answer.status == 404, answer
            assert time.monotonic() < deadline, answer

    def variables(self, key: str) -> Answer:
        return self.request("GET", "/api/v1/variables/", key=key)

    def create_flow(self, name: str, *, key: str) -> str:
        """Create a flow that does nothing, and return its id."""
        flow = {"name": name, "data": {"nodes": [], "edges": []}}
        answer = self.request("POST", "/api/v1/flows/", key=key, json_body=flow)
        assert answer.status == 201, answer
        return str(answer.body["id"])

    def run(self, flow_id: str, key: str | None, via: Via = "header") -> Answer:
        path = f"/api/v1/run/{flow_id}"
        return self.request("POST", path, key=key, via=via, json_body={"input_value": "hello"})


def _parsed(body: bytes) -> Any:
    text = body.decode("utf-8", "replace")
    try:
        return json.loads(text)
    except ValueError:
        return text
