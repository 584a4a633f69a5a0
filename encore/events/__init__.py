"""Who said what to whom: events, their manager, progress, cancelling.

Import the public names from `encore.events.api`.
"""
