from __future__ import annotations

import django.db.models.deletion
from django.conf import settings
from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [
        ("poolsite", "0001_initial"),
        migrations.swappable_dependency(settings.AUTH_USER_MODEL),
        ("usage", "0006_statements"),
    ]

    operations = [
        migrations.CreateModel(
            name="SavedView",
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
                ("name", models.CharField(max_length=80)),
                ("query", models.CharField(max_length=2000)),
                ("created_at", models.DateTimeField()),
                (
                    "user",
                    models.ForeignKey(
                        on_delete=django.db.models.deletion.CASCADE,
                        to=settings.AUTH_USER_MODEL,
                    ),
                ),
            ],
            options={
                "constraints": [
                    models.UniqueConstraint(
                        fields=("user", "name"), name="savedview_once"
                    )
                ],
            },
        ),
        migrations.CreateModel(
            name="Export",
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
                ("key", models.UUIDField(unique=True)),
                ("kind", models.CharField(max_length=16)),
                ("query", models.CharField(max_length=2000)),
                ("time_zone", models.CharField(default="UTC", max_length=64)),
                ("rows", models.BigIntegerField(null=True)),
                ("size_bytes", models.BigIntegerField(null=True)),
                ("asked_at", models.DateTimeField()),
                ("finished_at", models.DateTimeField(null=True)),
                ("expires_at", models.DateTimeField(db_index=True)),
                (
                    "job",
                    models.ForeignKey(
                        null=True,
                        on_delete=django.db.models.deletion.SET_NULL,
                        to="poolsite.job",
                    ),
                ),
                (
                    "user",
                    models.ForeignKey(
                        on_delete=django.db.models.deletion.CASCADE,
                        to=settings.AUTH_USER_MODEL,
                    ),
                ),
            ],
        ),
        migrations.AddIndex(
            model_name="request",
            index=models.Index(
                condition=models.Q(("session_dim__isnull", False)),
                fields=["session_dim", "at", "model_served_dim", "agent_dim"],
                name="request_session",
            ),
        ),
        migrations.AddIndex(
            model_name="rollupcube",
            index=models.Index(fields=["provider_dim", "bucket"], name="cube_provider"),
        ),
        migrations.AddIndex(
            model_name="rollupcube",
            index=models.Index(fields=["model_dim", "bucket"], name="cube_model"),
        ),
        migrations.AddIndex(
            model_name="rollupcube",
            index=models.Index(fields=["client_key_id", "bucket"], name="cube_key"),
        ),
    ]
