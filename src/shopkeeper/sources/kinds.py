"""What a file can hold, and the fields of each kind, with the names that people give to them."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Field:
    """One field of a kind. `holds`: id, text, number, time, flag or json. `names`: headers it is known by."""

    name: str
    holds: str
    help: str
    names: tuple[str, ...]
    required: bool = False


@dataclass(frozen=True)
class Kind:
    """One kind of file. `rest`: where the columns nobody mapped go (an attribute of the row), or nowhere. `guessed`:
    whether a file is taken for one of this kind unless somebody says so."""

    name: str
    help: str
    fields: tuple[Field, ...]
    rest: bool = False
    guessed: bool = True

    def field(self, name: str) -> Field | None:
        return next((field for field in self.fields if field.name == name), None)


def _field(name: str, holds: str, help: str, names: str, *, required: bool = False) -> Field:
    return Field(name, holds, help, (name, *(part.strip() for part in names.split(","))), required)


_USER = (
    "customer id, customer, customer no, customer number, client id, buyer id, member id, household id, uid, account"
)
_USER += (
    " id, kunde, kundennummer, kunden nr, client, 用户, 用户id, 用户编号, 客户, 客户编号, 顾客编号, 会员编号, 买家id"
)
_ITEM = "item, product id, product, product code, stock code, stockcode, sku, sku id, article, article id, article no"
_ITEM += (
    ", asin, goods id, artikel, artikelnummer, artikel nr, 商品, 商品编号, 商品id, 产品编号, 产品id, 货号, 商品编码"
)
_NAME = "item name, name, product name, description, title, product title, artikelname, bezeichnung"
_NAME += ", 名称, 商品名称, 产品名称, 品名"
_TIME = (
    "timestamp, datetime, date time, date, order date, invoice date, purchase date, created at, event time, ts, ds, day"
)
_TIME += ", transaction timestamp, datum, bestelldatum, 时间, 日期, 下单时间, 订单日期, 购买时间, 交易时间, 销售日期"
_QUANTITY = (
    "qty, pieces, units, units sold, amount sold, sales, sales quantity, count, y, menge, anzahl, 数量, 销量, 件数"
)
_QUANTITY += ", 购买数量, 销售数量, 销售量"
_PRICE = "price, unit cost, item price, price per unit, preis, einzelpreis, stückpreis, 单价, 价格, 售价"
_VALUE = "revenue, total, amount, line total, sales value, turnover, umsatz, betrag, 金额, 销售额, 总价, 总金额"
_STORE = "store, shop, shop id, branch, store nbr, outlet, filiale, 门店, 门店编号, 店铺, 店铺id, 商店"
_CATEGORY = "product category, department, group, kategorie, 类别, 分类, 品类, 商品类别"
_PROMOTION = "promo, onpromotion, discount, campaign, aktion, 促销, 活动"

_store = _field("store_id", "id", "the store; one store `main` when there is no column", _STORE)
_promotion = _field("promotion", "text", "name of the promotion", _PROMOTION)
_value = _field("value", "number", "worth of the line; quantity x unit_price when missing", _VALUE)

ORDERS = Kind(
    "orders",
    "order lines: who bought what, when, how many",
    (
        _field("item_id", "id", "the product", _ITEM, required=True),
        _field("time", "time", "when it was ordered", _TIME, required=True),
        _field("user_id", "id", "the customer; an empty one is a sale without a known customer", _USER),
        _field("quantity", "number", "pieces, negative for a return; 1 when missing", _QUANTITY),
        _field("unit_price", "number", "price of one piece", _PRICE),
        _value,
        _field("order_id", "text", "order or invoice number, kept in the event's context",
               "order, order no, order number, invoice, invoice no, invoice number, basket id, transaction id,"
               " bestellnummer, rechnung, 订单, 订单号, 订单编号, 发票号"),
        _field("event_id", "id", "the line's own id; the file's SHA-256 and the row number when missing",
               "line id, row id, order line id, 行号, 明细编号"),
        _field("item_name", "text", "name of the product, for products not known yet", _NAME),
        _field("category", "text", "category of the product, for products not known yet", _CATEGORY),
        _store,
        _promotion,
    ),
)  # fmt: skip

SALES = Kind(
    "sales",
    "daily sales: pieces of a product on a day",
    (
        _field("time", "time", "the day of the sale (local date)", _TIME, required=True),
        _field("item_id", "id", "the product", _ITEM, required=True),
        _field("quantity", "number", "pieces sold on that day", _QUANTITY, required=True),
        _field("unit_price", "number", "price of one piece", _PRICE),
        _value,
        _field("item_name", "text", "name of the product, for products not known yet", _NAME),
        _field("category", "text", "category of the product, for products not known yet", _CATEGORY),
        _store,
        _promotion,
    ),
)

USERS = Kind(
    "users",
    "customers; every other column becomes an attribute",
    (_field("user_id", "id", "the customer", _USER + ", id", required=True),),
    rest=True,
)

ITEMS = Kind(
    "items",
    "products; every other column becomes an attribute",
    (
        _field("item_id", "id", "the product", _ITEM + ", id", required=True),
        _field("name", "text", "its name; the id when missing", _NAME),
        _field("kind", "text", "product, app, ...; product when missing", "item kind, target kind"),
        _field("category", "text", "its category", _CATEGORY),
        _field("price", "number", "its list price", _PRICE + ", list price, unit price"),
        _field(
            "active",
            "flag",
            "may it be sold and suggested; yes when missing",
            "for sale, available, status, enabled, 在售",
        ),
    ),
    rest=True,
)

EVENTS = Kind(
    "events",
    "events of any type: views, clicks, carts, likes, ratings ...",
    (
        _field("event_type", "text", "what was done", "event, type, action, behavior, behaviour, 行为, 行为类型, 事件",
               required=True),
        _field("target_id", "id", "what it was done to", _ITEM + ", item id, target, content id", required=True),
        _field("time", "time", "when", _TIME, required=True),
        _field("user_id", "id", "who", _USER),
        _field("anonymous_id", "id", "a visitor who is not known", "visitor id, session id, device id, cookie, 访客id"),
        _field("target_kind", "text", "product when missing", "kind, item kind, target type"),
        _field("event_id", "id", "the event's own id; the file's SHA-256 and the row number when missing", "事件id"),
        _store,
        _field("quantity", "number", "pieces", _QUANTITY),
        _field("unit_price", "number", "price of one piece", _PRICE),
        _field("value", "number", "worth, rating or seconds, as the type has it", _VALUE + ", rating, score, 评分"),
        _promotion,
        _field("context", "json", "a JSON object", "properties, payload, extra"),
    ),
)  # fmt: skip

STOCK = Kind(
    "stock",
    "stock levels: pieces on hand and on order",
    (
        _field("item_id", "id", "the product", _ITEM, required=True),
        _field("on_hand", "number", "pieces on hand",
               "stock, stock level, stock on hand, inventory, in stock, available quantity, lagerbestand, bestand,"
               " 库存, 库存量, 现有库存", required=True),
        _store,
        _field("on_order", "number", "pieces on their way; 0 when missing", "ordered, incoming, in transit, 在途"),
        _field("lead_time_days", "number", "days until an order arrives; 7 when missing", "lead time, 交货期"),
        _field("as_of", "time", "when it was counted; now when missing", _TIME + ", counted at, 盘点日期"),
    ),
)  # fmt: skip

DAYS = Kind(
    "days",
    "what is known of days; every other column of numbers becomes a fact (temperature, fuel_price, out_of_stock ...)",
    (
        _field("day", "time", "the day (local date), past or to come", _TIME, required=True),
        _field("store_id", "id", "the store; all stores when missing", _STORE),
        _field("item_id", "id", "the product; all products when missing", _ITEM),
    ),
    rest=True,
    guessed=False,
)

CALENDAR = Kind(
    "calendar",
    "promotions, holidays and closed days, past and planned",
    (
        _field("kind", "text", "promotion, holiday or closed", "type, art, 类型", required=True),
        _field("name", "text", "what it is called; the kind when missing", "title, description, holiday, 名称"),
        _field(
            "from", "time", "its first day (local date)", "start, begin, first day, from day, " + _TIME, required=True
        ),
        _field("to", "time", "its last day; the first when missing", "end, last day, until, to day, bis, 结束日期"),
        _field("item_id", "id", "the product that is on sale; all products when missing", _ITEM),
        _field("store_id", "id", "the store; all stores when missing", _STORE),
        _field("discount", "number", "share of the price that is taken off, 0 to 1", "off, rabatt, 折扣"),
    ),
    guessed=False,
)

KINDS: dict[str, Kind] = {kind.name: kind for kind in (ORDERS, SALES, USERS, ITEMS, EVENTS, STOCK, DAYS, CALENDAR)}


def table(kind: Kind) -> str:
    """The Markdown table of docs/data.md: field, needed or not, meaning, and some of the headers it is known by."""
    lines = ["| field | needed | what it is | known headers, among others |", "|---|---|---|---|"]
    for field in kind.fields:
        latin = [name for name in field.names[1:] if name.isascii()][:4]
        chinese = [name for name in field.names if not name.isascii() and name.strip("abcdefghijklmnopqrstuvwxyz ü")][
            :2
        ]
        known = ", ".join(latin + [name for name in chinese if name not in latin])
        lines.append(f"| `{field.name}` | {'yes' if field.required else ''} | {field.help} | {known} |")
    return "\n".join(lines)
