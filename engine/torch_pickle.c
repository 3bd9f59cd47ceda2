/* torch_pickle.c -- see torch_pickle.h for the format.
 *
 * Two parts. The zip reader believes the central directory alone: local headers may carry no sizes,
 * and only say how long they are themselves. The pickle machine knows the opcodes and the globals
 * that torch.save writes for a dict of tensors and refuses all others by name; since REDUCE
 * builds a tensor or an empty dict and nothing else, a file cannot make it do anything. */
#include "engine/torch_pickle.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* Real pickles take some 100 bytes and 30 values a tensor. */
enum { PICKLE_MAX = 16 << 20, VALUES_MAX = 1 << 21, DEPTH_MAX = 64, ENTRIES_MAX = 1 << 20 };

/* ---- zip ------------------------------------------------------------------------------------ */

struct entry { const char *key; size_t key_length; const unsigned char *data; size_t n; };

struct zip {
    const char *path;           /* for messages */
    const unsigned char *at;
    size_t n;
    struct entry *storage;      /* X/data/<key>, sorted by key */
    size_t n_storage;
    const char *top;            /* "X/": all that counts lies in one folder */
    size_t n_top;
    struct entry pickle;        /* X/data.pkl; .data NULL: not seen yet */
    struct err *e;
};

static uint64_t little(const unsigned char *p, int n)
{
    uint64_t v = 0;
    while (n--)
        v = v << 8 | p[n];
    return v;
}

static enum status damaged(struct zip *z, const char *what)
{
    return err_set(z->e, ERR_CHECKPOINT, "%s: damaged or cut short: %s", z->path, what);
}

enum { END = 22, END64 = 56, LOCATOR64 = 20, CENTRAL = 46, LOCAL = 30 };

/* Where the central directory lies and how many entries it has. */
static enum status find_directory(struct zip *z, uint64_t *at, uint64_t *size, uint64_t *count)
{
    size_t from = z->n >= END ? z->n - END : 0, lowest = from > 0xffff ? from - 0xffff : 0;
    if (z->n < END)
        return damaged(z, "no zip directory");
    while (from > lowest && memcmp(z->at + from, "PK\5\6", 4))
        from--;
    const unsigned char *end = z->at + from;
    if (memcmp(end, "PK\5\6", 4))
        return damaged(z, "no zip directory");
    *count = little(end + 10, 2);
    *size = little(end + 12, 4);
    *at = little(end + 16, 4);
    if (*count == 0xffff || *size == 0xffffffff || *at == 0xffffffff) {
        if (from < LOCATOR64 || memcmp(end - LOCATOR64, "PK\6\7", 4))
            return damaged(z, "no zip64 directory");
        uint64_t end64 = little(end - LOCATOR64 + 8, 8);
        if (z->n < END64 || end64 > z->n - END64 || memcmp(z->at + end64, "PK\6\6", 4))
            return damaged(z, "no zip64 directory");
        *count = little(z->at + end64 + 32, 8);
        *size = little(z->at + end64 + 40, 8);
        *at = little(z->at + end64 + 48, 8);
    }
    if (*at > z->n || *size > z->n - *at || *count > *size / CENTRAL || *count > ENTRIES_MAX)
        return damaged(z, "its directory lies outside the file");
    return OK;
}

/* Values of the zip64 extra field stand in for those that are all ones, in this order. */
static void take_zip64(const unsigned char *extra, size_t n, uint64_t *values[3])
{
    while (n >= 4) {
        uint64_t id = little(extra, 2), size = little(extra + 2, 2);
        extra += 4;
        n -= 4;
        if (size > n)
            return;
        for (int i = 0; id == 1 && i < 3; i++)
            if (*values[i] == 0xffffffff && size >= 8) {
                *values[i] = little(extra, 8);
                extra += 8;
                n -= 8;
                size -= 8;
            }
        extra += size;
        n -= (size_t)size;
    }
}

enum part { PART_OTHER, PART_STORAGE, PART_PICKLE, PART_BYTE_ORDER };

