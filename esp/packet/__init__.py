"""Values: IP headers, selectors, policies, replay windows, ECN, row layouts, drop reasons. No keys, no
I/O."""
