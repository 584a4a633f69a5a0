"""The page for people, as files: one of HTML, one of CSS, one of JavaScript, and no build step.

No code lives here. ``encore.service.server.front`` hands the files out.
"""
