"""Names on Dagster's pages: what the pages read as Markdown must not take a name for markup."""

import re

_MARKUP = re.compile(r"[<>&*`\[\]|~\\#$]|://|\bwww\.|(?<!\w)_|_(?!\w)")
"""What makes Markdown or HTML of a text, or a link; an underscore within a word does not."""


def escaped(text: str) -> str:
    """``text`` in one line, each character that could be markup as an entity: for where pages show Markdown alone.

    >>> escaped("Lake <b>Tahoe</b>")
    'Lake &#60;b&#62;Tahoe&#60;&#47;b&#62;'
    """
    return re.sub(r"([^\w\s.,;-]|_)", lambda match: f"&#{ord(match[1])};", " ".join(text.split()), flags=re.ASCII)


def as_it_is(text: str) -> str:
    """``text`` in one line, between backticks if it could be markup: for where pages show plain text, too.

    >>> as_it_is("Lake Tahoe"), as_it_is("Lake *Tahoe*")
    ('Lake Tahoe', '`Lake *Tahoe*`')
    """
    line = " ".join(text.split())
    return f"`{line.replace('`', chr(0x2CB))}`" if _MARKUP.search(line) else line
