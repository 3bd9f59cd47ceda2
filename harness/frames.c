/* frames.c -- libavformat, libavcodec and libswscale; the Makefile sets HAVE_FFMPEG where they are
 * there.
 *
 * A frame's number is its rank by time stamp among the video's packets, which a pass without
 * decoding finds. So one frame costs the decoding from the key frame before it, not of the whole
 * video (some of the kitchen videos last half an hour). Where packets have no time stamps (old AVI
 * files), frames are counted by decoding from the start. */
#include "harness/frames.h"

#include <stdlib.h>
#include <string.h>

#ifndef HAVE_FFMPEG

bool frames_available(void)
{
    return false;
}

const char *frames_version(void)
{
    return NULL;
}

enum status frames_open(struct frames **out, const char *path, struct err *e)
{
    *out = NULL;
    return err_set(e, ERR_DATA, "%s: this program was built without FFmpeg's libraries", path);
}

void frames_close(struct frames *v)
{
    (void)v;
}

int64_t frames_count(const struct frames *v)
{
    (void)v;
    return 0;
}

double frames_per_second(const struct frames *v)
{
    (void)v;
    return 0;
}

enum status frames_write_png(struct frames *v, int64_t index, const char *png, struct err *e)
{
    (void)v, (void)index;
    return err_set(e, ERR_DATA, "%s: this program was built without FFmpeg's libraries", png);
}

#else

#include <libavcodec/avcodec.h>
#include <libavformat/avformat.h>
#include <libswscale/swscale.h>

#include "engine/base/file.h"

struct frames {
    const char *path;
    AVFormatContext *format;
    AVCodecContext *decoder;
    AVPacket *packet;
    AVFrame *frame;
    int stream;
    int64_t *stamps;            /* [n] of the packets, ascending; NULL: some have none */
    int64_t n;
};

bool frames_available(void)
{
    return true;
}

const char *frames_version(void)
{
    return av_version_info();
}

static enum status failed(const struct frames *v, const char *what, int rc, struct err *e)
{
    char text[AV_ERROR_MAX_STRING_SIZE] = "";
    av_strerror(rc, text, sizeof text);
    return err_set(e, rc == AVERROR(ENOMEM) ? ERR_MEMORY : ERR_DATA, "%s: %s: %s", v->path, what,
                   text);
}

/* ---- frame after frame ----------------------------------------------------------------------- */

static enum status rewind_to(struct frames *v, int64_t stamp, struct err *e)
{
    int rc = avformat_seek_file(v->format, v->stream, INT64_MIN, stamp, stamp, 0);
    if (rc < 0)                                             /* no index before it: the beginning */
        rc = av_seek_frame(v->format, -1, 0, AVSEEK_FLAG_BYTE | AVSEEK_FLAG_BACKWARD);
    avcodec_flush_buffers(v->decoder);
    return rc < 0 ? failed(v, "cannot go back in it", rc, e) : OK;
}

/* The next frame into v->frame; false at the end, and on failure (e). Packets that cannot be
 * decoded are passed over, as players do. */
static bool next_frame(struct frames *v, struct err *e)
{
    for (;;) {
        int rc = avcodec_receive_frame(v->decoder, v->frame);
        if (rc == 0)
            return true;
        if (rc == AVERROR_EOF)
            return false;
        if (rc != AVERROR(EAGAIN)) {
            failed(v, "cannot be decoded", rc, e);
            return false;
        }
        while ((rc = av_read_frame(v->format, v->packet)) == 0 &&
               v->packet->stream_index != v->stream)
            av_packet_unref(v->packet);
        rc = avcodec_send_packet(v->decoder, rc == 0 ? v->packet : NULL);
        av_packet_unref(v->packet);
        if (rc < 0 && rc != AVERROR_INVALIDDATA && rc != AVERROR_EOF) {
            failed(v, "cannot be decoded", rc, e);
            return false;
        }
    }
}

/* ---- opening --------------------------------------------------------------------------------- */

