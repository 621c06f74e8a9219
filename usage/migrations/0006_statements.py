from __future__ import annotations

from django.db import migrations


class Migration(migrations.Migration):
    dependencies = [("usage", "0005_bodies")]

    operations: list[migrations.operations.base.Operation] = []
