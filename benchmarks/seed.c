/* SEED-Bench: four-way questions on pictures (9 types) and on one middle frame of videos (3 types).
 *
 * Data    SEED-Bench.json of 2 August 2023, the revision that LLaVA used; pictures without a file
 *         suffix. The videos are put there by hand, most being behind a sign-up, and their frames
 *         are cut out by fetch; or frames are put there: LLaVA's own, or those of SEED-Bench's
 *         split archive, unpacked to v1_video/, of which the fourth is taken. Video questions
 *         without a frame are marked unasked, and a run leaves them out.
 * Score   haotian-liu/LLaVA scripts/convert_seed_for_submission.py: the reply is the letter, exactly.
 * Ids     not unique (49914 stands twice): every row of an id is scored with its one answer. */
#include <stdio.h>
#include <string.h>

#include "benchmarks/benchmark.h"
#include "engine/base/file.h"

#define SEED "https://huggingface.co/datasets/AILab-CVC/SEED-Bench/resolve/"
static const struct source sources[] = {
    { .path = "SEED-Bench.json",
      .url = { SEED "8a0beb74cb0ed9d51791a055a89d9679e001d6bc/SEED-Bench.json" } },
    { .path = "SEED-Bench-image/", .url = { SEED "main/SEED-Bench-image.zip" },
      .strip = "SEED-Bench-image", .images = true },
};

static const char *const types[] = {                        /* by question_type_id, from 1 */
    "Scene Understanding", "Instance Identity", "Instance Attributes", "Instance Location",
    "Instances Counting", "Spatial Relation", "Instance Interaction", "Visual Reasoning",
    "Text Understanding", "Action Recognition", "Action Prediction", "Procedure Understanding" };
enum { TYPES = COUNT(types), FIRST_VIDEO = 10 };            /* types 10, 11 and 12 are on videos */

struct row {                                                /* question.more */
    int type;
    bool video, has_segment;
    const char *data_id;                                    /* of a video */
    double start, end;                                      /* segment: seconds (11), frames (12) */
};
struct whole { size_t n_unasked; };                         /* questions.more, of the full split */

static const char *const *question_files(const char *split)
{
    static const char *const files[] = { "SEED-Bench.json", NULL };
    (void)split;
    return files;
}

/* LLaVA's frame, else the official one, else the name of LLaVA's. */
static const char *frame_path(const char *dir, int type, const char *id, bool *found,
                              struct arena *a)
{
    static const char *const sets[] = { "ssv2", "kitchen", "breakfast" };
    const char *own = arena_fmt(a, "SEED-Bench-video-image/%d_%s.png", type, id);
    if ((*found = file_exists(path_join(a, dir, own))) || type < FIRST_VIDEO)
        return own;
    const char *official = arena_fmt(a, "v1_video/task%d/%s_8_frame/%s/4.png", type,
                                     sets[type - FIRST_VIDEO], id);
    *found = file_exists(path_join(a, dir, official));
    return *found ? official : own;
}

static enum status bad_field(const char *path, size_t index, const char *field,
                             const char *expected, struct err *e)
{
    return err_set(e, ERR_DATA, "%s: question %zu (from 0): \"%s\" is missing or wrong, expected %s",
                   path, index, field, expected);
}

