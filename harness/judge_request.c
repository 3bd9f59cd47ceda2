/* judge_request.c -- see judge_request.h. */
#include "harness/judge_request.h"

#include <string.h>

enum { REASONING_CAP = 4096, USUAL_REPLY = 140, TEXT_LIMIT = 32 << 20, LETTERS_A_TOKEN = 4,
       AROUND_A_MESSAGE = 8 };

static int cap_of(const struct judge_manner *m, const struct judge_request *r)
{
    return m->reasoning ? REASONING_CAP : r->max_tokens;
}

/* "user": the text, behind the system's and an empty line where they are merged. */
static void add_user(struct str *out, const struct judge_manner *m, const struct judge_request *r)
{
    struct str both;

    if (!m->merge_system || !r->system) {
        str_add_json(out, r->user);
        return;
    }
    str_init(&both, TEXT_LIMIT);
    str_addf(&both, "%s\n\n", r->system);
    str_add(&both, r->user);
    str_add_json(out, both.at);
    out->failed = out->failed || both.failed;
    str_free(&both);
}

static void add_messages(struct str *out, const struct judge_manner *m,
                         const struct judge_request *r)
{
    str_addc(out, '[');
    if (r->system && !m->merge_system) {
        str_add(out, "{\"role\":\"system\",\"content\":");
        str_add_json(out, r->system);
        str_add(out, "},");
    }
    str_add(out, "{\"role\":\"user\",\"content\":");
    add_user(out, m, r);
    str_add(out, "}]");
}

void judge_request_body(const struct judge_manner *m, const struct judge_request *r, struct str *out)
{
    str_add(out, "{\"model\":");
    str_add_json(out, m->model);
    str_add(out, ",\"messages\":");
    add_messages(out, m, r);
    if (m->reasoning) {
        str_addf(out, ",\"max_completion_tokens\":%d}", REASONING_CAP);
    } else {
        str_add(out, ",\"temperature\":");
        str_add_number(out, r->temperature);
        str_addf(out, ",\"max_tokens\":%d}", r->max_tokens);
    }
}

enum status judge_request_hash(const struct judge_manner *m, const struct judge_request *r,
                               unsigned char out[SHA256_SIZE], struct err *e)
{
    struct sha256 hash;
    struct str text;

    str_init(&text, TEXT_LIMIT);
    str_add(&text, "{\"base\":");
    str_add_json(&text, m->base);
    str_add(&text, ",\"model\":");
    str_add_json(&text, m->model);
    str_add(&text, ",\"profile\":");
    str_add_json(&text, m->reasoning ? "reasoning" : "classic");
    str_add(&text, ",\"messages\":");
    add_messages(&text, m, r);
    if (m->reasoning)
        str_add(&text, ",\"temperature\":null");
    else
        str_addf(&text, ",\"temperature\":%.17g", r->temperature);
    str_addf(&text, ",\"cap\":%d", cap_of(m, r));
    if (m->strip_think)
        str_add(&text, ",\"strip\":true");
    if (m->merge_system)
        str_add(&text, ",\"merge\":true");
    if (m->label) {
        str_add(&text, ",\"label\":");
        str_add_json(&text, m->label);
    }
    str_addc(&text, '}');
    if (text.failed)
        err_set(e, ERR_MEMORY, "no memory for what the judge is asked");
    sha256_init(&hash);
    sha256_add(&hash, text.at, text.n);
    sha256_end(&hash, out);
    str_free(&text);
    return e->code;
}

static int64_t tokens_of(const char *text)
{
    return ((int64_t)strlen(text) + LETTERS_A_TOKEN - 1) / LETTERS_A_TOKEN + AROUND_A_MESSAGE;
}

int64_t judge_prompt_tokens(const struct judge_request *r)
{
    return tokens_of(r->user) + (r->system ? tokens_of(r->system) : 0);
}

int64_t judge_most_tokens(const struct judge_manner *m, const struct judge_request *r)
{
    return cap_of(m, r);
}

int64_t judge_usual_tokens(const struct judge_manner *m, int64_t most)
{
    return m->reasoning || most < USUAL_REPLY ? most : USUAL_REPLY;
}
