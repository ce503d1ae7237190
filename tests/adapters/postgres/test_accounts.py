"""Accounts, sessions, keys and revocations on a real database, under tests of what goes wrong."""

from __future__ import annotations

import asyncio
import json
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from adapters.accounts.desk import Identity
from adapters.accounts.revocations import Revocations
from adapters.postgres.database import Database
from adapters.postgres.service_accounts import MOST_OPEN_KEYS
from adapters.postgres.signing_keys import PostgresSigningKeys
from adapters.vault import Keyring, new_key
from api.auth import TokenVerifier, TrustedIssuer
from api.errors import Problem
from models.domain.accounts import AccountStatus, SignInRefused, Tokens
from models.domain.credentials import Credential, CredentialKind
from models.domain.errors import Conflict, Invalid, NotFound
from models.domain.operations import Command
from tests.adapters.postgres.identity import (
    EMAIL,
    NAME,
    OPTIONS,
    PASSWORD,
    desk,
    given,
    registered,
    signed_in,
    write,
)

pytestmark = pytest.mark.stack

MINUTE = timedelta(minutes=1)


def verifier(identity: Identity) -> TokenVerifier:
    own = TrustedIssuer(
        OPTIONS.issuer, OPTIONS.audience, identity.signing_keys.key_set, ("Ed25519", "ES256"),
        platform=True, newer_keys=identity.signing_keys.look_again,
    )  # fmt: skip
    return TokenVerifier([own], identity.revocations, identity.api_keys)


async def refused(tokens: TokenVerifier, credential: str) -> None:
    with pytest.raises(Problem) as raised:
        await tokens.identify(credential)
    assert raised.value.status == 401


# Accounts.


async def test_nothing_of_a_person_or_a_secret_is_kept_in_clear(lending: Any) -> None:
    tenant = lending.tenant()
    async with desk(lending.app) as identity:
        account = await registered(identity, tenant)
        tokens = await signed_in(identity, tenant)
        secrets = [tokens.access_token, tokens.refresh_token, PASSWORD]
        invited = await identity.invitations.invite(
            write(tenant), EMAIL, ["support"], MINUTE, "index", given
        )
        made = await service_account(identity, tenant)
        key = await identity.service_accounts.create_key(write(tenant), made, None, MINUTE, given)
        secrets += [each.body.decode().split()[-1] for each in (invited, key)]
    rows = str(await lending.contents(tenant)).lower()
    assert account.user_id in rows
    for said in (EMAIL, NAME, "zephyrine", "quackenbosh", *secrets):
        assert said.lower() not in rows
        assert said.encode().hex() not in rows
        assert said.rpartition("~")[2].lower() not in rows
    assert await lending.published(tenant) == []  # who signs in is nobody's event


async def test_one_address_has_one_account_however_it_is_spelt(lending: Any) -> None:
    tenant = lending.tenant()
    async with desk(lending.app) as identity:
        account = await registered(identity, tenant)
        with pytest.raises(Conflict, match="LOGIN_TAKEN"):
            await registered(identity, tenant, EMAIL.upper())
        elsewhere = await registered(identity, lending.tenant(), EMAIL)
        assert elsewhere.user_id != account.user_id
        _, profile = await identity.accounts.profile(tenant, account.user_id)
        assert (profile.email, profile.name) == (EMAIL, NAME)
        with pytest.raises(NotFound):
            await identity.accounts.profile(lending.tenant(), account.user_id)


async def test_two_who_register_one_address_at_once(lending: Any) -> None:
    tenant = lending.tenant()
    async with desk(lending.app) as identity:
        done = await asyncio.gather(
            *(registered(identity, tenant, EMAIL) for _ in range(6)), return_exceptions=True
        )
    refusals = [each for each in done if isinstance(each, Conflict)]
    assert len(refusals) == 5
    assert {each.code for each in refusals} == {"LOGIN_TAKEN"}


