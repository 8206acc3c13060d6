"""Which objects are replicated, and how: scenarios B."""

from tests.e2e.world import FAR, NEAR, RULES, World, rule


def test_a_tag_decides(world: World) -> None:
    """Scenario 19: a rule with nothing but a tag."""
    key = world.folder("anywhere") + "tagged "
    with world.also(rule(None, NEAR, markers=False, tags={"k1": "v1"})):
        other = {
            tagging: world.put(key + tagging, b"x", Tagging=tagging) for tagging in ("k1=v2", "k2=v1", "")
        }
        chosen = world.put(key + "k1=v1", b"x", Tagging="k1=v1&k2=v2")
        world.arrives_exactly(NEAR, key + "k1=v1", chosen)
        world.becomes_quiet()
    for tagging in other:
        assert not world.versions(NEAR, key + tagging)
        assert not world.rows(NEAR, key + tagging)


def test_a_prefix_and_a_tag_decide_together(world: World) -> None:
    """Scenario 20."""
    key, elsewhere = world.folder("tagged") + "a", world.folder("elsewhere") + "a"
    untagged = world.put(key, b"without", Tagging="k1=v2")
    world.put(elsewhere, b"elsewhere", Tagging="k1=v1")
    tagged = world.put(key, b"with", Tagging="k1=v1")
    replica = world.arrives_exactly(NEAR, key, tagged)
    world.becomes_quiet()
    assert [each.version_id for each in world.versions(NEAR, key)] == [replica]
    assert untagged not in world.rows(NEAR, key)
    assert not world.versions(NEAR, elsewhere)


def test_the_stronger_rule_decides_about_a_delete_marker(world: World) -> None:
    """Scenarios 22 and 23: it selects by the tags of the version below the marker."""
    folder = world.folder("judged/xyz")
    tagged, untagged = folder + "tagged", folder + "untagged"
    versions = {
        tagged: world.put(tagged, b"x", Tagging="k1=v1"),
        untagged: world.put(untagged, b"x"),
    }
    for key, version in versions.items():
        world.arrives(NEAR, key, version)
    ignored = world.delete(tagged)
    world.arrives(NEAR, untagged, world.delete(untagged))
    world.becomes_quiet()
    assert world.is_hidden(NEAR, untagged)
    assert not world.is_hidden(NEAR, tagged)
    assert ignored not in world.rows(NEAR, tagged)


def test_the_stronger_of_two_rules_names_the_storage_class(world: World) -> None:
    """Scenario 25."""
    key = world.folder("class") + "cold"
    replica = world.arrives(NEAR, key, world.put(key, b"x"))
    assert [each.version_id for each in world.versions(NEAR, key)] == [replica]
    assert world.s3.head_object(Bucket=NEAR, Key=key)["StorageClass"] == "STANDARD_IA"


def test_a_rule_says_nothing_about_what_was_written_before_it_was_enabled(world: World) -> None:
    """Scenarios 13 and 26."""
    key = world.folder("off") + "object"
    with world.notifications_held_back() as take:
        world.put(key, b"before")
        [record] = take(world.folder("off"), 1)
    world.send(record)
    world.becomes_quiet()
    assert not world.rows(NEAR, key)
    with world.also(rule(world.folder("off"), NEAR)):
        replica = world.arrives_exactly(NEAR, key, world.put(key, b"after"))
        world.becomes_quiet()
        assert [each.version_id for each in world.versions(NEAR, key)] == [replica]


def test_an_event_is_judged_by_the_rules_of_the_moment_it_is_looked_at(world: World) -> None:
    """Scenario 28: the rule was disabled in between; nothing is copied, and nothing tried again."""
    folder = world.folder("both")
    key = folder + "object"
    with world.notifications_held_back() as take:
        version = world.put(key, b"x")
        [record] = take(folder, 1)
    without = [one for one in RULES if one["Destination"]["Bucket"] != f"arn:aws:s3:::{FAR}"]
    world.configure(without)
    try:
        world.send(record)
        world.arrives(NEAR, key, version)
        world.becomes_quiet()
        assert not world.versions(FAR, key)
        assert not world.rows(FAR, key)
    finally:
        world.configure(RULES)


def test_what_is_sent_for_a_place_that_no_rule_gives_claims_nothing(world: World) -> None:
    """Scenario 28: as if the record had been sent back by us, for one destination, without a row there."""
    folder = world.folder("one")
    key = folder + "object"
    with world.notifications_held_back() as take:
        version = world.put(key, b"x")
        [record] = take(folder, 1)
    world.send({**record, "s3replicator": {"destination": FAR}})
    world.send(record)
    world.arrives_exactly(NEAR, key, version)
    world.becomes_quiet()
    assert not world.rows(FAR, key)
    assert not world.versions(FAR, key)
    assert not world.parked(folder)
