"""Bodies for load are what real devices would send."""

from __future__ import annotations

import json
import re

from capstan.simulator import LightFleet

UUID = re.compile(r"[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-a[0-9a-f]{3}-[0-9a-f]{12}")


def test_a_device_is_the_same_every_time_and_different_from_others() -> None:
    fleet, again, other = LightFleet("io.acme.notes"), LightFleet("io.acme.notes"), LightFleet("io.acme.notes", 2)
    assert fleet.check_body(123_456) == again.check_body(123_456)
    assert fleet.device_id(5) != other.device_id(5)
    ids = [fleet.device_id(number) for number in range(1000)]
    assert len(set(ids)) == 1000
    assert all(UUID.fullmatch(text) for text in ids)


def test_a_check_body_is_a_whole_check() -> None:
    fleet = LightFleet("io.acme.notes", running=("2.1.0", "2.2.0"), natives=("2.0.0",))
    bodies = [json.loads(fleet.check_body(number)) for number in range(100)]
    assert bodies[7]["device_id"] == fleet.device_id(7)
    assert {body["app_id"] for body in bodies} == {"io.acme.notes"}
    assert {body["version_name"] for body in bodies} == {"2.1.0", "2.2.0"}
    assert {body["version_build"] for body in bodies} == {"2.0.0"}
    assert {body["platform"] for body in bodies} == {"android", "ios"}


def test_an_event_body_is_a_batch_of_one_with_a_moment_of_its_own() -> None:
    fleet = LightFleet("io.acme.notes", running=("2.1.0",), start_ms=1_000)
    first, second = (json.loads(fleet.event_body(3)) for _ in range(2))
    assert [event["action"] for event in first] == ["ping"]
    assert (first[0]["version_name"], first[0]["device_id"]) == ("2.1.0", fleet.device_id(3))
    assert (first[0]["timestamp"], second[0]["timestamp"]) == (1_000, 1_001)
    assert json.loads(fleet.event_body(3, "set", "2.2.0"))[0]["version_name"] == "2.2.0"


def test_an_old_release_posts_a_single_event() -> None:
    fleet = LightFleet("io.acme.notes", plugin_versions=("7.34.3",))
    assert json.loads(fleet.event_body(0, "set"))["action"] == "set"
