/* safetensors.c -- see safetensors.h for the format. Checks what the format's own library checks:
 * nothing overlaps, nothing is left over, and a size always follows from shape and dtype. */
#include "engine/safetensors.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "engine/base/json.h"

enum { HEADER_MAX = 100000000 };

static const struct { const char *name; int bytes; } types[] = {
    { "F16", 2 }, { "BF16", 2 }, { "F32", 4 }, { "F64", 8 }, { "I64", 8 }, { "I32", 4 },
    { "I16", 2 }, { "I8", 1 }, { "U64", 8 }, { "U32", 4 }, { "U16", 2 }, { "U8", 1 },
    { "BOOL", 1 }, { "F8_E4M3", 1 }, { "F8_E5M2", 1 },
};

/* The one member of that name, of type t; else NULL with e set. */
static const struct json *member(const struct json *o, const char *key, enum json_type t,
                                 const char *where, struct err *e)
{
    const struct json *found = NULL;
    for (const struct json *m = o->first; m; m = m->next)
        if (!strcmp(m->key, key)) {
            if (found) {
                err_set(e, ERR_CHECKPOINT, "%s: \"%s\" stands twice", where, key);
                return NULL;
            }
            found = m;
        }
    if (found && found->type == t)
        return found;
    err_set(e, ERR_CHECKPOINT, "%s: \"%s\" is %s", where, key,
            found ? "of the wrong type" : "missing");
    return NULL;
}

static enum status read_tensor(struct store *s, const char *name, const struct json *entry,
                               const unsigned char *data, size_t n_data, struct err *e)
{
    char where[300];
    snprintf(where, sizeof where, "%s: tensor \"%.150s\"", name, entry->key);
    if (entry->type != JSON_OBJECT)
        return err_set(e, ERR_CHECKPOINT, "%s is no object", where);
    const struct json *type = member(entry, "dtype", JSON_STRING, where, e),
                      *shape = member(entry, "shape", JSON_ARRAY, where, e),
                      *range = member(entry, "data_offsets", JSON_ARRAY, where, e);
    struct stored *t = e->code == OK ? store_add(s, entry->key, e) : NULL;
    if (!t)
        return e->code;

    size_t k = 0;
    while (k < COUNT(types) && strcmp(types[k].name, type->string))
        k++;
    if (k == COUNT(types))
        return err_set(e, ERR_CHECKPOINT, "%s has dtype \"%.40s\", which is unknown", where,
                       type->string);
    t->type_name = types[k].name;
    t->is_float = k < 3;
    t->type = k == 0 ? F16 : k == 1 ? BF16 : F32;

    if (shape->n > STORED_DIMS)
        return err_set(e, ERR_CHECKPOINT, "%s has %zu dimensions", where, shape->n);
    for (const struct json *d = shape->first; d; d = d->next) {
        if (d->type != JSON_NUMBER || !d->is_int || d->integer < 0)
            return err_set(e, ERR_CHECKPOINT, "%s: \"shape\" holds what is no size", where);
        t->shape[t->n_dims++] = d->integer;
    }
    const struct json *from = range->first, *to = from ? from->next : NULL;
    if (range->n != 2 || from->type != JSON_NUMBER || !from->is_int || to->type != JSON_NUMBER ||
        !to->is_int || from->integer < 0 || to->integer < from->integer ||
        (uint64_t)to->integer > n_data)
        return err_set(e, ERR_CHECKPOINT,
                       "%s: \"data_offsets\" do not lie in the %zu bytes of data",
                       where, n_data);
    int64_t elements = shape_elements(t->shape, t->n_dims), n = to->integer - from->integer;
    if (elements < 0 || n % types[k].bytes || n / types[k].bytes != elements) {
        char text[SHAPE_TEXT];
        return err_set(e, ERR_CHECKPOINT, "%s: %s of %s does not take %" PRId64 " bytes", where,
                       shape_text(text, t->shape, t->n_dims), t->type_name, n);
    }
    t->data = data + from->integer;
    t->n_bytes = (size_t)n;
    return OK;
}

static int by_place(const void *a, const void *b)
{
    const struct stored *x = a, *y = b;
    if (x->data != y->data)
        return x->data < y->data ? -1 : 1;
    return (x->n_bytes > y->n_bytes) - (x->n_bytes < y->n_bytes);
}

static int by_name(const void *a, const void *b)
{
    return strcmp(((const struct stored *)a)->name, ((const struct stored *)b)->name);
}

/* The tensors from `first` on lie end to end in data[0..n_data), and no name stands twice. */
static enum status check_cover(struct store *s, size_t first, const char *name,
                               const unsigned char *data, size_t n_data, struct err *e)
{
    size_t n = s->n - first;
    struct stored *t = n ? s->at + first : NULL;            /* an empty list may be NULL itself */
    const unsigned char *at = data;
    if (n)
        qsort(t, n, sizeof *t, by_place);
    for (size_t i = 0; i < n; at += t[i].n_bytes, i++)
        if (t[i].data != at)
            return err_set(e, ERR_CHECKPOINT,
                           "%s: tensor \"%.150s\" begins at byte %zu of the data, "
                           "expected %zu: tensors overlap or leave a hole", name, t[i].name,
                           (size_t)(t[i].data - data), (size_t)(at - data));
    if ((size_t)(at - data) != n_data)
        return err_set(e, ERR_CHECKPOINT, "%s: %zu bytes of data, but its tensors take %zu",
                       name, n_data, (size_t)(at - data));
    if (n)
        qsort(t, n, sizeof *t, by_name);
    for (size_t i = 1; i < n; i++)
        if (!strcmp(t[i - 1].name, t[i].name))
            return err_set(e, ERR_CHECKPOINT, "%s: tensor \"%.150s\" stands twice", name,
                           t[i].name);
    return OK;
}

enum status safetensors_read(struct store *s, const char *name, const void *bytes, size_t n,
                             struct err *e)
{
    const unsigned char *at = bytes;
    uint64_t header = 0;
    if (n < 8)
        return err_set(e, ERR_CHECKPOINT, "%s: %zu bytes are too few for a safetensors file", name,
                       n);
    for (int i = 8; i--;)
        header = header << 8 | at[i];
    if (header > HEADER_MAX || header > n - 8)
        return err_set(e, ERR_CHECKPOINT, "%s: no safetensors file, or cut short: its table takes %"
                       PRIu64 " bytes, the file %zu", name, header, n);
    if (header == 0 || at[8] != '{')
        return err_set(e, ERR_CHECKPOINT,
                       "%s: no safetensors file: its table does not begin with {",
                       name);

    struct arena tree = { 0 };
    struct err why = { 0 };
    const struct json *table = json_parse(&tree, name, (const char *)at + 8, (size_t)header, &why);
    if (!table)
        err_set(e, why.code == ERR_MEMORY ? ERR_MEMORY : ERR_CHECKPOINT, "%s", why.text);
    else {
        const unsigned char *data = at + 8 + header;
        size_t n_data = n - 8 - (size_t)header, first = s->n;
        for (const struct json *entry = table->first; entry && e->code == OK; entry = entry->next)
            if (strcmp(entry->key, "__metadata__"))
                read_tensor(s, name, entry, data, n_data, e);
        if (e->code == OK)
            check_cover(s, first, name, data, n_data, e);
    }
    arena_free(&tree);
    return e->code;
}
