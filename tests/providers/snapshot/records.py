"""Records for snapshot tests: small pools and large ones."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import msgspec

from pricing.cost import PriceSpec
from providers.snapshot import codec, types

DIGEST = "0" * 64


def client_key(number: int, **changes: object) -> types.ClientKeyRecord:
    record = types.ClientKeyRecord(
        id=number,
        public_id=f"k{number:07d}",
        digest=DIGEST,
        pepper_id="p1",
        name=f"key {number}",
        rpm=600,
        budget_ids=(1,),
    )
    return msgspec.structs.replace(record, **changes)


def provider(number: int, **changes: object) -> types.ProviderRecord:
    origin = f"https://api{number}.example:443"
    record = types.ProviderRecord(
        id=number,
        slug=f"p{number}",
        name=f"Provider {number}",
        format="openai",
        base_url=f"https://api{number}.example/v1",
        origin=origin,
        location="cloud",
        priority=50,
        credentials=(
            types.CredentialRecord(
                id=number,
                kind="api_key",
                label="first",
                mask="sk-…abcd",
                token="gAAAA" + "x" * 120,
                context=f"api_key:{number}:secret",
                origin=origin,
            ),
        ),
    )
    return msgspec.structs.replace(record, **changes)


def model(number: int, provider_id: int, **changes: object) -> types.ModelRecord:
    record = types.ModelRecord(
        id=number,
        provider_id=provider_id,
        model_id=f"model-{number}",
        price=PriceSpec(input=3_000_000_000, output=15_000_000_000),
        price_version_id=1,
        price_source="book",
    )
    return msgspec.structs.replace(record, **changes)


Named = tuple[str, str, msgspec.Struct]


def pool(*, keys: int = 3, models: int = 3, providers: int = 2) -> Iterator[Named]:
    yield types.SETTINGS, "-", types.SettingsRecord()
    for number in range(1, providers + 1):
        yield types.PROVIDER, str(number), provider(number)
    for number in range(1, models + 1):
        owner = (number - 1) % providers + 1
        yield types.MODEL, str(number), model(number, owner)
    target = types.TargetRecord(model_id="model-1")
    yield types.ALIAS, "fast", types.AliasRecord("fast", (target,))
    yield types.BUDGET, "1", types.BudgetRecord(1, "pool", 10**9, "day")
    for number in range(1, keys + 1):
        record = client_key(number)
        yield types.CLIENT_KEY, record.public_id, record


def header(version: int, since: int = 0) -> types.Header:
    return types.Header(types.SCHEMA, version, since, 1_000.0, {})


def publish_base(
    directory: Path, version: int, records: Iterator[Named]
) -> codec.FileRef:
    ref = codec.write_base(directory, header(version), records)
    codec.publish(directory, codec.Manifest(types.SCHEMA, version, ref))
    return ref


def publish_delta(
    directory: Path,
    version: int,
    changes: list[tuple[str, str, msgspec.Struct | None]],
) -> codec.FileRef:
    before = codec.read_manifest(directory)
    assert before is not None
    ref = codec.write_delta(directory, header(version, before.version), changes)
    after = msgspec.structs.replace(
        before, version=version, deltas=(*before.deltas, ref)
    )
    codec.publish(directory, after)
    return ref
