from __future__ import annotations

from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [("usage", "0004_recalculation")]

    operations = [
        migrations.CreateModel(
            name="RequestBody",
            fields=[
                (
                    "request_id",
                    models.UUIDField(primary_key=True, serialize=False),
                ),
                ("at", models.DateTimeField(db_index=True)),
                ("asked", models.BinaryField(null=True)),
                ("asked_bytes", models.BigIntegerField(null=True)),
                ("asked_is_cut", models.BooleanField(default=False)),
                ("answered", models.BinaryField(null=True)),
                ("answered_bytes", models.BigIntegerField(null=True)),
                ("answered_is_cut", models.BooleanField(default=False)),
            ],
        ),
    ]
