"""`python vocabulary_loader.py FILE TEXT ...`: loads vocabularies by llama.cpp, each in a child process.

The child tokenises the text and writes it again. Prints the children's exit codes: 0, 1 where llama.cpp refuses the
file, or the negative number of the signal that ended the child.
"""

import ctypes
import os
import resource
import sys

import llama_cpp.llama_cpp as llama

ADDRESS_SPACE = 2 << 30
"""What is read for ever ends here."""


def main(arguments: list[str]) -> None:
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    resource.setrlimit(resource.RLIMIT_AS, (ADDRESS_SPACE, ADDRESS_SPACE))
    for path, text in zip(arguments[::2], arguments[1::2], strict=True):
        child = os.fork()
        if not child:
            os._exit(0 if use(path, text.encode()) else 1)
        _, status = os.waitpid(child, 0)
        sys.stdout.write(f"{os.waitstatus_to_exitcode(status)}\n")


def use(path: str, text: bytes) -> bool:
    """False where llama.cpp refuses the file."""
    params = llama.llama_model_default_params()
    params.vocab_only = True
    model = llama.llama_model_load_from_file(path.encode(), params)
    if not model:
        return False
    vocabulary = llama.llama_model_get_vocab(model)
    tokens = (ctypes.c_int32 * (len(text) * 4 + 8))()
    count = llama.llama_tokenize(vocabulary, text, len(text), tokens, len(tokens), True, True)
    written = ctypes.create_string_buffer(1024)
    return llama.llama_detokenize(vocabulary, tokens, count, written, len(written), False, True) >= 0


if __name__ == "__main__":
    main(sys.argv[1:])
