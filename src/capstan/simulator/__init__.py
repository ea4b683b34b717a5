"""A device that behaves as the updater plugin does, for the demo, the tests and the load (contract: device 7)."""

from capstan.simulator.answers import Answer, ManifestEntry, Offer, Outcome, Reply
from capstan.simulator.channels import ChannelAnswer, ListedChannel
from capstan.simulator.clock import Clock, ManualClock, SystemClock
from capstan.simulator.decryption import PublicKey
from capstan.simulator.device import Applied, Cycle, Setup, SimulatedDevice
from capstan.simulator.download import Download
from capstan.simulator.faults import Fault, Temper, always, healthy, on_version
from capstan.simulator.fleet import Fleet, Round, make_identities
from capstan.simulator.identity import ELECTRON_PLUGIN_VERSION, Identity, Platform
from capstan.simulator.light import LightFleet
from capstan.simulator.outbox import Event, Flushed
from capstan.simulator.storage import BundleState
from capstan.simulator.wire import Endpoints, Traffic

__all__ = [
    "ELECTRON_PLUGIN_VERSION",
    "Answer",
    "Applied",
    "BundleState",
    "ChannelAnswer",
    "Clock",
    "Cycle",
    "Download",
    "Endpoints",
    "Event",
    "Fault",
    "Fleet",
    "Flushed",
    "Identity",
    "LightFleet",
    "ListedChannel",
    "ManifestEntry",
    "ManualClock",
    "Offer",
    "Outcome",
    "Platform",
    "PublicKey",
    "Reply",
    "Round",
    "Setup",
    "SimulatedDevice",
    "SystemClock",
    "Temper",
    "Traffic",
    "always",
    "healthy",
    "make_identities",
    "on_version",
]
