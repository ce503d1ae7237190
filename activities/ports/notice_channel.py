"""The mail house: letters to applicants, each handed over at most once."""

from __future__ import annotations

from typing import Protocol

from models.domain.notice import RenderedNotice


class NoticeChannel(Protocol):
    """Sends a letter; the one who carries it answers with a message id."""

    channel: str

    async def send(self, tenant_id: str, notice: RenderedNotice) -> str:
        """Hand the letter over; the carrier's message id.

        Idempotent by `notice_id`: a repeat of the same letter finds the same message. Raises
        Permanent (it will never be carried: a person has to see to it) or Transient.
        """
        ...
