/* made.c -- see made.h. */
#include "tests/made.h"

#include <stdio.h>
#include <stdlib.h>
#include "engine/base/file.h"
#include "tests/check.h"

enum { FILE_MAX = 64 << 20 };

void made_open(struct made *m)
{
    m->n = 0;
    m->transposed = false;
    str_init(&m->data, FILE_MAX);
}

void made_close(struct made *m)
{
    str_free(&m->data);
}

/* Element i of a tensor in its type's bits: small numbers of both signs, a hash of seed and i. */
static void add_value(struct str *out, const char *seed, size_t i, const char *type)
{
    uint64_t h = UINT64_C(0xcbf29ce484222325) + i;
    for (const char *p = seed; *p; p++)
        h = (h ^ (unsigned char)*p) * UINT64_C(0x100000001b3);
    h = (h ^ h >> 29) * UINT64_C(0x94D049BB133111EB);
    uint32_t r = (uint32_t)(h >> 40);
    if (!strcmp(type, "F32")) {
        float x = (float)((int)(r & 0xffff) - 0x8000) * 0x1p-17f;
        str_addn(out, (const char *)&x, sizeof x);
    } else if (!strcmp(type, "I64")) {
        int64_t x = r;
        str_addn(out, (const char *)&x, sizeof x);
    } else {                                                /* F16, BF16: exponents around 1/8 */
        uint16_t x = (uint16_t)((r & 0x8000) | (!strcmp(type, "F16") ? 0x3000 : 0x3e00) |
                                (r & (!strcmp(type, "F16") ? 0x3ff : 0x7f)));
        str_addn(out, (const char *)&x, sizeof x);
    }
}

void made_add(struct made *m, const char *seed, const char *name, const char *type, int n_dims,
              const int *shape)
{
    size_t n = 1;
    if (!CHECK(m->n < MADE_MAX))
        return;
    snprintf(m->at[m->n].name, sizeof m->at[m->n].name, "%s", name);
    snprintf(m->at[m->n].type, sizeof m->at[m->n].type, "%s", type);
    m->at[m->n].n_dims = n_dims;
    for (int i = 0; i < n_dims; i++) {
        m->at[m->n].shape[i] = shape[i];
        n *= (size_t)shape[i];
    }
    m->at[m->n].from = m->data.n;
    for (size_t i = 0; i < n; i++)
        add_value(&m->data, seed, i, type);
    m->at[m->n].bytes = m->data.n - m->at[m->n].from;
    m->n++;
}

void made_drop(struct made *m, const char *name)
{
    for (int i = 0; i < m->n; i++)
        if (!strcmp(m->at[i].name, name)) {
            m->at[i] = m->at[--m->n];
            return;
        }
    CHECK(!"no such tensor");
}

static void write_out(struct str *s, const char *path)
{
    struct err e = { 0 };
    char *slash = strrchr(path, '/'), dir[512];
    if (slash) {
        snprintf(dir, sizeof dir, "%.*s", (int)(slash - path), path);
        CHECK_OK(file_mkdirs(dir, &e), e);
    }
    CHECK(!s->failed);
    CHECK_OK(file_write(path, s->at, s->n, &e), e);
}

void made_text(const char *path, const char *text)
{
    struct str s;
    str_init(&s, FILE_MAX);
    str_add(&s, text);
    write_out(&s, path);
    str_free(&s);
}

static void add_number(struct str *s, uint64_t v, int bytes)
{
    for (; bytes--; v >>= 8)
        str_addc(s, (char)(v & 0xff));
}

void made_safetensors_to(const struct made *m, struct str *out)
{
    struct str head, data;
    str_init(&head, FILE_MAX);
    str_init(&data, FILE_MAX);
    str_add(&head, "{\"__metadata__\":{\"format\":\"pt\"}");
    for (int i = 0; i < m->n; i++) {
        str_addf(&head, ",\"%s\":{\"dtype\":\"%s\",\"shape\":[", m->at[i].name, m->at[i].type);
        for (int k = 0; k < m->at[i].n_dims; k++)
            str_addf(&head, k ? ",%d" : "%d", m->at[i].shape[k]);
        str_addf(&head, "],\"data_offsets\":[%zu,", data.n);
        str_addn(&data, m->data.at + m->at[i].from, m->at[i].bytes);
        str_addf(&head, "%zu]}", data.n);
    }
    str_add(&head, "}");
    add_number(out, head.n, 8);
    str_addn(out, head.at, head.n);
    str_addn(out, data.at, data.n);
    str_free(&head);
    str_free(&data);
}

