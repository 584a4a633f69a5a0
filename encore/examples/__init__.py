"""Applications made with encore, to be run, read and copied from. Nothing imports this room."""
