"""Fault injection: what goes wrong (`kinds`), where (`subjects`), what must stand (`standing`)."""