void made_safetensors(const struct made *m, const char *path)
{
    struct str s;
    str_init(&s, FILE_MAX);
    made_safetensors_to(m, &s);
    write_out(&s, path);
    str_free(&s);
}

struct zip { struct str *out, directory; int n; };

static void zip_add(struct zip *z, const char *name, const void *bytes, size_t n)
{
    size_t at = z->out->n;
    str_add(z->out, "PK\3\4");
    add_number(z->out, 0, 14);                              /* sizes in the directory alone */
    add_number(z->out, 0, 8);
    add_number(z->out, strlen(name), 2);
    add_number(z->out, 4, 2);                               /* padding that the directory lacks */
    str_add(z->out, name);
    add_number(z->out, 0, 4);
    str_addn(z->out, bytes, n);
    str_add(&z->directory, "PK\1\2");
    add_number(&z->directory, 0, 16);
    add_number(&z->directory, n, 4);
    add_number(&z->directory, n, 4);
    add_number(&z->directory, strlen(name), 2);
    add_number(&z->directory, 0, 12);
    add_number(&z->directory, at, 4);
    str_add(&z->directory, name);
    z->n++;
}

static void zip_end(struct zip *z)
{
    size_t at = z->out->n;
    str_addn(z->out, z->directory.at, z->directory.n);
    str_add(z->out, "PK\5\6");
    add_number(z->out, 0, 4);
    add_number(z->out, (uint64_t)z->n, 2);
    add_number(z->out, (uint64_t)z->n, 2);
    add_number(z->out, z->directory.n, 4);
    add_number(z->out, at, 4);
    add_number(z->out, 0, 2);
    str_free(&z->directory);
}

void made_pickle_to(const void *pickle, size_t n, struct str *out)
{
    struct zip z = { .out = out };
    str_init(&z.directory, FILE_MAX);
    zip_add(&z, "x/data.pkl", pickle, n);
    zip_end(&z);
}

static void add_string(struct str *s, const char *text)
{
    str_addc(s, 'X');
    add_number(s, strlen(text), 4);
    str_add(s, text);
}

static void add_int(struct str *s, int v)
{
    str_addc(s, 'J');
    add_number(s, (uint64_t)v, 4);
}

static void pickle_tensor(struct str *p, const struct made *m, int i)
{
    const char *type = m->at[i].type;
    char key[16];
    int n = 1, stride[MADE_DIMS];
    for (int k = m->at[i].n_dims; k--; n *= m->at[i].shape[k])
        stride[k] = n;
    if (m->transposed && m->at[i].n_dims == 2) {
        stride[0] = 1;
        stride[1] = m->at[i].shape[0];
    }
    snprintf(key, sizeof key, "%d", i);
    add_string(p, m->at[i].name);
    str_add(p, "ctorch._utils\n_rebuild_tensor_v2\n((");
    add_string(p, "storage");
    str_addf(p, "ctorch\n%sStorage\n", !strcmp(type, "F16") ? "Half" :
             !strcmp(type, "BF16") ? "BFloat16" : !strcmp(type, "I64") ? "Long" : "Float");
    add_string(p, key);
    add_string(p, "cpu");
    add_int(p, n);
    str_add(p, "tQ");
    add_int(p, 0);
    for (int what = 0; what < 2; what++) {
        str_addc(p, '(');
        for (int k = 0; k < m->at[i].n_dims; k++)
            add_int(p, what ? stride[k] : m->at[i].shape[k]);
        str_addc(p, 't');
    }
    str_add(p, "\x89" "ccollections\nOrderedDict\n)RtR");
}

void made_torch_to(const struct made *m, struct str *out)
{
    struct zip z = { .out = out };
    struct str p;
    str_init(&p, FILE_MAX);
    str_init(&z.directory, FILE_MAX);
    str_add(&p, "\x80\2}(");
    for (int i = 0; i < m->n; i++)
        pickle_tensor(&p, m, i);
    str_add(&p, "u.");
    zip_add(&z, "archive/data.pkl", p.at, p.n);
    zip_add(&z, "archive/byteorder", "little", 6);
    for (int i = 0; i < m->n; i++) {
        char name[40];
        snprintf(name, sizeof name, "archive/data/%d", i);
        zip_add(&z, name, m->data.at + m->at[i].from, m->at[i].bytes);
    }
    zip_add(&z, "archive/version", "3\n", 2);
    zip_end(&z);
    str_free(&p);
}

void made_torch(const struct made *m, const char *path)
{
    struct str s;
    str_init(&s, FILE_MAX);
    made_torch_to(m, &s);
    write_out(&s, path);
    str_free(&s);
}
