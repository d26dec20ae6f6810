"""Shopkeeper (掌柜): know every customer, suggest the right thing, stock ahead."""

__version__ = "0.1.0"