async def test_a_closed_or_unknown_tenant_registers_nobody(lending: Any) -> None:
    tenant = lending.tenant()
    async with desk(lending.app) as identity:
        await registered(identity, tenant)
        await identity.accounts.open_tenant(tenant, "root", registration_open=False)
        with pytest.raises(Conflict, match="REGISTRATION_CLOSED"):
            await _register_only(identity, tenant)
        with pytest.raises(Conflict, match="REGISTRATION_CLOSED"):
            await _register_only(identity, lending.tenant())
        assert isinstance(await signed_in(identity, tenant), Tokens)


async def _register_only(identity: Identity, tenant: str, password: str = PASSWORD) -> Any:
    from models.domain.accounts import Profile, SignUp  # noqa: PLC0415

    sign_up = SignUp(tenant, Profile("eve@example.org", "Eve"), password)
    return await identity.sign_in.register(write(tenant), sign_up, given)


async def test_a_weak_password_is_told_before_any_work(lending: Any) -> None:
    async with desk(lending.app) as identity:
        with pytest.raises(Invalid, match="PASSWORD_TOO_WEAK"):
            await _register_only(identity, lending.tenant(), "short")


async def test_a_new_master_key_changes_nothing_for_whoever_signs_in(lending: Any) -> None:
    """The index moves to the new key with the first sign-in."""
    tenant = lending.tenant()
    old = lending.keyring
    both = Keyring({"v2": new_key(), **old.masters})
    dsn = lending.cluster.dsn(lending.name, "app")
    async with desk(lending.app) as identity:
        await registered(identity, tenant)
    newer = await Database.connect(dsn, both, max_size=2)
    try:
        async with desk(newer) as identity:
            with pytest.raises(Conflict, match="LOGIN_TAKEN"):
                await registered(identity, tenant)
            await signed_in(identity, tenant)
    finally:
        await newer.close()
    index = await lending.value("SELECT login_index FROM users WHERE tenant_id = $1", tenant)
    assert index.startswith("v2:")


# Guessing.


async def test_guesses_are_slowed_for_everybody_alike(lending: Any) -> None:
    tenant = lending.tenant()
    async with desk(lending.app) as identity:
        await registered(identity, tenant)
        waits: dict[str, list[int]] = {}
        for email in (EMAIL, "nobody@example.org"):
            for _ in range(6):
                answer = await identity.sign_in.login(tenant, email, "wrong-password", None)
                assert isinstance(answer, SignInRefused)
                waits.setdefault(email, []).append(answer.wait_s)
        assert [wait > 0 for wait in waits[EMAIL]] == [False] * 5 + [True]
        assert [wait > 0 for wait in waits["nobody@example.org"]] == [False] * 5 + [True]
        # Not even the right password, until the wait is over.
        slowed = await identity.sign_in.login(tenant, EMAIL, PASSWORD, None)
        assert isinstance(slowed, SignInRefused)
        assert 0 < slowed.wait_s <= 15
        await lending.execute(
            "UPDATE login_attempts SET wait_until = now() WHERE tenant_id = $1", tenant
        )
        await signed_in(identity, tenant)
        assert await lending.value(
            "SELECT count(*) FROM login_attempts WHERE tenant_id = $1", tenant
        ) == 1  # fmt: skip


async def test_guesses_made_at_once_are_all_counted(lending: Any) -> None:
    tenant = lending.tenant()
    async with desk(lending.app) as identity:
        await registered(identity, tenant)
        answers = await asyncio.gather(
            *(identity.sign_in.login(tenant, EMAIL, "wrong-password", None) for _ in range(12))
        )
    waits = [each.wait_s for each in answers if isinstance(each, SignInRefused)]
    assert sorted(wait > 0 for wait in waits) == [False] * 5 + [True] * 7


async def test_guesses_at_a_tenant_that_is_none_leave_nothing(lending: Any) -> None:
    tenant = lending.tenant()
    async with desk(lending.app) as identity:
        for _ in range(7):
            answer = await identity.sign_in.login(tenant, EMAIL, PASSWORD, None)
            assert answer == SignInRefused()
    assert all(rows == [] for rows in (await lending.contents(tenant)).values())


