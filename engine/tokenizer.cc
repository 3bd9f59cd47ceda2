/* tokenizer.cc -- Hugging Face's slow LlamaTokenizer (legacy form) around libsentencepiece.
 *
 * A text is cut at special tokens; each piece of text between them is encoded on its own, and so
 * gets its own prefix space. Decoding does not use the library: pieces and byte pieces are joined
 * here as transformers' PreTrainedTokenizer.decode() joins them. The library checks little of a
 * model file, so check_model() first reads from the protobuf what makes it LLaMA's. */
extern "C" {
#include "engine/tokenizer.h"
#include "engine/base/file.h"
#include "engine/base/json.h"
#include "engine/base/sha256.h"
#include "engine/base/str.h"
#include "engine/base/utf8.h"
}
#include <sentencepiece_processor.h>
#include <cstdlib>
#include <cstring>
#include <memory>
#include <new>
#include <string>
#include <vector>

namespace {

enum { IMAGE_SLOT = -200 };      /* LLAVA_IMAGE of llava.h, whose names hide C++ constructors */

struct special {                /* a token that is found in the text before anything else is */
    std::string text;
    int32_t id;
    bool skipped;               /* left out of decoded text */
    bool strip_left, strip_right;   /* white space beside it goes */
};

struct piece { std::string text; int byte; bool skipped, usable; };     /* byte: -1 or its value */

}

struct tokenizer {              /* immutable after open */
    sentencepiece::SentencePieceProcessor model;
    std::vector<piece> pieces;
    std::vector<special> specials;
    int size = 0;
    int32_t bos = 1, eos = 2;
    bool clean_up = false;      /* clean_up_tokenization_spaces */
    unsigned char hash[SHA256_SIZE] = {};
};

