"""Numbers as sentences and messages show them."""

_LONG = 1e7


def rounded(value: float) -> str:
    """``value`` without decimals, and in few characters however large it is.

    >>> rounded(2404.8), rounded(1.7e308), rounded(-3.2)
    ('2,405', '1.7e+308', '-3')
    """
    return f"{value:,.0f}" if abs(value) < _LONG else f"{value:.1e}"
