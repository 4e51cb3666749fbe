"""What two token lists begin with together."""

FIRST_PIECE = 64
"""Tokens that are compared first."""


def common_prefix(one: list[int], other: list[int]) -> int:
    """Length of the common beginning of two token lists. Most differ early: longer and longer pieces are compared."""
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
