"""Names become comparable however they are spelled, ordered or disguised."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from models.domain.screening import MAX_NAME_CHARS, name_keys, normalise_name


@pytest.mark.parametrize("name", ["", "   ", "...", "\u200b\u202e", "-,-", "\u3164", "\u0301"])
def test_a_name_without_letters_is_not_comparable(name: str) -> None:
    assert not name_keys(name).comparable


def test_a_name_that_is_too_long_is_refused() -> None:
    assert name_keys("a" * MAX_NAME_CHARS).comparable
    with pytest.raises(ValueError, match="512"):
        name_keys("a" * (MAX_NAME_CHARS + 1))


@pytest.mark.parametrize(
    ("name", "normalised"),
    [
        ("DOE, John", "john doe"),
        ("  John\t DOE\n", "john doe"),
        ("GRIMWATER CO., LTD.", "ltd grimwater co"),
        ("A, B, C", "a b c"),
        ("Müller", "muller"),
        ("Mu\u0308ller", "muller"),
        ("Straße", "strasse"),
        ("Łukasz Øster", "lukasz oster"),
        ("Æsir Œdip", "aesir oedip"),
        ("İpek Yıldız", "ipek yildiz"),
        ("O'Neil", "oneil"),
        ("O\u2019Neil", "oneil"),
        ("S.A. de C.V.", "sa de cv"),
        ("Anne-Marie", "anne marie"),
        ("Jo\u200bhn \u202eDoe\u202c", "john doe"),
        ("Jo\u00adhn", "john"),
        ("John\u00a0Doe", "john doe"),
        ("\uff2a\uff4f\uff48\uff4e", "john"),
        ("\U0001d409\U0001d428\U0001d421\U0001d427", "john"),
        ("\ufb01nn", "finn"),
        ("Unit ٤٢", "unit 42"),
        ("null\x00byte", "null byte"),
    ],
)
def test_names_are_normalised(name: str, normalised: str) -> None:
    assert normalise_name(name) == normalised


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("DOE, John", "John Doe"),
        ("Mortimer Vex DREADMOOR", "Dreadmoor Mortimer Vex"),
        ("al-Zandabari Kazimir", "KAZIMIR AL ZANDABARI"),
    ],
)
def test_the_order_of_words_does_not_matter(one: str, other: str) -> None:
    assert name_keys(one).words == name_keys(other).words


@pytest.mark.parametrize(
    ("one", "other"),
    [("AERO-CARIB", "Aerocarib"), ("J.Smith", "J. Smith"), ("Smith, J.", "J.Smith")],
)
def test_the_division_into_words_does_not_matter(one: str, other: str) -> None:
    assert name_keys(one).joined == name_keys(other).joined


@pytest.mark.parametrize(
    "disguised",
    [
        "J\u043ehn D\u043ee",  # Cyrillic о
        "J\u03bfhn D\u03bfe",  # Greek omicron
        "\u0408\u041e\u041dN D\u041e\u0415",  # capitals of Cyrillic Ј, О, Н, Е
        "J\u00f6hn D\u043e\u0451",  # with marks on the Cyrillic е too
        "J\u043e\u200bhn D\u043e\u0435",
    ],
)
def test_look_alike_letters_are_seen_through_and_flagged(disguised: str) -> None:
    keys = name_keys(disguised)
    assert keys.skeleton == "doe john"
    assert keys.words != "doe john"
    assert keys.mixed_script


@pytest.mark.parametrize(
    ("name", "mixed"),
    [
        ("John Doe", False),
        ("Иван Петров", False),
        ("Νίκος", False),
        ("山田たろう", False),
        ("ヤマダ タロー", False),
        ("Łukasz", False),
        ("João D'Ávila", False),
        ("Ivan Петров", True),
        ("αlpha", True),
        ("山田 Taro", True),
    ],
)
def test_mixed_scripts_are_flagged(name: str, mixed: bool) -> None:
    assert name_keys(name).mixed_script is mixed


@settings(deadline=None)  # machines are busy; the limit is on examples
@given(st.text(max_size=60))
def test_normalising_twice_changes_nothing_more(name: str) -> None:
    once = normalise_name(name)
    assert normalise_name(once) == once


@settings(deadline=None)  # machines are busy; the limit is on examples
@given(st.text(max_size=60))
def test_any_text_gives_keys_of_letters_and_digits_only(name: str) -> None:
    keys = name_keys(name)
    assert all(part.isalnum() for part in keys.words.split())
