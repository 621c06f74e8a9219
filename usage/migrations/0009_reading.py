"""Indexes that big ledgers are read by."""

from __future__ import annotations

from typing import Any

from django.db import migrations, models


def cover_sessions(_apps: Any, schema_editor: Any) -> None:
    """Let PostgreSQL sort sessions by cost from an index alone.

    A season has hundreds of thousands. SQLite has no such indexes and needs none.
    """
    if schema_editor.connection.vendor == "postgresql":
        schema_editor.execute(
            "CREATE INDEX rollupday_session ON usage_rollupday (ref, bucket)"
            " INCLUDE (cost_nano_usd, requests) WHERE kind = 'session'"
        )


def uncover_sessions(_apps: Any, schema_editor: Any) -> None:
    """Drop that index."""
    schema_editor.execute("DROP INDEX IF EXISTS rollupday_session")


class Migration(migrations.Migration):
    dependencies = [("usage", "0008_budgets")]

    operations = [
        # With the id in it, a page of a key's requests is found without reading them.
        migrations.RemoveIndex(model_name="request", name="request_key_at"),
        migrations.AddIndex(
            model_name="request",
            index=models.Index(
                fields=["client_key_id", "at", "id"], name="request_key_at_id"
            ),
        ),
        migrations.AddIndex(
            model_name="rollupday",
            index=models.Index(
                fields=["kind", "ref", "bucket"], name="rollupday_value"
            ),
        ),
        migrations.RunPython(cover_sessions, uncover_sessions),
    ]
