"""Variables over REST: set one by one, never emptied, and safe to set again."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from langkeys.errors import (
    AmbiguousError,
    ConflictError,
    FailedError,
    NotFoundError,
    UnsupportedError,
    UsageError,
)
from langkeys.remote import variables
from langkeys.remote.variables import VariableUpdate, import_variables, set_variable

from ..support.fake_langflow import VERSIONS, Refused
from .conftest import Deployment

PATH = variables.PATH
VALUE = "value-that-nobody-may-see"
Deploy = Callable[[str], Deployment]


@pytest.mark.parametrize("version", VERSIONS)
def test_a_variable_is_created_and_updated_with_its_type_and_fields(
    deploy: Deploy, version: str
) -> None:
    deployment = deploy(version)
    server = deployment.server()
    fields = ("Field A",)
    outcome = set_variable(server, VariableUpdate("TOKEN", VALUE, default_fields=fields))
    assert (outcome.action, outcome.rows[0].type) == ("added", "Credential")
    assert VALUE not in repr(VariableUpdate("TOKEN", VALUE))

    outcome = set_variable(server, VariableUpdate("TOKEN", "second value"))
    stored = deployment.langflow.variable("TOKEN")
    assert outcome.action == "changed"
    assert (stored.value, stored.type) == ("second value", "Credential")
    assert stored.default_fields == ["Field A"]

    other = VariableUpdate("TOKEN", "third", "Generic", ("B",))
    if version == "1.5.1":
        with pytest.raises(UnsupportedError, match="--type"):
            set_variable(server, other)
        assert deployment.langflow.variable("TOKEN").value == "second value"
        deployment.langflow.variables.clear()
    set_variable(server, other)
    stored = deployment.langflow.variable("TOKEN")
    assert (stored.value, stored.type, stored.default_fields) == ("third", "Generic", ["B"])


@pytest.mark.parametrize("version", VERSIONS)
def test_a_change_never_goes_without_the_value(deploy: Deploy, version: str) -> None:
    deployment = deploy(version)
    deployment.langflow.add_variable("TOKEN", VALUE)
    set_variable(deployment.server(), VariableUpdate("TOKEN", VALUE, default_fields=("X",)))
    (patch,) = [request for request in deployment.http_server.requests if request.method == "PATCH"]
    assert patch.body["value"] == VALUE
    assert patch.body["id"] == deployment.langflow.variable("TOKEN").id


def test_all_rows_of_a_name_are_updated(deployment: Deployment) -> None:
    for _ in range(2):
        deployment.langflow.add_variable("FLOW_ID", "")
    outcome = set_variable(deployment.server(), VariableUpdate("FLOW_ID", "x"))
    assert [variable.value for variable in deployment.langflow.variables] == ["x", "x"]
    assert len(outcome.rows) == 2


@pytest.mark.parametrize(
    ("update", "error"),
    [
        (VariableUpdate("X", ""), UsageError),
        (VariableUpdate("X", "gAAAAAx", "Generic"), UsageError),
        (VariableUpdate("__X__", "x"), UnsupportedError),
    ],
)
def test_what_no_server_takes_is_refused_before_the_deed(
    deployment: Deployment, update: VariableUpdate, error: type[Exception]
) -> None:
    with pytest.raises(error):
        set_variable(deployment.server(), update)
    with pytest.raises(error):
        import_variables(deployment.server(), [VariableUpdate("OK", "x"), update], "overwrite")
    assert deployment.writes() == []


def test_where_somebody_is_faster_the_variable_is_updated(deployment: Deployment) -> None:
    def faster(method: str, _: str) -> None:
        if method == "POST":
            deployment.langflow.add_variable("TOKEN", "of somebody else")

    deployment.langflow.before = faster
    assert set_variable(deployment.server(), VariableUpdate("TOKEN", VALUE)).action == "changed"
    assert deployment.langflow.variable("TOKEN").value == VALUE


def test_what_reads_back_otherwise_is_no_success(deployment: Deployment) -> None:
    def meddle(method: str, _: str) -> None:
        for variable in deployment.langflow.variables:
            variable.type = "Credential"

    deployment.langflow.add_variable("TOKEN", "x")
    deployment.langflow.before = meddle
    with pytest.raises(FailedError, match="still of type Credential"):
        set_variable(deployment.server(), VariableUpdate("TOKEN", "y", "Generic"))


def test_a_refusal_that_repeats_the_value_does_not_show_it(deployment: Deployment) -> None:
    deployment.langflow.refusals["POST", "TOKEN"] = 400, f"provider refuses {VALUE}"
    with pytest.raises(FailedError, match="provider refuses") as caught:
        set_variable(deployment.server(), VariableUpdate("TOKEN", VALUE))
    assert VALUE not in caught.value.message


@pytest.mark.parametrize("method", ["POST", "PATCH"])
@pytest.mark.parametrize("is_done", [True, False])
def test_a_lost_answer_may_have_happened_and_can_be_run_again(
    deployment: Deployment, method: str, is_done: bool
) -> None:
    if method == "PATCH":
        deployment.langflow.add_variable("TOKEN", "old")
    deployment.langflow.lose(method, PATH, is_done=is_done, count=2)
    with pytest.raises(FailedError, match="may have been set") as caught:
        set_variable(deployment.server(), VariableUpdate("TOKEN", VALUE))
    assert "run the command again" in (caught.value.hint or "")
    deployment.langflow.lose("PATCH", PATH, is_done=is_done, count=1)
    with pytest.raises(FailedError, match=r"0 of 1 set, TOKEN failed: .* may have been set"):
        import_variables(deployment.server(), [VariableUpdate("TOKEN", VALUE)], "overwrite")
    deployment.langflow.losses.clear()
    import_variables(deployment.server(), [VariableUpdate("TOKEN", VALUE)], "overwrite")
    assert deployment.langflow.variable("TOKEN").value == VALUE


# Several variables


def updates(*names: str) -> list[VariableUpdate]:
    return [VariableUpdate(name, f"value of {name}") for name in names]


def test_one_that_is_rejected_does_not_stop_the_others(deployment: Deployment) -> None:
    deployment.langflow.refusals["POST", "B"] = 400, "the provider says no"
    with pytest.raises(FailedError, match=r"2 of 3 set, B failed: .*the provider says no"):
        import_variables(deployment.server(), updates("A", "B", "C"), "overwrite")
    assert [variable.name for variable in deployment.langflow.variables] == ["A", "C"]
    deployment.langflow.refusals["POST", "D"] = 400, "the provider says no"
    with pytest.raises(FailedError, match="0 of 2 set, B, D failed:"):
        import_variables(deployment.server(), updates("B", "D"), "overwrite")


def test_progress_counts_each_variable(deployment: Deployment) -> None:
    deployment.langflow.refusals["POST", "B"] = 400, "the provider says no"
    server, passed = deployment.server(), list[int]()
    with pytest.raises(FailedError, match="B failed"):
        import_variables(server, updates("A", "B", "C"), "overwrite", done=passed.append)
    assert passed == [1, 2, 3]


def test_a_server_that_goes_away_stops_it_and_running_again_completes_it(
    deployment: Deployment,
) -> None:
    def go_away(method: str, _: str) -> None:
        if method == "POST" and len(deployment.langflow.variables) == 2:
            deployment.langflow.before = lambda *_: None
            raise Refused(503, "starting")

    deployment.langflow.before = go_away
    with pytest.raises(FailedError, match="2 of 4 set, C failed"):
        import_variables(deployment.server(), updates("A", "B", "C", "D"), "overwrite")
    outcomes = import_variables(deployment.server(), updates("A", "B", "C", "D"), "keep")
    assert [outcome.action for outcome in outcomes] == ["kept", "kept", "added", "added"]


def test_a_key_that_is_refused_in_the_middle_keeps_its_exit_code(deployment: Deployment) -> None:
    def revoke(method: str, _: str) -> None:
        if method == "POST" and deployment.langflow.variables:
            deployment.langflow.keys.clear()

    deployment.langflow.before = revoke
    with pytest.raises(Exception, match="1 of 3 set, B failed") as caught:
        import_variables(deployment.server(), updates("A", "B", "C"), "overwrite")
    assert caught.value.exit_code == 4  # type: ignore[attr-defined]


def test_policies(deployment: Deployment) -> None:
    deployment.langflow.add_variable("A", "old")
    with pytest.raises(ConflictError, match="A already in"):
        import_variables(deployment.server(), updates("A", "B"), "fail")
    assert deployment.writes() == []
    outcomes = import_variables(deployment.server(), updates("A", "B"), "keep", dry_run=True)
    assert [outcome.action for outcome in outcomes] == ["kept", "added"]
    assert deployment.writes() == []
    import_variables(deployment.server(), updates("A", "B"), "keep")
    assert deployment.langflow.variable("A").value == "old"
    import_variables(deployment.server(), updates("A", "B"), "overwrite")
    assert deployment.langflow.variable("A").value == "value of A"


# Listing and deleting


def test_a_credentials_value_is_never_taken_from_an_answer(deployment: Deployment) -> None:
    deployment.langflow.add_variable("SECRET", VALUE)
    deployment.langflow.add_variable("PLAIN", "shown", type="Generic")
    shown = deployment.langflow._variable
    deployment.langflow._variable = (  # type: ignore[method-assign]
        lambda variable: shown(variable) | {"value": variable.value}
    )
    found = variables.list_variables(deployment.server())
    assert [(row.name, value) for row, value in found] == [("SECRET", None), ("PLAIN", "shown")]


@pytest.mark.parametrize("version", VERSIONS)
@pytest.mark.parametrize("is_done", [True, False])
def test_a_lost_answer_to_a_deletion_is_asked_for_again(
    deploy: Deploy, version: str, is_done: bool
) -> None:
    deployment = deploy(version)
    deployment.langflow.add_variable("A", "x")
    server = deployment.server()
    row, _ = variables.get_variable(server, variables.list_variables(server), "A")
    deployment.langflow.lose("DELETE", PATH, is_done=is_done)
    variables.delete_variables(server, [row])
    assert deployment.langflow.variables == []


def test_of_several_it_is_told_how_many_are_deleted(deployment: Deployment) -> None:
    for name in ("A", "B"):
        deployment.langflow.add_variable(name, "x")
    server = deployment.server()
    rows = [row for row, _ in variables.list_variables(server)]

    def break_down(method: str, path: str) -> None:
        if method == "DELETE" and len(deployment.langflow.variables) == 1:
            raise Refused(429, "slow down")

    deployment.langflow.before = break_down
    with pytest.raises(FailedError, match="1 of 2 deleted, B failed"):
        variables.delete_variables(server, rows)


def test_a_name_must_be_that_of_one(deployment: Deployment) -> None:
    server = deployment.server()
    first = deployment.langflow.add_variable("A", "x")
    deployment.langflow.add_variable("A", "y")
    present = variables.list_variables(server)
    with pytest.raises(AmbiguousError):
        variables.get_variable(server, present, "A")
    row, _ = variables.get_variable(server, present, first.id)
    assert row.name == "A"
    with pytest.raises(NotFoundError):
        variables.get_variable(server, present, "B")
