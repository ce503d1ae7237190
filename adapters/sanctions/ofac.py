"""Screens names against OFAC's list of Specially Designated Nationals, held in memory."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Final, Self

from adapters.sanctions.ofac_mapping import ListedParty, MalformedList, OFACTexts, parse
from models.domain.screening import (
    MatchMethod,
    NameKeys,
    ScreeningMatch,
    ScreeningResult,
    ScreeningStatus,
    name_keys,
)

LIST_NAME: Final = "OFAC SDN"
MAX_NAMES: Final = 64  # legal, former and other names of one person; more is an attack
MAX_FILE_BYTES: Final = 256 * 1024 * 1024  # OFAC's largest file has 6 MB
_LATIN: Final = frozenset({"LATIN"})

_Index = dict[str, list[tuple[str, str]]]  # comparable form -> (entry id, listed name)


class SanctionsListUnavailable(RuntimeError):
    """The list cannot be used: missing, empty, malformed or incomplete. The message says which."""


class OFACScreener:
    """Compares names with primary names and aliases; exact, normalised and look-alike forms."""

    def __init__(self, parties: Mapping[str, ListedParty], digest: str) -> None:
        """Index parsed parties; `digest` is the SHA-256 of the files they came from."""
        self._parties = parties
        self._words: _Index = {}
        self._joined: _Index = {}
        for party in parties.values():
            for name in _names_of(party):
                self._add(party.entry_id, name)
        self.entry_count = sum(party.primary_name is not None for party in parties.values())
        self.incomplete_count = len(parties) - self.entry_count
        if self.entry_count == 0:
            raise SanctionsListUnavailable("the sanctions list is empty")
        gaps = f"-incomplete{self.incomplete_count}" if self.incomplete_count else ""
        self._version = f"ofac-sdn-{digest[:12]}-{self.entry_count}{gaps}"

    @classmethod
    def load(
        cls,
        sdn_path: Path,
        alt_path: Path | None = None,
        add_path: Path | None = None,
        comments_path: Path | None = None,
        *,
        accept_incomplete: bool = False,
    ) -> Self:
        """Read the files OFAC publishes together.

        Aliases or addresses of entries that the primary file lacks prove that it was cut off or
        is of another day: SanctionsListUnavailable, unless `accept_incomplete` (those aliases are
        then screened all the same, and the list version says how many entries are missing).
        """
        digest = hashlib.sha256()
        texts = OFACTexts(
            sdn=_read(sdn_path, digest),
            alt=_read(alt_path, digest) if alt_path else None,
            add=_read(add_path, digest) if add_path else None,
            comments=_read(comments_path, digest) if comments_path else None,
        )
        try:
            parties = parse(texts)
        except MalformedList as error:
            raise SanctionsListUnavailable(f"the sanctions list is malformed: {error}") from error
        screener = cls(parties, digest.hexdigest())
        if screener.incomplete_count and not accept_incomplete:
            raise SanctionsListUnavailable(
                f"the sanctions list is incomplete: {screener.incomplete_count} entries have "
                f"aliases or addresses but are missing from {sdn_path.name}"
            )
        return screener

    @property
    def list_version(self) -> str:
        """`ofac-sdn-<12 digits of the files' SHA-256>-<number of entries>`."""
        return self._version

    def party(self, entry_id: str) -> ListedParty | None:
        """What the list says of an entry, for the person who reviews a hit."""
        return self._parties.get(entry_id)

    def screen(self, names: Sequence[str]) -> ScreeningResult:
        """The answer for all names of one person: one hit is a hit, one doubt is a doubt."""
        matches: dict[tuple[str, str], ScreeningMatch] = {}
        screened, mixed, doubtful = 0, False, not 0 < len(names) <= MAX_NAMES
        for name in names[:MAX_NAMES]:
            try:
                keys = name_keys(name)
            except ValueError:
                doubtful = True
                continue
            found = list(self._find(keys))
            for match in found:
                matches.setdefault((match.list_entry_id, match.matched_name), match)
            mixed = mixed or keys.mixed_script
            if found or self._comparable(keys):
                screened += 1
            else:
                doubtful = True
        if matches:
            status = ScreeningStatus.HIT
        else:
            status = ScreeningStatus.UNAVAILABLE if doubtful else ScreeningStatus.CLEAR
        return ScreeningResult(status, tuple(matches.values()), self._version, screened, mixed)

    def _add(self, entry_id: str, name: str) -> None:
        try:
            keys = name_keys(name)
        except ValueError as error:
            raise SanctionsListUnavailable(f"entry {entry_id}: {error}") from error
        if not keys.comparable:
            raise SanctionsListUnavailable(f"entry {entry_id} has a name without letters")
        self._words.setdefault(keys.words, []).append((entry_id, name))
        self._joined.setdefault(keys.joined, []).append((entry_id, name))

    def _find(self, keys: NameKeys) -> Iterator[ScreeningMatch]:
        """Matches by the strictest method first."""
        if not keys.comparable:
            return
        for method, index, key in (
            (MatchMethod.NORMALISED, self._words, keys.words),
            (MatchMethod.JOINED, self._joined, keys.joined),
            (MatchMethod.SKELETON, self._words, keys.skeleton),
            (MatchMethod.SKELETON, self._joined, keys.skeleton_joined),
        ):
            for entry_id, listed in index.get(key, ()):
                exact = " ".join(listed.casefold().split()) == keys.spelled
                yield ScreeningMatch(
                    entry_id, LIST_NAME, listed, MatchMethod.EXACT if exact else method
                )

    def _comparable(self, keys: NameKeys) -> bool:
        """OFAC's CSV files are in Latin letters: a name in any other is not comparable."""
        return keys.comparable and keys.scripts <= _LATIN


def _names_of(party: ListedParty) -> Iterator[str]:
    if party.primary_name is not None:
        yield party.primary_name
    yield from party.aliases


def _read(path: Path, digest: hashlib._Hash) -> str:
    """A file's text, added to the digest. OFAC's files are ASCII; UTF-8 contains that."""
    try:
        if path.stat().st_size > MAX_FILE_BYTES:
            raise SanctionsListUnavailable(f"{path.name} is larger than {MAX_FILE_BYTES} bytes")
        content = path.read_bytes()
        text = content.decode("utf-8-sig")
    except OSError as error:
        reason = error.strerror or type(error).__name__
        raise SanctionsListUnavailable(f"{path.name} cannot be read: {reason}") from error
    except UnicodeDecodeError as error:
        raise SanctionsListUnavailable(f"{path.name} is not UTF-8 text") from error
    # The length separates the files: moving a line from one to the next changes the digest.
    digest.update(len(content).to_bytes(8, "big") + content)
    return text
