"""Addresses, keys and recoverable ECDSA signatures of an EVM chain.

A signature is 65 bytes in 0x hex: r (32), s (32, in the lower half of the order), v (27 or 28).
What checks a stranger's input answers False or None and never raises. Sources: EIP-2 (low s),
EIP-55 (checksummed addresses), RFC 6979 (deterministic signatures).
"""

from __future__ import annotations

import re
from contextlib import suppress
from typing import Final

from coincurve import PrivateKey, PublicKey
from eth_hash.auto import keccak

from models.domain.errors import Invalid

_SECP256K1_ORDER: Final = 0xFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFEBAAEDCE6AF48A03BBFD25E8CD0364141
_ZERO_ADDRESS: Final = "0x" + "0" * 40
_ADDRESS: Final = re.compile(r"0x[0-9a-fA-F]{40}")
_PRIVATE_KEY: Final = re.compile(r"(0x)?[0-9a-fA-F]{64}")
_SIGNATURE: Final = re.compile(r"0x[0-9a-fA-F]{130}")

# The library loads its backend at the first hash. Within a workflow's sandbox, where a freshly
# started worker may compute it, that import fails and would refuse a valid acceptance.
keccak(b"")


def sign_digest(digest: bytes, private_key: str) -> str:
    """Sign 32 bytes: deterministic (RFC 6979), low s, v of 27 or 28."""
    signed = _key(private_key).sign_recoverable(digest, hasher=None)
    return "0x" + (signed[:64] + bytes([signed[64] + 27])).hex()


def address_of(private_key: str) -> str:
    """The checksummed address of a private key (0x hex); the key is in no error's text."""
    return _address_of_public(_key(private_key).public_key)


def recover(digest: bytes, signature_hex: str) -> str | None:
    """The checksummed address that signed, or None for whatever is not one canonical signature.

    Refused: another length or spelling, v other than 27 or 28, a high s (the same signature in a
    second form, EIP-2), values outside the curve, the zero address. Never raises.
    """
    if not isinstance(signature_hex, str) or _SIGNATURE.fullmatch(signature_hex) is None:
        return None
    raw = bytes.fromhex(signature_hex[2:])
    s, v = int.from_bytes(raw[32:64], "big"), raw[64]
    if v not in (27, 28) or s > _SECP256K1_ORDER // 2 or len(digest) != 32:
        return None
    try:
        public = PublicKey.from_signature_and_message(
            raw[:64] + bytes([v - 27]), digest, hasher=None
        )
    except ValueError:  # r or s is zero or outside the order, or no point of the curve has this x
        return None
    address = _address_of_public(public)
    return None if address == _ZERO_ADDRESS else address


def signed_by(digest: bytes, signature: str, address: str) -> bool:
    """Whether this checksummed address (a plain account) signed the digest. Never raises."""
    signer = recover(digest, signature)
    return signer is not None and signer == address


def is_address(text: object) -> bool:
    """Whether this is an address in its EIP-55 spelling; a lower-case one is not."""
    return isinstance(text, str) and _ADDRESS.fullmatch(text) is not None and checksum(text) == text


def checksum(text: str) -> str:
    """The EIP-55 spelling of an address given in any case; raises Invalid for anything else."""
    if not isinstance(text, str) or _ADDRESS.fullmatch(text) is None:
        raise Invalid("ADDRESS_MALFORMED")
    digits = text[2:].lower()
    nibbles = keccak(digits.encode("ascii")).hex()
    cased = (d.upper() if int(n, 16) >= 8 else d for d, n in zip(digits, nibbles, strict=False))
    return "0x" + "".join(cased)


def _key(private_key: str) -> PrivateKey:
    # Whole keys only: the library would pad a truncated one, and sign for an account of nobody.
    if isinstance(private_key, str) and _PRIVATE_KEY.fullmatch(private_key) is not None:
        with suppress(ValueError):  # zero, or beyond the order; the library's text may quote it
            return PrivateKey(bytes.fromhex(private_key[-64:]))
    raise Invalid("PRIVATE_KEY_UNUSABLE")


def _address_of_public(public: PublicKey) -> str:
    return checksum("0x" + keccak(public.format(compressed=False)[1:])[12:].hex())