async def test_an_erased_person_does_not_sign_in(lending: Any) -> None:
    tenant = lending.tenant()
    async with desk(lending.app) as identity:
        await registered(identity, tenant)
        await lending.execute(
            "UPDATE subject_keys SET wrapped_key = NULL WHERE tenant_id = $1", tenant
        )
        assert await identity.sign_in.login(tenant, EMAIL, PASSWORD, None) == SignInRefused()


# Sessions.


async def test_of_many_refreshes_with_one_token_one_wins_and_the_family_ends(lending: Any) -> None:
    tenant = lending.tenant()
    async with desk(lending.app) as identity, desk(lending.app) as other:
        await registered(identity, tenant)
        first = await signed_in(identity, tenant)
        desks = [identity, other] * 4
        answers = await asyncio.gather(
            *(each.sign_in.refresh(first.refresh_token) for each in desks)
        )
        [won] = [each for each in answers if isinstance(each, Tokens)]
        assert await identity.sign_in.refresh(won.refresh_token) == SignInRefused()
        for each in (identity, other):
            await each.revocations.reload()
            for tokens in (first, won):
                await refused(verifier(each), tokens.access_token)
    [row] = await lending.rows("SELECT * FROM sessions WHERE tenant_id = $1", tenant)
    assert row["revoked_because"] == "reuse"
    assert (await lending.audited(tenant)).count("session.revoked") == 1


async def test_a_refresh_token_of_another_tenant_or_of_nobody_opens_nothing(lending: Any) -> None:
    tenant, theirs = lending.tenant(), lending.tenant()
    async with desk(lending.app) as identity:
        await registered(identity, tenant)
        tokens = await signed_in(identity, tenant)
        shown = Credential.read(CredentialKind.REFRESH_TOKEN, tokens.refresh_token)
        assert shown is not None
        forged = (
            replace(shown, tenant_id=theirs),
            Credential.new(shown.kind, tenant, shown.named_id),
            Credential.new(shown.kind, tenant),
        )
        for each in forged:
            assert await identity.sign_in.refresh(each.text) == SignInRefused()
        assert await identity.sign_in.refresh("not a token") == SignInRefused()
        # None of them ended the session of whoever has the right one.
        assert isinstance(await identity.sign_in.refresh(tokens.refresh_token), Tokens)


async def test_a_session_does_not_outlive_its_end(lending: Any) -> None:
    tenant = lending.tenant()
    async with desk(lending.app) as identity:
        await registered(identity, tenant)
        tokens = await signed_in(identity, tenant)
        await lending.execute("UPDATE sessions SET expires_at = now() WHERE tenant_id = $1", tenant)
        assert await identity.sign_in.refresh(tokens.refresh_token) == SignInRefused()
        await signed_in(identity, tenant)  # sweeps what has ended by itself
    assert len(await lending.rows("SELECT FROM sessions WHERE tenant_id = $1", tenant)) == 1


async def test_a_suspended_account_is_out_at_once_and_may_come_back(lending: Any) -> None:
    tenant = lending.tenant()
    async with desk(lending.app) as identity:
        account = await registered(identity, tenant)
        tokens = await signed_in(identity, tenant)
        access = OPTIONS.lifetimes.access
        _, ended = await identity.accounts.set_status(
            write(tenant), account.user_id, AccountStatus.SUSPENDED, "left", access, given
        )
        identity.forget(ended)
        await refused(verifier(identity), tokens.access_token)
        assert await identity.sign_in.refresh(tokens.refresh_token) == SignInRefused()
        assert await identity.sign_in.login(tenant, EMAIL, PASSWORD, None) == SignInRefused()
        await identity.accounts.set_status(
            write(tenant), account.user_id, AccountStatus.ACTIVE, "back", access, given
        )
        again = await signed_in(identity, tenant)
        assert (await verifier(identity).identify(again.access_token)).subject == account.user_id


# Revocation in another process.


