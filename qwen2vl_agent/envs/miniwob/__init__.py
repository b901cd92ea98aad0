"""MiniWoB++: small web pages with an instruction and a reward each, as a device, as tasks and as suites."""