static enum status read_row(const char *dir, const char *path, const struct json *item,
                            size_t index, struct questions *qs, struct err *e)
{
    static const char *const fields[] = { "choice_a", "choice_b", "choice_c", "choice_d" };
    static const char *const letters[] = { "A", "B", "C", "D" };
    struct arena *a = qs->arena;
    struct row *row = arena_alloc(a, sizeof *row);
    const char **options = arena_array(a, COUNT(fields), sizeof *options);
    const struct json *id = json_get(item, "question_id");
    const char *kind = json_get_str(item, "data_type", ""), *image = "";
    const char *answer = json_get_str(item, "answer", ""), *text, *name;
    int64_t type = json_get_int(item, "question_type_id", 0);
    struct question q = { .options = options, .n_options = COUNT(fields), .more = row };
    if (!row || !options)
        return err_set(e, ERR_MEMORY, "%s: out of memory", path);
    if (!id || (id->type != JSON_STRING && !id->is_int))
        return bad_field(path, index, "question_id", "a string", e);
    q.id = id->type == JSON_STRING ? arena_str(a, id->string)
                                   : arena_fmt(a, "%lld", (long long)id->integer);
    if (type < 1 || type > TYPES)
        return bad_field(path, index, "question_type_id", "1 to 12", e);
    row->type = (int)type - 1;
    q.category = types[row->type];
    row->video = !strcmp(kind, "video");
    if (!row->video && strcmp(kind, "image") != 0)
        return bad_field(path, index, "data_type", "\"image\" or \"video\"", e);
    if (!(text = json_get_str(item, "question", NULL)))
        return bad_field(path, index, "question", "a string", e);
    q.text = arena_str(a, text);
    for (size_t i = 0; i < COUNT(fields); i++) {
        const struct json *choice = json_get(item, fields[i]);
        if (choice && choice->type == JSON_STRING)
            options[i] = arena_str(a, choice->string);
        else if (choice && choice->is_int)
            options[i] = arena_fmt(a, "%lld", (long long)choice->integer);
        else
            return bad_field(path, index, fields[i], "a string", e);
        if (!strcmp(answer, letters[i]))
            q.reference = letters[i];
    }
    if (!q.reference)
        return bad_field(path, index, "answer", "\"A\", \"B\", \"C\" or \"D\"", e);
    if (row->video) {
        const struct json *segment = json_get(item, "segment");
        bool found = false;
        row->data_id = arena_str(a, json_get_str(item, "data_id", ""));
        row->has_segment = segment && segment->type == JSON_ARRAY && segment->n == 2 &&
                           segment->first->type == JSON_NUMBER &&
                           segment->first->next->type == JSON_NUMBER;
        if (row->has_segment) {
            row->start = segment->first->number;
            row->end = segment->first->next->number;
        }
        image = frame_path(dir, (int)type, q.id, &found, a);
        q.unasked = !found;
    } else if ((name = json_get_str(item, "data_id", NULL))) {
        image = arena_fmt(a, "SEED-Bench-image/%s", name);
    } else {
        return bad_field(path, index, "data_id", "a file name", e);
    }
    q.image = image;
    questions_add(qs, q);
    return OK;
}

static enum status read_seed(const char *dir, const char *split, struct questions *qs,
                             struct err *e)
{
    const char *path = arena_fmt(qs->arena, "%s/SEED-Bench.json", dir);
    struct json_items in;
    struct arena scratch = { 0 };
    const struct json *item;
    struct whole *whole = arena_alloc(qs->arena, sizeof *whole);
    (void)split;
    if (!whole)
        return err_set(e, ERR_MEMORY, "%s: out of memory", path);
    json_items_open(&in, path, "questions", &scratch, e);
    while (e->code == OK && (item = json_items_next(&in)))
        read_row(dir, path, item, in.index, qs, e);
    json_items_close(&in);
    arena_free(&scratch);
    for (size_t i = 0; i < qs->n; i++)
        whole->n_unasked += qs->at[i].unasked;
    qs->more = whole;
    return e->code;
}

/* ---- frames of videos ------------------------------------------------------------------------ */

static double between(double x, double low, double high)
{
    return !(x > low) ? low : x < high ? x : high;          /* not a number: low */
}

/* extract_video_frames.py of LLaVA's eval.zip: the middle of the video, or of its segment. A
 * segment that lies outside of the video counts as its nearest frame, where the script stops. */
static int64_t pick_frame(const struct video_frame *f, int64_t n, double frames_per_second)
{
    int64_t from = 0, to = n - 1;
    if (f->has_segment && f->type == FIRST_VIDEO + 1) {     /* seconds */
        from = (int64_t)between(f->start * frames_per_second, 0, (double)(n - 1));
        to = (int64_t)between(f->end * frames_per_second, 0, (double)(n - 1));
    } else if (f->has_segment) {                            /* frames */
        from = (int64_t)between(f->start, 0, (double)n);
        to = (int64_t)between(f->end, 0, (double)n);
    }
    int64_t at = from + (to - from - 1) / 2;                /* as int(): towards zero */
    return (int64_t)between((double)at, 0, (double)(n - 1));
}

static bool video_frame(const char *dir, const struct questions *qs, size_t i, struct arena *a,
                        struct video_frame *out)
{
    static const char *const roots[] = {                    /* as SEED-Bench's own scripts call them */
        "videos/20bn-something-something-v2", "videos/EPIC-KITCHENS",
        "videos/BreakfastII_15fps_qvga_sync" };
    const struct row *row = qs->at[i].more;
    if (!row->video || row->type + 1 < FIRST_VIDEO || !*row->data_id)
        return false;
    const char *root = roots[row->type + 1 - FIRST_VIDEO], *slash = strrchr(row->data_id, '/');
    const char *plain = arena_fmt(a, "%s/%s", root, row->data_id);
    const char *deeper = !slash ? plain                     /* as EPIC-KITCHENS' download has it */
        : arena_fmt(a, "%s/%.*s/videos%s", root, (int)(slash - row->data_id), row->data_id, slash);
    *out = (struct video_frame){
        .video = file_size(path_join(a, dir, plain)) >= 0 ? plain : deeper, .type = row->type + 1,
        .start = row->start, .end = row->end, .has_segment = row->has_segment, .pick = pick_frame };
    return file_size(path_join(a, dir, out->video)) >= 0;
}

