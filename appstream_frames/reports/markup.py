"""HTML for the report: elements whose text cannot be anything but text, tables that fit a phone, the page around them.

It knows nothing of AWS. The page asks for nothing: no script, no font, no picture that is not inside it, and it carries
a policy that holds browsers to that.
"""

from __future__ import annotations

import base64
import hashlib
import html
from collections.abc import Iterable, Sequence
from typing import Final

import pandas as pd

from appstream_frames.text import printable

WIDTH: Final = 120  # characters of a text from elsewhere
NOTHING: Final = "–"
_SHORT: Final = 16

STYLE: Final = """
:root { color-scheme: light dark; --page: #fff; --text: #1d2126; --soft: #59616b; --line: #d9dee3; --box: #f5f7f8;
  --bad: #a33b00; --good: #005a8f; }
* { box-sizing: border-box; }
body { margin: 0 auto; max-width: 60rem; padding: 2.5rem 1.5rem 4rem; background: var(--page); color: var(--text);
  font: 16px/1.5 system-ui, -apple-system, "Segoe UI", Roboto, "Helvetica Neue", Arial, sans-serif; overflow-wrap: anywhere; }
h1 { margin: 0; font-size: 1.9rem; line-height: 1.2; letter-spacing: -0.01em; }
h2 { margin: 3rem 0 0.5rem; padding-top: 1rem; border-top: 1px solid var(--line); font-size: 1.3rem; line-height: 1.3; }
h3 { margin: 2rem 0 0.25rem; font-size: 1rem; }
p { margin: 0.5rem 0; max-width: 46rem; }
.soft, caption, figcaption { color: var(--soft); }
small, .small { font-size: 0.875rem; }
.findings { margin: 1.75rem 0 0; padding: 0.25rem 1.25rem; background: var(--box); border-radius: 8px; }
.findings div { display: grid; grid-template-columns: 8.5rem 1fr; gap: 0 1rem; padding: 0.7rem 0;
  border-top: 1px solid var(--line); }
.findings div:first-child { border-top: 0; }
.findings dt { font-weight: 600; }
.findings dd { margin: 0; }
.bad { color: var(--bad); font-weight: 600; }
.good { color: var(--good); font-weight: 600; }
figure { margin: 1.25rem 0; }
img { display: block; width: 100%; height: auto; }
table { width: 100%; margin: 1rem 0; border-collapse: collapse; font-size: 0.9rem; line-height: 1.4; }
caption { padding-bottom: 0.4rem; text-align: left; }
th, td { padding: 0.45rem 1rem 0.45rem 0; border-top: 1px solid var(--line); text-align: left; vertical-align: top; }
th:last-child, td:last-child { padding-right: 0; }
thead th { border-top: 0; color: var(--soft); font-weight: 500; white-space: nowrap; }
tbody th { min-width: 12rem; font-weight: 600; }
.number { text-align: right; white-space: nowrap; font-variant-numeric: tabular-nums; }
.whole { white-space: nowrap; }
tbody th, td, dd { overflow: clip; }
ul { margin: 0; padding: 0; list-style: none; }
footer { margin-top: 3rem; padding-top: 1rem; border-top: 1px solid var(--line); }
@media screen and (prefers-color-scheme: dark) {
  :root { --page: #14171a; --text: #e4e7ea; --soft: #a0a9b2; --line: #353b42; --box: #1c2024; --bad: #ff9a52; --good: #6cbcf0; }
  img { padding: 0.75rem; background: #eef0f2; border-radius: 8px; }
}
@media (max-width: 40rem) {
  body { padding: 1.5rem 1rem 3rem; }
  h1 { font-size: 1.5rem; }
  .findings { padding: 0.25rem 1rem; }
  .findings div { grid-template-columns: 1fr; }
  table, caption, tbody, tr, th, td { display: block; width: 100%; }
  thead { position: absolute; width: 1px; height: 1px; overflow: hidden; clip-path: inset(50%); }
  tr { padding: 0.6rem 0; border-top: 1px solid var(--line); }
  tbody th, td { padding: 0.1rem 0; border: 0; text-align: left; }
  td { display: grid; grid-template-columns: 7rem 1fr; gap: 0.5rem; }
  td::before { content: attr(data-label); color: var(--soft); }
  .number { text-align: left; }
}
@media print {
  body { max-width: none; padding: 0; font-size: 11pt; }
  h2, h3, caption { break-after: avoid; }
  figure, tr, .findings div { break-inside: avoid; }
}
"""