namespace {

/* ---- the model file: protobuf, just enough of it -------------------------------------------- */

enum { PIECES_MAX = 1 << 20, PIECE_MAX = 1024 };            /* LLaMA's: 32000, 48 bytes */

struct proto { const unsigned char *at, *end; bool bad; };

enum wire { VARINT = 0, BITS64 = 1, BYTES = 2, BITS32 = 5 };

uint64_t varint(struct proto *p)
{
    uint64_t v = 0;
    for (int shift = 0; shift < 64 && p->at < p->end; shift += 7) {
        unsigned char c = *p->at++;
        v |= (uint64_t)(c & 0x7f) << shift;
        if (!(c & 0x80))
            return v;
    }
    p->bad = true;
    return 0;
}

/* A field: its number and wire type; its value, or for BYTES how many there are, in `bytes`. */
struct field { uint64_t number, value; int wire; struct proto bytes; };

bool next_field(struct proto *p, struct field *f)
{
    if (p->bad || p->at == p->end)
        return false;
    uint64_t key = varint(p), n = 0;
    *f = { key >> 3, 0, (int)(key & 7), { nullptr, nullptr, false } };
    switch (f->wire) {
    case VARINT: f->value = varint(p); return !p->bad;
    case BITS64: n = 8; break;
    case BYTES: n = varint(p); break;
    case BITS32: n = 4; break;
    default: p->bad = true;
    }
    if (p->bad || n > (uint64_t)(p->end - p->at))
        return !(p->bad = true);
    f->bytes = { p->at, p->at + n, false };
    f->value = n;
    p->at += n;
    return true;
}

/* What the library would take from the same bytes; a known field of another wire type is damage. */
struct model_facts {
    uint64_t pieces = 0, type = 1, suffix = 0, byte_fallback = 0, charsmap = 0, prefix = 1,
             remove_extra = 1, escape = 1;
};

bool expect(const struct field *f, enum wire wire, uint64_t *out)
{
    *out = f->value;
    return f->wire == wire;
}

bool read_piece(struct proto p, struct model_facts *m)
{
    struct field f;
    uint64_t length = 0, score, type = 1;
    bool good = ++m->pieces <= PIECES_MAX;
    while (good && next_field(&p, &f))
        good = f.number == 1 ? expect(&f, BYTES, &length) :
               f.number == 2 ? expect(&f, BITS32, &score) :
               f.number == 3 ? expect(&f, VARINT, &type) : true;
    return good && !p.bad && length > 0 && length <= PIECE_MAX && type >= 1 && type <= 6;
}

bool read_trainer(struct proto p, struct model_facts *m)
{
    struct field f;
    bool good = true;
    while (good && next_field(&p, &f))
        good = f.number == 3 ? expect(&f, VARINT, &m->type) :
               f.number == 24 ? expect(&f, VARINT, &m->suffix) :
               f.number == 35 ? expect(&f, VARINT, &m->byte_fallback) : true;
    return good && !p.bad;
}

bool read_normaliser(struct proto p, struct model_facts *m)
{
    struct field f;
    bool good = true;
    while (good && next_field(&p, &f))
        good = f.number == 2 ? expect(&f, BYTES, &m->charsmap) :
               f.number == 3 ? expect(&f, VARINT, &m->prefix) :
               f.number == 4 ? expect(&f, VARINT, &m->remove_extra) :
               f.number == 5 ? expect(&f, VARINT, &m->escape) : true;
    return good && !p.bad;
}

/* A denormaliser's table would be read unchecked by the library. */
bool read_denormaliser(struct proto p)
{
    struct field f;
    bool good = true;
    while (good && next_field(&p, &f))
        good = f.number != 2 || f.value == 0;
    return good && !p.bad;
}

/* A LLaMA tokenizer is BPE with byte pieces and no normalisation but the prefix space. */
enum status check_model(const char *path, const struct file *file, struct err *e)
{
    const unsigned char *at = (const unsigned char *)file->at;
    struct proto all = { at, at + file->n, false };
    struct model_facts m;
    struct field f;
    bool good = true;
    while (good && next_field(&all, &f)) {
        if (f.number < 1 || f.number > 5 || f.number == 4)  /* 4: sentences to test itself with */
            continue;
        good = f.wire == BYTES && (f.number == 1 ? read_piece(f.bytes, &m) :
                                   f.number == 2 ? read_trainer(f.bytes, &m) :
                                   f.number == 3 ? read_normaliser(f.bytes, &m) :
                                   read_denormaliser(f.bytes));
    }
    if (!good || all.bad || m.pieces < 3)
        return err_set(e, ERR_CHECKPOINT, "%s: no sentencepiece model, or a damaged one", path);
    const char *what = m.type != 2 ? "is not of type BPE" :
                       m.suffix ? "puts white space behind words" :
                       !m.byte_fallback ? "has no byte pieces" :
                       m.charsmap ? "normalises its text" :
                       !m.prefix ? "adds no prefix space" :
                       m.remove_extra ? "removes extra white space" :
                       !m.escape ? "keeps white space" : nullptr;
    return what ? err_set(e, ERR_CHECKPOINT, "%s: no LLaMA tokenizer: it %s", path, what) : OK;
}

/* ---- files beside it ------------------------------------------------------------------------ */

/* The JSON object in `name` beside the model file; NULL if there is no such file. */
const struct json *read_beside(struct arena *a, const char *model_file, const char *name,
                               struct err *e)
{
    size_t n = (size_t)(path_base(model_file) - model_file);
    char *path = arena_fmt(a, "%.*s%s", (int)n, model_file, name);
    struct file f;
    if (!file_exists(path) || file_open(&f, path, ERR_CHECKPOINT, e) != OK)
        return nullptr;
    struct err why = {};
    const struct json *tree = json_parse(a, path, f.at, f.n, &why);
    if (!tree)
        err_set(e, why.code == ERR_MEMORY ? ERR_MEMORY : ERR_CHECKPOINT, "%s", why.text);
    else if (tree->type != JSON_OBJECT)
        err_set(e, ERR_CHECKPOINT, "%s: expected an object", path);
    file_close(&f);
    return e->code == OK ? tree : nullptr;
}

const struct special *find_special(const struct tokenizer *t, const char *text)
{
    for (const struct special &s : t->specials)
        if (s.text == text)
            return &s;
    return nullptr;
}

enum status add_special(struct tokenizer *t, const char *text, int64_t id, bool skipped,
                        bool strip_left, bool strip_right, struct err *e)
{
    enum { FAR = 1 << 20 };                                 /* beyond any vocabulary */
    if (!*text || id < 0 || id > FAR)
        return err_set(e, ERR_CHECKPOINT, "added token \"%.100s\" has id %lld", text,
                       (long long)id);
    if (!find_special(t, text))
        t->specials.push_back({ text, (int32_t)id, skipped, strip_left, strip_right });
    if (id >= t->size)
        t->size = (int)id + 1;
    return OK;
}

/* Tokens of old checkpoints that were trained with white space on both sides stripped. */
bool is_image_mark(const char *text)
{
    return !strcmp(text, "<im_patch>") || !strcmp(text, "<im_start>") || !strcmp(text, "<im_end>");
}

/* special_tokens_map.json: {"pad_token": "<pad>"} or {"pad_token": {"content": "<pad>", ...}} */
bool is_mapped(const struct json *map, const char *text)
{
    for (const struct json *m = map ? map->first : nullptr; m; m = m->next) {
        const char *s = m->type == JSON_STRING ? m->string : json_get_str(m, "content", nullptr);
        if (s && !strcmp(s, text))
            return true;
    }
    return !strcmp(text, "<image>") || !strcmp(text, "<pad>") || is_image_mark(text);
}

enum status read_added(struct tokenizer *t, struct arena *a, const char *model_file, struct err *e)
{
    const struct json *config = read_beside(a, model_file, "tokenizer_config.json", e),
                      *added = read_beside(a, model_file, "added_tokens.json", e),
                      *map = read_beside(a, model_file, "special_tokens_map.json", e);
    t->clean_up = json_get_bool(config, "clean_up_tokenization_spaces", false);
    const struct json *decoder = json_get(config, "added_tokens_decoder");
    for (const struct json *m = decoder && decoder->type == JSON_OBJECT ? decoder->first : nullptr;
         m && e->code == OK; m = m->next) {
        const char *text = json_get_str(m, "content", "");
        int64_t id = -1;
        bool mark = is_image_mark(text);
        if (!str_to_int(m->key, &id))
            id = -1;
        add_special(t, text, id, json_get_bool(m, "special", false) || is_mapped(map, text),
                    mark || json_get_bool(m, "lstrip", false),
                    mark || json_get_bool(m, "rstrip", false), e);
    }
    for (const struct json *m = added ? added->first : nullptr; m && e->code == OK; m = m->next) {
        bool mark = is_image_mark(m->key);
        add_special(t, m->key, m->type == JSON_NUMBER && m->is_int ? m->integer : -1,
                    is_mapped(map, m->key), mark, mark, e);
    }
    return e->code;
}

/* ---- encoding ------------------------------------------------------------------------------- */

/* text without white space at its right or left end, as str.rstrip() and str.lstrip(). */
size_t stripped_right(const char *text, size_t n)
{
    size_t keep = 0;
    for (size_t i = 0, length; i < n; i += length)
        if (!utf8_is_space(utf8_get(text + i, n - i, &length)))
            keep = i + length;
    return keep;
}

size_t leading_space(const char *text, size_t n)
{
    size_t i = 0, length;
    while (i < n && utf8_is_space(utf8_get(text + i, n - i, &length)))
        i += length;
    return i;
}

void encode_text(const struct tokenizer *t, const char *text, size_t n, std::vector<int32_t> *out)
{
    std::vector<int> ids;
    if (n && t->model.Encode(absl::string_view(text, n), &ids).ok())
        out->insert(out->end(), ids.begin(), ids.end());
}

/* The longest special token that begins at text; NULL if none does. */
const struct special *special_at(const struct tokenizer *t, const char *text, size_t n)
{
    const struct special *best = nullptr;
    for (const struct special &s : t->specials)
        if (s.text.size() <= n && !memcmp(s.text.data(), text, s.text.size()) &&
            (!best || s.text.size() > best->text.size()))
            best = &s;
    return best;
}

void encode(const struct tokenizer *t, const char *text, size_t n, std::vector<int32_t> *out)
{
    size_t from = 0;
    for (size_t i = 0; i < n;) {
        const struct special *s = special_at(t, text + i, n - i);
        if (!s) {
            i++;
            continue;
        }
        size_t length = i - from;
        encode_text(t, text + from, s->strip_left ? stripped_right(text + from, length) : length,
                    out);
        out->push_back(s->id);
        i += s->text.size();
        if (s->strip_right)
            i += leading_space(text + i, n - i);
        from = i;
    }
    encode_text(t, text + from, n - from, out);
}

enum status hand_out(const std::vector<int32_t> &from, int32_t **ids, size_t *n, struct err *e)
{
    int32_t *copy = (int32_t *)malloc(from.size() * sizeof *copy + 1);
    if (!copy)
        return err_set(e, ERR_MEMORY, "no memory for %zu token ids", from.size());
    if (!from.empty())
        memcpy(copy, from.data(), from.size() * sizeof *copy);
    *ids = copy;
    *n = from.size();
    return OK;
}

/* ---- decoding ------------------------------------------------------------------------------- */

/* Bytes as UTF-8; each one that starts no valid character becomes U+FFFD. */
void flush_bytes(std::string *bytes, std::string *out)
{
    for (size_t i = 0, length; i < bytes->size(); i += length) {
        char c[UTF8_MAX];
        uint32_t code = utf8_get(bytes->data() + i, bytes->size() - i, &length);
        out->append(c, utf8_put(c, code));
    }
    bytes->clear();
}

void replace(std::string *s, const char *from, const char *to)
{
    size_t n = strlen(from), m = strlen(to);
    for (size_t at = 0; (at = s->find(from, at)) != std::string::npos; at += m)
        s->replace(at, n, to);
}

/* One run of pieces: the prefix space that its first piece brings is taken away again. */
std::string decode_run(const struct tokenizer *t, const std::vector<int32_t> &ids)
{
    static const char space[] = "\xe2\x96\x81";             /* U+2581 */
    std::string out, bytes;
    for (size_t i = 0; i < ids.size(); i++) {
        const struct piece &p = t->pieces[(size_t)ids[i]];
        if (p.byte >= 0) {
            bytes += (char)p.byte;
            continue;
        }
        flush_bytes(&bytes, &out);
        std::string text = p.text;
        if (i == 0 && !text.compare(0, 3, space))
            text.erase(0, 3);
        replace(&text, space, " ");
        out += text;
    }
    flush_bytes(&bytes, &out);
    return out;
}

/* Added tokens that are not special stand apart, a space on either side. */
std::string decode(const struct tokenizer *t, const int32_t *ids, size_t n)
{
    std::vector<std::string> parts;
    std::vector<int32_t> run;
    for (size_t i = 0; i <= n; i++) {
        const struct special *added = nullptr;
        for (const struct special &s : t->specials)
            if (i < n && s.id == ids[i])
                added = &s;
        if (i < n && !added && (size_t)ids[i] < t->pieces.size() && ids[i] >= 0 &&
            !t->pieces[(size_t)ids[i]].skipped)
            run.push_back(ids[i]);
        if ((i == n || (added && !added->skipped)) && !run.empty()) {
            std::string text = decode_run(t, run);
            if (!text.empty())
                parts.push_back(text);
            run.clear();
        }
        if (added && !added->skipped)
            parts.push_back(added->text);
    }
    std::string out;
    for (size_t i = 0; i < parts.size(); i++)
        out += (i ? " " : "") + parts[i];
    if (t->clean_up) {
        static const char *const rules[][2] = {
            { " .", "." }, { " ?", "?" }, { " !", "!" }, { " ,", "," }, { " ' ", "'" },
            { " n't", "n't" }, { " 'm", "'m" }, { " 's", "'s" }, { " 've", "'ve" },
            { " 're", "'re" },
        };
        for (const auto &r : rules)
            replace(&out, r[0], r[1]);
    }
    return out;
}

void hash_specials(struct tokenizer *t, struct sha256 *sha)
{
    for (const struct special &s : t->specials) {
        std::string line = std::to_string(s.id) + (s.skipped ? " skipped" : "") +
                           (s.strip_left ? " lstrip" : "") + (s.strip_right ? " rstrip " : " ") +
                           s.text + "\n";
        sha256_add(sha, line.data(), line.size());
    }
    sha256_add(sha, &t->clean_up, 1);
    sha256_end(sha, t->hash);
}

enum status open_all(struct tokenizer *t, const char *model_file, bool patch, bool start_end,
                     struct arena *a, struct err *e)
{
    struct file f;
    struct sha256 sha;
    if (file_open(&f, model_file, ERR_CHECKPOINT, e) != OK)
        return e->code;
    sha256_init(&sha);
    sha256_add(&sha, f.at, f.n);
    if (check_model(model_file, &f, e) == OK) {
        auto s = t->model.LoadFromSerializedProto(absl::string_view(f.at, f.n));
        if (!s.ok())
            err_set(e, ERR_CHECKPOINT, "%s: %s", model_file, s.ToString().c_str());
    }
    file_close(&f);
    if (e->code != OK)
        return e->code;

