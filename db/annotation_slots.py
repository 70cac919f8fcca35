"""Who labels what: slots are handed out, given back and counted, so that two people never hold the same one."""

from __future__ import annotations

import datetime
from typing import Any

import sqlalchemy as sa
from sqlalchemy import Connection, Engine

from db.annotation_models import Annotator, Item, Project, SlotRow
from db.annotation_views import ADJUDICATE, HELD, LABEL, RELEASED, SKIPPED, SUBMITTED, Slot
from db.bulk import insert_missing
from db.clean import clean_name
from db.models import LABELS_REVISION, RevisionRow
from db.session import reading, writing
from steper_core.errors import UserError

TAKEN = (HELD, SUBMITTED)
"""States in which a slot counts towards the overlap."""

LONGEST_PERSON, LONGEST_PROJECT = 60, 80
_HELD_FOR = datetime.timedelta(hours=24)
"""How long a slot may lie untouched before it is handed to somebody else when nothing else is left."""


def hand_out(engine: Engine, project_id: int, annotator: str, ahead: int = 3) -> tuple[Slot, ...]:
    """The slots that a person holds, in order, filled up to `ahead` as far as there is something to label.

    A slot that somebody else has not touched for a day is taken over when nothing else is left; what that person had
    drafted stays in the history.

    Raises:
        UserError: the name is none, or there is no such project.
    """
    name = fit_name(annotator, "a person", LONGEST_PERSON)
    with writing(engine) as connection:
        project = locked_project(connection, project_id)
        person = person_id(connection, name)
        held = _held(connection, project_id, person)
        wanted = 0 if project.closed else ahead - len(held)
        fresh = _untaken(connection, project, person, wanted) if wanted > 0 else []
        if wanted > len(fresh):
            fresh += _take_over(connection, project, person, wanted - len(fresh))
        if not fresh:
            return held
        for item in fresh:
            put_slot(connection, project_id, item, person, LABEL, HELD, now())
        bump_labels(connection)
        return _held(connection, project_id, person)


def to_label(engine: Engine, project_id: int, annotator: str) -> frozenset[int]:
    """The items that a person is labelling or, having begun to label in this project, may yet be handed.

    What others said of these is not for their eyes: they would no longer label by themselves.
    """
    with reading(engine) as connection:
        project = connection.execute(sa.select(Project.__table__).where(Project.id == project_id)).first()
        person = connection.execute(_named(annotator)).scalar()
        if project is None or person is None:
            return frozenset()
        held = {slot.item_id for slot in _held(connection, project_id, person)}
        begun = sa.select(SlotRow.item_id).where(
            SlotRow.project_id == project_id,
            SlotRow.annotator_id == person,
            SlotRow.role == LABEL,
            SlotRow.state != RELEASED,
        )
        if project.closed or connection.execute(begun.limit(1)).first() is None:
            return frozenset(held)
        return frozenset(held.union(_untaken(connection, project, person, None)))


def held_by_others(engine: Engine, project_id: int, annotator: str) -> bool:
    """Whether others hold items that a person never had: given back, these would be free for that person."""
    held = sa.select(SlotRow.item_id).where(
        SlotRow.project_id == project_id,
        SlotRow.role == LABEL,
        SlotRow.state == HELD,
        SlotRow.item_id.not_in(_had(project_id, _named(annotator).scalar_subquery())),
    )
    with reading(engine) as connection:
        return connection.execute(held.limit(1)).first() is not None


