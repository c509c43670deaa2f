"""Writes a language model of 150,000 random weights in GGUF, for a real llama.cpp server: what it says is nonsense, how
it says it is not. Usage: tiny_gguf.py FILE, with the package gguf."""

import sys

import gguf
import numpy as np

VOCABULARY, WIDTH, HEADS, LAYERS, HIDDEN, CONTEXT = 512, 64, 4, 2, 128, 2048
UNKNOWN, CONTROL, BYTE, NORMAL = 2, 3, 6, 1  # llama.cpp's kinds of tokens
RESERVED = 3


def vocabulary():
    tokens = ["<unk>", "<s>", "</s>"] + [f"<0x{value:02X}>" for value in range(256)]
    kinds = [UNKNOWN, CONTROL, CONTROL] + [BYTE] * 256
    letters = "etaoinshrdlu"
    for number in range(VOCABULARY - len(tokens)):
        word = "".join(letters[number // 12**place % 12] for place in range(3))
        tokens.append("\u2581w" + word)
        kinds.append(NORMAL)
    return tokens, kinds


def main():
    random = np.random.default_rng(0)
    writer = gguf.GGUFWriter(sys.argv[1], "llama")
    writer.add_name("tiny")
    writer.add_context_length(CONTEXT)
    writer.add_embedding_length(WIDTH)
    writer.add_block_count(LAYERS)
    writer.add_feed_forward_length(HIDDEN)
    writer.add_head_count(HEADS)
    writer.add_head_count_kv(HEADS)
    writer.add_layer_norm_rms_eps(1e-5)
    writer.add_rope_dimension_count(WIDTH // HEADS)
    writer.add_vocab_size(VOCABULARY)
    tokens, kinds = vocabulary()
    writer.add_tokenizer_model("llama")
    writer.add_tokenizer_pre("default")
    writer.add_token_list(tokens)
    writer.add_token_scores([-float(number) for number in range(VOCABULARY)])
    writer.add_token_types(kinds)
    writer.add_bos_token_id(1)
    writer.add_eos_token_id(2)
    writer.add_unk_token_id(0)

    def weights(*shape):
        return (random.normal(size=shape) * 0.05).astype(np.float32)

    ones = np.ones(WIDTH, np.float32)
    writer.add_tensor("token_embd.weight", weights(VOCABULARY, WIDTH))
    writer.add_tensor("output_norm.weight", ones)
    output = weights(VOCABULARY, WIDTH)
    # It says words, and does not end before it is told to.
    output[: RESERVED + 256] = 0
    writer.add_tensor("output.weight", output)
    for layer in range(LAYERS):
        name = f"blk.{layer}."
        for norm in ("attn_norm", "ffn_norm"):
            writer.add_tensor(f"{name}{norm}.weight", ones)
        for part in ("attn_q", "attn_k", "attn_v", "attn_output"):
            writer.add_tensor(f"{name}{part}.weight", weights(WIDTH, WIDTH))
        for part in ("ffn_gate", "ffn_up"):
            writer.add_tensor(f"{name}{part}.weight", weights(HIDDEN, WIDTH))
        writer.add_tensor(f"{name}ffn_down.weight", weights(WIDTH, HIDDEN))
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()


if __name__ == "__main__":
    main()
