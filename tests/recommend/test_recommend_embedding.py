"""Every algorithm of the family keeps what its suite asks."""

import pytest

from shopkeeper import plugins
from shopkeeper.checks import embedding

NAMES = ("item2vec", "node2vec", "word2vec")


@pytest.mark.parametrize("check", embedding.CHECKS, ids=lambda check: check.__name__)
@pytest.mark.parametrize("name", NAMES)
def test_every_algorithm_passes(name, check):
    check(plugins.algorithm(name))


def test_all_of_the_family_are_here():
    found = [name for name in plugins.names("algorithm") if plugins.describe(name).task == "embedding"]
    assert found == list(NAMES)
    assert len(embedding.CHECKS) == 11
