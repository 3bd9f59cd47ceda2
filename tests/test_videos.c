/* Frames cut out of videos that are made here: frame k is grey of brightness 10 + 3 k, so that the
 * picture that comes out tells which one it is. */
#include <stdlib.h>

#include "engine/base/file.h"
#include "engine/image.h"
#include "harness/fetch.h"
#include "harness/frames.h"
#include "harness/say.h"
#include "harness/videos.h"
#include "tests/fixture.h"

/* ---- which frame: no library needed ------------------------------------------------------------- */

#define ROW(id, type, name, more) \
    "{\"question_id\": \"" id "\", \"question_type_id\": " #type ", \"data_type\": \"video\", " \
    "\"data_id\": \"" name "\", \"question\": \"?\", \"choice_a\": \"1\", \"choice_b\": \"2\", " \
    "\"choice_c\": \"3\", \"choice_d\": \"4\", \"answer\": \"B\"" more "}"

static const char three[] = "{\"questions\": ["
    ROW("v1", 10, "94328.webm", "") ", "
    ROW("v2", 11, "P03/P03_24.MP4", ", \"segment\": [0.5, 2.0]") ", "
    ROW("v3", 12, "P06/cam01/P06_cereals.avi", ", \"segment\": [18, 166]") "]}";

static const char *const places[] = {
    "videos/20bn-something-something-v2/94328.webm", "videos/EPIC-KITCHENS/P03/P03_24.MP4",
    "videos/BreakfastII_15fps_qvga_sync/P06/cam01/P06_cereals.avi" };

TEST(videos_pick_llavas_frame)
{
    struct fixture f;
    struct video_frame v;
    put("SEED-Bench.json", three);
    CHECK_OK(fixture_read(&f, "seed", "test"), f.err);
    CHECK(!f.benchmark->video_frame(".", &f.questions, 0, &f.arena, &v));   /* none is there */
    for (size_t i = 0; i < COUNT(places); i++) {
        put(places[i], "");
        CHECK(f.benchmark->video_frame(".", &f.questions, i, &f.arena, &v));
        CHECK_STR(v.video, places[i]);
    }
    /* get_index and its callers in extract_video_frames.py, by hand: int((L - 2) / 2) */
    CHECK(f.benchmark->video_frame(".", &f.questions, 0, &f.arena, &v));
    CHECK_INT(v.pick(&v, 40, 12), 19);
    CHECK_INT(v.pick(&v, 41, 12), 19);
    CHECK_INT(v.pick(&v, 2, 12), 0);
    CHECK_INT(v.pick(&v, 1, 12), 0);
    CHECK(f.benchmark->video_frame(".", &f.questions, 1, &f.arena, &v));
    CHECK_INT(v.pick(&v, 1000, 30), 15 + (60 - 15 - 1) / 2);
    CHECK_INT(v.pick(&v, 1000, 29.97), 14 + (59 - 14 - 1) / 2);
    CHECK_INT(v.pick(&v, 20, 30), 15 + (19 - 15 - 1) / 2);  /* it ends before the segment does */
    CHECK_INT(v.pick(&v, 10, 30), 9);                       /* and before it begins */
    CHECK(f.benchmark->video_frame(".", &f.questions, 2, &f.arena, &v));
    CHECK_INT(v.pick(&v, 500, 15), 18 + (166 - 18 - 1) / 2);
    CHECK_INT(v.pick(&v, 100, 15), 18 + (100 - 18 - 1) / 2);
    CHECK_INT(v.pick(&v, 10, 15), 9);
    CHECK_INT(rename(places[1], "video"), 0);               /* as its own download lays it out */
    put("videos/EPIC-KITCHENS/P03/videos/P03_24.MP4", "");
    CHECK(f.benchmark->video_frame(".", &f.questions, 1, &f.arena, &v));
    CHECK_STR(v.video, "videos/EPIC-KITCHENS/P03/videos/P03_24.MP4");
    fixture_free(&f);
}

static struct options options_here(void)
{
    say_setup(true, 0, false);
    return (struct options){ .data = "data", .quiet = true, .hf_endpoint = "https://huggingface.co",
                             .offline = true, .cache_dir = "cache" };
}

/* What was put there and is no video is said, and no reason to stop. */
TEST(videos_that_are_none)
{
    struct options o = options_here();
    struct fetch_state state;
    struct videos_report told;
    struct err e = { 0 };
    put("data/seed/SEED-Bench.json", three);
    put("data/seed/videos/20bn-something-something-v2/94328.webm", "no video");
    CHECK_OK(videos_look(benchmark_find("seed"), "data/seed", "test", &told, &e), e);
    CHECK_INT(told.n_due, 1);
    CHECK_INT(told.n_without, 2);
    CHECK_OK(fetch_benchmark(&o, benchmark_find("seed"), "test", &state, &e), e);
    CHECK(state.complete);
    CHECK(!file_exists("data/seed/SEED-Bench-video-image/10_v1.png"));
}

