"""Prove that sign-ins are bound, used once, kept safe and end as they should."""

from __future__ import annotations

from collections.abc import Iterator
from urllib.parse import parse_qs, urlsplit

import pytest

from oauth import flow, notices, pending, selectors, vendor_settings
from oauth.models import Account, SignIn
from oauth.services import Place
from oauth.vendors.base import Method
from oauth.vendors.registry import vendor_of
from poolsite import secrets
from poolsite.actor import CLI
from poolsite.clock import ManualClock
from poolsite.egress_control import ControlClient, Vetter
from poolsite.models import AuditEvent
from tests.vendors.issuer import Issuer
from tests.vendors.issuer_shapes import lay_out
from tests.vendors.server import Reply

pytestmark = pytest.mark.django_db
PLACE = Place("acme", "https://acme.example.com:443")
SESSION = "session-1"


class Stage:
    """A pool whose vendors lead to the fake issuer."""

    def __init__(self, issuer: Issuer, http: ControlClient) -> None:
        self.issuer = issuer
        self.clock = ManualClock()
        self.tools = pending.Tools(http, self.clock)

    def open(self, vendor_id: str) -> None:
        vendor = vendor_of(vendor_id)
        known = {knob.name for knob in vendor.knobs}
        for name, value in lay_out(vendor_id, self.issuer).items():
            if name not in known:
                continue
            vendor_settings.change_setting(CLI, vendor, name, value)
        vendor_settings.change_setting(CLI, vendor, "allow_private", "yes")
        notices.accept(CLI, vendor, clock=self.clock)

    def start(self, vendor_id: str, method: Method) -> SignIn:
        return pending.start(
            CLI, PLACE, vendor_id, method, session=SESSION, tools=self.tools
        )

    def poll(self, row: SignIn, *, after_s: float = 5) -> SignIn:
        self.clock.advance(after_s)
        return pending.poll(CLI, row, self.tools)

    def came_back(self, row: SignIn) -> str:
        sent = parse_qs(urlsplit(pending.browser_url(row)).query)
        code = self.issuer.code_for(sent["code_challenge"][0])
        return f"{sent['redirect_uri'][0]}?code={code}&state={sent['state'][0]}"


@pytest.fixture
def stage() -> Iterator[Stage]:
    with Issuer() as issuer, ControlClient(Vetter()) as http:
        yield Stage(issuer, http)


@pytest.mark.parametrize("vendor_id", ["copilot", "codex", "kimi"])
def test_device_sign_in_ends_in_an_account(stage: Stage, vendor_id: str) -> None:
    stage.open(vendor_id)
    row = stage.start(vendor_id, "device")
    code = pending.shown(row)
    assert code is not None
    assert code.user_code == "ABCD-1234"
    assert stage.poll(row).state == "waiting"
    stage.issuer.approve()
    row = stage.poll(row)
    assert (row.state, row.progress) == ("done", "")
    account = Account.objects.get(pk=row.account_id)
    assert secrets.open_for(account, "access_token").origin == PLACE.origin
    assert secrets.open_for(account, "refresh_token").reveal()
    assert account.state == "ok"
    assert account.expires_at is not None


def test_page_that_asks_too_early_does_not_reach_the_vendor(stage: Stage) -> None:
    stage.open("kimi")
    row = stage.start("kimi", "device")
    asked = len(stage.issuer.asked)
    assert stage.poll(row, after_s=4).state == "waiting"
    assert len(stage.issuer.asked) == asked
    stage.poll(row, after_s=1)
    twin = SignIn.objects.get(pk=row.pk)
    pending.poll(CLI, twin, stage.tools)
    assert len(stage.issuer.asked) == asked + 1


def test_slow_down_moves_the_next_poll(stage: Stage) -> None:
    stage.open("xai")
    row = stage.start("xai", "device")
    stage.issuer.say("slow_down")
    stage.poll(row)
    asked = len(stage.issuer.asked)
    stage.poll(row, after_s=9)
    assert len(stage.issuer.asked) == asked
    stage.poll(row, after_s=1)
    assert len(stage.issuer.asked) == asked + 1


