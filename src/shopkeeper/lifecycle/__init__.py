"""Lifecycle: jobs in child processes, the registry of versions with its gate, and serving that swaps without a drop.

This room knows algorithms only by the contracts of `core.protocols`; they reach it through `plugins`.
"""
