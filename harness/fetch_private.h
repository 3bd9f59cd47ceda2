/* fetch_private.h -- what the parts of fetch share: fetch.c (the whole), fetch_plan.c (what is
 * missing), fetch_download.c (from addresses to checked files), fetch_bring.c (archives,
 * pictures). */
#ifndef HARNESS_FETCH_PRIVATE_H
#define HARNESS_FETCH_PRIVATE_H

#include "engine/base/sha256.h"
#include "harness/fetch.h"
#include "harness/http.h"
#include "harness/manifest.h"
#include "harness/unpack.h"

enum { FETCH_JOBS = 4 };        /* downloads at a time */

struct ahead {                  /* a source's first address, on its way to .download/NAME */
    const char *url, *bearer, *staged;  /* url NULL: none is made */
    struct http_answer answer;
    bool made;                          /* it is whole there */
    int64_t done, total;                /* total -1: not known yet */
};

struct fetch {
    const struct options *o;
    const struct benchmark *b;
    const char *split, *dir;
    struct arena arena;                 /* owns everything below */
    struct manifest manifest;
    const char **needed; size_t n_needed;       /* pictures of the split: sorted, each once */
    size_t n_questions;
    bool asked;                         /* these are known: the question files were read */
    bool *due;                          /* [b->n_sources] */
    size_t *n_missing;                  /* [b->n_sources] pictures of it that are not there */
    struct ahead *ahead;                /* [b->n_sources] downloads made side by side */
    const char *first_missing;          /* for messages: the first file that is not there */
    size_t all_missing;
    char *mirror_sums; size_t n_mirror_sums;    /* the mirror's SHA256SUMS; NULL: it has none */
    bool mirror_asked;
};

/* ---- fetch_plan.c: what a source is, what there is, what is due ------------------------------ */

bool fetch_is_star(const struct source *s);         /* one file a picture */
bool fetch_is_archive(const struct source *s);
/* The folder of a source, as its files' names begin: "" for "./". */
const char *fetch_prefix_of(const struct source *s, size_t *n);
bool fetch_is_wanted(const struct fetch *f, const struct source *s);
/* The source that a picture comes from, or NULL. */
const struct source *fetch_owner_of(const struct fetch *f, const char *image);
const char *fetch_place(struct fetch *f, const char *name);     /* below DATA/<name>, in the arena */
bool fetch_is_there(const struct fetch *f, const char *name);
bool fetch_half_done(const struct fetch *f, const struct source *s);
bool fetch_has_questions(const struct fetch *f);
void fetch_make_plan(struct fetch *f);              /* fills due, n_missing, first_missing */
int fetch_by_text(const void *a, const void *b);    /* order of needed */
enum status fetch_read_needed(struct fetch *f, struct err *e);
/* Free f->arena in any case. */
enum status fetch_open(struct fetch *f, const struct options *o, const struct benchmark *b,
                       const char *split, struct err *e);
enum status fetch_find_missing(struct fetch *f, struct err *e);
bool fetch_same_hash(const char *a, const char *b);     /* NULL is like nothing */
void fetch_report(struct fetch *f, struct fetch_state *out);

/* ---- fetch_download.c: addresses, one download, several at a time ---------------------------- */

const char *fetch_where(struct fetch *f, const char *url);      /* mirror and HF_ENDPOINT applied */
const char *fetch_token_for(const struct options *o, const char *url);
enum status fetch_ask_mirror(struct fetch *f, struct err *e);
const char *fetch_pin_of(struct fetch *f, const struct source *s, const char *url);
enum status fetch_settle(const char *from, const char *to, struct err *e);
enum status fetch_check_hash(const char *path, const char *url, const char *pin,
                             char hex[SHA256_HEX], struct err *e);
const char *fetch_put_there(struct fetch *f, const struct source *s);
const char *fetch_staged_at(struct fetch *f, const struct source *s);
/* The source's file, checked and on record, at *place_of: that name, or another (members: pick.h). */
enum status fetch_download(struct fetch *f, const struct source *s, const struct unpack *members,
                           const char **place_of, struct manifest_source *m, struct err *e);
void fetch_side_by_side(struct fetch *f, bool images);

/* ---- fetch_bring.c: a source's files come to their places ------------------------------------ */

enum status fetch_plain(struct fetch *f, const struct source *s, struct err *e);
enum status fetch_archive(struct fetch *f, const struct source *s, struct err *e);
enum status fetch_pictures(struct fetch *f, const struct source *s, struct err *e);

#endif
