from __future__ import annotations

import django.db.models.deletion
from django.conf import settings
from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [
        ("poolsite", "0001_initial"),
        ("usage", "0005_bodies"),
        migrations.swappable_dependency(settings.AUTH_USER_MODEL),
    ]

    operations = [
        migrations.CreateModel(
            name="VendorStatement",
            fields=[
                (
                    "id",
                    models.BigAutoField(
                        auto_created=True,
                        primary_key=True,
                        serialize=False,
                        verbose_name="ID",
                    ),
                ),
                ("provider", models.CharField(max_length=64)),
                ("shape", models.CharField(max_length=32)),
                ("file_name", models.CharField(max_length=200)),
                ("digest", models.CharField(db_index=True, max_length=64)),
                ("time_zone", models.CharField(default="UTC", max_length=64)),
                ("first_day", models.DateField()),
                ("last_day", models.DateField()),
                ("currency", models.CharField(default="USD", max_length=3)),
                ("usd_per_unit", models.CharField(blank=True, max_length=40)),
                ("threshold_bp", models.PositiveIntegerField(default=100)),
                ("floor_nano_usd", models.BigIntegerField(default=10000000)),
                ("rows", models.PositiveIntegerField(default=0)),
                ("repeats", models.PositiveIntegerField(default=0)),
                ("credits_nano_usd", models.BigIntegerField(default=0)),
                (
                    "state",
                    models.CharField(
                        choices=[
                            ("reading", "not read whole"),
                            ("comparing", "being compared"),
                            ("compared", "compared"),
                            ("stopped", "not compared"),
                        ],
                        default="reading",
                        max_length=10,
                    ),
                ),
                ("found", models.JSONField(null=True)),
                ("created_at", models.DateTimeField()),
                ("compared_at", models.DateTimeField(null=True)),
                (
                    "created_by",
                    models.ForeignKey(
                        null=True,
                        on_delete=django.db.models.deletion.SET_NULL,
                        related_name="+",
                        to=settings.AUTH_USER_MODEL,
                    ),
                ),
                (
                    "job",
                    models.ForeignKey(
                        null=True,
                        on_delete=django.db.models.deletion.SET_NULL,
                        to="poolsite.job",
                    ),
                ),
            ],
        ),
        migrations.CreateModel(
            name="StatementLine",
            fields=[
                (
                    "id",
                    models.BigAutoField(
                        auto_created=True,
                        primary_key=True,
                        serialize=False,
                        verbose_name="ID",
                    ),
                ),
                ("day", models.DateField()),
                ("model", models.CharField(blank=True, max_length=255)),
                ("cost_nano_usd", models.BigIntegerField(null=True)),
                ("input_tokens", models.BigIntegerField(null=True)),
                ("cache_read_tokens", models.BigIntegerField(null=True)),
                ("cache_write_tokens", models.BigIntegerField(null=True)),
                ("output_tokens", models.BigIntegerField(null=True)),
                ("requests", models.BigIntegerField(null=True)),
                ("repeats", models.PositiveIntegerField(default=0)),
                ("repeated_nano_usd", models.BigIntegerField(default=0)),
                ("repeated_tokens", models.BigIntegerField(default=0)),
                (
                    "statement",
                    models.ForeignKey(
                        on_delete=django.db.models.deletion.CASCADE,
                        to="usage.vendorstatement",
                    ),
                ),
            ],
            options={
                "constraints": [
                    models.UniqueConstraint(
                        fields=("statement", "day", "model"), name="statementline_once"
                    )
                ],
            },
        ),
        migrations.CreateModel(
            name="StatementComparison",
            fields=[
                (
                    "id",
                    models.BigAutoField(
                        auto_created=True,
                        primary_key=True,
                        serialize=False,
                        verbose_name="ID",
                    ),
                ),
                ("day", models.DateField()),
                ("model", models.CharField(blank=True, max_length=255)),
                ("ledger_models", models.JSONField(default=list)),
                ("is_named", models.BooleanField(default=False)),
                ("cause", models.CharField(blank=True, max_length=16)),
                ("detail", models.CharField(blank=True, max_length=300)),
                ("weight_nano_usd", models.BigIntegerField(default=0)),
                ("billed", models.JSONField(null=True)),
                ("known", models.JSONField(null=True)),
                (
                    "statement",
                    models.ForeignKey(
                        on_delete=django.db.models.deletion.CASCADE,
                        to="usage.vendorstatement",
                    ),
                ),
            ],
            options={
                "indexes": [
                    models.Index(
                        fields=["statement", "is_named", "-weight_nano_usd"],
                        name="statementcomparison_named",
                    )
                ],
                "constraints": [
                    models.UniqueConstraint(
                        fields=("statement", "day", "model"),
                        name="statementcomparison_once",
                    )
                ],
            },
        ),
    ]
