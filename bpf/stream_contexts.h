/* SPDX-License-Identifier: Apache-2.0 */
/* Makes a context out of the values that were found in a header block of HTTP/2: places -> struct context. Touches no map.
 *
 * A value by Huffman's code is handed out as it is, and read in user space (node_probe/huffman.py); plain ones are read as
 * HTTP/1's are.
 */
#ifndef HOPSPAN_STREAM_CONTEXTS_H
#define HOPSPAN_STREAM_CONTEXTS_H

#include "hpack.h"

/* Of B3's lines by Huffman's code: the lengths of both ids' codes, decision and debug flag as characters, then the codes. */
#define CODED_IDS_AT 4
#define CODED_ID_MAX 24 /* 32 digits of at most six bits */

/* Characters of decisions by Huffman's code (RFC 7541 appendix B): a byte alone, or its upper five or six bits. */
#define CODED_ZERO 0x07
#define CODED_ONE  0x0f
#define CODED_T	   0x09
#define CODED_D	   0x24
#define CODED_F	   0x25

/* What the code of a traceparent ends with whose flags are "00", apart from up to seven bits 1 that fill the last byte: a
 * dash (010110) and ten bits 0.
 */
#define CODED_FLAGS_UNSAMPLED 0x5800
#define CODED_FLAGS_MASK      0xffff
#define CODED_FILL_MAX	      0x80

/* Whether the code of a traceparent, whose last four bytes are here, has the flags "00". Others are rare, and are looked at
 * in user space.
 */
static __always_inline int is_coded_unsampled(const __u8 *last)
{
	__u32 end = (__u32)last[0] << 24 | (__u32)last[1] << 16 | (__u32)last[2] << 8 | last[3];
	__u32 filled = end + 1; /* the bits that fill up become 0, the one before them 1 */
	__u32 lowest = filled & -filled;

	return lowest && lowest <= CODED_FILL_MAX &&
	       ((filled / lowest) & CODED_FLAGS_MASK) == CODED_FLAGS_UNSAMPLED + 1;
}

static __always_inline __u64 index_of(__u32 place)
{
	return BOUNDED(PLACE_INDEX(place), HPACK_ROOM);
}

/* Takes a value as it is coded. */
static __always_inline enum search_result take_coded(const __u8 *bytes, __u32 place, __u8 format,
						     struct context *context)
{
	__u32 length = PLACE_LENGTH(place);

	take_text(context, &bytes[index_of(place)], length, format);
	context->coding = HUFFMAN;
	return length <= CONTEXT_TEXT_MAX ? CONTEXT_SAMPLED : CONTEXT_BAD;
}

static __always_inline enum search_result take_coded_traceparent(const __u8 *bytes, __u32 place,
								 struct context *context)
{
	const __u8 *end = &bytes[BOUNDED(PLACE_INDEX(place) + PLACE_LENGTH(place) - 4, HPACK_ROOM)];
	enum search_result result = take_coded(bytes, place, TRACEPARENT, context);

	return is_coded_unsampled(end) ? CONTEXT_UNSAMPLED : result;
}

/* A decision alone has one character, whose code has one byte. */
static __always_inline enum search_result take_coded_b3(const __u8 *bytes, __u32 place, struct context *context)
{
	enum search_result result = take_coded(bytes, place, B3, context);

	if (PLACE_LENGTH(place) > 1)
		return result;
	return bytes[index_of(place)] == CODED_ZERO ? CONTEXT_UNSAMPLED : CONTEXT_NONE;
}

/* Returns the first character of a decision or flag, 0 where there is none, or it is none that is known. */
static __always_inline __u8 first_character(const __u8 *bytes, __u32 place)
{
	__u8 first = bytes[index_of(place)];

	if (!place || !PLACE_CODED(place))
		return place ? first : 0;
	if (first == CODED_ZERO)
		return '0';
	if (first == CODED_ONE)
		return '1';
	if (first >> 3 == CODED_T)
		return 't';
	return first >> 2 == CODED_D ? 'd' : first >> 2 == CODED_F ? 'f' : '?';
}

static __always_inline void copy_id(__u8 *to, const __u8 *from, int size)
{
#pragma unroll
	for (int i = 0; i < size; i += 4)
		*(__u32 *)&to[i] = *(const __u32 *)&from[i];
}

/* Takes the ids of B3's lines as they are coded. */
static __always_inline enum search_result take_coded_ids(const __u8 *bytes, __u32 trace, __u32 span,
							 struct context *context)
{
	__u32 length = PLACE_LENGTH(trace);