/* What "X/data/7" is within its folder; *key is "7" then. */
static enum part part_of(const char *inner, size_t n, struct entry *key)
{
    if (n > 5 && !memcmp(inner, "data/", 5)) {
        *key = (struct entry){ .key = inner + 5, .key_length = n - 5 };
        return PART_STORAGE;
    }
    key->key = "";
    return n == 8 && !memcmp(inner, "data.pkl", 8) ? PART_PICKLE :
           n == 9 && !memcmp(inner, "byteorder", 9) ? PART_BYTE_ORDER : PART_OTHER;
}

/* Where an entry's bytes lie: only its local header knows how long it is itself. */
static enum status find_bytes(struct zip *z, uint64_t at, uint64_t size, const char *name,
                              size_t name_length, struct entry *out)
{
    if (z->n < LOCAL || at > z->n - LOCAL || memcmp(z->at + at, "PK\3\4", 4))
        return damaged(z, "an entry lies outside the file");
    const unsigned char *local = z->at + at;
    uint64_t local_name = little(local + 26, 2), rest = z->n - LOCAL - at;
    uint64_t head = local_name + little(local + 28, 2);
    if (head > rest || size > rest - head)
        return damaged(z, "an entry lies outside the file");
    if (local_name != name_length || memcmp(local + LOCAL, name, name_length))
        return damaged(z, "its directory and an entry disagree on a name");
    out->data = local + LOCAL + head;
    out->n = (size_t)size;
    return OK;
}

static enum status read_entry(struct zip *z, const unsigned char *head, const char *name,
                              size_t name_length, size_t extra_length)
{
    uint64_t packed = little(head + 20, 4), size = little(head + 24, 4), at = little(head + 42, 4);
    uint64_t *values[3] = { &size, &packed, &at };
    take_zip64((const unsigned char *)name + name_length, extra_length, values);

    const char *slash = memchr(name, '/', name_length);
    size_t top = slash ? (size_t)(slash + 1 - name) : 0;
    struct entry found = { 0 };
    enum part part = top ? part_of(slash + 1, name_length - top, &found) : PART_OTHER;
    if (part == PART_OTHER)
        return OK;
    if (!z->top) {
        z->top = name;
        z->n_top = top;
    }
    if (z->n_top != top || memcmp(z->top, name, top))
        return damaged(z, "its entries lie in more than one folder");
    if ((little(head + 8, 2) & 1) || little(head + 10, 2) != 0 || packed != size)
        return err_set(z->e, ERR_CHECKPOINT,
                       "%s: entry \"%.*s\" is compressed or encrypted; torch.save "
                       "stores plainly", z->path, name_length < 150 ? (int)name_length : 150, name);
    if (find_bytes(z, at, size, name, name_length, &found) != OK)
        return z->e->code;
    if (part == PART_STORAGE)
        z->storage[z->n_storage++] = found;
    else if (part == PART_BYTE_ORDER && (size != 6 || memcmp(found.data, "little", 6)))
        return err_set(z->e, ERR_CHECKPOINT, "%s: its numbers are not little-endian", z->path);
    else if (part == PART_PICKLE && z->pickle.data)
        return damaged(z, "an entry stands twice");
    else if (part == PART_PICKLE)
        z->pickle = found;
    return OK;
}

static int by_key(const void *a, const void *b)
{
    const struct entry *x = a, *y = b;
    size_t n = x->key_length < y->key_length ? x->key_length : y->key_length;
    int order = memcmp(x->key, y->key, n);
    return order ? order : (x->key_length > y->key_length) - (x->key_length < y->key_length);
}

static int by_place(const void *a, const void *b)
{
    const struct entry *x = a, *y = b;
    if (x->data != y->data)
        return x->data < y->data ? -1 : 1;
    return (x->n > y->n) - (x->n < y->n);
}

