"""A drawn, stateful phone that speaks adb's own protocol."""
