"""The job that sets the database's passwords refuses wrong ones before it touches anything."""

import pytest

from deploy.database_roles import ROLES, WrongInput, prepare

GIVEN = {
    "DATABASE_ADMIN_URL": "postgresql://nobody@127.0.0.1:1/postgres",  # nobody listens there
    "DATABASE_NAME": "caas",
    **{name: f"a-password-of-the-role-{name[9:].lower()}" for name in ROLES.values()},
}


@pytest.mark.parametrize(
    ("name", "value", "why"),
    [
        ("DATABASE_OWNER_PASSWORD", "", "is not set"),
        ("DATABASE_APP_PASSWORD", "short", "24 or more"),
        ("DATABASE_APP_PASSWORD", "p@ssword/with/slashes-in-it", "24 or more"),
        ("DATABASE_APP_PASSWORD", "a quote ' and a blank in it", "24 or more"),
        ("DATABASE_CHAIN_PASSWORD", GIVEN["DATABASE_APP_PASSWORD"], "of its own"),
        ("DATABASE_NAME", "", "is not set"),
        ("DATABASE_ADMIN_URL", "", "is not set"),
    ],
)
async def test_wrong_input_is_named_and_not_repeated(name: str, value: str, why: str) -> None:
    with pytest.raises(WrongInput, match=why) as refused:
        await prepare({**GIVEN, name: value})
    assert not value or value not in str(refused.value)


async def test_right_input_gets_as_far_as_the_database() -> None:
    with pytest.raises(ConnectionRefusedError):
        await prepare(GIVEN)
