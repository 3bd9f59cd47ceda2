#!/usr/bin/env python3
"""llama.cpp on the language model of a config.json with random weights: prompt tokens per second.

The peer of `llava-eval bench --random-weights CONFIG` in its language model alone, without the tower:
the same shapes, prompts of as many rows (35 ids, 576 of a picture, 30 ids: 641), logits of the last one
only. Both run here, one after the other, as often as --rounds says; medians are compared. Ours are the
seconds of the whole run but those of the stage `vision`. llama.cpp is tried in each type and with each
size of physical batch that is named; its prompt's rows are ids, which cost it what embedded pixels would.

    python3 tests/bench/compare_llamacpp.py tests/bench/vicuna4.json --types f16 bf16 --batch 512 641

Needs numpy, gguf and llama-cpp-python, whose version is printed with the figures; and ./llava-eval.
"""
import argparse
import ctypes
import json
import os
import statistics
import subprocess
import tempfile
import time

import gguf
import llama_cpp
import numpy

ROWS = 35 + 576 + 30


def write(path, config, kind):
    """The language model as a GGUF file without a vocabulary: the values are random."""
    random = numpy.random.default_rng(0)
    writer = gguf.GGUFWriter(path, "llama")
    d, ff, vocabulary = config["hidden_size"], config["intermediate_size"], config["vocab_size"]
    kv = d // config["num_attention_heads"] * config["num_key_value_heads"]
    writer.add_context_length(config["max_position_embeddings"])
    writer.add_embedding_length(d)
    writer.add_feed_forward_length(ff)
    writer.add_block_count(config["num_hidden_layers"])
    writer.add_head_count(config["num_attention_heads"])
    writer.add_head_count_kv(config["num_key_value_heads"])
    writer.add_layer_norm_rms_eps(config["rms_norm_eps"])
    writer.add_rope_dimension_count(d // config["num_attention_heads"])
    writer.add_vocab_size(vocabulary)
    writer.add_tokenizer_model("none")

    def add(name, *shape):
        values = random.standard_normal(shape, dtype=numpy.float32) * 0.02
        if len(shape) == 1:
            writer.add_tensor(name, values + 1)
        elif kind == "f16":
            writer.add_tensor(name, values.astype(numpy.float16))
        else:
            writer.add_tensor(name, gguf.quants.quantize(values, gguf.GGMLQuantizationType.BF16),
                              raw_dtype=gguf.GGMLQuantizationType.BF16)

    add("token_embd.weight", vocabulary, d)
    for i in range(config["num_hidden_layers"]):
        for name, rows, columns in (("attn_q", d, d), ("attn_k", kv, d), ("attn_v", kv, d), ("attn_output", d, d),
                                    ("ffn_gate", ff, d), ("ffn_up", ff, d), ("ffn_down", d, ff)):
            add(f"blk.{i}.{name}.weight", rows, columns)
        add(f"blk.{i}.attn_norm.weight", d)
        add(f"blk.{i}.ffn_norm.weight", d)
    add("output_norm.weight", d)
    add("output.weight", vocabulary, d)
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()


class Theirs:
    """One model file, with one size of physical batch."""

    def __init__(self, path, batch, threads):
        parameters = llama_cpp.llama_model_default_params()
        self.model = llama_cpp.llama_model_load_from_file(path.encode(), parameters)
        parameters = llama_cpp.llama_context_default_params()
        parameters.n_ctx, parameters.n_batch, parameters.n_ubatch = 1024, ROWS, batch
        parameters.n_threads = parameters.n_threads_batch = threads
        self.context = llama_cpp.llama_init_from_model(self.model, parameters)
        assert self.model and self.context, "llama.cpp takes neither model nor context"
        self.ids = (ctypes.c_int32 * ROWS)(*(3 + 7 * i % 31000 for i in range(ROWS)))

    def rate(self, prompts):
        start = time.monotonic()
        for _ in range(prompts):
            llama_cpp.llama_memory_clear(llama_cpp.llama_get_memory(self.context), True)
            status = llama_cpp.llama_decode(self.context, llama_cpp.llama_batch_get_one(self.ids, ROWS))
            assert status == 0, f"llama_decode: {status}"
            llama_cpp.llama_get_logits(self.context)
        return prompts * ROWS / (time.monotonic() - start)

    def close(self):
        llama_cpp.llama_free(self.context)
        llama_cpp.llama_model_free(self.model)


def ours(config, prompts, threads):
    out = subprocess.run(["./llava-eval", "bench", "--random-weights", config, "--dtype", "bf16", "--images", str(prompts),
                          "--questions-per-image", "1", "--reply-tokens", "1"], check=True, stdout=subprocess.PIPE,
                         stderr=subprocess.DEVNULL, env={**os.environ, "OMP_NUM_THREADS": str(threads)}).stdout
    figures = json.loads(out)
    seconds = figures["seconds"]
    return figures["prompt_tokens_per_s"] * seconds["total"] / (seconds["total"] - seconds["vision"])


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("config")
    parser.add_argument("--prompts", type=int, default=4)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--types", nargs="+", default=["f16", "bf16"], choices=["f16", "bf16"])
    parser.add_argument("--batch", type=int, nargs="+", default=[512, ROWS])
    parser.add_argument("--threads", type=int, default=len(os.sched_getaffinity(0)))
    args = parser.parse_args()
    with open(args.config) as f:
        config = json.load(f)
    quiet = llama_cpp.llama_log_callback(lambda level, text, user: None)
    llama_cpp.llama_log_set(quiet, None)
    llama_cpp.llama_backend_init()
    rates = {}
    with tempfile.TemporaryDirectory() as folder:
        for kind in args.types:
            path = os.path.join(folder, kind + ".gguf")
            write(path, config, kind)
            for _ in range(args.rounds):
                rates.setdefault("ours, bf16", []).append(ours(args.config, args.prompts, args.threads))
                for batch in args.batch:
                    theirs = Theirs(path, batch, args.threads)
                    theirs.rate(1)                                              # warm up
                    rates.setdefault(f"llama.cpp, {kind}, {batch}", []).append(theirs.rate(args.prompts))
                    theirs.close()
            os.unlink(path)
    print(json.dumps({"tokens_per_s": {name: round(statistics.median(of), 1) for name, of in rates.items()},
                      "all": rates, "llama_cpp_python": llama_cpp.__version__, "threads": args.threads,
                      "system": llama_cpp.llama_print_system_info().decode()}, indent=1))


if __name__ == "__main__":
    main()
