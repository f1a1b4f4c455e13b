"""The command ``aqi-dagster web``: the page for people."""

from importlib.util import find_spec

import click

from aqi_dagster.errors import WebError
from aqi_dagster.settings import load_settings

PORT = 8050


@click.command()
@click.option("--host", default="127.0.0.1", show_default=True, help="Address to listen on.")
@click.option("--port", type=click.IntRange(1, 65535), default=PORT, show_default=True, help="TCP port.")
@click.option("--public", is_flag=True, help="Everybody may see it: no password is needed, places are rounded.")
def web(host: str, port: int, public: bool) -> None:
    """Serve the page for people: smoke or clear, where, since when, and whether to believe it.

    It only reads the published copy. On another address than 127.0.0.1 it needs AQI_WEB_PASSWORD or --public.
    docs/page.md says more.
    """
    require_extra()
    from aqi_dagster.web.server import serve

    serve(load_settings(), host, port, public, lambda address: click.echo(f"The page is at {address}  Ctrl-C ends it."))


def require_extra() -> None:
    """Raise :class:`WebError` if what the page needs is not installed."""
    if not has_extra():
        raise WebError("The page needs the extra `web`: pip install 'aqi_dagster[web]'.")


def has_extra() -> bool:
    """Whether what the page needs is installed."""
    return all(find_spec(name) for name in ("flask", "plotly", "waitress"))
