/* fetch.c -- a benchmark's sources become files below DATA/<name>/.
 *
 * In two rounds, since only the question files tell which pictures are asked about:
 *
 *     question sources -> b->read() -> the pictures needed -> image sources
 *
 * A download lands in DATA/<name>/.download/, is checked against its hash, and only then moved to
 * its place; an archive is unpacked into .unpack/ and moved in file by file. The manifest is
 * written after the download ("begun") and after the last move ("complete"). So a place holds a
 * whole, checked file or none, and what kill -9 leaves behind is either resumed or done again.
 * What lies in place counts, whoever put it there: the plan asks for the files that the split
 * needs, one by one.
 *
 * Official files are checked against the hashes that a benchmark pins. A mirror that brings a
 * SHA256SUMS of its own is believed instead, and its data is never called official. */
#include "harness/fetch_private.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <sys/file.h>
#include <unistd.h>

#include "engine/base/file.h"
#include "harness/frames.h"
#include "harness/run.h"
#include "harness/say.h"
#include "harness/videos.h"

/* ---- verifying ------------------------------------------------------------------------------- */

/* Hashes every file on record that is there, and every pinned one, again. */
static enum status verify(struct fetch *f, struct err *e)
{
    struct progress p = { .what = arena_fmt(&f->arena, "%s: verifying", f->b->name),
                          .total = f->manifest.n_files };
    size_t bad = 0, gone = 0;
    for (size_t i = 0; i < f->manifest.n_files && run_stopped() == OK; i++) {
        const struct manifest_file *file = &f->manifest.files[i];
        unsigned char hash[SHA256_SIZE];
        char hex[SHA256_HEX] = "";
        struct err one = { 0 };
        if (!unpack_safe_name(file->name))
            continue;
        if (!file_exists(fetch_place(f, file->name))) {     /* fetched below, if it is needed */
            gone++;
            continue;
        }
        if (sha256_file(fetch_place(f, file->name), hash, &one) == OK)
            sha256_hex(hash, hex);
        if (!fetch_same_hash(hex, file->sha256) && !bad++)
            err_set(e, ERR_DATA, "%s/%s: %s, expected %s; remove it and fetch again", f->dir,
                    file->name, one.code == OK ? hex : one.text, file->sha256);
        p.done = i + 1;
        say_progress(&p);
    }
    say_progress_clear();
    if (run_stopped() != OK)
        return err_set(e, run_stopped(), "verifying was stopped by a signal");
    for (int i = 0; i < f->b->n_sources; i++) {
        const struct source *s = &f->b->sources[i];
        const struct manifest_source *m = manifest_find(&f->manifest, s->url[0]);
        if (!s->sha256 || fetch_is_star(s) || fetch_is_archive(s) || (m && m->replaced_pin) ||
            !fetch_is_there(f, s->path))
            continue;
        unsigned char hash[SHA256_SIZE];
        char hex[SHA256_HEX];
        if (sha256_file(fetch_place(f, s->path), hash, e) != OK)
            return e->code;
        sha256_hex(hash, hex);
        if (!fetch_same_hash(hex, s->sha256))
            err_set(e, ERR_DATA, "%s: its SHA-256 is %s, the official one is %s; remove it and fetch "
                    "again", fetch_place(f, s->path), hex, s->sha256);
    }
    if (e->code == OK)
        say_note("%s: %zu files on record, all %sas they were", f->b->name, f->manifest.n_files,
                 gone ? arena_fmt(&f->arena, "but %zu that are gone ", gone) : "");
    else if (bad > 1)
        err_in(e, "%s: %zu files are not as they were, the first", f->b->name, bad);
    return e->code;
}

/* ---- the whole ------------------------------------------------------------------------------- */

