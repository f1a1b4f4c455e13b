"""Numbers as sentences and messages show them."""

_LONG = 1e7


def counted(number: int, noun: str, plural: str | None = None) -> str:
    """``number`` with its noun, in the plural (with an s, if none is given) unless it is one.

    >>> counted(1, "reading"), counted(1200, "reading"), counted(2, "anomaly", "anomalies")
    ('1 reading', '1,200 readings', '2 anomalies')
    """
    return f"{number:,} {noun if number == 1 else plural or noun + 's'}"


def rounded(value: float) -> str:
    """``value`` without decimals, and in few characters however large it is.

    >>> rounded(2404.8), rounded(1.7e308), rounded(-3.2)
    ('2,405', '1.7e+308', '-3')
    """
    return f"{value:,.0f}" if abs(value) < _LONG else f"{value:.1e}"
