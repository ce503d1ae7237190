"""A condition that could never fire, or never be decided, is refused before it is used."""

from __future__ import annotations

import pytest

from models.policy.conditions import compile_condition
from models.policy.translate import ConditionInvalid


@pytest.mark.parametrize(
    ("condition", "complaint"),
    [
        ("", "a fact at least"),
        ("true", "a fact at least"),
        ("1 < 2", "a fact at least"),
        ("user.jurisdicton == 'US'", "unknown name 'user.jurisdicton'"),
        ("user == 'US'", "unknown name 'user'"),
        ("user.age.__class__ == 1", "unknown name"),
        ("__import__ > 1", "unknown name"),
        ("user.age > 1 and true", "unknown name 'and'"),
        ("size(user.jurisdiction) > 1", "unknown name 'size'"),
        ("user.jurisdiction.matches('(a+)+$')", "unknown name"),
        ("user.age(1) > 1", "no calls"),
        ("user.jurisdiction['x'] == 'y'", "no calls and no indexes"),
        ("[1, 2] == user.age", "after IN only"),
        ("EU_COUNTRIES == user.jurisdiction", "after IN only"),
        ("user.age IN EU_COUNTRIES", "a fact that is a text"),
        ("'US' IN EU_COUNTRIES AND user.age > 1", "a fact that is a text"),
        ("user.jurisdiction IN ('US', 'DE')", "after IN stands a list"),
        ("user.jurisdiction IN user.jurisdiction", "after IN stands a list"),
        ("user.jurisdiction IN []", "quoted texts"),
        ("user.jurisdiction IN [1]", "quoted texts"),
        ("user.jurisdiction IN ['US' 'DE']", "commas"),
        ("user.jurisdiction IN ['US'", "not closed"),
        ("user.kycStatus IN ['VERIFIED', 'VERFIED']", "is one of"),
        ("user.kycStatus == 'VERFIED'", "is one of"),
        ("user.sanctionStatus != 'clear'", "is one of"),
        ("'CRYPT0' == transaction.type", "is one of"),
        (r"user.jurisdiction == 'U\u0053'", "no backslash"),
        ("user.age == '18'", "never equal"),
        ("user.jurisdiction != 1", "never equal"),
        ("asset.emtAuthorised == 'false'", "never equal"),
        ("user.age == user.jurisdiction", "never equal"),
        ("(user.age) == 18", "directly"),
        ("user.age == (18)", "directly"),
        ("user.age < '18'", "takes numbers"),
        ("user.jurisdiction > 'US'", "takes numbers"),
        ("user.age + 'x' > 1", "takes numbers"),
        ("transaction.amount * 1.5 > 10", "does not mix"),
        ("score.pd * 100 > 10", "does not mix"),
        ("NOT user.kycStatus == 'VERIFIED'", "NOT stands before"),
        ("!user.age > 18", "NOT stands before"),
        ("NOT asset.emtAuthorised == true", "NOT stands before"),
        ("user.jurisdiction NOT IN EU_COUNTRIES", "NOT stands before"),
        ("user.age > 9223372036854775808", "not a condition"),
        ("user.age >", "not a condition"),
        ("user.age > 1 user.age < 2", "not a condition"),
        ("(user.age > 1", "not a condition"),
        ("(" * 17 + "user.age > 1" + ")" * 17, "nested"),
        ("user.age > 1 AND " * 40 + "true", "longer than 500"),
    ],
)
def test_bad_conditions_are_refused(condition: str, complaint: str) -> None:
    with pytest.raises(ConditionInvalid, match=complaint):
        compile_condition(condition)


@pytest.mark.parametrize(
    ("condition", "facts"),
    [
        ("transaction.amount > 10000", ("transaction.amount",)),
        ("10000 < transaction.amount", ("transaction.amount",)),
        ("transaction.amount > 10000.5", ("transaction.amount",)),
        ("score.pd > 1 OR score.pd >= 0.5", ("score.pd",)),
        ("NOT asset.emtAuthorised", ("asset.emtAuthorised",)),
        ("NOT (asset.emtAuthorised) AND user.age > 1", ("asset.emtAuthorised", "user.age")),
        ("asset.emtAuthorised == false", ("asset.emtAuthorised",)),
        ("user.jurisdiction IN ['US', 'DE']", ("user.jurisdiction",)),
        ("user.jurisdiction in EU_COUNTRIES", ("user.jurisdiction",)),
        ("user.age > -1", ("user.age",)),
        ("(transaction.amount + 5) * 2 > 3", ("transaction.amount",)),
        ("(" * 16 + "user.age > 1" + ")" * 16, ("user.age",)),
        ("user.jurisdiction == 'user.kycStatus AND score.value'", ("user.jurisdiction",)),
    ],
)
def test_good_conditions_name_the_facts_they_need(condition: str, facts: tuple[str, ...]) -> None:
    assert compile_condition(condition).facts == facts