static enum status lock_folder(struct fetch *f, int *fd, struct err *e)
{
    const char *path = fetch_place(f, ".lock");
    if (file_mkdirs(f->dir, e) != OK)
        return err_in(e, "%s is missing and cannot be fetched", f->first_missing ? f->first_missing
                                                                                 : f->dir);
    *fd = open(path, O_WRONLY | O_CREAT | O_CLOEXEC, 0666);
    if (*fd < 0)
        return err_set(e, ERR_INTERNAL, "%s: cannot write there (%s), and %s is missing", f->dir,
                       strerror(errno), f->first_missing ? f->first_missing : "a picture");
    if (flock(*fd, LOCK_EX | LOCK_NB) == 0)
        return OK;
    say_note("%s: waiting for another llava-eval that is fetching it", f->b->name);
    while (flock(*fd, LOCK_EX | LOCK_NB) != 0) {
        if (run_stopped() != OK)
            return err_set(e, run_stopped(), "stopped by a signal while waiting for %s", path);
        if (errno != EWOULDBLOCK && errno != EINTR)
            return err_set(e, ERR_INTERNAL, "%s: cannot lock: %s", path, strerror(errno));
        usleep(200000);
    }
    return OK;
}

/* Bytes of a download: as the benchmark has them, else as the server says; -1: not known. */
static int64_t size_of(struct fetch *f, const struct source *s)
{
    const char *url = fetch_where(f, s->url[0]);
    struct http_get get = { .url = url, .bearer = fetch_token_for(f->o, url), .attempts = 1,
                            .stopped = run_stopped, .stall_s = 15 };
    struct http_answer answer;
    struct err ignored = { 0 };
    if (s->bytes && !f->o->mirror)
        return s->bytes;
    return !f->o->offline && http_look(&get, &answer, &ignored) == OK ? answer.bytes : -1;
}

static void say_sizes(struct fetch *f)
{
    int n = 0, unknown = 0, one_by_one = 0;
    int64_t bytes = 0;
    for (int i = 0; i < f->b->n_sources && run_stopped() == OK; i++) {
        const struct source *s = &f->b->sources[i];
        if (!f->due[i])
            continue;
        if (fetch_is_star(s)) {
            one_by_one++;
            continue;
        }
        int64_t size = size_of(f, s);
        bytes += size > 0 ? size : 0;
        unknown += size < 0;
        n++;
    }
    say_note("%s:%s: fetching %d file%s, %.1f %s%s%s", f->b->name, f->split, n, n == 1 ? "" : "s",
             (double)bytes / (bytes < 1000000 ? 1e3 : bytes < 1000000000 ? 1e6 : 1e9),
             bytes < 1000000 ? "kB" : bytes < 1000000000 ? "MB" : "GB",
             unknown ? arena_fmt(&f->arena, " and %d of unknown size", unknown) : "",
             one_by_one ? ", and pictures one by one" : "");
}

static enum status fetch_round(struct fetch *f, bool images, struct err *e)
{
    bool first = true;
    for (int i = 0; i < f->b->n_sources && e->code == OK; i++) {
        const struct source *s = &f->b->sources[i];
        if (!f->due[i] || (s->images || fetch_is_star(s)) != images)
            continue;
        if (run_stopped() != OK)
            return err_set(e, run_stopped(), "%s: fetching was stopped by a signal", f->b->name);
        if (fetch_ask_mirror(f, e) != OK)
            return e->code;
        if (first)
            fetch_side_by_side(f, images);
        first = false;
        if (fetch_is_star(s))
            fetch_pictures(f, s, e);
        else if (fetch_is_archive(s))
            fetch_archive(f, s, e);
        else
            fetch_plain(f, s, e);
    }
    return e->code;
}

static enum status fetch_missing(struct fetch *f, struct err *e)
{
    int lock = -1;
    bool damaged = false;
    if (lock_folder(f, &lock, e) != OK)
        goto done;
    manifest_read(&f->manifest, &f->arena, f->dir, &damaged);   /* another process may have written */
    if (fetch_find_missing(f, e) != OK)
        goto done;
    say_sizes(f);
    fetch_round(f, false, e);
    if (e->code == OK && !f->asked) {
        if (!fetch_has_questions(f))
            err_set(e, ERR_DATA, "%s: the question files of %s are not in what was fetched", f->dir,
                    f->split);
        else
            fetch_read_needed(f, e);
    }
    if (e->code == OK) {
        fetch_make_plan(f);
        fetch_round(f, true, e);
    }
    if (e->code == OK) {
        fetch_make_plan(f);
        for (int i = 0; i < f->b->n_sources; i++)
            if (f->due[i])
                err_set(e, ERR_DATA, "%s: still missing after everything was fetched",
                        f->first_missing ? f->first_missing : f->dir);
    }
    if (e->code == OK && !f->o->keep_archives) {
        struct err cleaning = { 0 };
        if (file_remove_all(fetch_place(f, ".download"), &cleaning) != OK)
            say_warning("%s", cleaning.text);
    }
done:
    if (lock >= 0)
        close(lock);
    return e->code;
}

