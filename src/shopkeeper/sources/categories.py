"""Product categories of the bundled shop, read from the product's name by a word list anyone can check.

English puts the thing last: a *cake tin* is a tin, a *bag charm* a charm. So the head of the name (the part before
`with`, `in`, `of the` ...) is read from its end, and the first word that a category knows decides. Seasons are asked
first: a Christmas bauble is bought for Christmas. Words of shape and place (*heart*, *holder*, *garden*) count only
when no word names a thing. What no list knows is `Other`.
"""

from __future__ import annotations

import re

OTHER = "Other"

_SEASONS = {
    "Christmas": "christmas xmas santa reindeer advent bauble baubles nativity rudolph snowman snowmen snowflake noel"
    " stocking scandispot",
    "Easter": "easter",
}

_THINGS = {
    "Bags & purses": "bag bags shopper handbag purse purses washbag holdall backpack rucksack wallet satchel tote"
    " luggage passport",
    "Jewellery & hair": "necklace bracelet bracelets earrings earring ring bangle brooch pendant jewellery hair comb"
    " charm charms necklaces lariat anklet bead beads hairclip hairclips tiara headband scrunchie"
    " keyring key-ring hairslide hairband grips slides bangles choker braclet key-chains tiaras fob"
    " neckl",
    "Candles & light": "candle candles t-light t-lights tlight tealight tealights lantern lanterns candlestick incense"
    " lamp lampshade lights candleholder nightlight burner chandelier candlepot lamps wick votive"
    " scented fragrance matches torch lightbulb",
    "Kitchen & table": "mug mugs cup cups plate plates bowl bowls saucer teacup teapot jug tray trays cutlery spoon"
    " spoons knife beaker tumbler dish dishes jar jars tin tins bottle cake cakestand cases baking"
    " mould moulds pan kettle coaster coasters placemat placemats napkin napkins apron teatowel towels"
    " cosy timer scales scale colander sieve grater bread biscuit cookie jelly eggcup lunchbox snack"
    " flask straws thermos sugar milk salt pepper oven glove gloves recipe mixing cutter cutters corer"
    " opener ladle whisk tongs skewers popcorn chopsticks goblet decanter cruet pantry canister"
    " canisters ramekin ramekins platter toast butter measuring spice ashtray sundae tagine teaspoons"
    " tablecloth lolly toastrack squeezer fruitbowl basin board chopping breakfast jam cooking beakers",
    "Stationery & wrap": "card cards notebook notebooks pen pens pencil pencils wrap stickers sticker tape envelope"
    " envelopes stationery journal book sketchbook ruler eraser erasers rubber calculator diary tag"
    " tags ribbon ribbons stamps bookmark folder clipboard postcard postcards notelets chalkboard"
    " blackboard writing invites tissue sharpener planner giftwrap crayons colouring note wraps"
    " calendar scissor punch badges exercise books",
    "Toys & games": "toy toys game games doll dolls puzzle jigsaw dominoes teddy rattle skittles yoyo marbles ludo"
    " playhouse tractor helicopter windmill spinning tops harmonica whistle kite skipping bubbles"
    " bubble cars puppet puppets croquet quoits snakes ladders bingo feltcraft craft knitting sewing"
    " balls ball tattoos trumpet drum guitar piggy glider flute crawlies snake inflatable dolphins"
    " gliders modelling clay naughts flying disc rocking",
    "Party": "bunting balloon balloons doily doilies confetti garland garlands candy sucker piñata streamers"
    " invitation parasol parasols",
    "Garden & outdoor": "watering planter planters flowerpot trowel seeds herb birdhouse birdcage feeder bucket"
    " wheelbarrow gnome hanging-basket umbrella umbrellas picnic gardeners hose thermometer lavender"
    " trellis windchime fountain parasol bicycle cycling grow potting swat herbs",
    "Textiles & warmth": "cushion cushions towel blanket throw quilt curtain curtains doormat mat rug hottie hot-water-"
    " bottle warmer warmers slippers scarf shawl gloves poncho bedding pillow flannel sock socks robe"
    " raincoat bolster duvet pyjamas pashmina filler pad bib muff dress mac shirt",
    "Storage": "basket baskets cabinet drawer drawers storage organiser container containers crate shelf shelves"
    " hook hooks hanger hangers caddy chest cupboard trunk bread-bin suitcase suitcases wardrobe knob"
    " knobs crates chests drawerknob",
    "Bath & beauty": "soap sponge tissues plasters plaster toothbrush cosmetic cosmetics mirror manicure shower talc"
    " toilet compact sunglasses aid",
    "Home decoration": "frame frames clock clocks sign signs art wreath doorstop decoration decorations ornament vase"
    " vases picture magnet magnets mobile tile tiles chair table furniture screen stool bench cross"
    " angel angels cherub chimes dec canvas print poster plaque figurine statue block blocks photo"
    " ladder branch bouquet garlands peg pegs weight paperweight snow-globe radio telephone phone"
    " photoframe doorsign rosette pouffe hammock buddha",
}

# What a thing looks like or where it stands: asked only when no word names the thing itself.
_THEMES = {
    "Kitchen & table": "kitchen tea coffee egg eggs glass glasses cream ice fork spade lunch",
    "Party": "party birthday fan flag flags cocktail",
    "Garden & outdoor": "garden bird birds outdoor pot pots plant bulb",
    "Textiles & warmth": "fabric lace hot cover covers coat hat",
    "Storage": "box boxes holder holders stand rack case trinket bin money bank tidy",
    "Bath & beauty": "bathroom bath beauty lip nail",
    "Stationery & wrap": "paper letter number memo chalk stamp",
    "Christmas": "icicle",
    "Toys & games": "childrens childs kids farm car monkey dinosaur soldier space painting paint racing magic",
    "Jewellery & hair": "pearl diamante crystal grip clip key",
    "Home decoration": "heart hearts star stars flower flowers butterfly butterflies leaf tree trees rabbit bunny hen"
    " chick cat dog owl duck ducks rose roses feather home door wood wooden metal mini skull skulls"
    " jack dove reel wall wicker bell bells hanging alphabet letters font word drawing",
    "Candles & light": "light oil",
}

_BREAK = re.compile(r"\b(?:with|w|in|for|on|by|from)\b|[,(]")
_OF = re.compile(r"^(?:set|pack|box|pair|bag|tube|bundle)?\s*(?:of\s+)?(?:/?\d+\s*)?(?:of\s+)?")
_WORD = re.compile(r"[a-zé']+(?:-[a-zé]+)*")


def category_of(name: str) -> str:
    """The category of a product by its name, `Other` when no word is known."""
    words = _WORD.findall(name.lower())
    for word in words:
        if season := _SEASON_OF.get(word):
            return season
    head = _OF.sub("", _BREAK.split(name.lower())[0], count=1)
    for lists in (_THING_OF, _THEME_OF):
        for part in (_WORD.findall(head), words):
            for word in reversed(part):
                if found := lists.get(word):
                    return found
    return OTHER


def _index(lists: dict[str, str]) -> dict[str, str]:
    """Word -> category; a word in two lists belongs to the first."""
    found: dict[str, str] = {}
    for category, text in lists.items():
        for word in text.split():
            found.setdefault(word, category)
    return found


_SEASON_OF = _index(_SEASONS)
_THING_OF = _index(_THINGS)
_THEME_OF = _index(_THEMES)
CATEGORIES = (*_SEASONS, *_THINGS, OTHER)
