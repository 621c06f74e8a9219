"""Create or change many rows in one process.

    python -m scripts.bulk_rows keys 100000       prints the text of the last key
    python -m scripts.bulk_rows change-keys 2000
    python -m scripts.bulk_rows providers 100     each with a key and a model of its own

Used by proofs and benchmarks: a hundred thousand runs of `pool key create` would take
a day. But for new keys it goes through the same services as the screens.
"""

from __future__ import annotations

import os
import sys

import django

BATCH = 500
NOWHERE = "http://127.0.0.1:9/v1"


def create_keys(count: int) -> str:
    """Create keys in transactions of 500 and return the last one's text.

    Written as rows rather than through the service, whose audit event and checks a
    key would make ten minutes of this.
    """
    from django.conf import settings
    from django.db import transaction

    from poolsite import version
    from poolsite.client_keys import new_client_key
    from poolsite.clock import SystemClock
    from poolsite.crypto import Peppers
    from usage.models import ClientKey

    now, peppers = SystemClock().now(), Peppers(settings.ROOTS.peppers)
    text = ""
    for start in range(0, count, BATCH):
        rows = []
        for number in range(start, min(start + BATCH, count)):
            made = new_client_key()
            pepper_id, digest = peppers.digest(made.key)
            rows.append(
                ClientKey(
                    name=f"bulk-{number:06}",
                    public_id=made.public_id,
                    digest=digest,
                    pepper_id=pepper_id,
                    last4=made.last4,
                    created_at=now,
                )
            )
            text = made.key.reveal()
        with transaction.atomic():
            version.bump(*ClientKey.objects.bulk_create(rows))
    return text


def change_keys(count: int) -> str:
    """Change this many keys in one transaction, as an import would."""
    from django.db import transaction

    from poolsite.actor import CLI
    from usage import services
    from usage.models import ClientKey

    with transaction.atomic():
        for key in ClientKey.objects.filter(name__startswith="bulk-")[:count]:
            services.update_key(CLI, key, rpm=(key.rpm or 0) + 1_000)
    return ""


def create_providers(count: int) -> str:
    """Create providers nobody answers for, each with a key and a model."""
    from django.db import transaction

    from poolsite.actor import CLI
    from providers.services import credentials, models, providers

    for number in range(count):
        with transaction.atomic():
            provider = providers.create_provider(
                CLI,
                slug=f"bulk-{number:03}",
                base_url=NOWHERE,
                api_format="openai",
                allow_private=True,
            )
            credentials.add_key(CLI, provider, f"sk-bulk-{number:032}")
            models.add_models(CLI, provider, [f"bulk-model-{number:03}"])
    return ""


ACTIONS = {
    "keys": create_keys,
    "change-keys": change_keys,
    "providers": create_providers,
}

if __name__ == "__main__":
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "poolsite.settings")
    django.setup()
    print(ACTIONS[sys.argv[1]](int(sys.argv[2])))
