/* SPDX-License-Identifier: Apache-2.0 */
/* Reads the heads of HTTP/2 frames: nine bytes -> type, length, flags, stream; and whether that is plausible. Touches no map.
 *
 * The layout (RFC 9113 section 4.1): length (24 bits), type (8), flags (8), a reserved bit that is 0, stream (31).
 */
#ifndef HOPSPAN_FRAMES_H
#define HOPSPAN_FRAMES_H

#include "message.h"

#define FRAME_HEAD_BYTES 9
#define PREFACE_BYTES	 24 /* "PRI * HTTP/2.0", two empty lines, "SM", an empty line (section 3.4) */

enum frame_type {
	FRAME_DATA,
	FRAME_HEADERS,
	FRAME_PRIORITY,
	FRAME_RST_STREAM,
	FRAME_SETTINGS,
	FRAME_PUSH_PROMISE,
	FRAME_PING,
	FRAME_GOAWAY,
	FRAME_WINDOW_UPDATE,
	FRAME_CONTINUATION,
	FRAME_TYPES,
};

#define FLAG_END_STREAM	 0x01
#define FLAG_END_HEADERS 0x04
#define FLAG_PADDED	 0x08
#define FLAG_PRIORITY	 0x20
#define PRIORITY_BYTES	 5

struct frame {
	__u32 length;
	__u32 type;
	__u32 flags;
	__u32 stream;
};

/* Types as bits: those that belong to a stream, and to none; WINDOW_UPDATE may be either. */
#define TYPE_BIT(type) (1U << (type))
#define STREAM_TYPES                                                                                                 \
	(TYPE_BIT(FRAME_DATA) | TYPE_BIT(FRAME_HEADERS) | TYPE_BIT(FRAME_PRIORITY) | TYPE_BIT(FRAME_RST_STREAM) |    \
	 TYPE_BIT(FRAME_PUSH_PROMISE) | TYPE_BIT(FRAME_CONTINUATION))
#define CONNECTION_TYPES (TYPE_BIT(FRAME_SETTINGS) | TYPE_BIT(FRAME_PING) | TYPE_BIT(FRAME_GOAWAY))

static __always_inline struct frame read_frame(const __u8 *head)
{
	struct frame frame = {
		.length = (__u32)head[0] << 16 | (__u32)head[1] << 8 | head[2],
		.type = head[3],
		.flags = head[4],
		.stream = (__u32)head[5] << 24 | (__u32)head[6] << 16 | (__u32)head[7] << 8 | head[8],
	};

	return frame;
}

/* The flags that a type has (section 6). */
static __always_inline __u32 allowed_flags(__u32 type)
{
	if (type == FRAME_DATA)
		return FLAG_END_STREAM | FLAG_PADDED;
	if (type == FRAME_HEADERS)
		return FLAG_END_STREAM | FLAG_END_HEADERS | FLAG_PADDED | FLAG_PRIORITY;
	if (type == FRAME_CONTINUATION)
		return FLAG_END_HEADERS;
	if (type == FRAME_PUSH_PROMISE)
		return FLAG_END_HEADERS | FLAG_PADDED;
	return type == FRAME_SETTINGS || type == FRAME_PING; /* ACK, whose bit is the lowest */
}

static __always_inline int has_allowed_length(const struct frame *frame)
{
	switch (frame->type) {
	case FRAME_HEADERS:
		return frame->length > 0;
	case FRAME_PRIORITY:
		return frame->length == PRIORITY_BYTES;
	case FRAME_RST_STREAM:
	case FRAME_WINDOW_UPDATE:
		return frame->length == 4;
	case FRAME_SETTINGS:
		return frame->length % 6 == 0 && frame->length <= 6 * 64;
	case FRAME_PING:
		return frame->length == 8;
	case FRAME_GOAWAY:
		return frame->length >= 8;
	}
	return 1;
}

/* Whether a sender that keeps to the specification may send this. Types that it does not know are to be stepped over
 * (section 5.5), but are no evidence: they count where `is_certain`, since the frame's place is known.
 */
static __always_inline int is_plausible(const struct frame *frame, int is_certain)
{
	__u32 bit = TYPE_BIT(frame->type & 0x1f);

	if (frame->stream >> 31)
		return 0;
	if (frame->type >= FRAME_TYPES)
		return is_certain;
	if (frame->stream ? bit & CONNECTION_TYPES : bit & STREAM_TYPES)
		return 0;
	return !(frame->flags & ~allowed_flags(frame->type)) && has_allowed_length(frame);
}

#endif
