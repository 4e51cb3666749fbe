"""Splits a GGUF file as llama.cpp's `gguf-split` does: all metadata in the first file, some tensors in each."""

from pathlib import Path

import gguf


def split_gguf(path: Path, *, tensors_per_file: int) -> list[Path]:
    """Writes `NAME-00001-of-0000N.gguf` and so on beside the file. Returns their paths in order."""
    reader = gguf.GGUFReader(path)
    field = reader.fields["general.architecture"]
    writer = gguf.GGUFWriter(path, str(field.contents()), split_max_tensors=tensors_per_file)
    for name, field in reader.fields.items():
        if not name.startswith("GGUF.") and name != "general.architecture":
            sub_type = field.types[-1] if field.types[0] is gguf.GGUFValueType.ARRAY else None
            writer.add_key_value(name, field.contents(), field.types[0], sub_type)
    for tensor in reader.tensors:
        writer.add_tensor(tensor.name, tensor.data, raw_dtype=tensor.tensor_type)
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
    return sorted(path.parent.glob(f"{path.stem}-*-of-*.gguf"))
