"""What the demo prints while it happens: a line a stage, with the time it took."""

from __future__ import annotations

import shlex
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Final

from rich.console import Console

from sandbox.persona import Step
from sandbox.stack import Stack

# Who stands here was let through by the eligibility rules.
_AFTER_ELIGIBILITY: Final = frozenset({"risk", "credit", "offers", "settlement"})

_DEEDS: Final = {
    "withdraw": "withdrew",
    "provide_information": "answered",
    "approve": "approved",
    "reject": "rejected",
    "request_information": "asked the applicant",
    "reassign": "handed the review to",
}


class Narrator:
    """Tells each thing once; times are seconds since the start."""

    def __init__(self, console: Console, started: float) -> None:
        self._console = console
        self._started = started
        self._last = started
        self._told: set[str] = set()
        self._verified_before = False

    def headline(self, text: str) -> None:
        """Begin a chapter."""
        self._console.print(f"\n[bold]{text}[/bold]")

    def tick(self, text: str) -> None:
        """One thing is done."""
        now = time.monotonic()
        self._console.print(
            f"  [green]✓[/green] {now - self._started:6.2f} s "
            f"[dim]+{now - self._last:.2f}[/dim]  {text}"
        )
        self._last = now

    def told(self, counterparty: str, rules: Sequence[Mapping[str, Any]]) -> None:
        """A counterparty was told beforehand how to behave."""
        for rule in rules:
            times = f", {rule['times']} times" if rule.get("times") else ""
            what = ", ".join(f"{name} {value}" for name, value in rule["do"].items())
            self.tick(f"Told the {counterparty.replace('_', ' ')} beforehand: {what}{times}")

    def applied(self, application_id: str, data: Mapping[str, Any], wallet: str) -> None:
        """The application was taken; of the next one of the same person all is told again."""
        self._verified_before = "identity" in self._told
        self._told.clear()
        amount = data["amount_minor"] / 100
        self.tick(
            f"Applied for {amount:,.2f} {data['currency']} over {data['term_months']} months, "
            f"to be paid to {wallet} ({application_id})"
        )

    def follow(self, view: Mapping[str, Any]) -> None:
        """Tell what is new in the application since the last look."""
        if view["identity"] == "verified":
            how = "before; nobody asked again" if self._verified_before else "by signed callback"
            self._once("identity", f"Identity verified {how}")
        # The stage of a closed application is gone, but a score was made only after the rules.
        if view["stage"] in _AFTER_ELIGIBILITY or view["score"] is not None:
            self._once("eligibility", "Names screened, eligibility rules allow it")
        if view["score"] is not None:
            self._once("score", f"Scored {view['score']}{_held_down(view['score_reasons'])}")
        if view["decision"] is not None:
            self._once("decision", f"Credit policy: {view['decision']}")
        for offer in view["offers"]:
            accepted = f"accepted {offer['offer_id']}"
            if offer["status"] == "replaced" and accepted in self._told:
                self._once(
                    f"dropped {offer['offer_id']}",
                    f"{offer['provider_id']} did not stand by its offer: nothing was paid on it, "
                    "lenders are asked again",
                )
            self._once(f"offer {offer['offer_id']}", f"Offer: {_offer_words(offer)}")
        for missing in view["missing_offers"]:
            self._once(
                f"missing {missing['provider_id']}",
                f"No offer from {missing['provider_id']}: {missing['reason']}",
            )
        if view["state"] == "in_review":
            codes = ", ".join(each["code"] for each in view["reasons"])
            self._once("review", f"Waiting for an operator's review: {codes}")
        self._transaction(view["transaction"])
        notice = view.get("notice")
        if notice is not None:
            due_on = notice["due_at"][:10]
            self._once("notice", f"A notice of adverse action is owed, by {due_on} at the latest")
            if notice["status"] != "pending":
                self._once("notice told", f"The notice of adverse action is {notice['status']}")

    def accepted(self, offer: Mapping[str, Any]) -> None:
        """The borrower accepted."""
        self._told.add(f"accepted {offer['offer_id']}")
        self.tick(f"Accepted: the wallet signed terms {offer['terms_hash'][:18]}… (EIP-712)")

    def took(self, step: Step) -> None:
        """Somebody took another step."""
        who = f"{step.by} ({step.role.replace('_', ' ')})" if step.by else "The applicant"
        to_whom = f" {step.assignee}" if step.assignee else ""
        said = step.reason or step.message or "; ".join(each["text"] for each in step.answers)
        self.tick(f"{who} {_DEEDS[step.do]}{to_whom}" + (f": {said}" if said else ""))
        self._told.discard("review")  # the next one is told again

    def ended(self, view: Mapping[str, Any]) -> None:
        """How the application ended."""
        loan = view["loan"]
        codes = ", ".join(each["code"] for each in view["reasons"])
        because = f" ({codes})" if codes else ""
        booked = f"; {loan['loan_id']} is on the books" if loan else ""
        self.tick(f"[bold]{view['state']}[/bold]{because}{booked}")

    def where_to_look(
        self, stack: Stack, operator_token: str, result: Mapping[str, Any], state_dir: Path
    ) -> None:
        """The addresses, and how to read them."""
        token_path = state_dir / "operator.token"
        token_path.touch(mode=0o600)
        token_path.write_text(operator_token + "\n")
        write_operator_settings(stack, state_dir / "operator.env")
        workflow = result["workflow_ids"][0].replace("/", "%2F")
        rows = {
            "API and its pages": f"{stack.api_url}/docs",
            "Temporal Web UI": f"{stack.temporal.ui_url}/namespaces/caas/workflows/{workflow}",
            "Readable payloads": f"{stack.api_url}/console/sign-in  (paste {token_path}; "
            "the page says what to set in the Web UI)",
            "Chain JSON-RPC": stack.chain.rpc_url,
            "Events": f"{stack.kafka.address}, topic {stack.kafka.topic}  "
            "(.venv/bin/python -m sandbox.consumer_example)",
            "Support's commands": f". {state_dir}/operator.env; "
            ".venv/bin/python cli.py applications list",
            "Files": f"{state_dir}/endpoints.json, {state_dir}/result.json, {state_dir}/logs/",
        }
        self.headline("Everything is still running; Ctrl-C stops it")
        for name, value in rows.items():
            self._console.print(f"  {name:<19} {value}")

    def _transaction(self, transaction: Mapping[str, Any] | None) -> None:
        if transaction is None or transaction["tx_hash"] is None:
            return
        self._once("signed", f"Signed and stored before sending: {transaction['tx_hash']}")
        if transaction["block_number"] is not None:
            depth, block = transaction["confirmations"], transaction["block_number"]
            self._once(f"depth {depth}", f"In block {block}, depth {depth}")
        if transaction["settlement_state"] == "final":
            self._once("final", "Settlement final; ledger cleared")

    def _once(self, key: str, text: str) -> None:
        if key not in self._told:
            self._told.add(key)
            self.tick(text)


def write_operator_settings(stack: Stack, path: Path) -> None:
    """The settings that support staff's commands need, for a shell to read; its owner's alone."""
    needed = ("CAAS_ENVIRONMENT", "CAAS_MASTER_KEYS", "CAAS_TEMPORAL__", "CAAS_DATABASE__")
    lines = [
        f"export {name}={shlex.quote(value)}"
        for name, value in sorted(stack.environment().items())
        if name.startswith(needed)
    ]
    path.touch(mode=0o600)
    path.write_text("\n".join(lines) + "\n")


def _offer_words(offer: Mapping[str, Any]) -> str:
    pay, cost = offer["monthly_payment_minor"] / 100, offer["total_cost_minor"] / 100
    return (
        f"{offer['provider_id']}, {offer['apr_bps'] / 100:.2f} % APR, {pay:,.2f} "
        f"{offer['currency']} a month, total cost {cost:,.2f}"
    )


def _held_down(reasons: Sequence[Mapping[str, Any]]) -> str:
    texts = "; ".join(each["text"] for each in reasons)
    return f" (what held the score down: {texts})" if texts else ""
