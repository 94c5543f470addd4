from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from sqlalchemy import text
from sqlalchemy.exc import IntegrityError

from kit.crypto import SealBroken
from kit.custody import TokenPair
from kit.db import ALL_WORKSPACES, Database
from services.fulfillment import authorization_store, catalogue_store, order_tables, shop_store
from services.fulfillment.domain import OpenedShop, Shop
from services.fulfillment.products import SeenProduct, Sku
from tests.fulfillment.stage import WORKSPACE, a_vault

NOW = datetime(2027, 1, 4, 18, 0, tzinfo=UTC)
TOKENS = TokenPair("planted-access", NOW + timedelta(days=7), "planted-refresh", NOW + timedelta(days=365))


def an_opened(number: int) -> OpenedShop:
    return OpenedShop(str(number), f"planted-cipher-{number}", f"Shop {number}", "C", "US", "LOCAL")


def connect(database: Database, *opened: OpenedShop, seller: str = "seller-1") -> list[Shop]:
    with database.transaction(WORKSPACE) as tx:
        authorization_id = authorization_store.save_connection(
            tx,
            a_vault(),
            workspace_id=WORKSPACE,
            seller_open_id=seller,
            seller_name="Emberfold",
            seller_region="US",
            scopes=["seller.product.basic"],
            tokens=TOKENS,
            opened=opened,
        )
        return shop_store.shops_of(tx, WORKSPACE, authorization_id)


def a_product(title: str, description: str | None = None) -> SeenProduct:
    sku = Sku("1", "EF-1", None, 3, (), "")
    images = None if description is None else ("https://p.example/1.jpg",)
    return SeenProduct("17", title, "ACTIVATE", (sku,), NOW, NOW, description, images)


def test_the_tables_are_what_the_migrations_make(database: Database) -> None:
    with database.engine.connect() as connection:
        context = MigrationContext.configure(
            connection,
            opts={"include_name": lambda name, kind, _: kind != "table" or name != "alembic_version"},
        )
        assert compare_metadata(context, order_tables.metadata) == []


def test_a_token_and_a_cipher_open_in_their_own_place_only(database: Database) -> None:
    first, second = connect(database, an_opened(1), an_opened(2))
    with database.transaction(WORKSPACE) as tx:
        assert shop_store.read_cipher(tx, a_vault(), first) == "planted-cipher-1"
        tx.execute(text("UPDATE shops SET cipher = (SELECT cipher FROM shops WHERE name = 'Shop 1')"))
        with pytest.raises(SealBroken):
            shop_store.read_cipher(tx, a_vault(), second)


def test_a_shop_that_the_consent_no_longer_opens_is_closed_and_one_of_another_consent_comes_over(
    database: Database,
) -> None:
    both = connect(database, an_opened(1), an_opened(2))
    left = connect(database, an_opened(2))
    assert [(shop.name, shop.state.value) for shop in left] == [("Shop 1", "DISCONNECTED"), ("Shop 2", "CONNECTED")]
    assert [shop.shop_id for shop in left] == [shop.shop_id for shop in both]
    # Another app knows the seller by another id.
    moved = connect(database, an_opened(1), an_opened(2), seller="seller-2")
    assert [shop.shop_id for shop in moved] == [shop.shop_id for shop in both]
    with database.transaction(ALL_WORKSPACES) as tx:
        assert tx.execute(text("SELECT seller_open_id FROM authorizations")).scalars().all() == ["seller-2"]


def test_the_database_refuses_a_shop_that_is_open_twice_and_a_state_without_its_facts(database: Database) -> None:
    connect(database, an_opened(1))
    for statement, rule in (
        (
            "INSERT INTO shops SELECT (s).* FROM (SELECT jsonb_populate_record(shops, jsonb_build_object("
            "'shop_id', gen_random_uuid(), 'workspace_id', gen_random_uuid())) AS s FROM shops) AS copies",
            "a_shop_is_open_in_one_workspace",
        ),
        ("UPDATE authorizations SET state = 'AUTHORIZATION_LOST'", "only_a_connected_one_has_no_problem"),
        ("UPDATE authorizations SET access_token = NULL", "only_a_disconnected_one_has_no_tokens"),
        ("UPDATE authorizations SET state = 'GONE', problem = 'x'", "authorization_state_is_known"),
    ):
        with pytest.raises(IntegrityError, match=rule), database.transaction(ALL_WORKSPACES) as tx:
            tx.execute(text(statement))


def test_what_was_read_later_is_not_overwritten_by_an_older_answer(database: Database) -> None:
    (shop,) = connect(database, an_opened(1))

    def kept(tx_title: str, asked: datetime, description: str | None = None) -> tuple[str, str, bool]:
        with database.transaction(WORKSPACE) as tx:
            catalogue_store.save_products(tx, shop, [a_product(tx_title, description)], asked)
            row = tx.execute(text("SELECT title, description, is_detail_due FROM products")).one()
            return row.title, row.description, row.is_detail_due

    assert kept("listed", NOW) == ("listed", "", True)
    assert kept("whole", NOW + timedelta(seconds=5), "Soft.") == ("whole", "Soft.", False)
    assert kept("late", NOW + timedelta(seconds=1)) == ("whole", "Soft.", False)
    assert kept("listed again", NOW + timedelta(seconds=9)) == ("listed again", "Soft.", False)
    with database.transaction(WORKSPACE) as tx:
        catalogue_store.set_gone(tx, shop, ["17"], NOW + timedelta(seconds=8))
        assert tx.execute(text("SELECT status FROM products")).scalar_one() == "ACTIVATE"
        catalogue_store.set_gone(tx, shop, ["17"], NOW + timedelta(seconds=10))
        assert tx.execute(text("SELECT status FROM products")).scalar_one() == "DELETED"


def test_a_catalogue_is_read_by_one_at_a_time_and_by_the_next_when_the_lease_ends(database: Database) -> None:
    (shop,) = connect(database, an_opened(1))

    def claim() -> catalogue_store.Reading | None:
        with database.transaction(ALL_WORKSPACES) as tx:
            return catalogue_store.claim_reading(tx, 60)

    first = claim()
    assert first is not None
    assert claim() is None
    with database.transaction(WORKSPACE) as tx:
        assert catalogue_store.take_reading(tx, shop, 60) is None
        tx.execute(text("UPDATE shops SET catalogue_lease_time = now() - interval '1 second'"))
    second = claim()
    assert second is not None
    with database.transaction(WORKSPACE) as tx:
        assert catalogue_store.keep_reading(tx, first, 60) is None
        catalogue_store.end_listing(tx, first, is_whole=True)
        catalogue_store.release_reading(tx, first, 600)
        kept = catalogue_store.keep_reading(tx, second, 60)
        assert kept is not None
        assert tx.execute(text("SELECT catalogue_cursor, catalogue_time FROM shops")).one() == (None, None)
        catalogue_store.release_reading(tx, kept, 0)
    assert claim() is not None


def test_ids_of_shops_are_in_the_order_of_their_making(database: Database) -> None:
    first, second = connect(database, an_opened(1), an_opened(2))
    assert first.shop_id < second.shop_id
    assert first.shop_id.version == 7
