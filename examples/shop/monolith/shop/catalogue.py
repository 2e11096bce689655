"""What the demonstration sells, and to whom: the same at each run, and nobody's personal data."""

MATERIALS = ["Oak", "Steel", "Copper", "Linen", "Glass", "Cork", "Walnut", "Clay"]
THINGS = ["lamp", "tea pot", "bread knife", "hand plane", "basket"]
PLACES = [
    ("Aarhus", "DK"), ("Bergen", "NO"), ("Bologna", "IT"), ("Bruges", "BE"), ("Coimbra", "PT"),
    ("Cork", "IE"), ("Delft", "NL"), ("Ghent", "BE"), ("Graz", "AT"), ("Kraków", "PL"),
    ("Lübeck", "DE"), ("Lyon", "FR"), ("Málaga", "ES"), ("Tampere", "FI"), ("Würzburg", "DE"),
]
KINDS = ["bakery", "workshop"]


def products():
    """(sku, name, description, price in cents) of 40 products."""
    for number, (material, thing) in enumerate((it, that) for it in MATERIALS for that in THINGS):
        name = f"{material} {thing}"
        yield f"P{number + 1:03}", name, f"A {thing}, made of {material.lower()}.", 450 + number * 725


def customers():
    """(name, email, country) of 30 customers."""
    for number, (place, country) in enumerate(PLACES, 1):
        for kind in KINDS:
            yield f"{place} {kind}", f"{kind}.{number}@example.org", country
