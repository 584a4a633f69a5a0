"""What makes several writes one act: contexts, changes, staging, locks."""
