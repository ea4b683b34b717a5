"""The device plane's mind: what a device is answered, and why.

Every module here that decides something is pure: it imports nothing that does I/O, and the same values always give
the same answer.
"""