async def test_a_logout_is_heard_of_in_every_process(lending: Any) -> None:
    tenant = lending.tenant()
    async with desk(lending.app) as here, desk(lending.app) as there:
        await registered(here, tenant)
        tokens = await signed_in(here, tenant)
        principal = await verifier(there).identify(tokens.access_token)
        token_id, _, session = principal.revocable
        await here.sign_in.logout(
            tenant, principal.subject, [token_id, session], datetime.now(UTC) + MINUTE
        )
        await refused(verifier(here), tokens.access_token)
        elsewhere = verifier(there)
        async with asyncio.timeout(60):
            while session not in there.revocations:  # by its own reading, every second
                await asyncio.sleep(0.05)
        await refused(elsewhere, tokens.access_token)


async def test_nobody_ends_somebody_elses_session(lending: Any) -> None:
    tenant = lending.tenant()
    async with desk(lending.app) as identity:
        await registered(identity, tenant)
        tokens = await signed_in(identity, tenant)
        principal = await verifier(identity).identify(tokens.access_token)
        session = principal.revocable[2]
        await identity.sign_in.sessions.end(tenant, "eve", ["token"], datetime.now(UTC))
        await identity.sign_in.sessions.end(lending.tenant(), principal.subject, [session], _now())
        assert isinstance(await identity.sign_in.refresh(tokens.refresh_token), Tokens)


def _now() -> datetime:
    return datetime.now(UTC)


async def test_what_no_longer_matters_is_forgotten(lending: Any) -> None:
    revocations = Revocations(lending.app)
    revocations.add("old", until=_now() - MINUTE)
    revocations.add("new", until=_now() + MINUTE)
    await revocations.reload()
    assert "old" not in revocations
    assert "new" in revocations


# API keys.


async def service_account(identity: Identity, tenant: str) -> str:
    made = await identity.service_accounts.create(
        write(tenant), "Checkout", ["integrator"], lambda account: given(account.service_account_id)
    )
    return made.body.decode()


async def test_a_key_is_rotated_with_an_overlap_or_without(lending: Any) -> None:
    tenant = lending.tenant()
    async with desk(lending.app) as identity:
        account = await service_account(identity, tenant)
        records, tokens = identity.service_accounts, verifier(identity)
        first = (await records.create_key(write(tenant), account, None, MINUTE, given)).body
        old = first.decode().split()[-1]
        old_id = old.split("~")[2]
        assert (await tokens.identify(old)).subject == account
        rotated, until = await records.rotate_key(
            write(tenant), account, old_id, 60 * MINUTE, 2 * MINUTE, given
        )
        assert until is None
        new = rotated.body.decode().split()[-1]
        for each in (old, new):
            assert (await tokens.identify(each)).subject == account
        with pytest.raises(Conflict, match="API_KEY_NOT_OPEN"):
            await records.rotate_key(write(tenant), account, old_id, MINUTE, MINUTE, given)
        last, until = await records.rotate_key(
            write(tenant), account, new.split("~")[2], MINUTE, timedelta(0), given
        )
        assert until is not None
        await identity.revocations.reload()
        await refused(tokens, new)  # although it was used a moment ago
        assert (await tokens.identify(last.body.decode().split()[-1])).subject == account


async def test_a_repetition_gets_the_same_key_from_a_sealed_answer(lending: Any) -> None:
    tenant = lending.tenant()
    async with desk(lending.app) as identity:
        account = await service_account(identity, tenant)
        once = write(tenant)
        answers = [
            await identity.service_accounts.create_key(once, account, None, MINUTE, given)
            for _ in range(2)
        ]
        assert answers[0] == answers[1]
        assert len(await identity.service_accounts.keys(tenant, account)) == 1