	context->coding = HUFFMAN;
	if (!PLACE_CODED(trace) || !PLACE_CODED(span) || length > CODED_ID_MAX ||
	    PLACE_LENGTH(span) > CODED_ID_MAX / 2)
		return CONTEXT_BAD;
	__u8 decision = context->text[B3_SAMPLED_AT], debug = context->text[B3_FLAGS_AT];
	copy_id(&context->text[CODED_IDS_AT], &bytes[index_of(trace)], CODED_ID_MAX);
	copy_id(&context->text[BOUNDED(CODED_IDS_AT + length, 32)], &bytes[index_of(span)], CODED_ID_MAX / 2);
	context->text[0] = length;
	context->text[1] = PLACE_LENGTH(span);
	context->text[2] = decision;
	context->text[3] = debug;
	context->length = CODED_IDS_AT + length + PLACE_LENGTH(span);
	return CONTEXT_SAMPLED;
}

/* Takes B3's lines, which in HTTP/1 take_b3_multi does. */
static __always_inline enum search_result take_b3_lines(const __u8 *bytes, const __u32 *places,
							struct context *context)
{
	__u32 trace = READ_AGAIN(places[B3_TRACE_LINE]), span = READ_AGAIN(places[B3_SPAN_LINE]);
	__u8 decision = first_character(bytes, READ_AGAIN(places[B3_SAMPLED_LINE]));
	__u8 debug = first_character(bytes, READ_AGAIN(places[B3_FLAGS_LINE]));

	context->format = B3MULTI;
	context->coding = PLAIN;
	context->length = B3_FLAGS_AT + 1;
	if ((decision == '0' || decision == 'f') && debug != '1')
		return CONTEXT_UNSAMPLED;
	if (!trace || !span)
		return CONTEXT_NONE;
	context->text[B3_SAMPLED_AT] = decision;
	context->text[B3_FLAGS_AT] = debug;
	if (PLACE_CODED(trace) || PLACE_CODED(span))
		return take_coded_ids(bytes, trace, span, context);
	if ((PLACE_LENGTH(trace) != 16 && PLACE_LENGTH(trace) != 32) || PLACE_LENGTH(span) != 16)
		return CONTEXT_BAD;
	copy_id(context->text, &bytes[index_of(trace)], 32);
	copy_id(&context->text[32], &bytes[index_of(span)], 16);
	if (PLACE_LENGTH(trace) == 16)
		context->text[16] = 0;
	return CONTEXT_SAMPLED;
}

/* Takes a value that HTTP/1's readers take: they see where it ends by what ends it, and 0 does. Of b3, whose decision may be
 * missing, they look at two bytes behind the ids.
 */
static __always_inline enum search_result take_plain(struct search_buffer *buffer, enum line line, __u32 place,
						     struct context *context)
{
	__u64 index = index_of(place), length = PLACE_LENGTH(place);
	enum search_result result;

	buffer->bytes[BOUNDED(index + length, HPACK_ROOM)] = 0;
	buffer->bytes[BOUNDED(index + length + 1, HPACK_ROOM)] = 0;
	if (line == UBER_LINE)
		return take_uber(buffer, index, index + length + 1, 1, context);
	if (line == B3_LINE)
		result = take_b3(&buffer->bytes[index], length + 2, 1, context);
	else
		result = take_traceparent(&buffer->bytes[index], length + 1, context);
	context->length = length < CONTEXT_TEXT_MAX ? length : CONTEXT_TEXT_MAX;
	return result;
}

/* Reads the context of a block that was walked, in the order of contexts.h. */
static __always_inline enum search_result take_stream_context(struct search_buffer *buffer,
							      struct header_block *block, struct context *context)
{
	__u32 traceparent = READ_AGAIN(block->places[TRACEPARENT_LINE]);
	__u32 b3 = READ_AGAIN(block->places[B3_LINE]);
	__u32 uber = READ_AGAIN(block->places[UBER_LINE]);

	if (READS(TRACEPARENT) && traceparent)
		return PLACE_CODED(traceparent) ? take_coded_traceparent(buffer->bytes, traceparent, context)
						: take_plain(buffer, TRACEPARENT_LINE, traceparent, context);
	if (READS(B3) && b3)
		return PLACE_CODED(b3) ? take_coded_b3(buffer->bytes, b3, context)
				       : take_plain(buffer, B3_LINE, b3, context);
	if (READS(B3MULTI) &&
	    (READ_AGAIN(block->places[B3_TRACE_LINE]) || READ_AGAIN(block->places[B3_SAMPLED_LINE])))
		return take_b3_lines(buffer->bytes, block->places, context);
	if (READS(UBER_TRACE_ID) && uber)
		return PLACE_CODED(uber) ? take_coded(buffer->bytes, uber, UBER_TRACE_ID, context)
					 : take_plain(buffer, UBER_LINE, uber, context);
	return CONTEXT_NONE;
}

#endif