#ifndef HAVE_FFMPEG

TEST(videos_are_cut)
{
    SKIP("built without FFmpeg's libraries (libavformat-dev libavcodec-dev libswscale-dev)");
}

#else

#include <libavcodec/avcodec.h>
#include <libavformat/avformat.h>

enum { W = 64, H = 48, FPS = 12 };

static void drain(AVCodecContext *c, AVFormatContext *out, AVPacket *packet)
{
    while (avcodec_receive_packet(c, packet) == 0) {
        av_packet_rescale_ts(packet, c->time_base, out->streams[0]->time_base);
        CHECK_INT(av_interleaved_write_frame(out, packet), 0);
    }
}

static void make_video(const char *path, const char *format, enum AVCodecID id, int n)
{
    AVFormatContext *out = NULL;
    const AVCodec *codec = avcodec_find_encoder(id);
    put(path, "");
    CHECK(codec && avformat_alloc_output_context2(&out, NULL, format, path) >= 0);
    AVCodecContext *c = avcodec_alloc_context3(codec);
    AVFrame *frame = av_frame_alloc();
    AVPacket *packet = av_packet_alloc();
    c->width = frame->width = W;
    c->height = frame->height = H;
    c->time_base = (AVRational){ 1, FPS };
    c->framerate = (AVRational){ FPS, 1 };
    c->pix_fmt = AV_PIX_FMT_YUV420P;
    frame->format = AV_PIX_FMT_YUV420P;
    c->gop_size = 12;
    c->bit_rate = 2000000;
    c->max_b_frames = id == AV_CODEC_ID_FFV1 ? 0 : 2;       /* decoded in another order than shown */
    if (out->oformat->flags & AVFMT_GLOBALHEADER)
        c->flags |= AV_CODEC_FLAG_GLOBAL_HEADER;
    CHECK_INT(avcodec_open2(c, codec, NULL), 0);
    AVStream *stream = avformat_new_stream(out, NULL);
    stream->time_base = c->time_base;
    stream->avg_frame_rate = c->framerate;
    CHECK(avcodec_parameters_from_context(stream->codecpar, c) >= 0);
    CHECK(avio_open(&out->pb, path, AVIO_FLAG_WRITE) >= 0);
    CHECK(avformat_write_header(out, NULL) >= 0);
    for (int k = 0; k < n; k++) {
        av_frame_unref(frame);
        frame->width = W, frame->height = H, frame->format = AV_PIX_FMT_YUV420P;
        CHECK_INT(av_frame_get_buffer(frame, 0), 0);
        for (int y = 0; y < H; y++)
            memset(frame->data[0] + y * frame->linesize[0], 16 + 3 * k, W);
        for (int y = 0; y < H / 2; y++) {
            memset(frame->data[1] + y * frame->linesize[1], 128, W / 2);
            memset(frame->data[2] + y * frame->linesize[2], 128, W / 2);
        }
        frame->pts = k;
        CHECK_INT(avcodec_send_frame(c, frame), 0);
        drain(c, out, packet);
    }
    avcodec_send_frame(c, NULL);
    drain(c, out, packet);
    CHECK_INT(av_write_trailer(out), 0);
    avio_closep(&out->pb);
    avformat_free_context(out);
    avcodec_free_context(&c);
    av_frame_free(&frame);
    av_packet_free(&packet);
}

/* Which frame the PNG is, by its brightness; -1: it is no PNG of the right size. */
static int frame_of(const char *png)
{
    struct file f;
    struct image im = { 0 };
    struct err e = { 0 };
    int k = -1;
    if (CHECK_OK(file_open(&f, png, ERR_DATA, &e), e) && CHECK_OK(image_decode(&im, f.at, f.n, &e), e) &&
        im.width == W && im.height == H) {
        const uint8_t *p = im.rgb + 3 * (H / 2 * W + W / 2);
        CHECK(abs(p[0] - p[1]) < 3 && abs(p[1] - p[2]) < 3);
        k = (int)((p[0] * 219 / 255.0) / 3 + 0.5);          /* Y = 16 + 219/255 grey */
    }
    image_free(&im);
    file_close(&f);
    return k;
}