/* No two entries share a byte or a key; leaves the storages sorted by key. */
static enum status check_entries(struct zip *z)
{
    struct entry *s = z->storage;
    size_t n = z->n_storage;
    const unsigned char *taken = z->at;
    s[n++] = z->pickle;                                     /* room: it was counted too */
    qsort(s, n, sizeof *s, by_place);
    for (size_t i = 0; i < n; taken = s[i].data + s[i].n, i++)
        if (s[i].data < taken)
            return damaged(z, "its entries overlap");
    qsort(s, n, sizeof *s, by_key);                         /* the pickle's key is "" */
    z->storage = s + 1;
    for (size_t i = 1; i < n; i++)
        if (by_key(&s[i - 1], &s[i]) == 0)
            return damaged(z, "an entry stands twice");
    return OK;
}

static enum status read_zip(struct zip *z, struct arena *a)
{
    uint64_t at = 0, size = 0, count = 0;
    if (find_directory(z, &at, &size, &count) != OK)
        return z->e->code;
    z->storage = arena_array(a, (size_t)count, sizeof *z->storage);
    if (!z->storage)
        return err_set(z->e, ERR_MEMORY, "%s: no memory", z->path);
    const unsigned char *p = z->at + at, *end = p + size;
    for (uint64_t i = 0; i < count; i++) {
        if (end - p < CENTRAL || memcmp(p, "PK\1\2", 4))
            return damaged(z, "its directory is broken");
        size_t name = (size_t)little(p + 28, 2), extra = (size_t)little(p + 30, 2),
               comment = (size_t)little(p + 32, 2);
        if (name + extra + comment > (size_t)(end - p) - CENTRAL)
            return damaged(z, "its directory is broken");
        if (read_entry(z, p, (const char *)p + CENTRAL, name, extra) != OK)
            return z->e->code;
        p += CENTRAL + name + extra + comment;
    }
    if (!z->pickle.data)
        return err_set(z->e, ERR_CHECKPOINT,
                       "%s: no PyTorch checkpoint: a zip file without data.pkl",
                       z->path);
    if (z->pickle.n > PICKLE_MAX)
        return err_set(z->e, ERR_CHECKPOINT, "%s: a pickle of %zu bytes, expected at most %d",
                       z->path, z->pickle.n, PICKLE_MAX);
    return check_entries(z);
}

/* ---- the pickle machine --------------------------------------------------------------------- */

enum kind { V_NONE, V_BOOL, V_INT, V_FLOAT, V_STRING, V_TUPLE, V_LIST, V_DICT, V_GLOBAL, V_STORAGE,
            V_TENSOR, V_MARK };

enum global { G_ORDERED_DICT, G_TENSOR, G_PARAMETER, G_STORAGE };

struct element_type { const char *class, *name; int bytes; bool is_float; enum dtype type; };
static const struct element_type storages[] = {
    { "HalfStorage", "F16", 2, true, F16 }, { "BFloat16Storage", "BF16", 2, true, BF16 },
    { "FloatStorage", "F32", 4, true, F32 }, { "DoubleStorage", "F64", 8, false, F32 },
    { "LongStorage", "I64", 8, false, I32 }, { "IntStorage", "I32", 4, false, I32 },
    { "ShortStorage", "I16", 2, false, I32 }, { "CharStorage", "I8", 1, false, U8 },
    { "ByteStorage", "U8", 1, false, U8 }, { "BoolStorage", "BOOL", 1, false, U8 },
};

struct value;
struct item { struct value *key, *value; struct item *next; };    /* of a tuple, list or dict */

struct value {
    enum kind kind;
    int depth;                  /* of what it holds */
    int64_t integer;            /* V_INT, V_BOOL; V_GLOBAL: enum global; V_STORAGE: elements */
    const char *text;           /* V_STRING: NUL-terminated copy; V_TENSOR: none */
    size_t n;                   /* items, or bytes of the text */
    struct item *first, *last;
    const struct element_type *type;    /* V_STORAGE, V_TENSOR; a global that names a storage */
    const unsigned char *data;  /* V_STORAGE: its bytes; V_TENSOR: its first element */
    int n_dims;
    int64_t shape[STORED_DIMS], stride[STORED_DIMS];
};

