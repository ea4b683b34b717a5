"""`/channel_self`: which channel a device is on by its own choice (contract: device 3)."""
