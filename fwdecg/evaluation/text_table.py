"""Tables in plain text."""

from collections.abc import Sequence

GAP = "  "


def aligned(rows: Sequence[Sequence[str]]) -> list[str]:
    """Lines of a table, the columns as wide as their widest cell.

    Args:
        rows: cells of each line, as many in each; the first of a line is a name and set left, the
            others are set right.
    """
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    return [
        GAP.join([name.ljust(widths[0]), *map(str.rjust, cells, widths[1:])]).rstrip()
        for name, *cells in rows
    ]
