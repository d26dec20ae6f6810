"""Experiments: who is answered how, what came of it, and when it is over."""

from shopkeeper.lifecycle.experiments.assigning import Assignments, Chosen
from shopkeeper.lifecycle.experiments.book import ExperimentBook
from shopkeeper.lifecycle.experiments.keeper import Keeper
from shopkeeper.lifecycle.experiments.targets import Targets, TriedTarget

__all__ = ["Assignments", "Chosen", "ExperimentBook", "Keeper", "Targets", "TriedTarget"]
