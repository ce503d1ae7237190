"""The identity vendor over HTTP."""

from __future__ import annotations

from typing import Final

from adapters.http import HTTPCaller
from adapters.identity.verifier_mapping import check_id_of, check_request, reference_of
from models.domain.application import Applicant
from models.domain.errors import Permanent, Transient

VERIFICATION_REFUSED: Final = "VERIFICATION_REFUSED"
CREDENTIALS_REFUSED: Final = "CREDENTIALS_REFUSED"


class HTTPIdentityVerifier:
    """Satisfies `IdentityVerifier`; `vendor` is the name in the callback's address."""

    def __init__(self, caller: HTTPCaller, vendor: str, api_key: str, callback_url: str) -> None:
        self.vendor = vendor
        self._caller = caller
        self._api_key = api_key
        self._callback_url = callback_url

    async def submit(self, tenant_id: str, verification_id: str, applicant: Applicant) -> str:
        """Ask for a verification; the vendor's check id.

        The reference is also the idempotency key, so a repeat finds the same check. Raises
        Permanent VERIFICATION_REFUSED or MALFORMED_RESPONSE; Transient otherwise, also while our
        API key is refused: that is ours to repair and no fault of the applicant.
        """
        reference = reference_of(tenant_id, verification_id)
        answer = await self._caller.call(
            "POST",
            "/v1/checks",
            json=check_request(reference, self._callback_url, applicant),
            headers={"authorization": f"Bearer {self._api_key}", "idempotency-key": reference},
        )
        if answer.status == 401:
            raise Transient(CREDENTIALS_REFUSED, f"{self.vendor} refuses our API key")
        if answer.status >= 400:
            raise Permanent(VERIFICATION_REFUSED, f"{self.vendor}: status {answer.status}")
        return check_id_of(answer.body)