struct machine {
    struct zip *zip;
    struct arena arena;
    const unsigned char *at, *end, *start;
    struct value **stack, **memo;
    size_t n_stack, n_memo;     /* memo has room for one per byte of the pickle: so has the stack */
    size_t n_values;
    struct err *e;
};

static enum status bad(struct machine *m, const char *what)
{
    return err_set(m->e, ERR_CHECKPOINT, "%s: data.pkl, byte %zu: %s", m->zip->path,
                   (size_t)(m->at - m->start), what);
}

/* n bytes of the pickle; NULL with e set at its end. */
static const unsigned char *take(struct machine *m, uint64_t n)
{
    if (n > (uint64_t)(m->end - m->at)) {
        bad(m, "cut short");
        return NULL;
    }
    m->at += n;
    return m->at - n;
}

static uint64_t number(struct machine *m, int bytes)
{
    const unsigned char *p = take(m, (uint64_t)bytes);
    return p ? little(p, bytes) : 0;
}

static struct value *push(struct machine *m, struct value *v)
{
    if (v)
        m->stack[m->n_stack++] = v;                         /* every push has read a byte first */
    return v;
}

static struct value *new_value(struct machine *m, enum kind kind)
{
    if (m->n_values++ == VALUES_MAX) {
        bad(m, "more values than a list of tensors has");
        return NULL;
    }
    struct value *v = arena_alloc(&m->arena, sizeof *v);
    if (v)
        v->kind = kind;
    else
        err_set(m->e, ERR_MEMORY, "%s: no memory for its table", m->zip->path);
    return v;
}

static struct value *push_new(struct machine *m, enum kind kind)
{
    return push(m, new_value(m, kind));
}

static void push_int(struct machine *m, enum kind kind, int64_t integer)
{
    struct value *v = push_new(m, kind);
    if (v)
        v->integer = integer;
}

/* The top of the stack, taken off; NULL with e set if there is none or it is a mark. */
static struct value *pop(struct machine *m)
{
    if (m->n_stack == 0 || m->stack[m->n_stack - 1]->kind == V_MARK) {
        bad(m, "the stack is empty");
        return NULL;
    }
    return m->stack[--m->n_stack];
}

static void add_item(struct machine *m, struct value *to, struct value *key, struct value *value)
{
    struct item *i = arena_alloc(&m->arena, sizeof *i);
    if (!i) {
        err_set(m->e, ERR_MEMORY, "%s: no memory for its table", m->zip->path);
        return;
    }
    int depth = 1 + (value->depth > (key ? key->depth : 0) ? value->depth : key ? key->depth : 0);
    *i = (struct item){ key, value, NULL };
    if (to->last)
        to->last->next = i;
    else
        to->first = i;
    to->last = i;
    to->n++;
    if (depth > to->depth)
        to->depth = depth;
    if (to->depth > DEPTH_MAX)
        bad(m, "nested too deeply");
}

/* Index of the last mark, or SIZE_MAX with e set. */
static size_t last_mark(struct machine *m)
{
    size_t i = m->n_stack;
    while (i && m->stack[i - 1]->kind != V_MARK)
        i--;
    if (i == 0) {
        bad(m, "no mark");
        return SIZE_MAX;
    }
    return i - 1;
}

/* The stack from index `from` on becomes one tuple. */
static void make_tuple(struct machine *m, size_t from, size_t drop)
{
    struct value *t = new_value(m, V_TUPLE);
    if (!t)
        return;
    for (size_t i = from; i < m->n_stack && m->e->code == OK; i++)
        add_item(m, t, NULL, m->stack[i]);
    m->n_stack = from - drop;
    push(m, t);
}

static void make_small_tuple(struct machine *m, size_t n)
{
    for (size_t i = 0; i < n; i++)
        if (m->n_stack <= i || m->stack[m->n_stack - 1 - i]->kind == V_MARK) {
            bad(m, "the stack is empty");
            return;
        }
    make_tuple(m, m->n_stack - n, 0);
}

