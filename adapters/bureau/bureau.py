"""The credit bureau over HTTP."""

from __future__ import annotations

from typing import Final

from adapters.bureau.bureau_mapping import report_of, report_request
from adapters.http import HTTPCaller
from models.domain.application import Applicant
from models.domain.errors import Permanent, Transient
from models.domain.risk import BureauReport

REPORT_REFUSED: Final = "REPORT_REFUSED"
CREDENTIALS_REFUSED: Final = "CREDENTIALS_REFUSED"


class HTTPCreditBureau:
    """Satisfies `CreditBureau`; `bureau` names the source in evidence and notices."""

    def __init__(self, caller: HTTPCaller, bureau: str, api_key: str) -> None:
        self.bureau = bureau
        self._caller = caller
        self._api_key = api_key

    async def report(
        self,
        tenant_id: str,  # noqa: ARG002 - the port's; this bureau keys by application alone
        application_id: str,
        applicant: Applicant,
    ) -> BureauReport | None:
        """The person's report, or None for a thin file; billed once per application.

        Raises Permanent REPORT_REFUSED or MALFORMED_RESPONSE; Transient otherwise, also while our
        API key is refused: that is ours to repair and no fault of the applicant.
        """
        answer = await self._caller.call(
            "POST",
            "/v1/reports",
            json=report_request(applicant),
            headers={
                "x-api-key": self._api_key,
                "idempotency-key": f"{application_id}:bureau",
            },
        )
        if answer.status == 401:
            raise Transient(CREDENTIALS_REFUSED, f"{self.bureau} refuses our API key")
        if answer.status >= 400:
            raise Permanent(REPORT_REFUSED, f"{self.bureau}: status {answer.status}")
        return report_of(answer.body)
