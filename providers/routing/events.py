"""Shared events: what many secrets failing alike is blamed on, instead of them.

The diagnosis names the cause; this part takes the punishments of the secrets back and
leaves alone, briefly, what is to blame. The failure of the probe after that makes the
event longer and again punishes no secret.
"""

from __future__ import annotations

from collections.abc import Sequence

from providers.routing import diagnosis
from providers.routing.cooldowns import CooldownSettings, Rule, event_rule, rules_of
from providers.routing.diagnosis import Evidence, Place, Verdict, group_of
from providers.routing.memory import Memory
from providers.routing.remembered import State
from providers.routing.subjects import (
    ACCOUNT,
    EGRESS,
    EGRESS_SUBJECT,
    MODEL,
    PROVIDER,
    Names,
)
from usage.journal.records import Fact


class Events:
    """The events of one process."""

    __slots__ = ("_forgiven", "_memory", "_rules", "_standing", "evidence")

    def __init__(self, memory: Memory) -> None:
        self._memory = memory
        self.evidence = Evidence(memory.settings)
        self._rules = rules_of(memory.settings)
        self._standing: dict[tuple[int, str], str] = {}
        self._forgiven: dict[int, float] = {}

    def configure(self, settings: CooldownSettings) -> None:
        """Take over other numbers."""
        self._rules = rules_of(settings)
        self.evidence.configure(settings)

    def forget(self) -> None:
        """Begin anew, after everything was cleared by hand."""
        self.evidence.forget()
        self._standing.clear()
        self._forgiven.clear()

    def failed(
        self,
        place: Place,
        names: Names,
        kind: str,
        *,
        hint_s: float | None,
        error: str,
        now: float,
    ) -> Sequence[Fact] | None:
        """Learn of a failure; None when it is its own subject's, else what changed."""
        group = group_of(kind)
        if not group:
            return None
        event = self._event_over(names, group, now)
        if event is not None:
            return self._again(event, kind, hint_s, now)
        verdict = self.evidence.failed(place, kind, now)
        if verdict is None or not self._is_shared(verdict, now):
            return None
        return self._open_event(verdict, kind, hint_s, error)

    def _event_over(self, names: Names, group: str, now: float) -> str | None:
        """Return the event a failure belongs to that stands or was just over."""
        settings = self._memory.settings
        for place in (EGRESS, PROVIDER, MODEL, ACCOUNT):
            state = self._memory.states.get(names[place])
            if state is None or not state.is_event or group_of(state.reason) != group:
                continue
            if group == "refused" and state.until <= now:
                # Secrets that are refused again are bad ones after all.
                del self._memory.states[names[place]]
            elif now - state.until <= settings.reset_after_s:
                return names[place]
        return None

    def _again(
        self, subject: str, kind: str, hint_s: float | None, now: float
    ) -> Sequence[Fact]:
        """Learn that an event goes on: only a probe's failure makes it longer."""
        state = self._memory.states[subject]
        if state.until > now and not state.probe_until:
            return ()
        rule = event_rule(self._memory.settings, PROVIDER)
        return self._memory.punish(subject, rule, kind, hint_s, state.error)

    def _is_shared(self, verdict: Verdict, now: float) -> bool:
        """Tell whether to believe a verdict.

        Secrets that are all refused again are bad secrets after all.
        """
        if verdict.group != "refused" or verdict.cause == diagnosis.ACCOUNT:
            return True
        last = self._forgiven.get(verdict.provider_id)
        if last is not None and now - last > self._memory.settings.diagnosis_window_s:
            if now - last < self._memory.settings.forgive_again_s:
                return False
            last = None
        if last is None:
            self._forgiven[verdict.provider_id] = now
        return True

    def _open_event(
        self, verdict: Verdict, kind: str, hint_s: float | None, error: str
    ) -> Sequence[Fact]:
        """Take the punishments back and leave alone what is to blame."""
        subject, rule = self._blamed(verdict, kind)
        facts = self._take_back(verdict)
        place = (verdict.provider_id, verdict.group)
        before = self._standing.get(place)
        if before is not None and before != subject:
            state = self._memory.states.get(before)
            if state is not None and state.is_event:
                facts.append(self._memory.end(before))
        self._standing[place] = subject
        self._memory.states[subject] = State(kind, is_event=True)
        facts += self._memory.punish(subject, rule, kind, hint_s, error)
        return facts

    def _blamed(self, verdict: Verdict, kind: str) -> tuple[str, Rule]:
        if verdict.cause == diagnosis.EGRESS:
            return EGRESS_SUBJECT, event_rule(self._memory.settings, EGRESS)
        if verdict.cause == diagnosis.MODEL:
            return f"model:{verdict.model_id}", event_rule(self._memory.settings, MODEL)
        if verdict.cause == diagnosis.ACCOUNT:
            own = self._rules[kind]
            if own.after > 1:
                own = event_rule(self._memory.settings, ACCOUNT)
            return verdict.account, own
        return f"provider:{verdict.provider_id}", event_rule(
            self._memory.settings, PROVIDER
        )

    def _take_back(self, verdict: Verdict) -> list[Fact]:
        """Forget what secrets are held responsible for since the event began."""
        subjects = set()
        for credential, model_id in verdict.punished:
            own = credential.partition(":")[2]
            subjects |= {credential, f"limit:{own}:{model_id}"}
        if verdict.cause == diagnosis.EGRESS:
            subjects |= {
                name
                for name in self._memory.states
                if name.startswith(("provider:", "model:", "limit:"))
            }
        facts = []
        for subject in subjects:
            state = self._memory.states.get(subject)
            if state is None or state.last < verdict.onset:
                continue
            if group_of(state.reason) != verdict.group:
                continue
            if state.until > 0:
                facts.append(self._memory.end(subject))
            else:
                del self._memory.states[subject]
        return facts
