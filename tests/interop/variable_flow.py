"""Run a flow with a field that takes a variable, to see which value a server uses."""

from __future__ import annotations

import copy
import gzip
import json
import time
import urllib.request
import uuid
from typing import Any

from .langflow_rest import Answer
from .langflow_server import LangflowServer

# Changes Langflow's text input to one for secrets, because from 1.10 on no other field takes a
# Credential. It outputs the value backwards, because such servers replace secrets with asterisks.
_SECRET_CODE = (
    ("MultilineInput", "SecretStrInput"),
    (
        "text=self.input_value",
        "text=str(getattr(self.input_value, 'get_secret_value', lambda: self.input_value or '')())"
        "[::-1]",
    ),
)

_FIELD, _SHOWN = "TextInput-field", "ChatOutput-shown"


class VariableFlows:
    """Creates and runs flows with an input whose secret field names a variable."""

    def __init__(self, server: LangflowServer, key: str, token: str) -> None:
        self._rest = server.rest
        self._key = key
        request = urllib.request.Request(
            f"{server.url}/api/v1/all", headers={"Authorization": f"Bearer {token}"}
        )
        opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
        with opener.open(request, timeout=120) as response:
            body = response.read()
        # Some releases compress the answer even if the request does not ask for it.
        catalog = json.loads(gzip.decompress(body) if body[:2] == b"\x1f\x8b" else body)
        self._components = {
            name: component
            for group in catalog.values()
            for name, component in group.items()
            if name in ("TextInput", "ChatOutput") and "template" in component
        }

    def value_of(self, name: str, tweak: str | None = None) -> str | None:
        """Return the value that a run uses for a variable; None if the run fails."""
        flow = {"name": f"variable-{uuid.uuid4().hex[:8]}", "data": self._data(name)}
        made = self._rest.request("POST", "/api/v1/flows/", key=self._key, json_body=flow)
        assert made.status == 201, made
        body: dict[str, Any] = {"output_type": "chat", "input_type": "text"}
        if tweak is not None:
            body["tweaks"] = {_FIELD: {"input_value": tweak}}
        answer = self._run(str(made.body["id"]), body)
        if answer.status != 200:
            return None
        text = answer.body["outputs"][0]["outputs"][0]["results"]["message"]["text"]
        return str(text)[::-1] or None

    def _run(self, flow_id: str, body: dict[str, Any]) -> Answer:
        # Up to 1.11, a server answers before it commits, so the flow may not exist yet.
        deadline = time.monotonic() + 5
        while True:
            answer = self._rest.request(
                "POST", f"/api/v1/run/{flow_id}", key=self._key, json_body=body
            )
            gone = answer.status == 404 and "variable not found" not in str(answer.body)
            if not gone or time.monotonic() > deadline:
                return answer

    def _data(self, name: str) -> dict[str, Any]:
        field = copy.deepcopy(self._components["TextInput"])
        template = field["template"]
        template["input_value"] |= {
            "value": name,
            "load_from_db": True,
            "_input_type": "SecretStrInput",
            "password": True,
        }
        for old, new in _SECRET_CODE:
            assert old in template["code"]["value"], template["code"]
            template["code"]["value"] = template["code"]["value"].replace(old, new)
        shown = copy.deepcopy(self._components["ChatOutput"])
        source = {
            "dataType": "TextInput",
            "id": _FIELD,
            "name": "text",
            "output_types": ["Message"],
        }
        template = shown["template"]["input_value"]
        target = {
            "fieldName": "input_value",
            "id": _SHOWN,
            "inputTypes": template["input_types"],
            "type": template["type"],
        }
        return {
            "nodes": [_node(_FIELD, "TextInput", field), _node(_SHOWN, "ChatOutput", shown)],
            "edges": [
                {
                    "id": "edge",
                    "source": _FIELD,
                    "target": _SHOWN,
                    "sourceHandle": _handle(source),
                    "targetHandle": _handle(target),
                    "data": {"sourceHandle": source, "targetHandle": target},
                }
            ],
            "viewport": {"x": 0, "y": 0, "zoom": 1},
        }


def _node(node_id: str, kind: str, component: dict[str, Any]) -> dict[str, Any]:
    return {
        "id": node_id,
        "type": "genericNode",
        "position": {"x": 0, "y": 0},
        "data": {"id": node_id, "type": kind, "node": component},
    }


def _handle(described: dict[str, Any]) -> str:
    # Langflow's web pages replace the quotation marks of JSON.
    return json.dumps(described, separators=(",", ":")).replace('"', "œ")
