"""A system from a plain script: python examples/driver.py"""

from raybeam.actors import GenServer, ServiceError, call, query
from raybeam.cluster import System
from raybeam.cluster.local import LocalCluster, connect


class OutOfStock(ServiceError):
    """An answer, not a crash."""


class Stock(GenServer):
    async def init(self, items: int) -> None:
        self.items = items

    @call
    async def take(self, count: int) -> int:
        if count > self.items:
            raise OutOfStock(f"only {self.items} left")
        self.items -= count
        return self.items

    @query
    async def left(self) -> int:
        return self.items


if __name__ == "__main__":
    blueprint = {"name": "shop", "families": {"stock": {"service": Stock, "args": (10,), "pattern": "singleton"}}}
    with LocalCluster() as cluster, connect(cluster.connection), System.start(blueprint) as system:
        stock = system.ref(Stock)
        print("left after taking 3:", stock.take.sync(3))
        try:
            stock.take.sync(30)
        except OutOfStock as error:
            print("refused:", error)
