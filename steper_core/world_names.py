"""Invented names: syllables put together so that nothing about them can be known from pre-training.

Near misses are made on purpose: titles, companies and towns often share their invented word with another one.
"""

from __future__ import annotations

import itertools
from collections.abc import Sequence

from steper_core.world_draw import Draw


def _words(text: str) -> tuple[str, ...]:
    return tuple(text.split())


STARTS = _words(
    """
    bav brix brusk calv cask corv cresk dask delv dorv drav drusk elv fald fesk galv gorv helv hosk jald jorv kalv
    kesk korv lisk lorv lusk mald mesk morv nald nesk norv orl osk palv posk prav quel quisk ralv rusk salv selv sorv
    tald tesk torv trisk ulv vald vesk vorl welv wosk yald yelv yorv zald zelm zorv zusk
    """
)
MIDDLES = _words("ab ad am an ar av el em en er ev id il in ir ob ol om on or ul um un ur yl")
ENDS = {
    "man": _words("eck orn adec ivar ulth obrin askel yric emund ovan"),
    "woman": _words("ethe isa ira ulene amae esti ovia yssa inde oreth"),
    "surname": _words("ask enko ulder ovant istrel aggen omond undry ikker avold enthal ossin"),
    "town": _words("oste unmere ellow abrek ithmoor undholt agast orwen esmere olkirk ibray umstead"),
    "country": _words("oria avar undia estan ithia ovenia aldia ezar"),
    "work": _words("ora une ix aine elle ombre yll andra evane ost ulis irro aquin emmer"),
    "company": _words("etek on ax iva uro enix ondo yra abel odin"),
    "river": _words("ess oun ave irr uda enne ol ymm"),
    "currency": _words("ik ent oll az ub ern"),
}
"""Every start ends in a consonant and every end begins with a vowel: a name has two syllables or more."""

REAL_WORDS = frozenset(
    _words(
        """
        albania alfred algeria alice amanda america andorra andrew angela angola arabia argentina armenia arnold
        arthur askance australia austria barbara baskerville basket belarus belgium benjamin bolivia bosnia brazil
        brenda brisket brusque brussels bulgaria burundi calvary calvin cambodia cameroon canada carol caroline
        cascade casket catherine charles chile china christine colombia corvette corvid corvina croatia cuba cyprus
        daniel david deborah delve denmark dennis desk donald dorothy ecuador edward egypt elizabeth elver elvin
        elvina elvira elvis elvish emily england eritrea ernest estonia ethiopia eugene fiji finland florence france
        frank frederick gabon gabriel galvanic galvanise galvin gambia george georgia gerald germany ghana gloria
        gordon greece guatemala guinea guyana haiti harold helen helvetia henry honduras howard hungary husky iceland
        india indonesia iran iraq ireland israel italy jacob jamaica james janet japan jennifer jessica john jordan
        joseph judith julia kazakhstan kelvin kenneth kenya kevin korea kosovo kuwait laos latvia laura lawrence
        lebanon leonard liberia libya linda lithuania louise malawi malaysia maldives maldon mali malta malvina marcus
        margaret maria martha martin marvin matthew melissa melvin mexico michael michelle moldova mongolia morocco
        morven namibia nancy nelson nepal nicholas nigeria norman norval norvell norway oliver oman oracle orlando
        orleans oscar oswald pakistan palver pamela panama patricia patrick peru philip poland portugal pravda qatar
        quell quisling ralph raymond rebecca richard robert roger roland romania ronald ruskin russell russia rwanda
        salvador salvage salvaine salvation salver salvia samoa samuel sandra sarah scotland selva selvin serbia
        sharon slovakia slovenia solve somalia spain stephen sudan susan sweden switzerland sylvia syria taiwan talon
        tanzania thailand theodore thomas timothy torus torvald trisha tunisia turkey uganda ukraine ulverston uruguay
        valdez valdivia valerie vandal velvet venezuela vesper vesta victor victoria vietnam vincent virginia vorlon
        walden waldorf wales walter warren whisker william yelvington yemen zambia zelda zelma zelmer zimbabwe
        """
    )
)
"""Words, places and names people know; no invented word may be one of them."""

NOUNS = _words(
    """
    Harvest Lantern Orchard Winter Garden Mirror Crossing Letter Tide Summer Bridge Window Promise Shadow Carousel
    Silence Voyage Feather Crown Candle Station Echo Thunder Compass Meadow Island Portrait Festival Horizon Ember
    Melody Staircase Verdict Wager Inheritance Masquerade Pilgrim Sparrow Furnace Almanac
    """
)
TITLES = (
    "{word} {noun}",
    "The {word} {noun}",
    "The {noun} of {word}",
    "{noun} for {word}",
    "The Last {noun} of {word}",
    "{word} and the {noun}",
)
TOWNS = (
    "North {word}",
    "South {word}",
    "Upper {word}",
    "Lower {word}",
    "New {word}",
    "{word} Heights",
    "{word} Harbour",
)


class Namer:
    """Gives out names, each once in a world, whatever it names."""

    def __init__(self, draw: Draw) -> None:
        self._draw = draw
        self._taken: set[str] = set()
        self._work_words: list[str] = []
        self._company_words: list[str] = []
        self._town_words: list[str] = []

    def word(self, kind: str) -> str:
        """A new invented word of a kind of `ENDS`, with a capital."""
        for attempt in itertools.count():
            # Few attempts with short words first, so that only large worlds have long names.
            middles = min(attempt // 4, 2)
            parts = [self._draw.pick(STARTS), *(self._draw.pick(MIDDLES) for _ in range(middles))]
            word = "".join(parts) + self._draw.pick(ENDS[kind])
            if word not in REAL_WORDS and self._take(word):
                return word.capitalize()
        raise AssertionError("unreachable: the loop has no end")

    def person(self, given: Sequence[str], surname: str, sex: str) -> str:
        """A new full name; given names are shared with other people as long as the full name stays its own."""
        for _ in range(20):
            name = f"{self._draw.pick(given)} {surname}"
            if self._take(name):
                return name
        name = f"{self.word(sex)} {surname}"
        self._take(name)
        return name

    def work(self) -> str:
        """A new title of a film, song or novel; four in ten share their invented word with an earlier title."""
        while True:
            word = self._shared("work", self._work_words, 0.4)
            title = self._draw.pick(TITLES).format(word=word, noun=self._draw.pick(NOUNS))
            if self._take(title):
                return title

    def town(self) -> str:
        """A new town; a quarter are variants of an earlier one (North X, X Heights)."""
        if self._town_words and self._draw.chance(0.25):
            name = self._draw.pick(TOWNS).format(word=self._draw.pick(self._town_words))
            if self._take(name):
                return name
        word = self.word("town")
        self._town_words.append(word)
        return word

    def company(self, suffixes: Sequence[str]) -> str:
        """A new company name; a third share their invented word with an earlier one."""
        while True:
            name = f"{self._shared('company', self._company_words, 0.33)} {self._draw.pick(suffixes)}"
            if self._take(name):
                return name

    def _shared(self, kind: str, earlier: list[str], probability: float) -> str:
        if earlier and self._draw.chance(probability):
            return self._draw.pick(earlier)
        word = self.word(kind)
        earlier.append(word)
        return word

    def _take(self, name: str) -> bool:
        key = name.lower()
        if key in self._taken:
            return False
        self._taken.add(key)
        return True
