"""Ids and random names of containers, networks and volumes."""

from __future__ import annotations

import secrets

_QUALITIES = (
    "amber agile bold brave breezy bright brisk calm candid careful cheerful clear clever coastal "
    "cool coral cosy curious daring deep deft eager early easy elegant even fair fast fluent fond "
    "frank fresh gentle glad golden good graceful grand happy hardy honest humble ideal jolly keen "
    "kind light lively loyal lucid lucky mellow merry mild modest neat nimble noble open patient "
    "placid plain polite proud pure quick quiet ready rapid rare sharp shiny silent silver smart "
    "smooth sober solid sound spry stable steady still sunny sure swift tidal tidy trusty vivid "
    "warm wary wise witty young zesty"
).split()
_SWIMMERS = (
    "anchovy angler barb barbel bass bleak blenny bonito bream brill carp catfish char chub cod "
    "conger crab cuttlefish dace dolphin dorado eel flounder garfish goby grayling grouper gurnard "
    "haddock hake halibut herring ide jack krill lamprey ling loach lobster mackerel manta marlin "
    "minnow moray mullet narwhal nautilus octopus orca orfe oyster parr perch pike pilchard plaice "
    "pollock porpoise prawn puffer ray roach rudd ruffe salmon sardine seal shad shark shrimp "
    "skate smelt sole sprat squid sturgeon sunfish swordfish tarpon tench tetra trout tuna turbot "
    "turtle urchin walrus whale whiting wrasse zander"
).split()


def new_id() -> str:
    """Return a random object id: 64 hexadecimal digits."""
    return secrets.token_hex(32)


def short_id(identifier: str) -> str:
    """Return the 12 digits by which people know an id, without a digest's algorithm."""
    return identifier.removeprefix("sha256:")[:12]


def random_name() -> str:
    """Return a name for a container that was given none, such as ``brisk_marlin``.

    The caller adds digits when the name is taken.
    """
    return f"{secrets.choice(_QUALITIES)}_{secrets.choice(_SWIMMERS)}"