class Html(str):
    """Text that is HTML already; `tag` escapes every other text."""

    __slots__ = ()


def text(value: object, width: int = WIDTH) -> Html:
    r"""Return any value as text that a browser shows and does nothing else with; a missing one as a dash.

    Examples
    --------
    >>> text("<script>\u202e"), text(None)
    ('&lt;script&gt;\\u202e', '–')
    """
    if isinstance(value, Html):
        return value
    missing = value is None or value is pd.NA or value is pd.NaT or value != value
    return Html(NOTHING if missing else html.escape(printable(value, width)))


def tag(name: str, *inside: object, **attributes: str) -> Html:
    """Return an element; ``class_`` is the attribute class, ``data_label`` the attribute data-label.

    Examples
    --------
    >>> tag("p", "1 < 2", tag("br"), class_="soft")
    '<p class="soft">1 &lt; 2<br></p>'
    """
    words = "".join(f' {key.strip("_").replace("_", "-")}="{text(value, 10**7)}"' for key, value in attributes.items())
    end = "" if name in ("br", "img", "meta", "link", "source") else f"</{name}>"
    return Html(f"<{name}{words}>{''.join(map(text, inside))}{end}")


def whole(value: object) -> Html:
    """Return a short text so that it is not broken into lines; a long one may be."""
    return tag("span", value, class_="whole") if len(text(value)) <= _SHORT else text(value)


def prose(words: str, **attributes: str) -> Html:
    """Return a paragraph of our own words, whatever their length; what they quote was cut already."""
    return tag("p", text(words, 2000), **attributes)


def joined(*parts: object) -> Html:
    """Return parts one after another, what is no HTML yet escaped."""
    return Html("".join(map(text, parts)))


def table(caption: str, columns: Sequence[str], rows: Sequence[Sequence[object]], numbers: Iterable[str] = ()) -> Html:
    """Return a table whose first column names the row; on a phone every row becomes a card with the columns' names in it.

    Parameters
    ----------
    caption : str
        What the rows are.
    columns : sequence of str
        Their names, as many as cells in each row.
    rows : sequence of sequences
        The cells: `Html`, or anything else to be shown as text.
    numbers : iterable of str
        The columns that are flush right.
    """
    # roles said aloud: a phone's style makes blocks of the cells, and browsers then forget that they are cells
    kinds = ["number" if name in set(numbers) else "" for name in columns]
    head = [
        tag("th", name, scope="col", role="columnheader", **_class(kind))
        for name, kind in zip(columns, kinds, strict=True)
    ]
    body = [tag("tr", *_cells(row, columns, kinds), role="row") for row in rows]
    return tag(
        "table",
        tag("caption", caption),
        tag("thead", tag("tr", *head, role="row"), role="rowgroup"),
        tag("tbody", *body, role="rowgroup"),
        role="table",
    )


def _cells(row: Sequence[object], columns: Sequence[str], kinds: Sequence[str]) -> Iterable[Html]:
    first, *others = row
    yield tag("th", first, scope="row", role="rowheader")
    for value, name, kind in zip(others, columns[1:], kinds[1:], strict=True):
        yield tag("td", tag("span", value), role="cell", data_label=name, **_class(kind))


def _class(name: str) -> dict[str, str]:
    return {"class_": name} if name else {}


def page(title: str, *body: object) -> Html:
    """Return the whole document."""
    digest = base64.b64encode(hashlib.sha256(STYLE.encode()).digest()).decode()
    policy = f"default-src 'none'; style-src 'sha256-{digest}'; img-src data:; base-uri 'none'; form-action 'none'"
    head = [
        Html('<meta charset="utf-8">'),
        Html(f'<meta http-equiv="Content-Security-Policy" content="{policy}">'),
        Html('<meta name="viewport" content="width=device-width, initial-scale=1">'),
        Html('<meta name="referrer" content="no-referrer">'),
        Html('<link rel="icon" href="data:,">'),  # a browser asks the server for one otherwise
        tag("title", title),
        Html(f"<style>{STYLE}</style>"),
    ]
    document = Html(f'<html lang="en">\n<head>{"".join(head)}</head>\n<body>{"".join(map(text, body))}</body>\n</html>')
    return Html(f"<!doctype html>\n{document}\n")