    int n = t->size = t->model.GetPieceSize();
    const int unknown = t->model.unk_id();
    t->bos = t->model.bos_id();
    t->eos = t->model.eos_id();
    if (unknown < 0 || t->bos < 0 || t->eos < 0)
        return err_set(e, ERR_CHECKPOINT, "%s: has no tokens for unknown, begin and end",
                       model_file);
    for (int i = 0; i < n; i++) {
        struct piece p = { t->model.IdToPiece(i), -1, false, false };
        p.skipped = t->model.IsControl(i) || t->model.IsUnknown(i);
        p.usable = (!p.skipped && !t->model.IsUnused(i)) || i == t->eos;
        if (t->model.IsByte(i) && p.text.size() == 6)       /* "<0x0A>" */
            p.byte = (int)strtol(p.text.c_str() + 3, nullptr, 16);
        t->pieces.push_back(p);
    }
    for (int id : { unknown, (int)t->bos, (int)t->eos })
        add_special(t, t->model.IdToPiece(id).c_str(), id, true, false, false, e);
    read_added(t, a, model_file, e);
    static const struct { const char *text; bool start_end; } marks[] = {
        { "<im_patch>", false }, { "<im_start>", true }, { "<im_end>", true },
    };
    for (const auto &m : marks)
        if ((m.start_end ? start_end : patch) && e->code == OK && !find_special(t, m.text))
            add_special(t, m.text, t->size, true, true, true, e);
    hash_specials(t, &sha);
    if (a->failed)
        err_set(e, ERR_MEMORY, "%s: no memory", model_file);
    return e->code;
}

}

