"""The window into a negotiation: a page that shows what two gateways say to each other, as they say it."""