/* What stands above the mark goes into the list or dict below it. */
static void fill_container(struct machine *m, enum kind kind)
{
    size_t mark = last_mark(m);
    if (m->e->code != OK)
        return;
    struct value *to = mark ? m->stack[mark - 1] : NULL;
    size_t step = kind == V_DICT ? 2 : 1;
    if (!to || to->kind != kind || (m->n_stack - mark - 1) % step) {
        bad(m, kind == V_DICT ? "no dict to put items into" : "no list to put items into");
        return;
    }
    for (size_t i = mark + 1; i < m->n_stack && m->e->code == OK; i += step)
        add_item(m, to, step == 2 ? m->stack[i] : NULL, m->stack[i + step - 1]);
    m->n_stack = mark;
}

static void put_one(struct machine *m, enum kind kind)
{
    struct value *value = pop(m), *key = kind == V_DICT && value ? pop(m) : NULL;
    struct value *to = m->n_stack ? m->stack[m->n_stack - 1] : NULL;
    if (m->e->code != OK)
        return;
    if (!to || to->kind != kind)
        bad(m, "no list or dict to put an item into");
    else
        add_item(m, to, key, value);
}

static void push_string(struct machine *m)
{
    uint64_t n = number(m, 4);
    const unsigned char *p = m->e->code == OK ? take(m, n) : NULL;
    struct value *v = p ? push_new(m, V_STRING) : NULL;
    if (!v)
        return;
    if (memchr(p, '\0', (size_t)n))
        bad(m, "a name with a NUL in it");
    v->text = arena_strn(&m->arena, (const char *)p, (size_t)n);
    v->n = (size_t)n;
}

static void push_global(struct machine *m)
{
    static const struct { const char *module, *name; enum global what; } known[] = {
        { "collections", "OrderedDict", G_ORDERED_DICT },
        { "torch._utils", "_rebuild_tensor_v2", G_TENSOR },
        { "torch._utils", "_rebuild_parameter", G_PARAMETER },
    };
    const char *part[2];
    for (int i = 0; i < 2; i++) {
        const unsigned char *end = memchr(m->at, '\n', (size_t)(m->end - m->at));
        if (!end) {
            bad(m, "cut short");
            return;
        }
        part[i] = arena_strn(&m->arena, (const char *)m->at, (size_t)(end - m->at));
        m->at = end + 1;
    }
    for (size_t i = 0; i < COUNT(known); i++)
        if (!strcmp(part[0], known[i].module) && !strcmp(part[1], known[i].name)) {
            push_int(m, V_GLOBAL, known[i].what);
            return;
        }
    for (size_t i = 0; i < COUNT(storages); i++)
        if (!strcmp(part[0], "torch") && !strcmp(part[1], storages[i].class)) {
            push_int(m, V_GLOBAL, G_STORAGE);
            if (m->e->code == OK)
                m->stack[m->n_stack - 1]->type = &storages[i];
            return;
        }
    err_set(m->e, ERR_CHECKPOINT,
            "%s: data.pkl, byte %zu: calls %.60s.%.60s, which no file of plain "
            "weights does; refused", m->zip->path, (size_t)(m->at - m->start), part[0], part[1]);
}

/* Up to `max` items of a tuple into at[]; how many it has, or -1 if v is none. */
static int items_of(const struct value *v, struct value **at, int max)
{
    int n = 0;
    if (!v || v->kind != V_TUPLE)
        return -1;
    for (const struct item *i = v->first; i && n < max; i = i->next)
        at[n++] = i->value;
    return v->n > (size_t)max ? max + 1 : n;
}

