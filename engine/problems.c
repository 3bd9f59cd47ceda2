/* problems.c -- see problems.h. Groups stand in the order of their first line; a file of nothing but
 * foreign names must not take long, so that there are at most GROUPS of them. */
#include "engine/problems.h"

#include <stdlib.h>
#include <string.h>

enum { GROUPS = 200, LAYERS = 1024 };

struct group {                  /* lines that are alike but for the layer's number */
    const char *line;           /* the first of them */
    size_t n;                   /* its length */
    size_t digits, n_digits;    /* where its number stands; n_digits 0: none */
    bool layer[LAYERS];
    int n_layers, n_lines;
};

/* A line on its own. */
static void read_line(struct group *g, const char *line, int *layer)
{
    static const char mark[] = "layers.";
    g->line = line;
    g->n = strcspn(line, "\n");
    g->digits = g->n_digits = 0;
    *layer = 0;
    const char *at = memmem(line, g->n, mark, sizeof mark - 1);
    if (!at)
        return;
    at += sizeof mark - 1;
    size_t n = strspn(at, "0123456789");
    if (n < 1 || n > 4 || at[n] != '.' || (n > 1 && *at == '0'))
        return;
    for (size_t i = 0; i < n; i++)
        *layer = *layer * 10 + (at[i] - '0');
    if (*layer >= LAYERS)
        return;
    g->digits = (size_t)(at - line);
    g->n_digits = n;
}

static bool alike(const struct group *a, const struct group *b)
{
    size_t tail_a = a->digits + a->n_digits, tail_b = b->digits + b->n_digits;
    return !a->n_digits == !b->n_digits && a->digits == b->digits &&
           a->n - tail_a == b->n - tail_b && !memcmp(a->line, b->line, a->digits) &&
           !memcmp(a->line + tail_a, b->line + tail_b, a->n - tail_a);
}

/* "0-3, 5" */
static void add_layers(struct str *out, const struct group *g)
{
    bool first = true;
    for (int i = 0; i < LAYERS; i++) {
        int from = i;
        if (!g->layer[i])
            continue;
        while (i + 1 < LAYERS && g->layer[i + 1])
            i++;
        str_addf(out, i > from ? "%s%d-%d" : "%s%d", first ? "" : ", ", from, i);
        first = false;
    }
}

static void add_group(struct str *out, const struct group *g)
{
    if (g->n_layers < 2) {
        str_addn(out, g->line, g->n);
        return;
    }
    size_t tail = g->digits + g->n_digits;
    str_addn(out, g->line, g->digits);
    str_addc(out, 'N');
    str_addn(out, g->line + tail, g->n - tail);
    str_add(out, " (N = ");
    add_layers(out, g);
    str_addc(out, ')');
}

/* Every line into a group; those that find none are counted. */
static size_t gather(struct group *groups, int *n_groups, const char *lines)
{
    size_t left_out = 0;
    for (const char *at = lines; *at; at += strcspn(at, "\n"), at += *at == '\n') {
        struct group one;
        int layer, i = 0;
        read_line(&one, at, &layer);
        while (i < *n_groups && !alike(&groups[i], &one))
            i++;
        if (i == GROUPS) {
            left_out++;
            continue;
        }
        struct group *g = &groups[i];
        if (i == *n_groups) {
            *g = (struct group){ .line = one.line, .n = one.n, .digits = one.digits,
                                 .n_digits = one.n_digits };
            ++*n_groups;
        }
        g->n_lines++;
        if (one.n_digits && !g->layer[layer]) {
            g->layer[layer] = true;
            g->n_layers++;
        }
    }
    return left_out;
}

bool problems_text(struct str *out, const char *lines, size_t room)
{
    struct group *groups = calloc(GROUPS, sizeof *groups);
    int n = 0;
    if (!groups)
        return false;
    size_t more = gather(groups, &n, lines);
    for (int i = 0; i < n; i++) {
        size_t before = out->n;
        str_add(out, i ? ", " : "");
        add_group(out, &groups[i]);
        if (out->n > room) {                                /* no room: this and the rest */
            out->n = before;
            out->at[before] = '\0';
            for (; i < n; i++)
                more += (size_t)groups[i].n_lines;
        }
    }
    if (more)
        str_addf(out, " and %zu more", more);
    free(groups);
    return !out->failed;
}
