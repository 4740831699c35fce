/* SPDX-License-Identifier: Apache-2.0 */
/* Reads tracing contexts out of the lines of a header block: places -> struct context. Touches no map.
 *
 * Only the outline is judged here, and the sampled flag; every character is checked in user space, which has the whole
 * grammar (node_probe/context.py):
 *   traceparent: version "-" trace-id "-" parent-id "-" flags       2, 32, 16 and 2 hex digits
 *   b3: trace-id "-" span-id [ "-" sampled [ "-" parent-id ] ]      32 or 16, 16, "0" "1" or "d", 16; or "0" alone
 *   X-B3-TraceId, X-B3-SpanId, X-B3-Sampled, X-B3-Flags
 *   uber-trace-id: trace-id ":" span-id ":" parent-id ":" flags     up to 32, 16, 16 and 2; ":" also as "%3A"
 * A request may have several. The first of this order counts, whichever stands first, so that all nodes read the same.
 */
#ifndef HOPSPAN_CONTEXTS_H
#define HOPSPAN_CONTEXTS_H

#include "length.h"

#define TRACEPARENT_LENGTH     55
#define TRACEPARENT_FLAGS_LAST 54 /* the digit that holds the sampled flag */

#define B3_SHORT_IDS 33 /* 16 digits, a dash, 16 digits */
#define B3_LONG_IDS  49

#define B3_SAMPLED_AT 48 /* in the text of the three headers: the trace id at 0, the span id at 32 */
#define B3_FLAGS_AT   49

/* Of a uber-trace-id the text keeps this many bytes of the head, which has trace and span id, and the last ones. */
#define UBER_HEAD 56
#define UBER_MAX  80

/* Returns the index of the value behind the name and white space of a known line; 0 where the block has no such line, or
 * ends before the value.
 */
static __always_inline __u64 find_value(struct search_buffer *buffer, enum line line, __u32 name_length, __u64 n)
{
	__u64 index = BOUNDED(buffer->lines[line], HEADER_BLOCK_MAX);

	if (!index)
		return 0;
	index += name_length;
	index += count_spaces(buffer, index);
	return index < n ? index : 0;
}

/* Copies 64 bytes of a value. */
static __always_inline void take_text(struct context *context, const __u8 *value, __u64 available, __u8 format)
{
	context->format = format;
	context->coding = PLAIN;
	context->length = available < CONTEXT_TEXT_MAX ? available : CONTEXT_TEXT_MAX;
	context->stream_id = 0;
#pragma unroll
	for (int i = 0; i < CONTEXT_TEXT_MAX; i += 8)
		*(__u64 *)&context->text[i] = *(const __u64 *)&value[i];
}

static __always_inline int is_sampled(__u8 digit)
{
	/* '0'..'9' are odd where the value is, 'a'..'f' (0x61 is ten) where it is not. */
	return digit <= '9' ? digit & 1 : !(digit & 1);
}

/* Here and below `available` counts the bytes behind `value`, and `complete` says that the block ends in this segment. */
static __always_inline enum search_result take_traceparent(const __u8 *value, __u64 available,
							   struct context *context)
{
	context->format = TRACEPARENT;
	if (available < TRACEPARENT_LENGTH + 1)
		return BLOCK_UNFINISHED;
	take_text(context, value, available, TRACEPARENT);
	if (value[2] != '-' || value[35] != '-' || value[52] != '-')
		return CONTEXT_BAD;
	return is_sampled(value[TRACEPARENT_FLAGS_LAST]) ? CONTEXT_SAMPLED : CONTEXT_UNSAMPLED;
}

/* No flag is a decision that was deferred: it counts as sampled, and the join decides. */
static __always_inline enum search_result take_b3(const __u8 *value, __u64 available, int complete,
						  struct context *context)
{
	__u32 ids = value[16] == '-' ? B3_SHORT_IDS : B3_LONG_IDS;

	context->format = B3;
	if (available > 1 && value[1] <= ' ')
		return value[0] == '0' ? CONTEXT_UNSAMPLED : CONTEXT_NONE; /* a decision without ids */
	if (available < ids + 2)
		return complete ? CONTEXT_BAD : BLOCK_UNFINISHED;
	take_text(context, value, available, B3);
	if (value[ids - 17] != '-')
		return CONTEXT_BAD;
	return value[ids] == '-' && value[ids + 1] == '0' ? CONTEXT_UNSAMPLED : CONTEXT_SAMPLED;
}

static __always_inline enum search_result take_b3_multi(struct search_buffer *buffer, __u64 n, int complete,
							struct context *context)
{
	__u64 trace = find_value(buffer, B3_TRACE_LINE, sizeof("x-b3-traceid:") - 1, n);
	__u64 span = find_value(buffer, B3_SPAN_LINE, sizeof("x-b3-spanid:") - 1, n);
	__u64 sampled = find_value(buffer, B3_SAMPLED_LINE, sizeof("x-b3-sampled:") - 1, n);
	__u64 flags = find_value(buffer, B3_FLAGS_LINE, sizeof("x-b3-flags:") - 1, n);
	__u8 decision = sampled ? buffer->bytes[sampled] : 0;
	__u8 debug = flags ? buffer->bytes[flags] : 0;