TEST(videos_are_cut)
{
    struct options o = options_here();
    struct fetch_state state;
    struct err e = { 0 };
    static const char rows[] = "{\"questions\": [" ROW("v1", 10, "1.webm", "") ", "
        ROW("v2", 11, "P1/2.MP4", ", \"segment\": [1.0, 3.0]") ", "
        ROW("v3", 11, "P1/2.MP4", ", \"segment\": [3.5, 4.0]") ", "
        ROW("v4", 12, "P2/3.avi", ", \"segment\": [10, 31]") ", "
        ROW("v5", 10, "../../../evil.webm", "") "]}";
    put("data/seed/SEED-Bench.json", rows);
    make_video("data/seed/videos/20bn-something-something-v2/1.webm", "matroska", AV_CODEC_ID_FFV1, 40);
    make_video("data/seed/videos/EPIC-KITCHENS/P1/2.MP4", "mp4", AV_CODEC_ID_MPEG4, 60);
    make_video("data/seed/videos/BreakfastII_15fps_qvga_sync/P2/3.avi", "avi", AV_CODEC_ID_MPEG4, 50);
    CHECK_OK(fetch_benchmark(&o, benchmark_find("seed"), "test", &state, &e), e);
    CHECK_INT(frame_of("data/seed/SEED-Bench-video-image/10_v1.png"), 19);
    CHECK_INT(frame_of("data/seed/SEED-Bench-video-image/11_v2.png"), 12 + (36 - 12 - 1) / 2);
    CHECK_INT(frame_of("data/seed/SEED-Bench-video-image/11_v3.png"), 42 + (48 - 42 - 1) / 2);
    CHECK_INT(frame_of("data/seed/SEED-Bench-video-image/12_v4.png"), 10 + (31 - 10 - 1) / 2);
    CHECK(!file_exists("data/seed/SEED-Bench-video-image/10_v5.png"));
    struct videos_report told;
    CHECK_OK(videos_look(benchmark_find("seed"), "data/seed", "test", &told, &e), e);
    CHECK_INT(told.n_due, 0);
    CHECK_INT(told.n_without, 1);
}

/* Every frame of every kind, in whatever order they are asked for. */
TEST(videos_every_frame_is_itself)
{
    static const struct { const char *path, *format; enum AVCodecID id; } kinds[] = {
        { "a.mkv", "matroska", AV_CODEC_ID_FFV1 }, { "b.mp4", "mp4", AV_CODEC_ID_MPEG4 },
        { "c.avi", "avi", AV_CODEC_ID_MPEG4 } };
    for (size_t i = 0; i < COUNT(kinds); i++) {
        struct frames *v;
        struct err e = { 0 };
        enum { N = 50 };
        make_video(kinds[i].path, kinds[i].format, kinds[i].id, N);
        if (!CHECK_OK(frames_open(&v, kinds[i].path, &e), e))
            continue;
        CHECK_INT(frames_count(v), N);
        CHECK_NEAR(frames_per_second(v), FPS, 0.01);
        for (int k = 0; k < N; k++) {
            int at = k * 7 % N;
            CHECK_OK(frames_write_png(v, at, "x.png", &e), e);
            CHECK_INT(frame_of("x.png"), at);
        }
        CHECK_INT(frames_write_png(v, N, "y.png", &e), ERR_DATA);
        CHECK(!file_exists("y.png"));
        frames_close(v);
    }
}

/* A list that names another file is no video, whatever it is called. */
TEST(videos_are_no_playlists)
{
    struct frames *v = NULL;
    struct err e = { 0 };
    make_video("a.avi", "avi", AV_CODEC_ID_MPEG4, 5);
    put("list.avi", "ffconcat version 1.0\nfile a.avi\n");
    CHECK_OK(frames_open(&v, "a.avi", &e), e);
    frames_close(v);
    CHECK_INT(frames_open(&v, "list.avi", &e), ERR_DATA);
    CHECK(v == NULL && strstr(e.text, "is no video"));
}

/* Cut short, as a copy that was broken off: what cannot be had is said. */
TEST(videos_cut_short)
{
    struct file f;
    struct frames *v;
    struct err e = { 0 };
    make_video("a.mkv", "matroska", AV_CODEC_ID_FFV1, 50);
    CHECK_OK(file_open(&f, "a.mkv", ERR_DATA, &e), e);
    for (size_t n = 0; n < f.n; n += f.n / 23) {
        e = (struct err){ 0 };
        CHECK_OK(file_write("b.mkv", f.at, n, &e), e);
        if (frames_open(&v, "b.mkv", &e) == OK) {
            CHECK(frames_count(v) <= 50);
            frames_write_png(v, frames_count(v) - 1, "x.png", &e);
            frames_close(v);
        }
        CHECK(e.code == OK || e.code == ERR_DATA);
    }
    file_close(&f);
}

#endif
