"""A list that is not whole is refused; names on it are found; nobody else is held up."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from adapters.sanctions.fail_closed import FailClosedScreener
from adapters.sanctions.ofac import OFACScreener, SanctionsListUnavailable
from adapters.sanctions.ofac_mapping import MalformedList, OFACTexts, parse
from models.domain.screening import MatchMethod, ScreeningStatus

ROOT = Path(__file__).parents[3]
SAMPLE = ROOT / "adapters" / "sanctions" / "sample"
REAL = Path(os.environ.get("CAAS_DATA", ROOT / ".." / "shared" / "data")) / "sanctions"

ROW = '1,"DOE, John","individual","P",-0- ,-0- ,-0- ,-0- ,-0- ,-0- ,-0- ,-0- \r\n'


@pytest.fixture(scope="module")
def screener() -> OFACScreener:
    return OFACScreener.load(
        SAMPLE / "sdn.csv", SAMPLE / "alt.csv", SAMPLE / "add.csv", SAMPLE / "sdn_comments.csv"
    )


@pytest.mark.parametrize(
    ("content", "complaint"),
    [
        (b"", "empty"),
        (b"\x1a", "empty"),
        (b"\r\n\r\n\x1a\r\n", "empty"),
        (b"<html>503 Service Unavailable</html>", "malformed: sdn line 1: 1 columns"),
        (ROW.encode()[:40], "malformed: sdn line 1"),
        (ROW.encode() + b'2,"CUT OFF IN THE MI', "malformed: sdn line 2"),
        (ROW.encode() * 2, "entry 1 occurs twice"),
        (ROW.replace("1,", "x,", 1).encode(), "entry number"),
        (ROW.replace("1,", "١,", 1).encode(), "entry number"),
        (ROW.replace('"DOE, John"', "-0- ").encode(), "has no name"),
        (ROW.replace('"DOE, John"', '"..."').encode(), "without letters"),
        (ROW.replace("John", "J" * 600).encode(), "512"),
        (b"\x1a\r\n" + ROW.encode(), "after the end mark"),
        (b"\xff\xfe" + ROW.encode("utf-16-le"), "not UTF-8"),
        (ROW.replace("John", "Jos\xe9").encode("latin-1"), "not UTF-8"),
    ],
)
def test_a_list_that_is_empty_or_malformed_is_unavailable(
    tmp_path: Path, content: bytes, complaint: str
) -> None:
    path = tmp_path / "sdn.csv"
    path.write_bytes(content)
    with pytest.raises(SanctionsListUnavailable, match=complaint):
        OFACScreener.load(path)


def test_a_missing_list_is_unavailable(tmp_path: Path) -> None:
    with pytest.raises(SanctionsListUnavailable, match="cannot be read"):
        OFACScreener.load(tmp_path / "sdn.csv")
    with pytest.raises(SanctionsListUnavailable, match=r"absent\.csv cannot be read"):
        OFACScreener.load(SAMPLE / "sdn.csv", tmp_path / "absent.csv")
    with pytest.raises(SanctionsListUnavailable, match="cannot be read"):
        OFACScreener.load(tmp_path)


def test_a_list_that_was_cut_off_is_unavailable_unless_accepted(tmp_path: Path) -> None:
    path = tmp_path / "sdn.csv"
    rows = (SAMPLE / "sdn.csv").read_bytes().splitlines(keepends=True)
    path.write_bytes(b"".join(rows[:3]))
    with pytest.raises(SanctionsListUnavailable, match="2 entries"):
        OFACScreener.load(path, SAMPLE / "alt.csv")
    accepted = OFACScreener.load(path, SAMPLE / "alt.csv", accept_incomplete=True)
    assert accepted.list_version.endswith("-3-incomplete2")
    assert accepted.screen(["Bank of Erewhon"]).status is ScreeningStatus.HIT


def test_without_a_list_nobody_is_clear() -> None:
    result = FailClosedScreener().screen(["Anybody"])
    assert result.status is ScreeningStatus.UNAVAILABLE
    assert result.screened_names_count == 0
    assert result.list_version == "unavailable"


@pytest.mark.parametrize(
    ("name", "entry", "method"),
    [
        ("dreadmoor,  mortimer vex", "900001", MatchMethod.EXACT),
        ("Mortimer Vex Dreadmoor", "900001", MatchMethod.NORMALISED),
        ("DREADMOOR Mortimer VEX", "900001", MatchMethod.NORMALISED),
        ("Mórtimer Vèx Dreadmoor", "900001", MatchMethod.NORMALISED),
        ("Mort\u200bimer Vex\u202e Dreadmoor", "900001", MatchMethod.NORMALISED),
        ("Ｍortimer Vex Dreadmoor", "900001", MatchMethod.NORMALISED),
        ("Mortimer VexDreadmoor", "900001", MatchMethod.JOINED),
        ("M\u043ertimer Vex Dreadm\u043e\u043er", "900001", MatchMethod.SKELETON),
        ("Mort Dredmoor", "900001", MatchMethod.NORMALISED),
        ("Mortimer Vexley", "900001", MatchMethod.NORMALISED),
        ("Kazimir Ufuq Al Zandabari", "900003", MatchMethod.NORMALISED),
        ("Grimwater Trading", "900004", MatchMethod.JOINED),
        ("Grimwater Holdings Co Ltd", "900004", MatchMethod.NORMALISED),
        ("Banco Imaginario de Erewhon SA", "900005", MatchMethod.NORMALISED),
        ("Fintan O\u2019Mallowhisk", "900006", MatchMethod.NORMALISED),
        ("Fintan OMallowhisk", "900006", MatchMethod.NORMALISED),
        ("Fintan O Mallowhisk", "900006", MatchMethod.JOINED),
    ],
)
def test_listed_names_are_found(
    screener: OFACScreener, name: str, entry: str, method: MatchMethod
) -> None:
    result = screener.screen([name])
    assert result.status is ScreeningStatus.HIT
    assert [(m.list_entry_id, m.method) for m in result.matches] == [(entry, method)]
    assert result.screened_names_count == 1


@pytest.mark.parametrize(
    ("names", "mixed"),
    [
        ([], False),
        ([""], False),
        (["..."], False),
        (["x" * 513], False),
        (["Ivan \u041f\u0435\u0442\u0440\u043e\u0432"], True),
        (["\u0418\u0432\u0430\u043d"], False),
        (["Ada Clearwater", ""], False),
        (["Ada Clearw\u0430ter"], True),
        (["Ada Clearwater"] * 65, False),
    ],
)
def test_names_that_cannot_be_compared_are_never_clear(
    screener: OFACScreener, names: list[str], mixed: bool
) -> None:
    result = screener.screen(names)
    assert result.status is ScreeningStatus.UNAVAILABLE
    assert result.matches == ()
    assert result.mixed_script is mixed


@pytest.mark.parametrize(
    "names",
    [
        ["Ada Clearwater"],
        ["Mortimer Dreadmoor-Smith"],
        ["Łukasz Åberg"],
        ["Ada Clearwater", "Ada Born"],
        ["Erewhon"],
    ],
)
def test_other_names_are_clear(screener: OFACScreener, names: list[str]) -> None:
    result = screener.screen(names)
    assert result.status is ScreeningStatus.CLEAR
    assert result.screened_names_count == len(names)
    assert result.list_version == screener.list_version


def test_one_listed_name_among_several_is_a_hit(screener: OFACScreener) -> None:
    result = screener.screen(["Ada Clearwater", "", "Ottoline Quillfeather"])
    assert result.status is ScreeningStatus.HIT
    assert result.screened_names_count == 2


def test_the_version_names_the_content(screener: OFACScreener, tmp_path: Path) -> None:
    assert screener.list_version.startswith("ofac-sdn-")
    assert screener.list_version.endswith("-8")
    path = tmp_path / "sdn.csv"
    path.write_text(ROW, newline="")
    one = OFACScreener.load(path).list_version
    path.write_text(ROW.replace("John", "Jane"), newline="")
    assert OFACScreener.load(path).list_version != one


def test_a_reviewer_sees_remarks_aliases_and_countries(screener: OFACScreener) -> None:
    party = screener.party("900004")
    assert party is not None
    assert party.aliases == ["GRIM-WATER TRADING"]
    assert party.countries == ["Erewhon", "Elsewhere"]
    assert party.remarks == "Linked To: DREADMOOR, Mortimer Vex; continued in the comments."
    assert screener.party("1") is None


@pytest.mark.parametrize(
    ("texts", "complaint"),
    [
        (OFACTexts(ROW, alt="1,2,aka\r\n"), "alt line 1: 3 columns instead of 5"),
        (OFACTexts(ROW, alt="1,2,aka,-0- ,-0- \r\n"), "alt line 1: an alias has no name"),
        (OFACTexts(ROW, add="1,2\r\n"), "add line 1: 2 columns instead of 6"),
        (OFACTexts(ROW, comments="a,b\r\n"), "comments line 1: the entry number"),
    ],
)
def test_companion_files_are_as_strict(texts: OFACTexts, complaint: str) -> None:
    with pytest.raises(MalformedList, match=complaint):
        parse(texts)


@pytest.mark.skipif(
    not (REAL / "ofac_sdn.csv").exists(),
    reason="OFAC's real files are not in CAAS_DATA/sanctions",
)
def test_the_real_files_parse_and_a_known_alias_is_found() -> None:
    """The files at hand are from a cut-off download: aliases go on where entries have ended."""
    files = [REAL / f"ofac_{name}.csv" for name in ("sdn", "alt", "add", "sdn_comments")]
    assert OFACScreener.load(files[0]).entry_count == 7379
    with pytest.raises(SanctionsListUnavailable, match="incomplete"):
        OFACScreener.load(*files)
    real = OFACScreener.load(*files, accept_incomplete=True)
    assert real.entry_count == 7379
    result = real.screen(["National Bank of Cuba"])
    assert [match.list_entry_id for match in result.matches] == ["306"]
    assert real.screen(["Bank of Cuba, National"]).status is ScreeningStatus.HIT
    assert real.screen(["Ada Clearwater"]).status is ScreeningStatus.CLEAR