static void mark_seed(const struct questions *qs, size_t i, const char *reply, struct mark *out)
{
    out->a = !strcmp(reply, qs->at[i].reference);
}

struct share { double right, all; size_t n; };

static void add_share(struct scores *out, const struct share *s, const char *prefix,
                      const char *name)
{
    if (s->n)                                               /* no rows of this kind: no metric */
        scores_add(out, s->right / s->all * 100, s->n, "%s%s", prefix, name);
}

static uint64_t kind_seed(const struct questions *qs, size_t i)
{
    const struct row *row = qs->at[i].more;
    return (uint64_t)row->type << 2 | (uint64_t)row->video << 1 | qs->at[i].unasked;
}

static void tally_seed(const struct tally_input *in, struct scores *out)
{
    struct share all = { 0 }, kind[2] = { { 0 } }, type[TYPES] = { { 0 } };
    const struct whole *whole = in->qs->more;
    bool whole_asked = !whole->n_unasked;
    for (size_t i = 0; i < in->qs->n; i++) {
        const struct row *row = in->qs->at[i].more;
        double weight = in->weight ? in->weight[i] : 1;
        double right = in->marks[i].missing ? 0 : in->marks[i].a * weight;
        struct share *shares[] = { &all, &kind[row->video], &type[row->type] };
        for (size_t s = 0; s < COUNT(shares); s++) {
            shares[s]->right += right;
            shares[s]->all += weight;
            shares[s]->n++;
        }
        whole_asked = whole_asked || in->qs->at[i].unasked;
    }
    if (whole_asked)                                        /* else: over pictures, not the split */
        add_share(out, &all, "", "accuracy");
    add_share(out, &kind[0], "", "image_accuracy");
    add_share(out, &kind[1], "", "video_accuracy");
    for (size_t t = 0; t < TYPES; t++)
        add_share(out, &type[t], "type/", types[t]);
}

/* JSON lines in the order of the questions; a question without an answer has an empty one. */
static enum status export_seed(struct questions *qs, const struct answers *a,
                               struct exports *files, struct err *e)
{
    struct str *out = exports_text(files, NULL);
    for (size_t i = 0; i < qs->n; i++) {
        str_add(out, "{\"question_id\": ");
        str_add_json(out, qs->at[i].id);
        str_add(out, ", \"prediction\": ");
        str_add_json(out, a->text[i] ? a->text[i] : "");
        str_add(out, "}\n");
    }
    return out->failed ? err_set(e, ERR_MEMORY, "no memory for the file to export") : OK;
}

const struct benchmark bench_seed = {
    .name = "seed", .title = "SEED-Bench", .version = 1, .splits = "test",
    .official_n = { 19242 },
    .headline = "accuracy", .scale = 100,
    .headline_text = "share of all questions answered with exactly the right letter; percent, "
                     "higher is better",
    .format = FORMAT_LETTER, .max_new_tokens = 128, .missing_is_wrong = true,
    .sources = sources, .n_sources = COUNT(sources),
    .licence = "CC BY-NC 4.0", .homepage = "https://github.com/AILab-CVC/SEED-Bench",
    .read = read_seed, .question_files = question_files, .video_frame = video_frame,
    .by_hand =
        "their videos are not handed out freely. Get those of Something-Something v2 (sign-up at "
        "https://www.qualcomm.com/developer/software/something-something-v-2-dataset), "
        "EPIC-KITCHENS-100 (https://epic-kitchens.github.io) and Breakfast "
        "(https://serre-lab.clps.brown.edu/resource/breakfast-actions-dataset), and put them "
        "below videos/ in that folder: 20bn-something-something-v2/94328.webm, EPIC-KITCHENS/P03/P03_24.MP4, "
        "BreakfastII_15fps_qvga_sync/P06/cam01/P06_cereals.avi; the same command then cuts out the "
        "frames. Frames that LLaVA or SEED-Bench made are taken, too: see docs/benchmarks/seed.md",
    .categories = "image_accuracy,video_accuracy,type/*", .accuracies = "*",
    .kind = kind_seed, .mark = mark_seed, .tally = tally_seed, .export = export_seed,
};