/* ('storage', class, key, device, elements) becomes the bytes of an entry. */
static void push_storage(struct machine *m)
{
    struct value *id = pop(m), *at[5];
    if (m->e->code != OK)
        return;
    if (items_of(id, at, 5) != 5 || at[0]->kind != V_STRING || strcmp(at[0]->text, "storage") ||
        at[1]->kind != V_GLOBAL || at[1]->integer != G_STORAGE || at[2]->kind != V_STRING ||
        at[4]->kind != V_INT || at[4]->integer < 0) {
        bad(m, "no storage of a tensor");
        return;
    }
    const struct element_type *type = at[1]->type;
    struct entry key = { .key = at[2]->text, .key_length = at[2]->n }, *found = NULL;
    if (m->zip->n_storage)
        found = bsearch(&key, m->zip->storage, m->zip->n_storage, sizeof key, by_key);
    if (!found || (uint64_t)at[4]->integer > found->n / (size_t)type->bytes) {
        err_set(m->e, ERR_CHECKPOINT, "%s: the storage \"data/%.60s\" is %s", m->zip->path,
                at[2]->text, found ? "cut short" : "missing");
        return;
    }
    struct value *v = push_new(m, V_STORAGE);
    if (!v)
        return;
    v->type = type;
    v->data = found->data;
    v->integer = at[4]->integer;
}

/* Sizes or strides. */
static bool read_dims(const struct value *v, int64_t *out, int *n)
{
    struct value *at[STORED_DIMS];
    *n = items_of(v, at, STORED_DIMS);
    if (*n < 0 || *n > STORED_DIMS)
        return false;
    for (int i = 0; i < *n; i++) {
        if (at[i]->kind != V_INT || at[i]->integer < 0)
            return false;
        out[i] = at[i]->integer;
    }
    return true;
}

/* (storage, offset, sizes, strides, ...): every element must lie in the storage. */
static void push_tensor(struct machine *m, const struct value *arguments)
{
    struct value *at[7];
    int n = items_of(arguments, at, 7), n_strides;
    struct value *t = push_new(m, V_TENSOR);
    if (!t)
        return;
    if (n < 6 || n > 7 || at[0]->kind != V_STORAGE || at[1]->kind != V_INT || at[1]->integer < 0 ||
        !read_dims(at[2], t->shape, &t->n_dims) || !read_dims(at[3], t->stride, &n_strides) ||
        n_strides != t->n_dims) {
        bad(m, "no tensor");
        return;
    }
    const struct value *storage = at[0];
    uint64_t last = (uint64_t)at[1]->integer, have = (uint64_t)storage->integer;
    int64_t elements = shape_elements(t->shape, t->n_dims);
    for (int i = 0; elements > 0 && i < t->n_dims; i++) {
        uint64_t steps = (uint64_t)t->shape[i] - 1, stride = (uint64_t)t->stride[i];
        if (last > have || (stride && steps > have / stride)) {
            elements = -1;
            break;
        }
        last += steps * stride;                             /* at most 2 have: no overflow */
        if (steps == 0)
            t->stride[i] = 0;                               /* never taken: any number may stand */
    }
    if (elements < 0 || (uint64_t)elements > have || last > have ||
        (elements > 0 && last == have)) {
        bad(m, "a tensor reaches beyond its storage");
        return;
    }
    t->type = storage->type;
    t->data = storage->data + (uint64_t)at[1]->integer * (size_t)t->type->bytes;
}

static void reduce(struct machine *m)
{
    struct value *arguments = pop(m), *function = arguments ? pop(m) : NULL, *at[3];
    if (m->e->code != OK)
        return;
    if (function->kind != V_GLOBAL || arguments->kind != V_TUPLE)
        bad(m, "a call of what is no function");
    else if (function->integer == G_TENSOR)
        push_tensor(m, arguments);
    else if (function->integer == G_ORDERED_DICT && arguments->n == 0)
        push_new(m, V_DICT);
    else if (function->integer == G_PARAMETER && items_of(arguments, at, 3) == 3 &&
             at[0]->kind == V_TENSOR)
        push(m, at[0]);
    else
        bad(m, "a call with other arguments than torch.save writes");
}

static void put_memo(struct machine *m, uint64_t index)
{
    if (m->e->code != OK)
        return;
    if (m->n_stack == 0 || index >= m->n_memo)
        bad(m, "a memo that cannot be");
    else
        m->memo[index] = m->stack[m->n_stack - 1];
}

static void get_memo(struct machine *m, uint64_t index)
{
    if (m->e->code != OK)
        return;
    if (index >= m->n_memo || !m->memo[index] || m->memo[index]->kind == V_MARK)
        bad(m, "a memo that was never written");
    else
        push(m, m->memo[index]);
}

