"""The mail house over HTTP."""

from __future__ import annotations

from typing import Final

from adapters.http import HTTPCaller
from adapters.notices.mail_house_mapping import message_id_of, notice_request
from models.domain.errors import Permanent, Transient
from models.domain.notice import RenderedNotice

NOTICE_REFUSED: Final = "NOTICE_REFUSED"
CREDENTIALS_REFUSED: Final = "CREDENTIALS_REFUSED"


class HTTPMailHouse:
    """Satisfies `NoticeChannel`; `channel` says how the letter travels."""

    channel: str = "letter"

    def __init__(self, caller: HTTPCaller, api_key: str) -> None:
        self._caller = caller
        self._api_key = api_key

    async def send(
        self,
        tenant_id: str,  # noqa: ARG002 - the port's; this mail house keys by notice alone
        notice: RenderedNotice,
    ) -> str:
        """Hand the letter over; the mail house's message id.

        The notice's id is the idempotency key, so a repeat prints nothing again. Raises Permanent
        NOTICE_REFUSED or MALFORMED_RESPONSE; Transient otherwise, also while our API key is
        refused: that is ours to repair, and the letter is still owed.
        """
        answer = await self._caller.call(
            "POST",
            "/notices",
            json=notice_request(self.channel, notice),
            headers={
                "authorization": f"Bearer {self._api_key}",
                "idempotency-key": notice.notice_id,
            },
        )
        if answer.status == 401:
            raise Transient(CREDENTIALS_REFUSED, "the mail house refuses our API key")
        if answer.status >= 400:
            raise Permanent(NOTICE_REFUSED, f"the mail house: status {answer.status}")
        return message_id_of(answer.body)
