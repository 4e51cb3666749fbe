"""The state of a text says which string may go on at its end, and which one ends there."""

from hypothesis import given
from hypothesis import strategies as st

from remuda.aho_corasick import AhoCorasick

WORDS = st.text(alphabet="ab", max_size=5)


@given(st.lists(WORDS, max_size=5), st.text(alphabet="abc", max_size=12))
def test_a_state_is_the_longest_beginning_that_ends_the_text(strings: list[str], text: str) -> None:
    search, state = AhoCorasick(strings), 0
    for end, character in enumerate(text, 1):
        state = search.after(state, character)
        ends = [text[start:end] for start in range(end + 1)]
        longest = next(part for part in ends if not part or any(string.startswith(part) for string in strings))
        assert search.length[state] == len(longest)
        assert search.match[state] == next(part for part in ends if not part or part in strings)
        assert search.may_grow(state) == any(len(s) > len(longest) and s.startswith(longest) for s in strings)
