"""A fake Langflow in memory: the REST interface of several generations.

Its behaviour was observed on live 1.5.1, 1.8.4, 1.11.6 and 1.13.0; the interoperation tests compare
it with real servers. ``lose`` drops answers, before or after the request is processed.
"""

from __future__ import annotations

import json
import secrets
import threading
import uuid
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import datetime, timedelta, timezone
from http.server import BaseHTTPRequestHandler
from typing import Any

from .servers import Request, Server, serving

VERSIONS = ("1.5.1", "1.8.4", "1.11.6", "1.13.0")


class Refused(Exception):  # noqa: N818 - it is an answer
    """An answer with an error status."""

    def __init__(self, status: int, detail: Any) -> None:
        super().__init__(status)
        self.status = status
        self.detail = detail


@dataclass
class FakeUser:
    username: str
    is_superuser: bool = False
    is_active: bool = True
    password: str = ""
    id: str = field(default_factory=lambda: str(uuid.uuid4()))
    created_at: datetime = field(default_factory=lambda: datetime.now(timezone.utc))


@dataclass
class FakeKey:
    user: FakeUser
    name: str | None
    value: str
    id: str = field(default_factory=lambda: str(uuid.uuid4()))
    created_at: datetime = field(default_factory=lambda: datetime.now(timezone.utc))
    expires_at: datetime | None = None
    last_used_at: datetime | None = None
    total_uses: int = 0
    is_active: bool = True


@dataclass
class FakeVariable:
    user: FakeUser
    name: str
    value: str
    type: str
    default_fields: list[str]
    id: str = field(default_factory=lambda: str(uuid.uuid4()))


@dataclass
class Loss:
    """The server loses its answers to the next ``count`` requests with a method and a path prefix.

    ``is_done`` says whether it processes these requests before it loses the answers.
    """

    method: str
    path: str
    is_done: bool
    count: int = 1