static int ascending(const void *a, const void *b)
{
    int64_t x = *(const int64_t *)a, y = *(const int64_t *)b;
    return (x > y) - (x < y);
}

static enum status read_stamps(struct frames *v, struct err *e)
{
    int64_t size = 0;
    bool all = true;
    int rc;
    while ((rc = av_read_frame(v->format, v->packet)) == 0) {
        if (v->packet->stream_index == v->stream && !(v->packet->flags & AV_PKT_FLAG_DISCARD)) {
            if (v->n == size) {
                size = size ? 2 * size : 1024;
                int64_t *longer = realloc(v->stamps, (size_t)size * sizeof *longer);
                if (!longer)
                    return failed(v, "is too long", AVERROR(ENOMEM), e);
                v->stamps = longer;
            }
            all = all && v->packet->pts != AV_NOPTS_VALUE;
            v->stamps[v->n++] = v->packet->pts;
        }
        av_packet_unref(v->packet);
    }
    if (rc != AVERROR_EOF)
        return failed(v, "cannot be read to its end", rc, e);
    if (all) {
        qsort(v->stamps, (size_t)v->n, sizeof *v->stamps, ascending);
        return OK;
    }
    free(v->stamps);
    v->stamps = NULL;
    v->n = 0;
    if (rewind_to(v, 0, e) == OK)
        while (next_frame(v, e))
            v->n++;
    return e->code;
}

static enum status open_decoder(struct frames *v, struct err *e)
{
    const AVCodec *codec = NULL;
    AVDictionary *only = NULL;                              /* a playlist would name other files */
    av_dict_set(&only, "protocol_whitelist", "file", 0);
    av_dict_set(&only, "format_whitelist", "mov,matroska,avi,mpeg,mpegts,flv,ogg,asf", 0);
    int rc = avformat_open_input(&v->format, v->path, NULL, &only);
    av_dict_free(&only);
    if (rc < 0)
        return failed(v, "is no video", rc, e);
    if ((rc = avformat_find_stream_info(v->format, NULL)) < 0 ||
        (rc = v->stream = av_find_best_stream(v->format, AVMEDIA_TYPE_VIDEO, -1, -1, &codec,
                                              0)) < 0)
        return failed(v, "holds no video that can be decoded", rc, e);
    v->decoder = avcodec_alloc_context3(codec);
    v->packet = av_packet_alloc();
    v->frame = av_frame_alloc();
    if (!v->decoder || !v->packet || !v->frame)
        return failed(v, "no memory", AVERROR(ENOMEM), e);
    v->decoder->thread_count = 0;                           /* as many as there are cores */
    AVCodecParameters *parameters = v->format->streams[v->stream]->codecpar;
    if ((rc = avcodec_parameters_to_context(v->decoder, parameters)) < 0 ||
        (rc = avcodec_open2(v->decoder, codec, NULL)) < 0)
        return failed(v, "cannot be decoded", rc, e);
    return OK;
}

enum status frames_open(struct frames **out, const char *path, struct err *e)
{
    struct frames *v = calloc(1, sizeof *v);
    *out = NULL;
    if (!v)
        return err_set(e, ERR_MEMORY, "%s: no memory", path);
    av_log_set_level(AV_LOG_QUIET);                         /* what fails is told by us */
    v->path = path;
    if (open_decoder(v, e) == OK && read_stamps(v, e) == OK && v->n == 0)
        err_set(e, ERR_DATA, "%s: holds no frame", path);
    if (e->code != OK) {
        frames_close(v);
        return e->code;
    }
    *out = v;
    return OK;
}

void frames_close(struct frames *v)
{
    if (!v)
        return;
    free(v->stamps);
    av_frame_free(&v->frame);
    av_packet_free(&v->packet);
    avcodec_free_context(&v->decoder);
    avformat_close_input(&v->format);
    free(v);
}

int64_t frames_count(const struct frames *v)
{
    return v->n;
}