enum status tokenizer_open(struct tokenizer **out, const char *model_file, bool use_im_patch_token,
                           bool use_im_start_end, struct err *e)
{
    struct arena a = {};
    *out = nullptr;
    try {
        std::unique_ptr<struct tokenizer> t(new tokenizer);
        if (open_all(t.get(), model_file, use_im_patch_token, use_im_start_end, &a, e) == OK)
            *out = t.release();
    } catch (const std::bad_alloc &) {
        err_set(e, ERR_MEMORY, "%s: no memory", model_file);
    } catch (const std::exception &x) {                     /* from the library, about the file */
        err_set(e, ERR_CHECKPOINT, "%s: %s", model_file, x.what());
    }
    arena_free(&a);
    return e->code;
}

void tokenizer_close(struct tokenizer *t)
{
    delete t;
}

void tokenizer_hash(const struct tokenizer *t, unsigned char out[32])
{
    memcpy(out, t->hash, sizeof t->hash);
}

int tokenizer_size(const struct tokenizer *t)
{
    return t->size;
}

bool tokenizer_can_decode(const struct tokenizer *t, int32_t id)
{
    for (const struct special &s : t->specials)
        if (s.id == id)
            return !s.skipped || id == t->eos;
    return id >= 0 && (size_t)id < t->pieces.size() && t->pieces[(size_t)id].usable;
}

