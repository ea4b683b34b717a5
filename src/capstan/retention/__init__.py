"""What is removed because of its age: periodic jobs that tell what they did (contract: device 4.8, public 24)."""
