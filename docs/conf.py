"""How the documentation is built: Markdown pages, and a reference made of the docstrings.

Nothing is fetched: the build works without a network. ``nitpicky`` is on, so that a name in a
docstring which nobody documents is an error; what belongs to the standard library, or is private
to a room, is named below.
"""

from __future__ import annotations

import os

from docutils import nodes
from docutils.parsers.rst import Directive
from sphinx.application import Sphinx
from sphinx.domains.python import PyXRefRole

import encore
from encore.cli.main import build_parser

project = "encore"
author = "the encore developers"
version = release = encore.__version__

extensions = [
    "myst_parser",
    "sphinx.ext.autodoc",
    "sphinx.ext.autosummary",
    "numpydoc",
]
exclude_patterns = ["explanation/_*.md"]
myst_enable_extensions = ["deflist", "colon_fence"]
myst_heading_anchors = 3
suppress_warnings = ["config.cache"]

html_theme = "furo"
html_title = f"encore {release}"
html_show_sphinx = False
html_copy_source = False

default_role = "near"  # a single pair of backticks in a docstring
add_module_names = False
autodoc_member_order = "bysource"
autodoc_typehints = "signature"
autodoc_typehints_format = "short"
autodoc_class_signature = "mixed"
autosummary_generate = False
python_use_unqualified_type_names = True
python_maximum_signature_line_length = 88
numpydoc_show_class_members = False
numpydoc_class_members_toctree = False

nitpicky = True
nitpick_ignore_regex = [
    ("py:class", r"(?!encore\b).*"),  # the standard library, and what signatures are made of
    ("py:obj", r"(io|shutil|hashlib)\..*"),
    ("py:obj", r"[a-z_]+"),  # parameters, which have no place of their own
]
nitpick_ignore = [  # private to their rooms, but seen in signatures
    ("py:class", "encore.aio.core.AsyncCore"),
    ("py:class", "encore.config.kinds._M"),
    ("py:class", "encore.config.prefixes.AddressPrefix"),
    ("py:class", "encore.service.client.asking.Asking"),
    ("py:class", "encore.service.client.asking.Connection"),
    ("py:class", "encore.service.server.exchange.Request"),
    ("py:class", "encore.storage.transactions.recording.StepOptions"),
    ("py:class", "encore.storage.transactions.several.SeveralTransactions"),
    ("py:class", "encore.streams.readers.Hash"),
    ("py:class", "encore.streams.tee._Place"),
]


class NearRole(PyXRefRole):
    """A Python name, looked for in the class, then in the module, then everywhere."""

    def process_link(self, env, refnode, has_explicit_title, title, target):
        refnode["refdomain"], refnode["reftype"] = "py", "obj"
        target = target.removesuffix("()")
        return super().process_link(env, refnode, has_explicit_title, title, "." + target)


class CommandHelp(Directive):
    """What ``encore COMMAND --help`` prints; without an argument, what ``encore --help`` does."""

    optional_arguments = 1

    def run(self) -> list[nodes.Node]:
        command = self.arguments[0] if self.arguments else None
        parser = build_parser(command)
        if command is not None:
            (commands,) = (a for a in parser._actions if getattr(a, "choices", None) is not None)
            parser = commands.choices[command]
        text = parser.format_help()
        block = nodes.literal_block(text, text, language="text")
        return [block]


def setup(app: Sphinx) -> None:
    os.environ["COLUMNS"] = "88"  # argparse asks for the width of the terminal
    app.add_role("near", NearRole())
    app.add_directive("command-help", CommandHelp)
