"""The books in arrays against the venue's own book: the same tape of operations, the same fills, queues and levels."""

import os
import random

import pytest

from algoserver.domain.types import TimeInForce
from algoserver.sim import array_book as arrays
from algoserver.sim.book import Book, Order
from algoserver.sim.fast_book import FastBook, Shelf

DAY, IOC, FOK = TimeInForce.DAY, TimeInForce.IOC, TimeInForce.FOK
TICK = 100
# By hand a million and more: ALGOSERVER_TAPE=1200000 pytest -n 0 tests/sim/test_array_book.py
OPERATIONS = int(os.environ.get("ALGOSERVER_TAPE", "6000"))


def shelf(venues: int = 1) -> Shelf:
    return Shelf([f"V{i}" for i in range(venues)], TICK, lambda qty, is_resting: None)


def pair(name: int, sign: int, px: int, qty: int) -> tuple[Order, Order]:
    """The same order twice, one for each book."""
    return Order(sign, px, qty, owner=name), Order(sign, px, qty, owner=name)


def seen(book: Book) -> list[object]:
    """Every queue: price, and who stands there with how much."""
    levels = [level for ladder in (book.bids, book.asks) for _, level in sorted(ladder.levels.items())]
    return [(level.px, level.qty, [(o.owner, o.leaves) for o in level.live()]) for level in levels]


@pytest.mark.parametrize("seed", [1, 2])
def test_both_books_fill_alike(seed):
    """Enter, cancel, reduce, replace, sweep, FOK and IOC, over a market that wanders: fills by order, price and quantity, then all queues."""
    rng = random.Random(seed)
    ours = shelf()
    books = (Book(), FastBook(ours, 0))
    resting: list[tuple[Order, Order]] = []
    middle, fills = 1_000, 0
    for name in range(OPERATIONS):
        middle = max(200, middle + rng.choice((-1, 0, 0, 0, 1)))
        action = rng.random()
        at = rng.randrange(len(resting)) if resting else 0
        while resting and resting[at][0].level is None:
            resting[at] = resting[-1]
            resting.pop()
            at = rng.randrange(len(resting)) if resting else 0
        if action < 0.62 or not resting:
            sign = rng.choice((1, -1))
            # Mostly behind the middle; now and then far off, or across it.
            px = (middle - sign * int(rng.expovariate(0.25) - 2)) * TICK if rng.random() < 0.97 else rng.randrange(1, 3_000) * TICK
            order = pair(name, sign, px, rng.randint(1, 60) if rng.random() < 0.98 else 2_000)
            tif, is_market = rng.choice((DAY, DAY, DAY, DAY, IOC, FOK)), rng.random() < 0.05
            found = [[(f.order.owner, f.px, f.qty) for f in b.enter(o, tif, is_market)] for b, o in zip(books, order, strict=True)]
            resting.append(order)
        else:
            order = resting[at]
            if action < 0.85:
                found = [[b.cancel(o)] for b, o in zip(books, order, strict=True)]
            elif action < 0.9 and order[0].leaves > 1:
                less = rng.randrange(1, order[0].leaves)
                found = [[b.reduce(o, less)] for b, o in zip(books, order, strict=True)]
            else:
                px, qty = (middle - order[0].sign * rng.randint(-2, 8)) * TICK, rng.randint(1, 60)
                found = [[(f.order.owner, f.px, f.qty) for f in b.replace(o, px, qty)] for b, o in zip(books, order, strict=True)]
        assert found[0] == found[1], (seed, name)
        fills += len(found[0])
        assert order[0].leaves == order[1].leaves
        assert books[0].top(5) == books[1].top(5), (seed, name)
        if name % 500 == 0:
            assert seen(books[0]) == seen(books[1]), (seed, name)
    assert fills > OPERATIONS // 20
    assert seen(books[0]) == seen(books[1])
    assert ours.has_clients() == any(o.level is not None for o, _ in resting)


def test_the_crowds_orders_stand_in_its_list_without_gaps():
    """Whoever leaves, by fill or by cancel: the list holds each of the crowd's orders once, by side, and no client's."""
    rng, b, alive = random.Random(3), arrays.empty(2), set()
    for _ in range(1_500):
        if rng.random() < 0.6:
            sign = rng.choice((1, -1))
            side = 2 * rng.randrange(2) + (1 if sign < 0 else 0)
            alive.add(int(arrays.join(b, side, sign * (100 - sign * rng.randint(1, 9)), rng.randint(1, 9), rng.choice((0, 0, 0, 7)))))
        elif rng.random() < 0.5 and alive:
            arrays.drop(b, alive.pop())
        else:
            arrays.take(b, rng.randrange(2), rng.choice((1, -1)), rng.randint(1, 12), 100, 0)
            b[arrays.RECORDS] = 0
        alive = {o for o in alive if b[b[arrays.LEVEL] + o] >= 0}
        if b[arrays.USED] > 3_000:
            b = arrays.grown(b, 64, 8_192, 4_096)
        listed = [int(b[b[arrays.CROWD] + side * b[arrays.ROOM] + i]) for side in (0, 1) for i in range(b[arrays.BUYS + side])]
        assert len(set(listed)) == len(listed)
        assert set(listed) == {o for o in alive if b[b[arrays.OWNER] + o] == 0}
        assert all(b[b[arrays.LEVEL] + o] // b[arrays.WIDTH] % 2 == (i >= b[arrays.BUYS]) for i, o in enumerate(listed))


def test_a_thousand_levels_and_ten_thousand_orders_find_room():
    """The arrays grow under resting orders, which keep their places."""
    ours = shelf(2)
    books = (Book(), FastBook(ours, 1))
    for name in range(10_000):
        for book, order in zip(books, pair(name, 1, (1 + name * 7 % 1_000) * TICK, 10), strict=True):
            book.enter(order)
    assert seen(books[0]) == seen(books[1])
    sold = [[(f.order.owner, f.px, f.qty) for f in book.take(-1, 70_000)] for book in books]
    assert sold[0] == sold[1]
    assert len(sold[0]) == 7_000


def test_clients_who_meet_move_nothing():
    """What clients trade with each other is no flow: what one bought the other sold, but for what resting counts less."""
    heard = []
    book = FastBook(Shelf(["V"], TICK, lambda qty, is_resting: heard.append((qty, is_resting))), 0)
    book.enter(Order(-1, 101 * TICK, 30, owner="a"))
    assert [f.qty for f in book.enter(Order(1, 101 * TICK, 50, owner="b"), IOC)] == [30]
    assert heard == [(30, False), (-30, True)]