enum status tokenizer_encode(const struct tokenizer *t, const char *text, bool bos, int32_t **ids,
                             size_t *n, struct err *e)
{
    try {
        std::vector<int32_t> all;
        if (bos)
            all.push_back(t->bos);
        encode(t, text, strlen(text), &all);
        return hand_out(all, ids, n, e);
    } catch (const std::exception &x) {
        return err_set(e, ERR_MEMORY, "cannot tokenize: %s", x.what());
    }
}

enum status tokenizer_prompt(const struct tokenizer *t, const char *prompt, int32_t **ids,
                             size_t *n, struct err *e)
{
    static const char slot[] = "<image>";
    try {
        std::vector<int32_t> all(1, t->bos);
        for (const char *next; (next = strstr(prompt, slot)); prompt = next + sizeof slot - 1) {
            encode(t, prompt, (size_t)(next - prompt), &all);
            all.push_back(IMAGE_SLOT);
        }
        encode(t, prompt, strlen(prompt), &all);
        return hand_out(all, ids, n, e);
    } catch (const std::exception &x) {
        return err_set(e, ERR_MEMORY, "cannot tokenize: %s", x.what());
    }
}

char *tokenizer_decode(const struct tokenizer *t, const int32_t *ids, size_t n, bool strip)
{
    try {
        std::string text = decode(t, ids, n);
        for (size_t at; (at = text.find('\0')) != std::string::npos;)  /* would end the C string */
            text.replace(at, 1, "\xef\xbf\xbd");
        size_t from = strip ? leading_space(text.data(), text.size()) : 0;
        size_t length = text.size() - from;
        if (strip)
            length = stripped_right(text.data() + from, length);
        return strndup(text.data() + from, length);
    } catch (const std::exception &) {
        return nullptr;
    }
}