	context->format = B3MULTI;
	context->coding = PLAIN;
	context->length = B3_FLAGS_AT + 1;
	context->stream_id = 0;
	if ((decision == '0' || decision == 'f') && debug != '1')
		return CONTEXT_UNSAMPLED;
	if (!trace || !span)
		return complete ? CONTEXT_NONE : BLOCK_UNFINISHED;
	if (n - trace < 17 || n - span < 17)
		return complete ? CONTEXT_BAD : BLOCK_UNFINISHED;
#pragma unroll
	for (int i = 0; i < 32; i += 8)
		*(__u64 *)&context->text[i] = *(const __u64 *)&buffer->bytes[trace + i];
#pragma unroll
	for (int i = 0; i < 16; i += 8)
		*(__u64 *)&context->text[32 + i] = *(const __u64 *)&buffer->bytes[span + i];
	context->text[B3_SAMPLED_AT] = decision;
	context->text[B3_FLAGS_AT] = debug;
	return CONTEXT_SAMPLED;
}

/* The flags are the last field, behind three of any length; what is debugged (2) is sampled too. */
static __always_inline enum search_result take_uber(struct search_buffer *buffer, __u64 value, __u64 n, int complete,
						    struct context *context)
{
	__u64 end = 0;

#pragma nounroll
	for (__u32 i = 0; i < UBER_MAX; i += 8) {
		__u64 word = *(const __u64 *)&buffer->bytes[value + i];
		__u64 marks = (word - EACH_BYTE(' ' + 1)) & ~word & EACH_BYTE(0x80);
		if (!marks)
			continue;
		end = line_behind(i, marks) - 1;
		break;
	}
	buffer->value = end;
	end = BOUNDED(READ_AGAIN(buffer->value), 128);
	context->format = UBER_TRACE_ID;
	if (end < 1 || end > UBER_MAX)
		return complete || n - value >= UBER_MAX ? CONTEXT_BAD : BLOCK_UNFINISHED;
	if (value + end >= n)
		return BLOCK_UNFINISHED;
	take_text(context, &buffer->bytes[value], CONTEXT_TEXT_MAX, UBER_TRACE_ID);
	*(__u64 *)&context->text[UBER_HEAD] = *(const __u64 *)&buffer->bytes[value + end - 8];
	__u8 digit = buffer->bytes[value + end - 1];
	__u8 number = digit <= '9' ? digit & 0xf : (digit & 7) + 9;
	return number & 3 ? CONTEXT_SAMPLED : CONTEXT_UNSAMPLED;
}

/* Reads the context of a block whose known lines were found. */
static __always_inline enum search_result take_context(struct search_buffer *buffer, __u64 n, int complete,
						       struct context *context)
{
	__u64 value;

	if (buffer->repeated)
		return CONTEXT_BAD; /* two are none: W3C Trace Context, section 3.2.3 */
	if (READS(TRACEPARENT) && buffer->lines[TRACEPARENT_LINE]) {
		value = find_value(buffer, TRACEPARENT_LINE, sizeof("traceparent:") - 1, n);
		return value ? take_traceparent(&buffer->bytes[value], n - value, context) : BLOCK_UNFINISHED;
	}
	if (READS(B3) && buffer->lines[B3_LINE]) {
		value = find_value(buffer, B3_LINE, sizeof("b3:") - 1, n);
		return value ? take_b3(&buffer->bytes[value], n - value, complete, context) : BLOCK_UNFINISHED;
	}
	if (READS(B3MULTI) && (buffer->lines[B3_TRACE_LINE] || buffer->lines[B3_SAMPLED_LINE]))
		return take_b3_multi(buffer, n, complete, context);
	if (READS(UBER_TRACE_ID) && buffer->lines[UBER_LINE]) {
		value = find_value(buffer, UBER_LINE, sizeof("uber-trace-id:") - 1, n);
		return value ? take_uber(buffer, value, n, complete, context) : BLOCK_UNFINISHED;
	}
	return complete ? CONTEXT_NONE : BLOCK_UNFINISHED;
}

/* Searches the block of which buffer->length bytes lie in the buffer, and `length` more at `offset` of the skb. */
static __always_inline enum search_result search_context(struct __sk_buff *skb, __u32 offset, __u32 length,
							 struct search_buffer *buffer, struct context *context)
{
	__u64 before = READ_AGAIN(buffer->length);
	__u64 n = load_block(skb, offset, length, buffer);

	if (!n)
		return BLOCK_UNREADABLE;
	choose_lines(buffer, before, length, n);
	MEETING_POINT();
	buffer->value = walk_lines(buffer, n);
	MEETING_POINT();
	__u64 stopped = READ_AGAIN(buffer->value);
	/* Read back from memory, so that the verifier forgets what each turn of the loop told it of these; it would
	 * else follow the rest of the program once for every turn: "BPF program is too large. Processed 1000001 insn".
	 */
	n = READ_AGAIN(buffer->length);
	if (READS(TRACEPARENT) && READ_AGAIN(buffer->unsampled)) {
		context->format = TRACEPARENT;
		return CONTEXT_UNSAMPLED;
	}
	if (!classify_candidates(buffer))
		return CONTEXT_BAD;
	enum search_result result = take_context(buffer, n, stopped, context);
	return result == BLOCK_UNFINISHED && n >= HEADER_BLOCK_MAX ? BLOCK_TOO_LONG : result;
}

#endif
