"""docs/matching.md says what the code does."""

from pathlib import Path

from shopkeeper.core.clock import MINUTE
from shopkeeper.recommend.matching import lexical, measuring, shop_pairs, table_pairs, text
from shopkeeper.recommend.matching.dssm import Dssm
from shopkeeper.recommend.scenarios import BUILT_IN

PAGE = (Path(__file__).resolve().parents[2] / "docs" / "matching.md").read_text(encoding="utf-8")


def test_the_numbers_and_names_are_those_of_the_code() -> None:
    defaults = Dssm.Params()
    for words in (
        f"--epochs {defaults.epochs} --batch-size {defaults.batch_size}",
        f"vectors of {defaults.dimensions} numbers",
        f"a layer of {defaults.wide} and one of {defaults.narrow}, to {defaults.dimensions} numbers",
        f"in {defaults.buckets:,} places",
        f"The first {defaults.characters:,} characters",
        f"at most {shop_pairs.DRAWN} times",
        f"within {shop_pairs.SPAN // MINUTE} minutes",
        f"fewer than {table_pairs.FEWEST_QUERIES} different queries",
        " and ".join(map(str, text.PIECES)) + " letters",
        f"`recall@{measuring.K}`",
        f"k1 = {lexical.K1}, b = {lexical.B}",
    ):
        assert words in PAGE.replace("\n", " "), words


def test_the_search_asks_for_the_meaning() -> None:
    assert "meaning" in {quota.channel for quota in BUILT_IN["search"].recall}
