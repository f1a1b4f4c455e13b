"""Names on Dagster's pages, read by a Markdown parser as the pages read them."""

import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from markdown_it import MarkdownIt
from markdown_it.token import Token

from aqi_dagster.assets.checks import few_messages_rejected
from aqi_dagster.assets.markdown import as_it_is, escaped
from aqi_dagster.pipeline.readings.accounting import PulledMessages

HOSTILE = [
    "Lake <script>alert(1)</script>",
    "![x](https://a.example/x.png)",
    "[Tahoe](https://a.example)",
    "**bold** _italic_ ~~struck~~ `code`",
    "](data:image/png;base64,AAAA)![",
    "&lt;b&gt; \\[x\\](y)",
    "a ``b`` ` c",
    "https://a.example",
    "<https://a.example>",
    "# heading\n\n- list | table",
]

NAMES = st.one_of(st.sampled_from(HOSTILE), st.text("ab <>&*_`[]()!|~\\#$;:/.x1\n", min_size=1, max_size=20))


def inline(markdown: str) -> list[Token]:
    """What a page shows of ``markdown``, one paragraph."""
    opened, paragraph, closed = MarkdownIt("commonmark").enable(["table", "strikethrough"]).parse(markdown)
    assert (opened.type, paragraph.type, closed.type) == ("paragraph_open", "inline", "paragraph_close")
    return paragraph.children or []


@given(name=NAMES)
@example(name=HOSTILE[4])
def test_a_picture_is_all_there_is_whatever_its_text(name: str) -> None:
    (image,) = inline(f"![{escaped(f'PM2.5 in {name}')}](data:image/png;base64,AAAA)")
    assert (image.type, image.attrs["src"]) == ("image", "data:image/png;base64,AAAA")
    assert {child.type for child in image.children or []} == {"text"}
    assert image.content == escaped(f"PM2.5 in {name}")
    assert "".join(child.content for child in image.children or []) == f"PM2.5 in {' '.join(name.split())}".strip()


@given(name=NAMES.filter(str.split))
def test_a_name_in_a_sentence_stays_a_name(name: str) -> None:
    shown = inline(f"Sensor 45.1, -122 counts to {as_it_is(name)}, to which it does not belong")
    assert {token.type for token in shown} <= {"text", "code_inline"}
    text = "".join(token.content for token in shown)
    line = " ".join(name.split()).replace("`", "\N{MODIFIER LETTER GRAVE ACCENT}")
    assert text == f"Sensor 45.1, -122 counts to {line}, to which it does not belong"


@pytest.mark.parametrize("name", ["Lake Tahoe", "El Dorado County, California", "Aquila (AQ)", "PM2.5_CF1_ug/m3"])
def test_an_ordinary_name_is_shown_without_any_sign_more(name: str) -> None:
    assert as_it_is(name) == name


def test_reasons_with_the_names_of_fields_are_no_markup_either() -> None:
    check = few_messages_rejected(PulledMessages(2, {"<b>at</b> is missing": 1, "key is missing": 1}), 0.5)
    assert (check.description or "").startswith("2 of 2 messages were rejected: `<b>at</b> is missing` (1), key is")