class Langflow:
    """The state of the server, and its answers."""

    def __init__(self, version: str, *, auto_login: bool = False) -> None:
        self.version = version
        self.release = tuple(int(part) for part in version.split(".")[:2])
        self.auto_login = auto_login
        self.users: list[FakeUser] = []
        self.keys: list[FakeKey] = []
        self.variables: list[FakeVariable] = []
        self.losses: list[Loss] = []
        self.refusals: dict[tuple[str, str], tuple[int, Any]] = {}
        """Errors by method and variable name, such as those of a model provider."""
        self.lag = 0.0
        """Seconds between the answer to a write and its effect, as on live servers up to 1.11."""
        self.before: Callable[[str, str], None] = lambda *_: None
        """Called with method and path before each request is processed."""
        self.superuser = self.add_user("administrator", is_superuser=True)

    # For tests

    def add_user(self, username: str, **state: Any) -> FakeUser:
        user = FakeUser(username, **state)
        self.users.append(user)
        return user

    def add_key(self, user: FakeUser, name: str | None = "ci", **state: Any) -> FakeKey:
        key = FakeKey(user, name, f"sk-{secrets.token_urlsafe(32)}", **state)
        self.keys.append(key)
        return key

    def add_variable(self, name: str, value: str, **state: Any) -> FakeVariable:
        state = {"user": self.superuser, "type": "Credential", "default_fields": []} | state
        variable = FakeVariable(name=name, value=value, **state)
        self.variables.append(variable)
        return variable

    def lose(self, method: str, path: str, *, is_done: bool, count: int = 1) -> None:
        self.losses.append(Loss(method, path, is_done, count))

    def variable(self, name: str) -> FakeVariable:
        (found,) = [variable for variable in self.variables if variable.name == name]
        return found

    # Answering

    def behave(self, handler: BaseHTTPRequestHandler, request: Request) -> None:
        loss = next(
            (
                loss
                for loss in self.losses
                if loss.count
                and loss.method == request.method
                and request.path.startswith(loss.path)
            ),
            None,
        )
        if loss is not None:
            loss.count -= 1
            if not loss.is_done:
                return
        try:
            self.before(request.method, request.path)
            status, document = self._answer_late(request) if self.lag else self.answer(request)
        except Refused as refused:
            status, document = refused.status, {"detail": refused.detail}
        if loss is not None:
            return
        data = json.dumps(document).encode()
        handler.send_response(status)
        handler.send_header("content-type", "application/json")
        handler.send_header("content-length", str(len(data)))
        handler.end_headers()
        handler.wfile.write(data)

    def _answer_late(self, request: Request) -> tuple[int, Any]:
        before = self._rows()
        answer = self.answer(request)
        after = self._rows()
        if before != after:
            self.users, self.keys, self.variables = before
            timer = threading.Timer(self.lag, self._put, (after,))
            timer.daemon = True
            timer.start()
        return answer

    def _rows(self) -> tuple[list[FakeUser], list[FakeKey], list[FakeVariable]]:
        return list(self.users), list(self.keys), list(self.variables)

    def _put(self, rows: tuple[list[FakeUser], list[FakeKey], list[FakeVariable]]) -> None:
        self.users, self.keys, self.variables = rows

    def answer(self, request: Request) -> tuple[int, Any]:
        method, path = request.method, request.path
        if path == "/api/v1/version":
            number = self.version if self.release >= (1, 12) else f"0{self.version[1:]}"
            return 200, {"version": number, "main_version": number, "package": "Langflow Base"}
        if path == "/health_check":
            return 200, {"status": "ok", "chat": "ok", "db": "ok"}
        if path == "/api/v1/auto_login":
            if self.auto_login:
                return 200, {"access_token": "session-of-anybody", "token_type": "bearer"}
            raise Refused(400 if self.release < (1, 8) else 403, {"message": "off"})
        for prefix, answers in (
            ("/api/v1/users/", self._users),
            ("/api/v1/api_key/", self._keys),
            ("/api/v1/variables/", self._variables),
        ):
            if path.startswith(prefix):
                user = self._user_of(request)
                return answers(method, path.removeprefix(prefix), request, user)
        raise Refused(404, "Not Found")

    def _user_of(self, request: Request) -> FakeUser:
        sent = request.api_key or request.query.get("x-api-key", [None])[0]
        is_old = self.release < (1, 8)
        if not sent:
            old = "An API key must be passed as query or header"
            raise Refused(403, old if is_old else "No authentication credentials provided")
        found = [key for key in self.keys if key.value == sent]
        now = datetime.now(timezone.utc)
        for key in found:
            honours = self.release >= (1, 10)
            if honours and (not key.is_active or (key.expires_at and key.expires_at < now)):
                continue
            if not key.user.is_active:
                raise Refused(401 if is_old else 403, "Inactive user")
            key.total_uses += 1
            key.last_used_at = now
            return key.user
        raise Refused(403, "Invalid or missing API key" if is_old else "Invalid API key")

    def _time(self, moment: datetime | None) -> str | None:
        if moment is None:
            return None
        if self.release >= (1, 13):
            return moment.replace(microsecond=0).isoformat()
        return moment.replace(tzinfo=None).isoformat()

    # API keys

    def _keys(self, method: str, rest: str, request: Request, user: FakeUser) -> tuple[int, Any]:
        if method == "GET" and not rest:
            listed = [self._listed(key) for key in self.keys if key.user is user]
            return 200, {"total_count": len(listed), "user_id": user.id, "api_keys": listed}
        if method == "POST" and not rest:
            key = self.add_key(user, request.body["name"])
            if request.body.get("expires_at") and self.release >= (1, 10):
                text = request.body["expires_at"].replace("Z", "+00:00")
                key.expires_at = datetime.fromisoformat(text)
            answer = {
                name: getattr(key, name) for name in ("name", "id", "total_uses", "is_active")
            }
            answer |= {"api_key": key.value, "user_id": user.id, "last_used_at": None}
            return 200, answer
        if method == "DELETE":
            # Up to 1.7, servers delete the key of any user.
            found = [
                key
                for key in self.keys
                if key.id == rest and (key.user is user or self.release < (1, 8))
            ]
            if not found:
                raise Refused(400, "API Key not found")
            self.keys.remove(found[0])
            return 200, {"detail": "API Key deleted"}
        raise Refused(405, "Method Not Allowed")

    def _listed(self, key: FakeKey) -> dict[str, Any]:
        listed = {
            "name": key.name,
            "last_used_at": self._time(key.last_used_at),
            "total_uses": key.total_uses,
            "is_active": key.is_active,
            "id": key.id,
            "api_key": key.value[:8] + "*" * (len(key.value) - 8),
            "user_id": key.user.id,
            "created_at": self._time(key.created_at),
        }
        return listed | (
            {"expires_at": self._time(key.expires_at)} if self.release >= (1, 10) else {}
        )

    # Variables

    def _variables(
        self, method: str, rest: str, request: Request, user: FakeUser
    ) -> tuple[int, Any]:
        own = [variable for variable in self.variables if variable.user is user]
        if method == "GET":
            return 200, [self._variable(variable) for variable in own]
        body = request.body or {}
        if (method, body.get("name", "")) in self.refusals:
            raise Refused(*self.refusals[method, body["name"]])
        if method == "POST":
            if "default_fields" not in body:
                problem = {"type": "missing", "loc": ["body", "default_fields"], "input": body}
                raise Refused(422, [problem | {"msg": "Field required"}])
            if not body["name"] or not body["value"]:
                raise Refused(400, "Variable name and value cannot be empty")
            if body["name"] in {variable.name for variable in own}:
                raise Refused(400, "Variable name already exists")
            made = self.add_variable(**body, user=user)
            return 201, self._variable(made)
        found = next((variable for variable in own if variable.id == rest), None)
        if found is None:
            missing = 500 if self.release < (1, 10) else 404
            raise Refused(missing, "Variable not found")
        if method == "DELETE":
            self.variables.remove(found)
            return 200, None
        if body["id"] != rest:
            raise Refused(422, "id")
        if "value" not in body and self.release < (1, 8):
            found.value = ""  # a bug of these servers
        for name in ("name", "value", "type", "default_fields"):
            if name in body and (name != "type" or self.release >= (1, 8)):
                setattr(found, name, body[name])
        return 200, self._variable(found)

    def _variable(self, variable: FakeVariable) -> dict[str, Any]:
        value = variable.value if variable.type == "Generic" else None
        fields = ("id", "name", "type", "default_fields")
        return {name: getattr(variable, name) for name in fields} | {"value": value}

    # Users

    def _users(self, method: str, rest: str, request: Request, user: FakeUser) -> tuple[int, Any]:
        if rest == "whoami":
            return 200, self._user(user)
        if not user.is_superuser:
            raise Refused(403, "The user doesn't have enough privileges")
        if method == "GET" and not rest:
            return 200, self._page(request)
        if method == "POST":
            name = request.body["username"]
            taken = {other.username for other in self.users}
            if name in taken or (
                self.release >= (1, 13) and name.lower() in {other.lower() for other in taken}
            ):
                raise Refused(400, "This username is unavailable.")
            made = self.add_user(name, is_active=False, password=request.body["password"])
            return 201, self._user(made)
        found = next((other for other in self.users if other.id == rest), None)
        if found is None:
            raise Refused(404, "User not found")
        if method == "PATCH":
            if found is user and request.body.get("is_active") is False and self.release >= (1, 8):
                raise Refused(403, "You can't deactivate your own user account")
            for name, value in request.body.items():
                setattr(found, name, value)
            return 200, self._user(found)
        raise Refused(405, "Method Not Allowed")

    def _page(self, request: Request) -> dict[str, Any]:
        limit = int(request.query.get("limit", ["10"])[0])
        skip = int(request.query.get("skip", ["0"])[0])
        if self.release >= (1, 13) and limit > 200:
            raise Refused(422, [{"loc": ["query", "limit"], "msg": "less than or equal to 200"}])
        found = list(self.users)
        if self.release >= (1, 13):
            found.sort(key=lambda other: other.username)
        page = [self._user(other) for other in found[skip : skip + limit]]
        return {"total_count": len(found), "users": page}

    def _user(self, user: FakeUser) -> dict[str, Any]:
        return {
            "id": user.id,
            "username": user.username,
            "profile_image": "Space/046-rocket.svg",
            "store_api_key": None,
            "is_active": user.is_active,
            "is_superuser": user.is_superuser,
            "create_at": self._time(user.created_at),
            "updated_at": self._time(user.created_at),
            "last_login_at": None,
            "optins": {"github_starred": False},
        }


@contextmanager
def langflow(
    version: str = "1.13.0", *, auto_login: bool = False
) -> Iterator[tuple[Langflow, Server]]:
    """Serve a fake Langflow of a version; yield its state and the server."""
    found = Langflow(version, auto_login=auto_login)
    with serving() as server:
        server.behave = found.behave
        yield found, server


def ago(**span: float) -> datetime:
    return datetime.now(timezone.utc) - timedelta(**span)
