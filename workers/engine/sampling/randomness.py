"""Counter-based random numbers: a token's draw depends on the seed and the token's position alone.

So a request that is resumed elsewhere draws the same tokens. The mixing function is SplitMix64 (Steele, Lea, Flood
2014).
"""

_MASK = (1 << 64) - 1
_GOLDEN = 0x9E3779B97F4A7C15


def uniform(seed: int, position: int) -> float:
    """Returns a number in [0, 1) with 53 random bits."""
    z = (_mix(seed & _MASK) + (position + 1) * _GOLDEN) & _MASK
    return (_mix(z) >> 11) * 2.0**-53


def _mix(z: int) -> int:
    z = ((z ^ (z >> 30)) * 0xBF58476D1CE4E5B9) & _MASK
    z = ((z ^ (z >> 27)) * 0x94D049BB133111EB) & _MASK
    return z ^ (z >> 31)
