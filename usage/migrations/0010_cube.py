"""Let several filters of the cube be found together."""

from __future__ import annotations

from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [("usage", "0009_reading")]

    operations = [
        migrations.AddIndex(
            model_name="rollupcube",
            index=models.Index(
                fields=["provider_dim", "model_dim", "bucket"],
                name="cube_provider_model",
            ),
        ),
        migrations.AddIndex(
            model_name="rollupcube",
            index=models.Index(
                fields=["client_key_id", "provider_dim", "model_dim", "bucket"],
                name="cube_key_provider",
            ),
        ),
    ]
