"""The garbage collector, told what kind of program this is.

Nearly everything here is freed when its last reference goes; the collector is for the rare cycle. Its defaults are made
for small programs: under load it would walk through all mail in hand several times for each group that is stored, and
now and then through every module and route, while the reactor waits.
"""

from __future__ import annotations

import gc

#: Containers made and not freed until the youngest generation is looked through: some 300 messages in hand.
YOUNG = 20_000


def settle() -> None:
    """To be called once everything stands: what there is now stays, and is never looked at again."""
    gc.collect()
    gc.freeze()
    gc.set_threshold(YOUNG, 10, 10)
