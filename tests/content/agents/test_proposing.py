"""Which products are proposed, and what is said of them."""

from decimal import Decimal

from services.content.agents.proposing import File, Product, Sku, caption_of, propose


def sku(available: int = 5, price: str | None = "24.00", name: str = "", kinds: tuple[str, ...] = ()) -> Sku:
    return Sku(name, None if price is None else Decimal(price), "USD", available, kinds)


def product(title: str, *skus: Sku, key: str = "") -> Product:
    return Product(f"id of {title}", key or title, title, skus or (sku(),))


def test_what_sold_best_comes_first_then_what_there_is_most_of_and_nothing_that_is_sold_out() -> None:
    products = [
        product("few", sku(2)),
        product("many", sku(3), sku(90)),
        product("gone", sku(0)),
        product("seller", sku(1)),
    ]
    found = propose(products, {"seller": 3, "gone": 80}, [], days=28, count=10)
    assert [each.product.title for each in found] == ["seller", "many", "few"]
    assert [each.reason for each in found] == [
        "3 sold in 28 days, 1 in stock.",
        "Nothing sold in 28 days, 93 in stock.",
        "Nothing sold in 28 days, 2 in stock.",
    ]
    assert [each.product.title for each in propose(products, {}, [], days=7, count=2)] == ["many", "few"]


def test_without_numbers_no_sales_are_claimed() -> None:
    (found,) = propose([product("box")], None, [], days=28, count=10)
    assert found.reason == "5 in stock; what it sold is not known."


def test_a_text_says_only_what_can_be_bought() -> None:
    box = product(
        "Deck Box",
        sku(price="26.50", kinds=("Colour: Black",)),
        sku(price="24.00", kinds=("Colour: Red",)),
        sku(0, price="9.99", kinds=("Colour: Green",)),
    )
    assert caption_of(box) == "Deck Box\nFrom 24.00 USD.\nBlack or Red."
    assert caption_of(product("Mat")) == "Mat\n24.00 USD."
    assert caption_of(product("Mat", sku(price=None))) == "Mat"
    mixed = product("Mat", sku(), Sku("", Decimal("20"), "GBP", 1))
    assert caption_of(mixed) == "Mat", "prices in two currencies are not compared"


def test_files_are_found_by_the_sellers_sku_and_by_words_of_the_title() -> None:
    box = product("Dragon Vault Deck Box", sku(name="EF-DV-100"))
    files = [
        File("words", "dragon_vault_teaser.mp4"),
        File("one word", "dragon.mp4"),
        File("sku", "IMG ef-dv-100 final.jpg"),
        File("all words", "Deck box, Dragon Vault.mp4"),
        File("other", "playmat.mp4"),
    ]
    (found,) = propose([box], {}, files, days=28, count=1)
    assert found.media_asset_ids == ("sku", "all words", "words")


def test_a_short_sku_is_no_proof_of_anything() -> None:
    (found,) = propose([product("Mat", sku(name="10"))], {}, [File("x", "clip 10.mp4")], days=28, count=1)
    assert found.media_asset_ids == ()