async def test_a_key_that_is_wrong_in_any_part_opens_nothing(lending: Any) -> None:
    tenant = lending.tenant()
    async with desk(lending.app) as identity:
        account = await service_account(identity, tenant)
        made = await identity.service_accounts.create_key(
            write(tenant), account, None, MINUTE, given
        )
        key = Credential.read(CredentialKind.API_KEY, made.body.decode().split()[-1])
        assert key is not None
        tokens = verifier(identity)
        for wrong in (
            replace(key, tenant_id=lending.tenant()),
            Credential.new(key.kind, tenant, key.named_id),
            Credential.new(key.kind, tenant),
        ):
            await refused(tokens, wrong.text)
        assert (await tokens.identify(key.text)).tenant_id == tenant
        await lending.execute("UPDATE api_keys SET expires_at = now() WHERE tenant_id = $1", tenant)
        assert await identity.service_accounts.holder(key) is None


async def test_the_last_use_is_written_once_a_minute(lending: Any) -> None:
    tenant = lending.tenant()
    async with desk(lending.app) as identity:
        account = await service_account(identity, tenant)
        made = await identity.service_accounts.create_key(
            write(tenant), account, None, MINUTE, given
        )
        key = Credential.read(CredentialKind.API_KEY, made.body.decode().split()[-1])
        assert key is not None

        async def used() -> datetime | None:
            assert await identity.service_accounts.holder(key) is not None
            [shown] = await identity.service_accounts.keys(tenant, account)
            return shown.last_used_at

        first = await used()
        assert first is not None
        assert await used() == first
        await lending.execute(
            "UPDATE api_keys SET last_used_at = now() - interval '61 s' WHERE tenant_id = $1",
            tenant,
        )
        after = await used()
        assert after is not None
        assert after >= first


async def test_an_account_has_so_many_keys_and_no_more(lending: Any) -> None:
    tenant = lending.tenant()
    async with desk(lending.app) as identity:
        account = await service_account(identity, tenant)
        done = await asyncio.gather(
            *(
                identity.service_accounts.create_key(write(tenant), account, None, MINUTE, given)
                for _ in range(MOST_OPEN_KEYS + 3)
            ),
            return_exceptions=True,
        )
    assert sum(isinstance(each, Conflict) for each in done) == 3


# Invitations.


async def test_an_invitation_is_for_one_address_once(lending: Any) -> None:
    tenant = lending.tenant()
    async with desk(lending.app) as identity:
        index = identity.login_index(tenant, EMAIL)
        invited = await identity.invitations.invite(
            write(tenant), EMAIL, ["underwriter"], MINUTE, index, given
        )
        code = invited.body.decode().split()[-1]
        for wrong in ("eve@example.org", "x" + EMAIL):
            with pytest.raises(Conflict, match="INVITATION_NOT_OPEN"):
                await registered(identity, tenant, wrong, invitation=code)
        with pytest.raises(Conflict, match="INVITATION_NOT_OPEN"):
            await registered(identity, lending.tenant(), EMAIL, invitation=code)
        account = await registered(identity, tenant, EMAIL.upper(), invitation=code)
        assert account.roles == ("underwriter",)
        [kept] = await identity.invitations.all(tenant, 10)
        assert (kept.state, kept.email) == ("accepted", None)
        with pytest.raises(Conflict, match="INVITATION_NOT_OPEN"):
            await registered(identity, tenant, EMAIL, invitation=code)
        with pytest.raises(Conflict, match="INVITATION_NOT_OPEN"):
            await identity.invitations.revoke(write(tenant), kept.invitation_id, given)


async def test_an_invitation_that_was_taken_back_or_ended_is_none(lending: Any) -> None:
    tenant = lending.tenant()
    async with desk(lending.app) as identity:
        for spoil in ("revoke", "expire"):
            index = identity.login_index(tenant, EMAIL)
            made = await identity.invitations.invite(
                write(tenant), EMAIL, ["support"], MINUTE, index, given
            )
            code = made.body.decode().split()[-1]
            if spoil == "revoke":
                await identity.invitations.revoke(write(tenant), code.split("~")[2], given)
            else:
                await lending.execute(
                    "UPDATE invitations SET expires_at = now() WHERE tenant_id = $1", tenant
                )
            with pytest.raises(Conflict, match="INVITATION_NOT_OPEN"):
                await registered(identity, tenant, EMAIL, invitation=code)
        states = sorted(each.state for each in await identity.invitations.all(tenant, 10))
        assert states == ["expired", "revoked"]