static void push_long(struct machine *m)
{
    uint64_t n = number(m, 1);
    const unsigned char *p = m->e->code == OK ? take(m, n) : NULL;
    if (!p)
        return;
    if (n > 8) {
        bad(m, "a number of more than 64 bits");
        return;
    }
    uint64_t v = little(p, (int)n);
    if (n && n < 8 && p[n - 1] & 0x80)
        v |= ~(uint64_t)0 << 8 * n;
    push_int(m, V_INT, (int64_t)v);
}

/* Runs up to STOP; the result, or NULL with e set. */
static struct value *run(struct machine *m)
{
    while (m->e->code == OK) {
        const unsigned char *op = take(m, 1);
        if (!op)
            break;
        switch (*op) {
        case 0x80:                                          /* PROTO */
            if (number(m, 1) > 5)
                bad(m, "a pickle protocol above 5");
            break;
        case 'c': push_global(m); break;
        case 'q': put_memo(m, number(m, 1)); break;
        case 'r': put_memo(m, number(m, 4)); break;
        case 'h': get_memo(m, number(m, 1)); break;
        case 'j': get_memo(m, number(m, 4)); break;
        case '(': push_new(m, V_MARK); break;
        case '}': push_new(m, V_DICT); break;
        case ')': push_new(m, V_TUPLE); break;
        case ']': push_new(m, V_LIST); break;
        case 't': {
            size_t mark = last_mark(m);
            if (m->e->code == OK)
                make_tuple(m, mark + 1, 1);
            break;
        }
        case 0x85: case 0x86: case 0x87: make_small_tuple(m, *op - 0x84u); break;
        case 'X': push_string(m); break;
        case 'J': push_int(m, V_INT, (int32_t)number(m, 4)); break;
        case 'K': push_int(m, V_INT, (int64_t)number(m, 1)); break;
        case 'M': push_int(m, V_INT, (int64_t)number(m, 2)); break;
        case 0x8a: push_long(m); break;
        case 0x88: push_int(m, V_BOOL, 1); break;
        case 0x89: push_int(m, V_BOOL, 0); break;
        case 'N': push_new(m, V_NONE); break;
        case 'G': number(m, 8); push_new(m, V_FLOAT); break;
        case 'Q': push_storage(m); break;
        case 'R': reduce(m); break;
        case 'b': pop(m); break;                            /* BUILD: a dict's _metadata, ignored */
        case 's': put_one(m, V_DICT); break;
        case 'u': fill_container(m, V_DICT); break;
        case 'a': put_one(m, V_LIST); break;
        case 'e': fill_container(m, V_LIST); break;
        case '.': return pop(m);
        default: {
            char what[60];
            snprintf(what, sizeof what, "opcode 0x%02x, which torch.save does not write", *op);
            bad(m, what);
        }
        }
    }
    return NULL;
}

/* ---- tensors -------------------------------------------------------------------------------- */

static bool is_contiguous(const struct value *t)
{
    int64_t expected = 1;
    for (int i = t->n_dims; i--; expected *= t->shape[i])
        if (t->shape[i] != 1 && t->stride[i] != expected)
            return false;
    return true;
}

/* Row-major order, element by element. */
static void copy_strided(unsigned char *out, const struct value *t, int64_t elements)
{
    int64_t index[STORED_DIMS] = { 0 }, at = 0;
    size_t size = (size_t)t->type->bytes;
    for (int64_t i = 0; i < elements; i++, out += size) {
        memcpy(out, t->data + (size_t)at * size, size);
        for (int d = t->n_dims; d--;) {
            at += t->stride[d];
            if (++index[d] < t->shape[d])
                break;
            at -= t->stride[d] * t->shape[d];
            index[d] = 0;
        }
    }
}

