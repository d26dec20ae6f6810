"""Tables to train on: from files, object stores and databases. Entry-point group `shopkeeper.tables`, one class a kind.

table = read_table({"kind": "file", "path": "visits.csv", "label": "bought"}, zone="UTC", report=silent)
table.frame, table.facts
"""

from shopkeeper.sources.tables.base import LEARNING, Options, Reach, Table, TableSource
from shopkeeper.sources.tables.reading import kind_of, options_of, reach_of, read_table

__all__ = ["LEARNING", "Options", "Reach", "Table", "TableSource", "kind_of", "options_of", "reach_of", "read_table"]
