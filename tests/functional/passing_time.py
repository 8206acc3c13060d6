"""Time, made to pass: what is due is swept."""

from tests.functional.world import TABLE, World


def let_time_pass(world: World, rounds: int = 6) -> int:
    """Whatever is due is swept, again and again. Returns how many messages the last round had."""
    sent = 0
    for _ in range(rounds):
        make_all_due(world)
        world.sweep()
        bodies = world.take("dead-letter")
        sent = len(bodies)
        if bodies:
            world.deliver(*bodies, to="retry")
        world.drain()
    return sent


def make_all_due(world: World) -> None:
    for item in world.dynamodb.scan(TableName=TABLE)["Items"]:
        if "due" not in item or float(item["due"]["N"]) > 30000000000:
            continue
        item["due"] = {"N": "1"}
        for row in [item.get("row"), *item.get("rows", {"M": {}})["M"].values()]:
            if row and "due" in row["M"]:
                row["M"]["due"] = {"N": "1"}
        world.dynamodb.put_item(TableName=TABLE, Item=item)
