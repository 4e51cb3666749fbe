"""Makes the embedded model ``cria``: corpus, tokenizer, training, export, evaluation."""
