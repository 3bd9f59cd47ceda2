"""Answer files in the forms that other programs write, by the libraries that they write them with.

    python -m venv v && v/bin/pip install pandas==3.1.1 openpyxl==3.1.5 xlsxwriter==3.3.1
    v/bin/python tests/vectors/import/record.py

VLMEvalKit (open-compass/VLMEvalKit 00fff545, vlmeval/smp/file.py, dump): DataFrame.to_excel with xlsxwriter,
strings_to_formulas off; to_csv with a tab and QUOTE_ALL; json.dump of records. Columns are those of its tables
without `image`, `prediction` last (vlmeval/inference.py). Older releases wrote .xlsx through openpyxl.
lmms-eval (EvolvingLMMs-Lab/lmms-eval 0716c69d, loggers/evaluation_tracker.py): one json.dumps(ensure_ascii=False)
a sample; `doc` is dropped since then, `resps` where it equals `filtered_resps`. Metrics as in each tasks/*/utils.py.
The questions are made up; tests/test_import.c has them.
"""
import csv
import json
import os
import zipfile

import openpyxl
import pandas as pd

here = os.path.dirname(os.path.abspath(__file__))
path = lambda name: os.path.join(here, name)

# MMBench: the options turn from row to row, the index says which pass.
mmbench = pd.DataFrame([
    dict(index=7, question="What is <this> & that?", hint=None, A="cup", B=" a fork ", C=None, D=None,
         answer="B", category="object", prediction="B"),
    dict(index=1000007, question="What is <this> & that?", hint=None, A=" a fork ", B="cup", C=None, D=None,
         answer="A", category="object", prediction="A. a \"fork\"\nsaid é🍕 _x0041_ =1+1"),
    dict(index=9, question="Which?", hint="look", A="0.80", B="x", C="y", D="z",
         answer="D", category="sum", prediction=""),
    dict(index=5000009, question="Which?", hint="look", A="0.80", B="x", C="y", D="z",
         answer="D", category="sum", prediction="None"),
])
with pd.ExcelWriter(path("mmbench.xlsx"), engine="xlsxwriter",
                    engine_kwargs={"options": {"strings_to_formulas": False}}) as writer:
    mmbench.to_excel(writer, index=False)
mmbench.replace(" _x0041_", "", regex=True).to_excel(path("mmbench_openpyxl.xlsx"), index=False, engine="openpyxl")
mmbench.to_csv(path("mmbench.tsv"), sep="\t", index=False, encoding="utf-8", quoting=csv.QUOTE_ALL)
json.dump(mmbench.astype(object).where(mmbench.notna(), None).to_dict("records"),
          open(path("mmbench.json"), "w"), indent=4, ensure_ascii=False)

# What other writers do: rich text, a formula, a boolean, gaps, a sheet that is not the first part.
book = openpyxl.Workbook()
sheet = book.active
sheet.title = "answers"
from openpyxl.cell.rich_text import CellRichText, TextBlock
from openpyxl.cell.text import InlineFont
sheet.append(["question", None, "prediction", "index"])
sheet["A3"] = "Which?"
sheet["C3"] = CellRichText("the ", TextBlock(InlineFont(b=True), "letter"), " D")
sheet["D3"] = 9
sheet["C5"] = True
sheet["D5"] = 7
book.create_sheet("other").append(["index", "prediction"])
book.save(path("rich.xlsx"))
with zipfile.ZipFile(path("rich.xlsx")) as z:               # and how a word is spoken, as Excel notes it
    parts = {name: z.read(name) for name in z.namelist()}
sheet1 = parts["xl/worksheets/sheet1.xml"]
assert sheet1.count(b" D</t></r></is>") == 1, sheet1
parts["xl/worksheets/sheet1.xml"] = sheet1.replace(b" D</t></r></is>",
                                                   b' D</t></r><rPh sb="0" eb="1"><t>spoken</t></rPh></is>')
