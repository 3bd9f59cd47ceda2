/* reference.c -- published figures out of their JSON. */
#include "results/reference.h"

#include <math.h>
#include <string.h>

#include "engine/base/json.h"

extern const char paper_json[], scaling_json[], zoo_json[];

static const struct { const char *name, *text; } files[] = {
    { "paper", paper_json }, { "scaling", scaling_json }, { "zoo", zoo_json },
};

static const char *join_texts(struct arena *a, const struct json *list)
{
    const char *all = "";
    for (const struct json *x = list ? list->first : NULL; x; x = x->next)
        all = arena_fmt(a, "%s%s%s", all, *all ? "; " : "", x->string);
    return all;
}

static enum status read_figure(const struct json *x, const char *model, struct arena *a,
                               struct reference_figure *f, struct err *e)
{
    *f = (struct reference_figure){
        .benchmark = json_get_str(x, "benchmark", NULL), .split = json_get_str(x, "split", NULL),
        .metric = json_get_str(x, "metric", NULL), .judge = json_get_str(x, "judge", NULL),
        .value = json_get_double(x, "value", NAN), .seen = json_get_bool(x, "seen", false),
        .source = json_get_str(x, "source", NULL), .checked = join_texts(a, json_get(x, "checked")),
    };
    if (!f->benchmark || !f->split || !f->metric || !f->source || isnan(f->value))
        return err_set(e, ERR_INTERNAL, "a figure of \"%s\" lacks its benchmark, split, metric, "
                       "value or source", model);
    return OK;
}

static enum status read_row(const struct json *x, struct arena *a, struct reference *row,
                            struct err *e)
{
    const struct json *figures = json_get(x, "figures");

    *row = (struct reference){
        .model = json_get_str(x, "model", NULL), .llm = json_get_str(x, "llm", NULL),
        .connector = json_get_str(x, "connector", NULL),
        .pretrain = json_get_str(x, "pretrain", NULL), .finetune = json_get_str(x, "finetune", NULL),
        .resolution = (int)json_get_int(x, "resolution", 0),
        .in_house = json_get_bool(x, "in_house", false),
    };
    if (!row->model || !figures || figures->type != JSON_ARRAY)
        return err_set(e, ERR_INTERNAL, "a published row lacks its \"model\" or \"figures\"");
    row->figures = arena_array(a, figures->n + 1, sizeof *row->figures);
    for (const struct json *f = figures->first; f && row->figures && e->code == OK; f = f->next)
        read_figure(f, row->model, a, &row->figures[row->n++], e);
    return e->code;
}

enum status results_reference(const char *name, struct arena *a, struct reference **rows, size_t *n,
                              struct err *e)
{
    const char *text = NULL;

    *n = 0;
    for (size_t i = 0; i < COUNT(files); i++)
        if (!strcmp(files[i].name, name))
            text = files[i].text;
    if (!text)
        return err_set(e, ERR_USAGE, "there are no published figures called \"%s\"", name);
    const struct json *root = json_parse(a, name, text, strlen(text), e);
    const struct json *list = json_get(root, "rows");
    *rows = arena_array(a, list ? list->n + 1 : 1, sizeof **rows);
    for (const struct json *x = list ? list->first : NULL; x && *rows && e->code == OK; x = x->next)
        read_row(x, a, &(*rows)[(*n)++], e);
    return a->failed ? err_set(e, ERR_MEMORY, "no memory for the published figures") : e->code;
}
