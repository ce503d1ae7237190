"""Signing up, in and out: the order of the steps, and what each of them gives away."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Final

import structlog

from adapters.accounts.minting import TokenMint
from adapters.accounts.passwords import PasswordDesk
from adapters.accounts.revocations import Revocations
from adapters.postgres.accounts import PostgresAccounts
from adapters.postgres.sessions import PostgresSessions, SessionGrant, SessionReused
from models.domain.accounts import Account, SignInRefused, SignUp, Tokens, is_weak
from models.domain.credentials import Credential, CredentialKind
from models.domain.errors import Invalid
from models.domain.writes import StoredAnswer, WriteKey

log = structlog.get_logger()

# Which scopes some roles can use: the role table's answer.
ScopesOf = Callable[[Sequence[str]], Sequence[str]]
REFUSED: Final = SignInRefused()


@dataclass(frozen=True, slots=True)
class SignIn:
    """What people do at the front door."""

    accounts: PostgresAccounts
    sessions: PostgresSessions
    passwords: PasswordDesk
    mint: TokenMint
    revocations: Revocations
    scopes_of: ScopesOf

    async def register(
        self, write: WriteKey, sign_up: SignUp, answer: Callable[[Account], StoredAnswer]
    ) -> StoredAnswer:
        """A new account, as `PostgresAccounts.register`; Invalid PASSWORD_TOO_WEAK."""
        if is_weak(sign_up.password, sign_up.profile.email):
            raise Invalid("PASSWORD_TOO_WEAK")
        # Before the transaction: no connection waits for a fifth of a second of arithmetic.
        password_hash = await self.passwords.hash(sign_up.password)
        return await self.accounts.register(write, sign_up, password_hash, answer)

    async def login(
        self, tenant_id: str, email: str, password: str, scopes: Sequence[str] | None
    ) -> Tokens | SignInRefused:
        """Tokens of a new session; one refusal for every wrong login, after the same work."""
        attempt = await self.accounts.attempt(tenant_id, email)
        if attempt.wait_s:
            return SignInRefused(attempt.wait_s)
        right = await self.passwords.matches(attempt.password_hash, password)
        if not right or attempt.user_id is None or attempt.password_hash is None:
            return REFUSED
        outdated = self.passwords.is_outdated(attempt.password_hash)
        new_hash = await self.passwords.hash(password) if outdated else None
        await self.accounts.succeeded(tenant_id, attempt.user_id, email, new_hash)
        first = Credential.new(CredentialKind.REFRESH_TOKEN, tenant_id)
        grant = await self.sessions.open(attempt.user_id, attempt.roles, scopes, first)
        return REFUSED if grant is None else self._tokens(tenant_id, grant, first)

    async def refresh(self, refresh_token: str) -> Tokens | SignInRefused:
        """The session's next tokens; a token that comes a second time ends the session."""
        shown = Credential.read(CredentialKind.REFRESH_TOKEN, refresh_token)
        if shown is None:
            return REFUSED
        following = Credential.new(shown.kind, shown.tenant_id, shown.named_id)
        grant = await self.sessions.renew(shown, following)
        if isinstance(grant, SessionReused):
            self.revocations.add(grant.session_id, until=grant.revoked_until)
            log.warning("refresh_token_reused", session=grant.session_id)
            return REFUSED
        return REFUSED if grant is None else self._tokens(shown.tenant_id, grant, following)

    async def logout(
        self, tenant_id: str, subject: str, revocable: Sequence[str], expires_at: datetime
    ) -> None:
        """End what the caller showed: here at once, in other processes within two seconds."""
        until = await self.sessions.end(tenant_id, subject, revocable, expires_at)
        self.revocations.add(*revocable, until=until)

    def _tokens(self, tenant_id: str, grant: SessionGrant, refresh: Credential) -> Tokens:
        usable = self.scopes_of(grant.roles)
        scopes = tuple(scope for scope in usable if grant.scopes is None or scope in grant.scopes)
        access = self.mint.access_token(
            tenant_id, grant.user_id, grant.roles, scopes, grant.session_id
        )
        return Tokens(
            access, self.mint.lifetime_s, refresh.text, grant.refresh_expires_in_s, scopes
        )
