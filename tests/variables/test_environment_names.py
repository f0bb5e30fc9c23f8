from __future__ import annotations

import pytest

from langkeys.variables.environment_names import IMPORTED, is_credential

from ..support.steering_names import CREDENTIALS, STEERING

NAMES = [name for group in STEERING.values() for name in group.split()]


def test_the_list_of_steering_names_is_long() -> None:
    assert len(set(NAMES)) > 400


@pytest.mark.parametrize("group", STEERING)
def test_no_name_that_steers_a_program_is_a_credential_in_any_case(group: str) -> None:
    for name in STEERING[group].split():
        for variant in (name, name.lower(), name.upper(), name.title(), name.swapcase()):
            assert not is_credential(variant), variant


@pytest.mark.parametrize("name", [*IMPORTED, *CREDENTIALS])
def test_names_of_credentials_are_known(name: str) -> None:
    assert is_credential(name)


@pytest.mark.parametrize(
    "name",
    [
        "", "KEY", "PASS", "PWD", "PAT", "_KEY", "__TOKEN", "KEY_X", "API_KEY_ID", "A_KEYS",
        "TOKENIZER", "A_ASKPASS", "BASE_URL", "A_DSN", "1_KEY", "A-KEY", "A.KEY", "A KEY",
        " A_KEY", "A_KEY ", "A_KEY\n", "\nA_KEY", "A_KEY\0", "A_KEY=x", "A;B_KEY", "$(id)_KEY",
        "A_\u212aEY", "A_TO\u212aEN", "A_PA\u017f\u017f", "\u0410PI_KEY", "A\u0332_KEY",
        "A\u200d_KEY", "A\uff3fKEY", "A_KEY\ufe0f", "\xdf_KEY", "\u0131_KEY", "OPENAI_API_\u212aEY",
    ],
)  # fmt: skip
def test_names_without_the_form_of_a_credential_and_look_alikes_are_not(name: str) -> None:
    assert not is_credential(name)
