"""The common prefix of two token lists."""

FIRST_PIECE = 64
"""Tokens of the first comparison."""


def common_prefix(one: list[int], other: list[int]) -> int:
    """Returns the length of the common prefix. Most lists differ early, so the compared pieces double in length."""
    low, step, end = 0, FIRST_PIECE, min(len(one), len(other))
    while low < end and one[low : low + step] == other[low : low + step]:
        low, step = low + step, 2 * step
    high = min(low + step, end)
    low = min(low, end)
    while low < high:  # one[:low] is common, one[:high + 1] is not, or the end
        middle = (low + high + 1) // 2
        if one[low:middle] == other[low:middle]:
            low = middle
        else:
            high = middle - 1
    return low