with zipfile.ZipFile(path("rich.xlsx"), "w", zipfile.ZIP_STORED) as z:
    for name, content in parts.items():
        z.writestr(name, content)

# POPE: index counts through; a positive question stands for all three categories.
pd.DataFrame([
    dict(index=0, question="Is there a dog in the image?", answer="Yes", image_path="COCO_val2014_000000000001.jpg",
         category="adversarial,popular,random", prediction="Yes"),
    dict(index=1, question="Is there a cat in the image?", answer="No", image_path="COCO_val2014_000000000001.jpg",
         category="adversarial", prediction="No"),
    dict(index=2, question="Is there a bus in the image?", answer="No", image_path="COCO_val2014_000000000001.jpg",
         category="popular,random", prediction="Failed to obtain answer via API."),
    dict(index=3, question="Is there a dog in the image?", answer="No", image_path="COCO_val2014_000000000002.jpg",
         category="random", prediction="no."),
]).to_csv(path("pope.tsv"), sep="\t", index=False, encoding="utf-8", quoting=csv.QUOTE_ALL)

def samples(name, rows):
    with open(path(name), "w", encoding="utf-8") as f:
        f.writelines(json.dumps(row, ensure_ascii=False) + "\n" for row in rows)

SHORT = "\nAnswer the question using a single word or phrase."

# MME: both questions of a picture have one id; here the second one comes first. `doc` is gone.
mme = lambda i, q, target, reply: dict(
    doc_id=i, target=target, filtered_resps=[reply], doc_hash="0",
    mme_percetion_score=dict(question_id="existence/000001.jpg", category="existence", score=1.0),
    input=q + SHORT)
samples("mme.jsonl", [mme(0, "Is it a cup?", "No", "no"), mme(1, "Is it a fork?", "Yes", "Yes")])

# GQA says no id: its place does, if every question stands where it should.
gqa = lambda i, q, target, reply: dict(doc_id=i, target=target, filtered_resps=reply, doc_hash="0",
                                       exact_match=0.0, input=q + SHORT)
rows = [gqa(0, "Is it red?", "yes", "Yes"), gqa(1, "Is it red?", "no", "No"), gqa(2, "What is it?", "cup", "cup")]
samples("gqa.jsonl", rows)
samples("gqa_turned.jsonl", [dict(rows[2], doc_id=0), dict(rows[0], doc_id=1), dict(rows[1], doc_id=2)])
samples("gqa_wrong.jsonl", [dict(rows[2], doc_id=0), dict(rows[1], doc_id=1), dict(rows[0], doc_id=2)])

# VizWiz, an early release: doc is there, resps is a list of lists.
samples("vizwiz.jsonl", [
    dict(doc_id=0, doc=dict(question_id="VizWiz_val_00000001", question="What is it?", category="other"),
         target="['cup']", arguments=[["What is it?" + SHORT, {"max_new_tokens": 64}]], resps=[["Cup."]],
         filtered_resps=["Cup."], exact_match=1.0,
         submission=dict(image="VizWiz_val_00000001.jpg", answer="cup")),
    dict(doc_id=1, doc=dict(question_id="VizWiz_val_00000000", question="is it On? ", category="other"),
         target="['yes']", arguments=[["Is it on? " + SHORT, {"max_new_tokens": 64}]], resps=[["Yes"]],
         filtered_resps=["Yes"], exact_match=1.0,
         submission=dict(image="VizWiz_val_00000000.jpg", answer="yes")),
])

# LLaVA-Bench: only the question itself, beside the metrics.
samples("llavabench.jsonl", [
    dict(doc_id=i, target="ref", filtered_resps=[[reply]], doc_hash="0", input=q,
         gpt_eval_llava_all=dict(question=q, ans1="ref", ans2=reply, category="llava_bench_conv", scores=[8, 7]))
    for i, (q, reply) in enumerate([("What?", "one"), ("Why so?", "two")])])
