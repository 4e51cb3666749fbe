"""How the embedded model ``cria`` is made: corpus, tokenizer, training, export, evaluation."""