double frames_per_second(const struct frames *v)
{
    const AVStream *s = v->format->streams[v->stream];
    return av_q2d(s->avg_frame_rate.num ? s->avg_frame_rate : s->r_frame_rate);
}

/* ---- one frame ------------------------------------------------------------------------------- */

/* Decodes up to frame `index`, into v->frame. */
static enum status find_frame(struct frames *v, int64_t index, struct err *e)
{
    bool counting = !v->stamps;
    int64_t at = 0;
    if (index < 0 || index >= v->n)
        return err_set(e, ERR_DATA, "%s: has no frame %lld, only %lld", v->path, (long long)index,
                       (long long)v->n);
    if (!counting) {
        if (rewind_to(v, v->stamps[index], e) != OK)
            return e->code;
        bool first = true;
        while (next_frame(v, e)) {
            int64_t stamp = v->frame->best_effort_timestamp;
            if (stamp == v->stamps[index])
                return OK;
            if (stamp > v->stamps[index] && !first)         /* this one is lost: the next stands in */
                return OK;
            if (stamp > v->stamps[index])
                break;                                      /* its index led past it */
            first = false;
        }
    }
    if (e->code != OK || rewind_to(v, v->stamps ? v->stamps[0] : 0, e) != OK)
        return e->code;
    while (next_frame(v, e))
        if (at++ == index)
            return OK;
    return e->code != OK ? e->code : err_set(e, ERR_DATA, "%s: ends before frame %lld", v->path,
                                             (long long)index);
}

static enum status to_rgb(const struct frames *v, AVFrame *rgb, struct err *e)
{
    const AVFrame *f = v->frame;
    struct SwsContext *scale = sws_getContext(f->width, f->height, f->format, f->width, f->height,
                                              AV_PIX_FMT_RGB24, SWS_BICUBIC, NULL, NULL, NULL);
    int rc = scale ? 0 : AVERROR(EINVAL);
    rgb->format = AV_PIX_FMT_RGB24;
    rgb->width = f->width;
    rgb->height = f->height;
    if (rc == 0 && (rc = av_frame_get_buffer(rgb, 0)) == 0)
        rc = sws_scale(scale, (const uint8_t *const *)f->data, f->linesize, 0, f->height, rgb->data,
                       rgb->linesize);
    sws_freeContext(scale);
    return rc < 0 ? failed(v, "a frame cannot be made RGB", rc, e) : OK;
}

static enum status encode_png(const struct frames *v, const AVFrame *rgb, AVPacket *out,
                              struct err *e)
{
    const AVCodec *codec = avcodec_find_encoder(AV_CODEC_ID_PNG);
    AVCodecContext *encoder = codec ? avcodec_alloc_context3(codec) : NULL;
    int rc = AVERROR_ENCODER_NOT_FOUND;
    if (encoder) {
        encoder->width = rgb->width;
        encoder->height = rgb->height;
        encoder->pix_fmt = AV_PIX_FMT_RGB24;
        encoder->time_base = (AVRational){ 1, 1 };
        if ((rc = avcodec_open2(encoder, codec, NULL)) == 0 &&
            (rc = avcodec_send_frame(encoder, rgb)) == 0 &&
            (rc = avcodec_send_frame(encoder, NULL)) == 0)
            rc = avcodec_receive_packet(encoder, out);
    }
    avcodec_free_context(&encoder);
    return rc < 0 ? failed(v, "a frame cannot be written as PNG", rc, e) : OK;
}

enum status frames_write_png(struct frames *v, int64_t index, const char *png, struct err *e)
{
    AVFrame *rgb = av_frame_alloc();
    AVPacket *out = av_packet_alloc();
    if (!rgb || !out)
        err_set(e, ERR_MEMORY, "%s: no memory", png);
    else if (find_frame(v, index, e) == OK && to_rgb(v, rgb, e) == OK &&
             encode_png(v, rgb, out, e) == OK)
        file_write(png, out->data, (size_t)out->size, e);
    av_frame_free(&rgb);
    av_packet_free(&out);
    return e->code;
}

#endif