def adjudicate(engine: Engine, project_id: int, annotator: str, item_id: int) -> Slot:
    """Take an item to decide where people differ; whoever held it for that before, keeps it, as does who skipped it.

    Raises:
        UserError: the name is none, no such item, somebody else decides it, the person is labelling it, or the project
            is closed.
    """
    name = fit_name(annotator, "a person", LONGEST_PERSON)
    with writing(engine) as connection:
        project = locked_project(connection, project_id)
        item = connection.execute(
            sa.select(Item.position).where(Item.id == item_id, Item.project_id == project_id)
        ).first()
        if item is None:
            raise UserError(f"the project has no item {item_id}")
        person = person_id(connection, name)
        taken = sa.or_(SlotRow.state.in_(TAKEN), sa.and_(SlotRow.state == SKIPPED, SlotRow.annotator_id == person))
        found = connection.execute(
            sa.select(SlotRow.annotator_id, SlotRow.state, Annotator.name)
            .join(Annotator, Annotator.id == SlotRow.annotator_id)
            .where(SlotRow.item_id == item_id, SlotRow.role == ADJUDICATE, taken)
            .order_by(SlotRow.annotator_id == person)
        ).first()
        if found is not None and found.annotator_id != person:
            raise UserError(f"{found.name} decides this item")
        if found is None:
            _require_free_to_decide(connection, project, item_id, person)
            put_slot(connection, project_id, item_id, person, ADJUDICATE, HELD, now())
            bump_labels(connection)
        return Slot(item_id, found.state if found else HELD, item.position)


def _require_free_to_decide(connection: Connection, project: Any, item_id: int, person: int) -> None:
    """Whoever decides reads what others said: not with labels of one's own still to give."""
    if project.closed:
        raise UserError("the project is closed: nothing more is decided in it")
    labelling = sa.select(SlotRow.item_id).where(
        SlotRow.item_id == item_id,
        SlotRow.annotator_id == person,
        SlotRow.role == LABEL,
        SlotRow.state == HELD,
    )
    if connection.execute(labelling).first() is not None:
        raise UserError("you are labelling this item: submit it, skip it or give it back, then decide")


def release(engine: Engine, project_id: int, annotator: str | None = None) -> int:
    """Give back the slots that a person (everybody if None) holds; drafts stay. Returns how many."""
    with writing(engine) as connection:
        locked_project(connection, project_id)
        chosen = [SlotRow.project_id == project_id, SlotRow.state == HELD]
        if annotator is not None:
            chosen.append(SlotRow.annotator_id == _named(annotator).scalar_subquery())
        held = connection.execute(sa.select(SlotRow.item_id, SlotRow.annotator_id, SlotRow.role).where(*chosen)).all()
        for slot in held:
            put_slot(connection, project_id, slot.item_id, slot.annotator_id, slot.role, RELEASED, now())
        if held:
            bump_labels(connection)
        return len(held)


def put_slot(
    connection: Connection,
    project_id: int,
    item_id: int,
    person: int,
    role: str,
    state: str,
    at: datetime.datetime,
    seconds: float | None = None,
) -> None:
    """Bring a slot into a state, with a place where it is taken, and count the item's taken slots."""
    places = set(
        connection.scalars(
            sa.select(SlotRow.place).where(
                SlotRow.item_id == item_id,
                SlotRow.role == role,
                SlotRow.annotator_id != person,
                SlotRow.place.is_not(None),
            )
        )
    )
    own = (SlotRow.item_id == item_id, SlotRow.annotator_id == person, SlotRow.role == role)
    before = connection.execute(sa.select(SlotRow.place, SlotRow.seconds).where(*own)).first()
    place = None
    if state in TAKEN:
        kept = before.place if before is not None else None
        place = kept or next(number for number in range(1, len(places) + 2) if number not in places)
    values = {"place": place, "state": state, "touched": at}
    if before is None:
        connection.execute(
            sa.insert(SlotRow).values(
                item_id=item_id, annotator_id=person, role=role, project_id=project_id, seconds=seconds, **values
            )
        )
    else:
        kept_seconds = before.seconds if seconds is None else seconds
        connection.execute(sa.update(SlotRow).where(*own).values(seconds=kept_seconds, **values))
    if role == LABEL:
        taken = len(places) + (place is not None)
        connection.execute(sa.update(Item).where(Item.id == item_id).values(taken=taken))


def person_id(connection: Connection, name: str) -> int:
    """The id of a person of this name, who is stored if need be."""
    connection.execute(insert_missing(connection, Annotator), [{"name": name}])
    return connection.execute(_named(name)).scalar_one()