@pytest.mark.parametrize(
    ("word", "state"),
    [("access_denied", "denied"), ("expired_token", "expired"), ("odd", "failed")],
)
def test_refusals_end_the_sign_in_and_leave_no_secret(
    stage: Stage, word: str, state: str
) -> None:
    stage.open("kimi")
    row = stage.start("kimi", "device")
    stage.issuer.say(word)
    row = stage.poll(row)
    assert (row.state, row.code, row.progress) == (state, word, "")
    assert row.message
    assert stage.poll(row).state == state


def test_device_code_expires_by_our_clock_too(stage: Stage) -> None:
    stage.open("kimi")
    row = stage.start("kimi", "device")
    assert stage.poll(row, after_s=901).state == "expired"


def test_trouble_is_shown_and_tried_again(stage: Stage) -> None:
    stage.open("kimi")
    row = stage.start("kimi", "device")
    stage.issuer.script.append(Reply({}, status=429, headers={"retry-after": "40"}))
    row = stage.poll(row)
    assert (row.state, "wait" in row.message) == ("waiting", True)
    stage.issuer.approve()
    assert stage.poll(row, after_s=39).state == "waiting"
    assert stage.poll(row, after_s=1).state == "done"


@pytest.mark.parametrize("vendor_id", ["codex", "claude", "gemini_cli"])
def test_pasted_callback_ends_in_an_account_and_works_once(
    stage: Stage, vendor_id: str
) -> None:
    stage.open(vendor_id)
    row = stage.start(vendor_id, "pkce")
    text = stage.came_back(row)
    row = pending.paste(CLI, row, text, stage.tools)
    assert row.state == "done"
    assert row.account is not None
    assert row.account.label == "me@example.com"
    with pytest.raises(pending.SignInError):
        pending.paste(CLI, row, text, stage.tools)


def test_wrong_paste_leaves_the_sign_in_waiting(stage: Stage) -> None:
    stage.open("codex")
    row, other = stage.start("codex", "pkce"), stage.start("codex", "pkce")
    with pytest.raises(flow.PasteError):
        pending.paste(CLI, row, stage.came_back(other), stage.tools)
    assert not stage.issuer.asked
    assert pending.paste(CLI, row, stage.came_back(row), stage.tools).state == "done"


def test_denied_callback_ends_the_sign_in(stage: Stage) -> None:
    stage.open("codex")
    row = stage.start("codex", "pkce")
    came = stage.came_back(row).replace("code=", "error=access_denied&x=")
    assert pending.paste(CLI, row, came, stage.tools).state == "denied"


def test_browser_sign_in_lives_ten_minutes(stage: Stage) -> None:
    stage.open("codex")
    row = stage.start("codex", "pkce")
    text = stage.came_back(row)
    stage.clock.advance(600)
    with pytest.raises(pending.SignInError):
        pending.paste(CLI, row, text, stage.tools)
    assert SignIn.objects.get(pk=row.pk).state == "expired"


def test_sign_in_belongs_to_its_session(stage: Stage) -> None:
    stage.open("codex")
    row = stage.start("codex", "pkce")
    assert pending.find(row.key, SESSION).pk == row.pk
    for key, session in ((row.key, "session-2"), ("other", SESSION)):
        with pytest.raises(pending.SignInError):
            pending.find(key, session)


def test_tokens_survive_trouble_after_the_exchange(stage: Stage) -> None:
    stage.open("gemini_cli")
    row = stage.start("gemini_cli", "pkce")
    stage.issuer.on("GET", "/userinfo", Reply({}, status=200))
    stage.issuer.on("POST", "/v1internal:loadCodeAssist", Reply({}, status=503))
    row = pending.paste(CLI, row, stage.came_back(row), stage.tools)
    assert row.state == "waiting"
    lay_out("gemini_cli", stage.issuer)
    assert stage.poll(row, after_s=10).state == "done"
    assert stage.issuer.issued == 1


def test_cancelled_sign_in_makes_no_account(stage: Stage) -> None:
    stage.open("kimi")
    row = stage.start("kimi", "device")
    pending.cancel(CLI, row, clock=stage.clock)
    stage.issuer.approve()
    assert stage.poll(row).state == "cancelled"
    assert not Account.objects.exists()


