"""Webhooks' secrets cannot be read in the database, nor in its backups."""

import base64
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path

import pytest
import sqlalchemy as sa

from api.db.session import engine_work, tenant_work
from api.db.tables import webhooks
from api.settings import read_gateway_settings
from api.webhooks.endpoints import rotate_secret
from api.webhooks.sealing import KEY_BYTES, SecretBox
from api.webhooks.sender import send_next
from api.webhooks.signing import is_signed_by
from shared.errors import InvalidInput
from tests.webhook_world import World, open_world

KEY, OTHER = bytes(range(KEY_BYTES)), bytes(KEY_BYTES)


@pytest.fixture
def world(tmp_path: Path) -> Iterator[World]:
    """A database and a sender that seal."""
    opened = open_world(tmp_path)
    opened.seal(KEY)
    yield opened
    opened.database.dispose()


def _stored(world: World) -> list[str]:
    with engine_work(world.database) as work:
        columns = (webhooks.c.secret, webhooks.c.previous_secret)
        return [
            text for row in work.connection.execute(sa.select(*columns)) for text in row if text
        ]


def test_messages_are_signed_with_what_is_stored_sealed(world: World) -> None:
    """The receiver's secret fits; the stored text does not tell it."""
    _, secret = world.create()
    world.happen()
    send_next(world.sender)

    ((_, headers, body),) = world.received
    assert is_signed_by(secret, headers, body, world.now)
    assert [] == [text for text in _stored(world) if secret[6:] in text]
    assert all(text.startswith("sealed:") for text in _stored(world))


def test_after_a_rotation_both_secrets_sign(world: World) -> None:
    """Sealed as they are."""
    webhook_id, old = world.create()
    with tenant_work(world.database, "ten_a") as work:
        _, new = rotate_secret(
            work, webhook_id, now=world.now, random_bytes=lambda n: b"r" * n, box=world.box
        )
    world.happen()
    world.now += timedelta(seconds=1)
    send_next(world.sender)

    ((_, headers, body),) = world.received
    assert [True, True] == [is_signed_by(each, headers, body, world.now) for each in (old, new)]
    assert 2 == len(_stored(world))


def test_keys_are_replaced_one_after_the_other(world: World) -> None:
    """The new key seals; the old one still opens what it sealed."""
    _, secret = world.create()
    world.seal(OTHER, KEY)
    world.happen()
    send_next(world.sender)

    ((_, headers, body),) = world.received
    assert is_signed_by(secret, headers, body, world.now)


def test_without_its_key_nothing_is_sent(world: World) -> None:
    """And the delivery's log says why."""
    world.create()
    world.seal(OTHER)
    world.happen()
    send_next(world.sender)

    assert [] == world.received


def test_a_secret_belongs_to_its_webhook() -> None:
    """A row that was given another's does not open."""
    box = SecretBox((KEY,))
    sealed = box.seal("whsec_x", "whk_a")

    assert "whsec_x" == box.open(sealed, "whk_a")
    with pytest.raises(InvalidInput, match="TALKSPLAT_SECRETS_KEY"):
        box.open(sealed, "whk_b")


def test_what_was_stored_before_there_was_a_key_is_read() -> None:
    """Until it is rotated."""
    assert "whsec_x" == SecretBox((KEY,)).open(SecretBox().seal("whsec_x", "a"), "a")


@pytest.mark.parametrize("text", ["secret!", base64.b64encode(b"short secret").decode()])
def test_a_bad_key_is_refused_without_being_shown(text: str) -> None:
    """With how to make one."""
    with pytest.raises(InvalidInput, match="TALKSPLAT_SECRETS_KEY is not shown") as refusal:
        read_gateway_settings({"TALKSPLAT_SECRETS_KEY": text})

    assert text not in refusal.value.message


def test_keys_come_in_base64_with_commas_between() -> None:
    """The first one seals; none is shown where settings are printed."""
    text = ",".join(base64.b64encode(key).decode() for key in (KEY, OTHER))
    settings = read_gateway_settings({"TALKSPLAT_SECRETS_KEY": text})

    assert (KEY, OTHER) == settings.secrets_key
    assert repr(KEY) not in repr(settings)