def bump_labels(connection: Connection) -> None:
    """Tell the caches of the pages that labels changed."""
    ours = sa.update(RevisionRow).where(RevisionRow.id == LABELS_REVISION)
    connection.execute(ours.values(number=RevisionRow.number + 1))


def locked_project(connection: Connection, project_id: int) -> Any:
    """The row of a project; other writers to it wait until the transaction ends.

    Raises:
        UserError: there is none.
    """
    row = connection.execute(sa.select(Project.__table__).where(Project.id == project_id).with_for_update()).first()
    if row is None:
        raise UserError(f"there is no project {project_id}")
    return row


def _held(connection: Connection, project_id: int, person: int) -> tuple[Slot, ...]:
    rows = connection.execute(
        sa.select(Item.id, Item.position)
        .join(SlotRow, SlotRow.item_id == Item.id)
        .where(
            SlotRow.project_id == project_id,
            SlotRow.annotator_id == person,
            SlotRow.role == LABEL,
            SlotRow.state == HELD,
        )
        .order_by(Item.position)
    )
    return tuple(Slot(row.id, HELD, row.position) for row in rows)


def _untaken(connection: Connection, project: Any, person: int, count: int | None) -> list[int]:
    """So many (None: all) items with room, in order, that the person never had; or had for labelling, and gave back."""
    room = sa.or_(Item.control, Item.taken < project.overlap)
    free = (Item.project_id == project.id, room, Item.id.not_in(_had(project.id, person)))
    return list(connection.scalars(sa.select(Item.id).where(*free).order_by(Item.position).limit(count)))


def _named(annotator: str) -> sa.Select[int]:
    return sa.select(Annotator.id).where(Annotator.name == annotator)


def _had(project_id: int, person: Any) -> sa.Select[int]:
    """The items that a person is done with or holds: all that were theirs, but those they gave back unlabelled."""
    return sa.select(SlotRow.item_id).where(
        SlotRow.project_id == project_id,
        SlotRow.annotator_id == person,
        sa.or_(SlotRow.role == ADJUDICATE, SlotRow.state != RELEASED),
    )


def _take_over(connection: Connection, project: Any, person: int, count: int) -> list[int]:
    """Take slots that others have left lying from them; each item once, none that has room or that the person had."""
    own = sa.select(SlotRow.item_id).where(SlotRow.annotator_id == person, SlotRow.project_id == project.id)
    left = (
        sa.select(SlotRow.item_id, sa.func.min(SlotRow.annotator_id).label("annotator_id"))
        .join(Item, Item.id == SlotRow.item_id)
        .where(
            SlotRow.project_id == project.id,
            SlotRow.role == LABEL,
            SlotRow.state == HELD,
            SlotRow.touched < now() - _HELD_FOR,
            ~Item.control,
            Item.taken >= project.overlap,
            SlotRow.item_id.not_in(own),
        )
        .group_by(SlotRow.item_id)
        .order_by(SlotRow.item_id)
        .limit(count)
    )
    found = connection.execute(left).all()
    for slot in found:
        put_slot(connection, project.id, slot.item_id, slot.annotator_id, LABEL, RELEASED, now())
    return [slot.item_id for slot in found]


def has_room(connection: Connection, project: Any, item_id: int, role: str) -> bool:
    """Whether one more person may take a slot of an item."""
    if role == ADJUDICATE:
        others = sa.select(SlotRow.item_id).where(
            SlotRow.item_id == item_id, SlotRow.role == ADJUDICATE, SlotRow.state.in_(TAKEN)
        )
        return connection.execute(others).first() is None
    item = connection.execute(sa.select(Item.control, Item.taken).where(Item.id == item_id)).one()
    return bool(item.control or item.taken < project.overlap)


def fit_name(text: str, whose: str, longest: int) -> str:
    """The name without needless space.

    Raises:
        UserError: it is empty or too long.
    """
    name = clean_name(text)
    if not 0 < len(name) <= longest:
        raise UserError(f"{whose} needs a name of 1 to {longest} characters")
    return name


def now() -> datetime.datetime:
    """This moment."""
    return datetime.datetime.now(datetime.UTC)
