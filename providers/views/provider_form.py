"""The form of a provider: the same one adds from the catalogue, adds custom and edits."""

from __future__ import annotations

from typing import Any, Final

from django import forms

from poolsite.ui.forms import SecretLinesField
from providers.catalogue.spec import CatalogueEntry
from providers.discovery.alternates import twins_of
from providers.discovery.roots import filled, placeholders
from providers.formats import registry
from providers.formats.cli_backed.command import is_program
from providers.models import Provider
from providers.services import credentials, server_keys
from providers.services.errors import ServiceError
from providers.services.onboard import FIND_OUT, NewProvider
from providers.services.speech import AUTH_SCHEMES, FORMAT_NAMES, OPTIONS
from providers.views.fields import LinesField, PairsField

_FILL: Final = "fill_"
_NEEDED: Final = {"vertex": ("project", "location")}
"""What a cloud cannot do without, beside what stands in its address."""
_LONGEST_KEYS: Final = 200
_CUSTOM_HINT: Final = (
    "The format's own paths, such as /chat/completions, are appended. Leave it empty "
    "for a program on this machine."
)


class KeyLinesField(SecretLinesField):
    """Our keys, one a line; what is wrong with a line is said by its number.

    Shapes:  ``repeats`` names the lines that were left out because they came before.
    """

    repeats: tuple[str, ...] = ()

    def clean(self, value: Any) -> list[str]:
        """Return the distinct keys.

        Errors: ValidationError naming each line that is no key.
        """
        text = str(value or "").strip()
        # A cloud's credential file is one secret, however many lines it has.
        lines = [text] if text.startswith("{") else text.splitlines()
        seen: dict[str, int] = {}
        wrong, repeats = [], []
        for number, line in enumerate(lines, start=1):
            if not line.strip():
                continue
            try:
                secret = credentials.clean_secret(line)
            except ServiceError as exc:
                wrong.append(f"Line {number}: {exc.message}")
                continue
            first = seen.setdefault(secret, number)
            if first != number:
                repeats.append(f"Line {number} repeats line {first}; it is added once.")
        self.repeats = tuple(repeats)
        if len(seen) > _LONGEST_KEYS:
            wrong.append(f"At most {_LONGEST_KEYS} keys at once.")
        if wrong:
            raise forms.ValidationError([forms.ValidationError(each) for each in wrong])
        self.validate("\n".join(seen))
        return list(seen)


