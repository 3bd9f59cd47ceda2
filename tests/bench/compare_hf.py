#!/usr/bin/env python3
"""Hugging Face transformers on the model of a config.json with random weights: questions per second.

The peer of `llava-eval bench --random-weights CONFIG`: the same shapes, as many images, questions on
each and tokens a reply, the same prompt length (35 ids, the image, 30 ids), bf16 on the CPU, greedy.
Time runs from pixels to replies; weights are drawn before. Three ways, each at the batch sizes given:

  plain    every question by itself, with its image (left padding is not needed: equal lengths)
  shared   an image's prefix computed once, its cache copied for its questions by hand

    python3 tests/bench/compare_hf.py tests/bench/vicuna4.json --images 4 --questions 6 --batch 1 2 4 8

Needs torch and transformers; versions are printed with the figures.
"""
import argparse
import copy
import json
import time

import torch
import transformers
from transformers import CLIPVisionConfig, CLIPVisionModel, DynamicCache, LlamaConfig, LlamaForCausalLM

PREFIX, QUESTION = 35, 30


def build(config):
    torch.manual_seed(0)
    torch.set_default_dtype(torch.bfloat16)
    tower = CLIPVisionModel(CLIPVisionConfig(
        hidden_size=1024, intermediate_size=4096, num_hidden_layers=24, num_attention_heads=16,
        image_size=336, patch_size=14, projection_dim=768)).eval()
    hidden = config["hidden_size"]
    connector = torch.nn.Sequential(torch.nn.Linear(1024, hidden), torch.nn.GELU(),
                                    torch.nn.Linear(hidden, hidden)).eval()
    language = LlamaForCausalLM(LlamaConfig(
        hidden_size=hidden, intermediate_size=config["intermediate_size"],
        num_hidden_layers=config["num_hidden_layers"], num_attention_heads=config["num_attention_heads"],
        num_key_value_heads=config["num_key_value_heads"], vocab_size=config["vocab_size"],
        rms_norm_eps=config["rms_norm_eps"])).eval()
    return tower, connector, language


def features(tower, connector, pixels):
    hidden = tower(pixels, output_hidden_states=True).hidden_states[-2][:, 1:]
    return connector(hidden)


def decode(language, out, cache, tokens):
    for _ in range(tokens - 1):
        ids = out.logits[:, -1].argmax(-1, keepdim=True)
        out = language(input_ids=ids, past_key_values=cache, use_cache=True)
    return out.logits[:, -1].argmax(-1)


def plain(model, pixels, ids, args, batch):
    tower, connector, language = model
    table = language.get_input_embeddings()
    pending = [(i, q) for i in range(args.images) for q in range(args.questions)]
    for start in range(0, len(pending), batch):
        part = pending[start:start + batch]
        image = features(tower, connector, pixels[[i for i, _ in part]])
        text = table(ids[[q for _, q in part]])
        x = torch.cat([text[:, :PREFIX], image, text[:, PREFIX:]], 1)
        cache = DynamicCache()
        out = language(inputs_embeds=x, past_key_values=cache, use_cache=True, logits_to_keep=1)
        decode(language, out, cache, args.reply)


def shared(model, pixels, ids, args, batch):
    tower, connector, language = model
    table = language.get_input_embeddings()
    for i in range(args.images):
        image = features(tower, connector, pixels[i:i + 1])
        x = torch.cat([table(ids[:1, :PREFIX]), image], 1)
        prefix = DynamicCache()
        language(inputs_embeds=x, past_key_values=prefix, use_cache=True, logits_to_keep=1)
        for start in range(0, args.questions, batch):
            part = ids[start:start + batch, PREFIX:]
            cache = copy.deepcopy(prefix)
            cache.batch_repeat_interleave(len(part))
            out = language(input_ids=part, past_key_values=cache, use_cache=True, logits_to_keep=1)
            decode(language, out, cache, args.reply)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("config")
    parser.add_argument("--images", type=int, default=4)
    parser.add_argument("--questions", type=int, default=6)
    parser.add_argument("--reply", type=int, default=2)
    parser.add_argument("--batch", type=int, nargs="+", default=[1, 2, 4, 8])
    args = parser.parse_args()
    with open(args.config) as f:
        config = json.load(f)
    model = build(config)
    pixels = torch.randn(args.images, 3, 336, 336)
    ids = torch.randint(3, config["vocab_size"], (args.questions, PREFIX + QUESTION))
    questions = args.images * args.questions
    with torch.inference_mode():
        plain(model, pixels[:1].expand(args.images, -1, -1, -1), ids[:1].expand(args.questions, -1),
              argparse.Namespace(images=1, questions=1, reply=2), 1)        # warm up
        for name, way in (("plain", plain), ("shared", shared)):
            for batch in args.batch:
                start = time.monotonic()
                way(model, pixels, ids, args, batch)
                seconds = time.monotonic() - start
                print(json.dumps({"way": name, "batch": batch, "questions_per_s": questions / seconds,
                                  "seconds": seconds, "torch": torch.__version__,
                                  "transformers": transformers.__version__,
                                  "threads": torch.get_num_threads()}), flush=True)


if __name__ == "__main__":
    main()
