from __future__ import annotations

from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [
        ("providers", "0001_initial"),
    ]

    operations = [
        migrations.AddField(
            model_name="apikey",
            name="revived_at",
            field=models.DateTimeField(null=True),
        ),
    ]