class ProviderForm(forms.Form):
    """A provider: the same form creates and edits."""

    slug = forms.SlugField(
        label="Id",
        max_length=64,
        help_text="Clients may ask for id/model. It cannot be changed later.",
    )
    name = forms.CharField(max_length=120)
    site = forms.ChoiceField(
        label="Region or site",
        required=False,
        help_text="Keys of one site are often not good at another.",
    )
    base_url = forms.CharField(
        label="Base URL",
        max_length=300,
        required=False,
        help_text="The format's own paths, such as /chat/completions, are appended.",
    )
    secrets = KeyLinesField(
        label="API keys",
        required=False,
        help_text="One a line. They are encrypted and never shown again.",
    )
    environment = forms.MultipleChoiceField(
        label="Keys found on the server",
        required=False,
        widget=forms.CheckboxSelectMultiple,
        help_text="Read from the server's environment when you save, never shown.",
    )
    models = LinesField(
        required=False,
        help_text="One a line; what the provider lists is added by itself.",
    )
    api_format = forms.ChoiceField(label="Wire format", initial="openai")
    location = forms.ChoiceField(choices=Provider.Location.choices, initial="cloud")
    priority = forms.IntegerField(
        min_value=0, max_value=100, initial=50, help_text="Higher is asked first."
    )
    allow_private = forms.BooleanField(
        required=False,
        label="Allow this private address",
        help_text="For a server in your own network: exactly this host and port.",
    )
    concurrency = forms.IntegerField(
        min_value=1, required=False, help_text="Most calls at the same time."
    )
    auth_scheme = forms.ChoiceField(
        label="Credential",
        required=False,
        choices=tuple(AUTH_SCHEMES.items()),
        help_text="How the key is sent.",
    )
    headers = PairsField(
        required=False, help_text="name=value, one a line, sent with each call."
    )
    options = PairsField(
        required=False,
        help_text="name=value, one a line; for clouds: " + ", ".join(OPTIONS) + ".",
    )
    may_move = forms.BooleanField(
        required=False,
        label="Try a refused key at the vendor's other sites",
        help_text="The key is sent there: moonshot, siliconflow, dashscope, bigmodel "
        "and z.ai, stepfun, minimax.",
    )

    ADVANCED = (
        "api_format",
        "location",
        "priority",
        "allow_private",
        "concurrency",
        "auth_scheme",
        "headers",
        "options",
        "may_move",
    )

    def __init__(
        self,
        *args: Any,
        provider: Provider | None = None,
        entry: CatalogueEntry | None = None,
        is_owner: bool = False,
        **kwargs: Any,
    ) -> None:
        super().__init__(*args, **kwargs)
        self.provider = provider
        self.entry = entry
        self._set_formats()
        if provider is not None:
            for name in (
                "slug",
                "secrets",
                "models",
                "site",
                "environment",
                "may_move",
            ):
                del self.fields[name]
            self.initial = {name: getattr(provider, name) for name in self.fields}
            return
        self._offer_keys(is_owner=is_owner)
        self._offer_sites()
        if entry is not None:
            self._start_from(entry)
        else:
            self.fields["base_url"].help_text = _CUSTOM_HINT

    def clean_slug(self) -> str:
        """Refuse an id in use before anything is sent out.

        Errors: ValidationError.
        """
        slug = str(self.cleaned_data["slug"]).lower()
        if Provider.objects.filter(slug=slug, deleted_at=None).exists():
            raise forms.ValidationError(f"A provider named {slug} exists already.")
        return slug

    def clean(self) -> dict[str, Any]:
        """Put the address together; only a program has none."""
        data: dict[str, Any] = super().clean() or {}
        url = str(data.get("site") or data.get("base_url") or "")
        if is_program(str(data.get("api_format", ""))):
            data["base_url"] = ""
            return data
        values = {
            name: str(data.get(f"{_FILL}{name}", "")) for name in placeholders(url)
        }
        try:
            data["base_url"] = filled(url, values)
        except ValueError as exc:
            field = f"{_FILL}{exc}"
            words = f"The address needs {exc}: letters, digits, dots and dashes."
            self.add_error(field if field in self.fields else "base_url", words)
            return data
        options = data.setdefault("options", {})
        for name in OPTIONS:
            if data.get(f"{_FILL}{name}"):
                options.setdefault(name, data[f"{_FILL}{name}"])
        if not url and "base_url" not in self.errors:
            self.add_error("base_url", "The base URL is missing.")
        return data

    @property
    def main_fields(self) -> list[Any]:
        """The fields everybody fills in."""
        return [self[name] for name in self.fields if name not in self.ADVANCED]

    @property
    def advanced_fields(self) -> list[Any]:
        """The fields most people leave as they are."""
        return [self[name] for name in self.ADVANCED if name in self.fields]

    @property
    def has_advanced_errors(self) -> bool:
        """Say whether the folded part must be open."""
        return any(name in self.errors for name in self.ADVANCED)

    @property
    def other_sites(self) -> list[str]:
        """The addresses a refused key is also tried at, as the catalogue lists them."""
        return list(self.entry.alternates) if self.entry else []

    @property
    def repeats(self) -> tuple[str, ...]:
        """What to say of keys that were entered twice."""
        field = self.fields.get("secrets")
        return field.repeats if isinstance(field, KeyLinesField) else ()

    def values(self) -> dict[str, Any]:
        """Return what the services take."""
        names = ["name", "base_url", "priority", "api_format", "location"]
        names += ["auth_scheme", "options", "headers"]
        values = {name: self.cleaned_data[name] for name in names}
        values["allow_private"] = self.cleaned_data["allow_private"]
        values["concurrency"] = self.cleaned_data["concurrency"]
        return values

    def new_provider(self) -> NewProvider:
        """Return what is to be tried and stored.

        Errors:  ServiceError for a variable that is not this provider's.
        """
        found = server_keys.read(self.entry, self.cleaned_data.get("environment", []))
        every = [*self.cleaned_data["secrets"], *found]
        return NewProvider(
            slug=self.cleaned_data["slug"],
            catalogue_id=self.entry.id if self.entry else "",
            values=self.values(),
            secrets=list(dict.fromkeys(every)),
            models=self.cleaned_data["models"],
            may_move=bool(self.cleaned_data.get("may_move")),
        )

    def _set_formats(self) -> None:
        names = sorted(registry.formats())
        formats = [(name, FORMAT_NAMES.get(name, name)) for name in names]
        if self.provider is None and self.entry is None:
            formats.insert(0, (FIND_OUT, "Find out by asking (some 10 tiny calls)"))
        self.fields["api_format"].choices = formats  # type: ignore[attr-defined] # a choice field

    def _offer_keys(self, *, is_owner: bool) -> None:
        names = server_keys.offered(self.entry) if is_owner else []
        if not names:
            del self.fields["environment"]
            return
        self.fields["environment"].choices = [  # type: ignore[attr-defined] # a choice field
            (name, f"Use {name} from the server's environment") for name in names
        ]

    def _offer_sites(self) -> None:
        entry = self.entry
        if entry is None or not entry.alternates:
            del self.fields["site"]
        else:
            others = [(url, url) for url in entry.alternates]
            choices = [("", "The base URL below"), *others]
            self.fields["site"].choices = choices  # type: ignore[attr-defined] # a choice field
        if entry is not None and not twins_of(entry.base_url):
            del self.fields["may_move"]

    def _start_from(self, entry: CatalogueEntry) -> None:
        self.initial = {
            "slug": entry.id,
            "name": entry.name,
            "base_url": entry.base_url,
            "api_format": entry.format,
            "location": entry.location,
            "allow_private": entry.location == "local",
            "priority": 50,
            "auth_scheme": entry.auth_scheme,
        }
        self.fields["base_url"].required = not is_program(entry.format)
        urls = (entry.base_url, *entry.alternates)
        names = dict.fromkeys(name for url in urls for name in placeholders(url))
        for name in [*names, *_NEEDED.get(entry.format, ())]:
            hint = f"Takes the place of {{{name}}} in the base URL."
            self.fields[f"{_FILL}{name}"] = forms.CharField(
                label=name.replace("_", " ").capitalize(),
                max_length=63,
                required=name not in names or not entry.alternates,
                help_text=hint if name in names else OPTIONS.get(name, ""),
            )
        filled_in = [name for name in self.fields if name.startswith(_FILL)]
        self.order_fields(["slug", "name", "site", "base_url", *filled_in])