/* Frames out of videos that were put there by hand. What fails is said and stays unasked: the other
 * questions are none the worse. */
static enum status cut_frames(struct fetch *f, struct err *e)
{
    struct videos_report told;
    struct err one = { 0 };
    int lock = -1;
    if (!f->b->video_frame || f->o->scoring_only)
        return OK;
    if (videos_look(f->b, f->dir, f->split, &told, e) != OK)
        return e->code;
    if (told.n_due && !frames_available())
        say_warning("%s: %zu videos' frames could be cut out, but this program was built without "
                    "FFmpeg's libraries (libavformat, libavcodec, libswscale)", f->b->name, told.n_due);
    else if (told.n_due && lock_folder(f, &lock, &one) == OK)
        videos_cut(f->b, f->dir, f->split, run_stopped, &told, &one);
    if (lock >= 0)
        close(lock);
    if (one.code == ERR_INTERRUPTED || one.code == ERR_TERMINATED)
        return err_set(e, one.code, "%s", one.text);
    if (one.code != OK)
        say_warning("%s", one.text);
    if (told.n_without)
        say_note("%s: %zu questions about videos have no frame and are left out: %s", f->dir,
                 told.n_without, f->b->by_hand);
    return OK;
}

/* A table of what would be fetched: bytes, address. Sizes that are not known are asked for. */
static enum status list_missing(struct fetch *f, struct err *e)
{
    bool any = false;
    for (int i = 0; i < f->b->n_sources && e->code == OK; i++) {
        const struct source *s = &f->b->sources[i];
        const char *url = fetch_where(f, s->url[0]);
        if (!f->due[i])
            continue;
        any = true;
        if (fetch_is_star(s)) {
            if (f->asked)
                printf("%14s  %s  (%zu pictures)\n", "?", url, f->n_missing[i]);
            else
                printf("%14s  %s  (one for each picture)\n", "?", url);
            continue;
        }
        int64_t size = size_of(f, s);
        if (run_stopped() != OK)
            return err_set(e, run_stopped(), "stopped by a signal");
        if (size >= 0)
            printf("%14" PRId64 "  %s\n", size, url);
        else
            printf("%14s  %s\n", "?", url);
    }
    if (!any)
        say_note("%s:%s: nothing is missing", f->b->name, f->split);
    return e->code;
}

enum status fetch_benchmark(const struct options *o, const struct benchmark *b, const char *split,
                            struct fetch_state *out, struct err *e)
{
    struct fetch f;
    bool due = false;
    *out = (struct fetch_state){ 0 };
    if (fetch_open(&f, o, b, split, e) != OK || fetch_find_missing(&f, e) != OK)
        goto done;
    if (o->verify && verify(&f, e) != OK)
        goto done;
    for (int i = 0; i < b->n_sources; i++)
        due |= f.due[i];
    if (o->dry_run)
        list_missing(&f, e);
    else if (due && o->offline)
        err_set(e, ERR_DATA, "%s%s missing; llava-eval fetch --suite %s:%s gets it, without --offline",
                f.first_missing ? f.first_missing : f.dir,
                f.all_missing > 1 ? arena_fmt(&f.arena, " and %zu more are", f.all_missing - 1)
                                  : " is", b->name, split);
    else if (due)
        fetch_missing(&f, e);
    if (e->code == OK && !o->dry_run)
        cut_frames(&f, e);
    if (e->code == OK)
        fetch_report(&f, out);
done:
    arena_free(&f.arena);
    return e->code;
}
