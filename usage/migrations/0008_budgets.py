"""Budgets of agents and sessions: whom a rule is for, and the amount that warns."""

from __future__ import annotations

from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [("usage", "0007_saved")]

    operations = [
        migrations.AddField(
            model_name="budget",
            name="applies_to",
            field=models.CharField(
                blank=True,
                choices=[
                    ("", "every one"),
                    ("one", "this one"),
                    ("agent", "sessions of this agent"),
                    ("provider", "sessions served by this provider"),
                ],
                db_default="",
                default="",
                max_length=8,
            ),
        ),
        migrations.AddField(
            model_name="budget",
            name="warn_nano_usd",
            field=models.BigIntegerField(null=True),
        ),
    ]
