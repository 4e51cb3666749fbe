"""What a replica would take: llama.cpp loads its model without weights and makes its contexts without caches."""
