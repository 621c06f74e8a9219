"""Forms of alert channels: a webhook's URL and secret are write-only."""

from __future__ import annotations

from typing import Any, Final

from django import forms

from poolsite.delivery import events
from poolsite.delivery.rows import AlertChannel
from poolsite.delivery.services import DIGEST_S, LONGEST_DIGEST_S, Terms
from poolsite.ui.forms import SecretField

_SEVERITIES: Final = (
    ("info", "Everything"),
    ("warning", "Warnings and errors"),
    ("error", "Errors only"),
)


class ChannelForm(forms.Form):
    """What a channel of either kind has."""

    kind: str = ""
    name = forms.CharField(max_length=80)
    events = forms.MultipleChoiceField(
        choices=list(events.WORDS.items()),
        widget=forms.CheckboxSelectMultiple,
        label="Tell about",
    )
    least_severity = forms.ChoiceField(choices=_SEVERITIES, label="Of the alerts")
    digest_s = forms.IntegerField(
        min_value=0,
        max_value=LONGEST_DIGEST_S,
        label="Gather for",
        help_text="Seconds. What happens meanwhile is one message; errors do not wait.",
    )

    def __init__(
        self, *args: Any, channel: AlertChannel | None = None, **kwargs: Any
    ) -> None:
        super().__init__(*args, **kwargs)
        self.channel = channel
        if channel is None:
            self.initial.update(
                events=list(events.ALERTS),
                least_severity="info",
                digest_s=DIGEST_S[AlertChannel.Kind(self.kind)],
            )
        else:
            for name in ("name", "events", "least_severity", "digest_s"):
                self.initial[name] = getattr(channel, name)
            self.keep(channel)

    def keep(self, channel: AlertChannel) -> None:
        """Show what else is stored, as far as it may be shown."""

    def terms(self) -> Terms:
        """Return what was entered; blank secrets keep the stored ones."""
        return Terms(**self.cleaned_data)


class WebhookForm(ChannelForm):
    """A webhook."""

    kind = AlertChannel.Kind.WEBHOOK.value
    url = SecretField(label="URL", max_length=2_000)
    secret = SecretField(
        label="Signing secret",
        required=False,
        help_text="Leave empty to have one made; it is shown once.",
    )
    field_order = ("name", "url", "secret", "events", "least_severity", "digest_s")

    def keep(self, channel: AlertChannel) -> None:
        """Show where the stored URL leads, and that there is a secret."""
        url, secret = self.fields["url"], self.fields["secret"]
        if isinstance(url, SecretField) and isinstance(secret, SecretField):
            url.set_stored(f"{channel.target_origin}/…")
            url.help_text = "Leave empty to keep the stored one."
            secret.set_stored("••••")
            secret.help_text = "Leave empty to keep the stored one."


class MailForm(ChannelForm):
    """Addresses that get mail."""

    kind = AlertChannel.Kind.MAIL.value
    addresses = forms.CharField(
        widget=forms.Textarea(attrs={"rows": 3}),
        max_length=8_000,
        help_text="One a line.",
    )
    field_order = ("name", "addresses", "events", "least_severity", "digest_s")

    def keep(self, channel: AlertChannel) -> None:
        """Show the addresses."""
        self.initial["addresses"] = "\n".join(channel.addresses)

    def clean_addresses(self) -> list[str]:
        """Split the lines; commas do as well."""
        text: str = self.cleaned_data["addresses"]
        return text.replace(",", "\n").split()


FORMS: Final[dict[str, type[ChannelForm]]] = {
    form.kind: form for form in (WebhookForm, MailForm)
}