# Keys that sign.


async def test_keys_rotate_under_use_without_one_refusal(lending: Any) -> None:
    """Two processes, one that signs and one that verifies, while keys and algorithm change."""
    tenant = lending.tenant()
    records = PostgresSigningKeys(lending.app)
    async with desk(lending.app) as signing, desk(lending.app) as verifying:
        account = await registered(signing, tenant)
        tokens, seen = verifier(verifying), set[str]()

        async def use() -> str:
            minted = signing.sign_in.mint.access_token(
                tenant, account.user_id, ["applicant"], [], "ses_x"
            )
            principal = await tokens.identify(minted)
            assert principal.subject == account.user_id
            seen.add(principal.revocable[1])
            return minted

        earlier = [await use()]
        command = Command("olga", "yearly")
        for algorithm in ("EdDSA", "ES256", "EdDSA"):
            await records.rotate(algorithm, timedelta(seconds=0.3), timedelta(hours=1), command)  # type: ignore[arg-type]
            before = set(seen)
            await verifying.signing_keys.reload()
            async with asyncio.timeout(60):
                while seen == before:
                    await signing.signing_keys.reload()
                    earlier.append(await use())
                    await asyncio.sleep(0.02)
            for token in earlier:
                await tokens.identify(token)
        assert len(seen) == 4
        assert len(signing.signing_keys.jwks()["keys"]) >= 4


async def test_a_key_nobody_has_read_yet_is_looked_for(lending: Any) -> None:
    async with desk(lending.app) as signing, desk(lending.app) as verifying:
        await PostgresSigningKeys(lending.app).rotate(
            "EdDSA", timedelta(0), timedelta(hours=1), Command("olga", "now")
        )
        await signing.signing_keys.reload()
        minted = signing.sign_in.mint.access_token("acme", "ada", ["applicant"], [], "ses_x")
        assert (await verifier(verifying).identify(minted)).subject == "ada"


async def test_a_stolen_keys_tokens_end_although_they_were_verified(lending: Any) -> None:
    async with desk(lending.app) as identity:
        tokens = verifier(identity)
        minted = identity.sign_in.mint.access_token("acme", "ada", ["applicant"], [], "ses_x")
        await tokens.identify(minted)
        await PostgresSigningKeys(lending.app).rotate(
            "EdDSA", timedelta(0), timedelta(0), Command("olga", "stolen")
        )
        await identity.signing_keys.reload()
        await identity.revocations.reload()
        await refused(tokens, minted)
        again = identity.sign_in.mint.access_token("acme", "ada", ["applicant"], [], "ses_x")
        await tokens.identify(again)


async def test_several_first_starts_make_one_key(lending: Any) -> None:
    await lending.execute("DELETE FROM signing_keys")
    records = PostgresSigningKeys(lending.app)
    await asyncio.gather(*(records.ensure("EdDSA", timedelta(0), timedelta(0)) for _ in range(6)))
    [key] = await records.known()
    sealed = await lending.value("SELECT sealed_private FROM signing_keys")
    assert json.dumps(key.private.as_dict(private=True)["d"]).strip('"').encode() not in sealed


async def test_a_row_somebody_wrote_is_no_key_of_ours(lending: Any) -> None:
    """The public half is computed from what was sealed, not read from a column."""
    records = PostgresSigningKeys(lending.app)
    await records.ensure("EdDSA", timedelta(0), timedelta(0))
    await lending.execute(
        "INSERT INTO signing_keys (tenant_id, kid, algorithm, key_id, sealed_private, active_from)"
        " SELECT tenant_id, 'theirs', algorithm, key_id, sealed_private, active_from"
        " FROM signing_keys LIMIT 1"
    )
    try:
        with pytest.raises(Exception, match="UNDECIPHERABLE"):
            await records.known()
    finally:
        await lending.execute("DELETE FROM signing_keys WHERE kid = 'theirs'")
