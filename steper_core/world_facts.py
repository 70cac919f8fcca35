"""The facts of a generated world: its people, places, works and companies and how they relate.

Every relation has one value for its subject, and the years are plausible: parents are older than their children, and
works and companies are made by people of working age. All people of one work belong to one generation.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import date

from steper_core.world_draw import Draw
from steper_core.world_names import Namer

WORK_PATTERN = ("film", "novel", "film", "song", "film", "novel", "film", "song", "novel", "song")
COMPANY_TYPES = (
    ("film studio", ("Pictures", "Studios", "Films")),
    ("publishing house", ("Press", "Books", "Publishing")),
    ("record label", ("Records", "Sound", "Recordings")),
    ("engineering firm", ("Motors", "Instruments", "Works")),
    ("film studio", ("Pictures", "Studios", "Films")),
    ("record label", ("Records", "Sound", "Recordings")),
    ("publishing house", ("Press", "Books", "Publishing")),
    ("shipping company", ("Lines", "Shipping", "Freight")),
)
ROLES = (
    ("film director", 0.14),
    ("actor", 0.2),
    ("singer", 0.14),
    ("songwriter", 0.12),
    ("novelist", 0.16),
    ("entrepreneur", 0.12),
)
PROFESSIONS = ("engineer", "chemist", "architect", "surveyor", "physician", "botanist", "accountant", "teacher")
WORK_PEOPLE = {
    "film": (("director", "film director"), ("star", "actor")),
    "novel": (("author", "novelist"),),
    "song": (("performer", "singer"), ("writer", "songwriter")),
}
WORK_COMPANY = {
    "film": ("producer", "film studio"),
    "novel": ("publisher", "publishing house"),
    "song": ("label", "record label"),
}
WORK_PLACE = {"film": "filmed_in", "novel": "set_in"}
GENRES = {
    "film": ("drama", "comedy", "thriller", "mystery", "war", "romance", "fantasy", "crime"),
    "novel": ("historical", "detective", "coming-of-age", "satirical", "gothic", "science fiction", "psychological"),
    "song": ("folk", "jazz", "pop", "soul", "rock", "gospel", "blues", "swing"),
}
FORMAL_NAMES = ("Republic of {name}", "Kingdom of {name}", "Federation of {name}", "Union of {name}")

GENERATION_STARTS = (1850, 1880, 1910, 1940)
BIRTH_WINDOW = 12
LATEST_DEATH = 2015


@dataclass(eq=False, slots=True)
class Entity:
    """What a passage is about: `facts` are what questions ask for, `words` only what sentences need."""

    kind: str
    name: str
    generation: int = 0
    facts: dict[str, Value] = field(default_factory=dict)
    words: dict[str, str] = field(default_factory=dict)
    aliases: tuple[str, ...] = ()


Value = Entity | date | str


@dataclass(frozen=True, slots=True)
class Facts:
    """All entities of a world by kind."""

    countries: list[Entity]
    towns: list[Entity]
    people: list[Entity]
    companies: list[Entity]
    works: list[Entity]

    @property
    def entities(self) -> list[Entity]:
        """All entities, in a fixed order."""
        return [*self.countries, *self.towns, *self.people, *self.companies, *self.works]


def invent(seed: int, size: int) -> Facts:
    """The facts of a world of `size` entities."""
    draw = Draw("worlds", "facts", seed)
    names = Namer(Draw("worlds", "names", seed))
    country_count = min(max(2, round(size * 0.015)), 250)
    town_count = max(3, round(size * 0.11))
    people_count = round(size * 0.45)
    company_count = max(2, round(size * 0.1))
    work_count = size - country_count - town_count - people_count - company_count

    countries, towns = _places(draw, names, country_count, town_count)
    generations = _people(draw, names, people_count, towns)
    roles = [_assign_roles(draw, members) for members in generations]
    companies = _companies(draw, names, company_count, roles, towns)
    people = [person for members in generations for person in members]
    for person in people:
        _employ(draw, person, companies)
    works = [_work(draw, names, index, roles, companies, towns) for index in range(work_count)]
    _name_aliases(people, companies)
    return Facts(countries, towns, people, companies, works)


def with_article(noun: str) -> str:
    """The noun with its indefinite article."""
    return f"an {noun}" if noun[0] in "aeiou" else f"a {noun}"


def _places(draw: Draw, names: Namer, country_count: int, town_count: int) -> tuple[list[Entity], list[Entity]]:
    countries = [Entity("country", names.word("country")) for _ in range(country_count)]
    rivers = [names.word("river") for _ in range(town_count // 2 + 1)]
    towns = []
    for index in range(town_count):
        # The first towns are the capitals, so every country has one.
        country = countries[index] if index < country_count else draw.pick(countries)
        town = Entity("town", names.town(), facts={"country": country, "river": draw.pick(rivers)})
        towns.append(town)
    for country, capital in zip(countries, towns, strict=False):
        formal = draw.pick(FORMAL_NAMES).format(name=country.name)
        currency = names.word("currency").lower()
        country.facts.update(capital=capital, currency=currency)
        country.words["formal"] = formal
        country.aliases = (formal,)
    return countries, towns


def _people(draw: Draw, names: Namer, count: int, towns: list[Entity]) -> list[list[Entity]]:
    """The people by generation; from the second on most have parents in the one before."""
    pool = min(max(8, count // 10), 600)
    given = {sex: [names.word(sex) for _ in range(pool)] for sex in ("man", "woman")}
    surnames = [names.word("surname") for _ in range(max(6, count // 8))]
    depth = 3 if count < 60 else 4
    generations: list[list[Entity]] = []
    couples: list[tuple[Entity, Entity]] = []
    for generation in range(depth):
        members: list[Entity] = []
        for index in range(count * generation // depth, count * (generation + 1) // depth):
            # One in five comes from outside, so that even the smallest generation has a couple that are not siblings.
            parents = draw.pick(couples) if couples and len(members) % 5 != 1 else None
            surname = parents[0].name.rpartition(" ")[2] if parents else draw.pick(surnames)
            sex = ("man", "woman")[index % 2]
            person = Entity("person", names.person(given[sex], surname, sex), generation)
            if parents:
                person.facts.update(father=parents[0], mother=parents[1])
            _live(draw, person, sex, towns)
            members.append(person)
        couples = _marry(draw, members)
        generations.append(members)
    return generations


def _live(draw: Draw, person: Entity, sex: str, towns: list[Entity]) -> None:
    """Give a person a birth, mostly a death, and the words that depend on them."""
    born = date(
        GENERATION_STARTS[person.generation] + draw.below(BIRTH_WINDOW), draw.between(1, 12), draw.between(1, 28)
    )
    died = date(born.year + draw.between(62, 92), draw.between(1, 12), draw.between(1, 28))
    birthplace, deathplace = draw.pick(towns), draw.pick(towns)
    person.facts.update(birth=born, birthplace=birthplace)
    if died.year <= LATEST_DEATH:
        person.facts["death"] = died
        if deathplace is not birthplace:
            person.facts["deathplace"] = deathplace
    pronoun, child = ("He", "son") if sex == "man" else ("She", "daughter")
    person.words.update(he=pronoun, child=child)


def _marry(draw: Draw, members: list[Entity]) -> list[tuple[Entity, Entity]]:
    men = draw.shuffled([person for person in members if person.words["child"] == "son"])
    women = draw.shuffled([person for person in members if person.words["child"] == "daughter"])
    couples: list[tuple[Entity, Entity]] = []
    for husband, wife in zip(men, women, strict=False):
        siblings = "father" in husband.facts and husband.facts["father"] is wife.facts.get("father")
        if not siblings and (not couples or draw.chance(0.8)):
            husband.facts["spouse"], wife.facts["spouse"] = wife, husband
            couples.append((husband, wife))
    return couples


def _assign_roles(draw: Draw, members: list[Entity]) -> dict[str, list[Entity]]:
    """Deal the roles out: in a small generation a person has several, in a large one some have none of them."""
    order = draw.shuffled(members)
    holders: dict[str, list[Entity]] = {}
    roles: dict[int, list[str]] = {place: [] for place in range(len(order))}
    place = 0
    for role, share in ROLES:
        holders[role] = []
        for _ in range(max(1, int(len(order) * share))):
            holders[role].append(order[place])
            roles[place].append(role)
            place = (place + 1) % len(order)
    for place, person in enumerate(order):
        own = roles[place] or [draw.pick(PROFESSIONS)]
        words = own[0] if len(own) == 1 else f"{', '.join(own[:-1])} and {own[-1]}"
        person.words["role"] = with_article(words)
    return holders


def _companies(
    draw: Draw, names: Namer, count: int, roles: list[dict[str, list[Entity]]], towns: list[Entity]
) -> list[Entity]:
    """The companies, ordered by generation; the first of each type exists from the first generation on."""
    companies = []
    for index in range(count):
        type_, suffixes = COMPANY_TYPES[index % len(COMPANY_TYPES)]
        generation = 0 if index < len(COMPANY_TYPES) else draw.below(len(roles))
        founder = draw.pick(roles[generation]["entrepreneur"])
        born = founder.facts["birth"]
        assert isinstance(born, date)  # noqa: S101
        founded = draw.between(born.year + 22, GENERATION_STARTS[generation] + BIRTH_WINDOW + 22)
        company = Entity("company", names.company(suffixes), generation)
        company.words.update(type=type_, a_type=with_article(type_))
        company.facts.update(founder=founder, founded=str(founded), headquarters=draw.pick(towns))
        companies.append(company)
    return sorted(companies, key=lambda company: company.generation)


def _employ(draw: Draw, person: Entity, companies: list[Entity]) -> None:
    for _ in range(8):
        company = draw.pick(companies)
        if company.generation <= person.generation and company.facts["founder"] is not person:
            person.facts["employer"] = company
            return


def _work(
    draw: Draw,
    names: Namer,
    index: int,
    roles: list[dict[str, list[Entity]]],
    companies: list[Entity],
    towns: list[Entity],
) -> Entity:
    kind = WORK_PATTERN[index % len(WORK_PATTERN)]
    # Dealt round, so that even the smallest world has two films of different directors.
    generation = (index + index // len(WORK_PATTERN)) % len(roles)
    work = Entity(kind, names.work(), generation)
    people: list[Entity] = []
    for relation, role in WORK_PEOPLE[kind]:
        person = draw.pick(roles[generation][role])
        if person not in people:
            work.facts[relation] = person
            people.append(person)
    relation, type_ = WORK_COMPANY[kind]
    for _ in range(24):
        company = draw.pick(companies)
        if company.words["type"] == type_ and company.generation <= generation:
            work.facts[relation] = company
            break
    start = GENERATION_STARTS[generation]
    year = str(draw.between(start + BIRTH_WINDOW + 22, start + 62))
    work.facts["published" if kind == "novel" else "released"] = year
    genre = draw.pick(GENRES[kind])
    work.words.update(an="an" if year.startswith("18") else "a", genre=genre, a_genre=with_article(genre))
    if kind in WORK_PLACE:
        work.facts[WORK_PLACE[kind]] = draw.pick(towns)
    return work


def _name_aliases(people: list[Entity], companies: list[Entity]) -> None:
    """A surname or the first word of a company names its bearer only where no one else has it."""
    for group, part in ((people, -1), (companies, 0)):
        words = [entity.name.split()[part] for entity in group]
        counts: dict[str, int] = {}
        for word in words:
            counts[word] = counts.get(word, 0) + 1
        for entity, word in zip(group, words, strict=True):
            if counts[word] == 1:
                entity.aliases = (word,)