def test_same_person_signing_in_again_mends_the_account(stage: Stage) -> None:
    stage.open("claude")
    ids = set()
    for _ in range(2):
        row = stage.start("claude", "pkce")
        row = pending.paste(CLI, row, stage.came_back(row), stage.tools)
        ids.add(row.account_id)
        Account.objects.update(state="needs_login", last_error="gone")
    assert len(ids) == 1
    account = Account.objects.get()
    assert secrets.open_for(account, "refresh_token").reveal() == "refresh-2"
    assert secrets.open_for(account, "previous_refresh_token").reveal() == "refresh-1"
    assert account.token_version == 3


def test_several_people_are_several_accounts(stage: Stage) -> None:
    stage.open("claude")
    for number in (1, 2):
        stage.issuer.more["account"] = {"uuid": f"u-{number}", "email_address": "a@b.c"}
        row = stage.start("claude", "pkce")
        pending.paste(CLI, row, stage.came_back(row), stage.tools)
    labels = {each.label for each in selectors.live_accounts("acme")}
    assert labels == {"a@b.c", "a@b.c 2"}


def test_vendor_is_off_until_the_notice_is_accepted_and_audited(stage: Stage) -> None:
    stage.open("kimi")
    kimi = vendor_of("kimi")
    assert notices.acceptance_of(kimi) is not None
    notices.withdraw(CLI, kimi)
    assert notices.acceptance_of(kimi) is None
    with pytest.raises(pending.SignInError, match="notice"):
        stage.start("kimi", "device")
    with pytest.raises(pending.SignInError, match="notice"):
        pending.bring_in(CLI, PLACE, "kimi", "{}")
    done = AuditEvent.objects.order_by("id").values_list("action", flat=True)
    assert [each for each in done if each.startswith("oauth_terms")] == [
        "oauth_terms.accept",
        "oauth_terms.withdraw",
    ]


def test_template_and_missing_settings_are_refused(stage: Stage) -> None:
    stage.open("qwen")
    with pytest.raises(pending.SignInError, match="withdrawn"):
        stage.start("qwen", "device")
    notices.accept(CLI, vendor_of("antigravity"))
    with pytest.raises(pending.SignInError, match="client_id, client_secret"):
        stage.start("antigravity", "pkce")


def test_client_secret_is_sealed_and_never_audited(stage: Stage) -> None:
    stage.open("gemini_cli")
    settings = vendor_settings.settings_of(vendor_of("gemini_cli"))
    assert settings["client_secret"] == "planted"
    rows = vendor_settings.Setting.objects.values()
    assert "planted" not in f"{list(rows)} {list(AuditEvent.objects.values())}"
    for name, value in (("nobody", "x"), ("token_url", "ftp://x"), ("scope", "a\x00")):
        with pytest.raises(vendor_settings.VendorSettingError):
            vendor_settings.change_setting(CLI, vendor_of("codex"), name, value)


def test_no_row_and_no_event_holds_a_token_in_the_clear(stage: Stage) -> None:
    stage.open("claude")
    row = stage.start("claude", "pkce")
    state = parse_qs(urlsplit(pending.browser_url(row)).query)["state"][0]
    pending.paste(CLI, row, stage.came_back(row), stage.tools)
    tables = (SignIn, Account, AuditEvent)
    text = str([list(each.objects.values()) for each in tables])
    assert not [each for each in (state, "access-1", "refresh-1") if each in text]


def test_imported_token_file_is_an_account(stage: Stage) -> None:
    stage.open("copilot")
    text = '{"github.com": {"oauth_token": "gho_planted", "user": "me"}}'
    account = pending.bring_in(CLI, PLACE, "copilot", text, clock=stage.clock)
    assert account.label == "me"
    assert account.expires_at == stage.clock.now()
    assert secrets.open_for(account, "refresh_token").reveal() == "gho_planted"
    with pytest.raises(pending.SignInError, match="Line 1"):
        pending.bring_in(CLI, PLACE, "copilot", "{planted", clock=stage.clock)
    assert Account.objects.count() == 1
    assert "planted" not in str(list(AuditEvent.objects.values()))
