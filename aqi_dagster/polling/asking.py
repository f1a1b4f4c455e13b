"""One question over HTTP, with a limit for the time and the size of its answer."""

import threading
from collections.abc import Mapping
from concurrent.futures import Future
from typing import NamedTuple

import requests

MOST_BYTES = 50_000_000
"""Longest answer that is read: a hundred thousand sensors take 5 MB."""

_PIECE_BYTES = 65_536


class Reply(NamedTuple):
    """An answer: its status, its bytes, and its header ``Retry-After`` (empty if it has none)."""

    status: int
    body: bytes
    retry_after: str


class NoReplyError(Exception):
    """No whole answer came."""


def ask(
    url: str,
    parameters: Mapping[str, str],
    headers: Mapping[str, str],
    timeout: float,
    through_proxy: bool = True,
) -> Reply:
    """The answer to a GET of ``url``; ``NoReplyError`` if it is not there, whole, within ``timeout`` seconds.

    A thread of its own asks, and is abandoned after the timeout: requests limits only the silence between two bytes,
    and a server may send one now and then for ever. Redirections are not followed: ``headers`` hold a secret. Nor do
    errors quote more than the kind of what went wrong.
    """
    answer: Future[Reply] = Future()

    def work() -> None:
        try:
            answer.set_result(_ask(url, parameters, headers, timeout, through_proxy))
        except Exception as error:  # noqa: BLE001 (the waiting thread raises it)
            answer.set_exception(error)

    threading.Thread(target=work, name="ask", daemon=True).start()
    try:
        return answer.result(timeout)
    except (TimeoutError, requests.Timeout):
        problem = f"no answer within {timeout:g} s"
    except requests.exceptions.ChunkedEncodingError:
        problem = "its answer is cut off"
    except NoReplyError as error:
        problem = str(error)
    except Exception as error:  # noqa: BLE001 (whatever it is, its text is not ours)
        problem = f"no answer ({type(error).__name__})"
    raise NoReplyError(problem)


def _ask(
    url: str, parameters: Mapping[str, str], headers: Mapping[str, str], timeout: float, through_proxy: bool
) -> Reply:
    with requests.Session() as session:
        session.trust_env = through_proxy
        with session.get(
            url, params=parameters, headers=headers, timeout=timeout, allow_redirects=False, stream=True
        ) as response:
            body = bytearray()
            for piece in response.iter_content(_PIECE_BYTES):
                body += piece
                if len(body) > MOST_BYTES:
                    raise NoReplyError(f"its answer is longer than {MOST_BYTES:,} bytes")
            return Reply(response.status_code, bytes(body), response.headers.get("Retry-After", ""))
