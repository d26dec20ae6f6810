"""What makes the slates of a shop, keeps them, and remembers what was shown."""

from __future__ import annotations

import asyncio
import logging
from dataclasses import dataclass
from functools import partial

from shopkeeper.bootstrap.acting import ActingAgents, acting_agents
from shopkeeper.bootstrap.describing import UserRecords, told_of_records
from shopkeeper.bootstrap.experimenting import Trying
from shopkeeper.bootstrap.exploring import Exploration, exploration
from shopkeeper.bootstrap.featuring import shared_features
from shopkeeper.bootstrap.furnishing import GRAPH_DATA, Stores
from shopkeeper.bootstrap.shaping import Shaped
from shopkeeper.core.changes import Changes
from shopkeeper.core.clock import Clock
from shopkeeper.core.protocols import VectorSpace
from shopkeeper.core.records import RecRequest
from shopkeeper.features.shared import SharedFeatures
from shopkeeper.features.state import FeatureState
from shopkeeper.features.versions import FeatureVersions
from shopkeeper.lifecycle.serving import Serving
from shopkeeper.operations.erasure import Erasure
from shopkeeper.recommend.acting.visits import OpenVisits
from shopkeeper.recommend.qlearning.book import AgentBook
from shopkeeper.recommend.servedlog import ServedLog
from shopkeeper.recommend.service import RecommendService
from shopkeeper.recommend.shown import Remembering
from shopkeeper.recommend.slatelog import SlateLog
from shopkeeper.recommend.slates import Front
from shopkeeper.recommend.slates.ahead import Ahead
from shopkeeper.recommend.slates.shared import SharedSlates
from shopkeeper.settings import MIB, Settings
from shopkeeper.stores.consents import ConsentStore
from shopkeeper.stores.meta import Meta
from shopkeeper.stores.redis import Shared
from shopkeeper.stores.slates import most_asked
from shopkeeper.stores.sql import Database
from shopkeeper.stores.vocabulary import UserVocabulary

_LOGGER = logging.getLogger(__name__)


@dataclass(frozen=True)
class Suggesting:
    """`shared`: what processes of one shop share, None where no Redis is set."""

    db: Database
    users: UserVocabulary
    recommend: RecommendService
    slates: Front
    ahead: Ahead
    slatelog: SlateLog
    servedlog: ServedLog
    exploration: Exploration
    acting: ActingAgents
    shared: Shared | None
    shared_features: SharedFeatures | None
    most_warm: int

    def start(self) -> None:
        """Answers may be kept and noted from now on. On the loop."""
        self.slatelog.start()
        self.servedlog.start()
        self.exploration.start()
        self.acting.start()
        self.slates.start()

    async def warm(self) -> None:
        """What the first visitors would wait for otherwise. A shop without that starts all the same."""
        self.ahead.start()
        try:
            self.recommend.warm()  # here and not in a thread: it reads the followers' state
            await self.queue_asked()
        except Exception:  # an edge: what is only for speed keeps no shop from opening
            _LOGGER.exception("nothing could be made ready ahead: the first answers may take longer")

    async def queue_asked(self) -> int:
        """Has what was asked most often computed while nothing else is to do. Returns how many slates that will be."""
        asked = await asyncio.to_thread(asked_before, self.db, self.users, self.most_warm)
        self.ahead.queue(asked)
        return len(asked)

    async def stop(self) -> None:
        """Writes what waits; the database is open still. A second call does nothing."""
        await self.ahead.stop()
        await self.slates.stop()  # which tells the log the rest
        await self.slatelog.stop()
        await self.servedlog.stop()
        await self.exploration.stop()
        await self.acting.stop()
        if self.shared is not None:
            await self.shared.close()


def suggesting(
    settings: Settings,
    db: Database,
    clock: Clock,
    meta: Meta,
    *,
    stores: Stores,
    changes: Changes,
    features: FeatureState,
    versions: FeatureVersions,
    serving: Serving,
    consents: ConsentStore,
    shaped: Shaped,
    space: VectorSpace | None,
    erasure: Erasure,
    tries: Trying,
    records: UserRecords,
    agents: AgentBook,
    visits: OpenVisits,
) -> Suggesting:
    """Raises Unavailable, Invalid when the Redis that is set cannot be one."""
    users, catalog, shared = stores.vocab.users, stores.catalog, shared_level(settings, meta, clock)
    explore = exploration(settings, db, clock, stores, features, consents, shaped.book)
    allows = partial(consents.allows, purpose="personalization")
    acting = acting_agents(settings, db, clock, stores, agents=agents, visits=visits, allows=allows, book=shaped.book)
    recommend = RecommendService(
        features=features,
        catalog=catalog,
        users=users,
        items=stores.vocab.items,
        models=serving,
        clock=clock,
        deadline_ms=settings.recommend_deadline_ms,
        on_hand=stores.stock.on_hand,
        allows=allows,
        space=space,
        told=told_of_records(catalog, clock, records),
        scenarios=shaped.book,
        shaping=shaped.shaping,
        variants=tries.scenarios,
        stage=explore.stage,
        steering=acting.steering,
    )
    servedlog = ServedLog(db, share=settings.served_share)
    also = [servedlog.note, explore.log.note, acting.log.note]
    slatelog = SlateLog(db, users, clock, keep_s=settings.keep_slates_h * 3600, most=settings.keep_slates, also=also)
    for log in (servedlog, slatelog, explore.log, acting.log):
        erasure.subscribe(log.forget)
    level = None if shared is None else SharedSlates(shared, users=users, clock=clock, changes=changes)
    slates = Front(
        recommend.make,
        users=users,
        clock=clock,
        log=Remembering(slatelog, shaped.shown, tries.exposures.note),
        most=settings.slate_cache_mb * MIB,
        shared=level,
    )
    changes.subscribe(slatelog.hear)
    changes.subscribe(explore.log.hear)
    changes.subscribe(acting.log.hear)
    changes.subscribe(acting.hear)
    changes.subscribe(slates.hear)
    return Suggesting(
        db=db,
        users=users,
        recommend=recommend,
        slates=slates,
        ahead=Ahead(slates, pages=settings.slate_prefetch),
        slatelog=slatelog,
        servedlog=servedlog,
        exploration=explore,
        acting=acting,
        shared=shared,
        shared_features=shared_features(shared, clock, versions, changes),
        most_warm=settings.slate_warm,
    )


def shared_level(settings: Settings, meta: Meta, clock: Clock) -> Shared | None:
    """What processes of one shop share; None where no Redis is set. Raises Unavailable, Invalid.

    Rows are others once the shop's data was replaced by other data: that has keys of its own.
    """
    if settings.redis_url is None:
        return None
    shop, data = meta.get("shop.id") or "shop", meta.get(GRAPH_DATA) or "data"
    return Shared(settings.redis_url, prefix=(settings.redis_namespace, shop, data), clock=clock)


def asked_before(db: Database, users: UserVocabulary, n: int) -> list[RecRequest]:
    """What the log of slates knows to have been asked most often: plain requests, as it knows no contexts."""
    if not n:
        return []
    with db.read() as connection:
        found = most_asked(connection, n)
    requests = []
    for row, user_id, scenario, number in found:
        id = user_id if row is None else users.id(row)
        if id and number and not (row is not None and users.is_anonymous(row)):
            requests.append(RecRequest(user_id=id, scenario=scenario, n_recommendations=number))
    return requests