/* copied: bytes copied so far; more than the file has cannot be honest. */
static enum status add_tensor(struct store *s, struct zip *z, const char *name,
                              const struct value *t, size_t *copied)
{
    struct stored *out = store_add(s, name, z->e);
    if (!out)
        return z->e->code;
    int64_t elements = shape_elements(t->shape, t->n_dims);
    out->type_name = t->type->name;
    out->is_float = t->type->is_float;
    out->type = t->type->type;
    out->n_dims = t->n_dims;
    memcpy(out->shape, t->shape, sizeof out->shape);
    out->n_bytes = (size_t)elements * (size_t)t->type->bytes;
    out->data = t->data;
    if (elements && !is_contiguous(t)) {
        *copied += out->n_bytes;
        unsigned char *copy = *copied <= z->n ? arena_alloc(s->arena, out->n_bytes) : NULL;
        if (!copy)
            return err_set(z->e, ERR_MEMORY, "%s: no memory for the copies of its tensors",
                           z->path);
        copy_strided(copy, t, elements);
        out->data = copy;
        out->copied = true;
    }
    return OK;
}

static int by_name(const void *a, const void *b)
{
    return strcmp(((const struct stored *)a)->name, ((const struct stored *)b)->name);
}

/* A dict of tensors, or one under the single key state_dict or model; other values are passed
 * over. */
static enum status add_tensors(struct store *s, struct zip *z, const struct value *dict)
{
    size_t first = s->n, copied = 0;
    if (dict->kind == V_DICT && dict->n == 1 && dict->first->value->kind == V_DICT &&
        dict->first->key->kind == V_STRING && (!strcmp(dict->first->key->text, "state_dict") ||
                                               !strcmp(dict->first->key->text, "model")))
        dict = dict->first->value;
    if (dict->kind != V_DICT)
        return err_set(z->e, ERR_CHECKPOINT, "%s: holds no dict of tensors", z->path);
    for (const struct item *i = dict->first; i; i = i->next)
        if (i->key->kind == V_STRING && i->value->kind == V_TENSOR &&
            add_tensor(s, z, i->key->text, i->value, &copied) != OK)
            return z->e->code;
    if (s->n > first)
        qsort(s->at + first, s->n - first, sizeof *s->at, by_name);
    for (size_t i = first + 1; i < s->n; i++)
        if (!strcmp(s->at[i - 1].name, s->at[i].name))
            return err_set(z->e, ERR_CHECKPOINT, "%s: tensor \"%.150s\" stands twice", z->path,
                           s->at[i].name);
    return OK;
}

/* What else the file may be, by how it begins. */
static enum status check_beginning(const char *path, const unsigned char *at, size_t n,
                                   struct err *e)
{
    static const unsigned char legacy[] = { 0x80, 0x02, 0x8a, 0x0a, 0x6c, 0xfc, 0x9c, 0x46 };
    if (n >= 4 && !memcmp(at, "PK\3\4", 4))
        return OK;
    if (n >= sizeof legacy && !memcmp(at, legacy, sizeof legacy))
        return err_set(e, ERR_CHECKPOINT,
                       "%s: a legacy PyTorch file (before 1.6); load it and save it "
                       "again, or use safetensors", path);
    return err_set(e, ERR_CHECKPOINT, "%s: no PyTorch checkpoint", path);
}

enum status torch_read(struct store *s, const char *name, const void *bytes, size_t n,
                       struct err *e)
{
    struct zip z = { .path = name, .at = bytes, .n = n, .e = e };
    struct machine m = { .zip = &z, .e = e };
    if (check_beginning(name, bytes, n, e) != OK || read_zip(&z, &m.arena) != OK)
        goto done;
    m.start = m.at = z.pickle.data;
    m.end = m.at + z.pickle.n;
    m.n_memo = z.pickle.n;
    m.stack = arena_array(&m.arena, m.n_memo + 1, sizeof *m.stack);
    m.memo = arena_array(&m.arena, m.n_memo + 1, sizeof *m.memo);
    if (!m.stack || !m.memo) {
        err_set(e, ERR_MEMORY, "%s: no memory for its table", name);
        goto done;
    }
    struct value *result = run(&m);
    if (result)
        add_tensors(s, &z, result);
done:
    arena_free(&m.arena);
    return e->code;
}
