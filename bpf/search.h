/* SPDX-License-Identifier: Apache-2.0 */
/* Searches a header block for a tracing context: bytes -> struct context. Touches no map; the caller lends the buffer.
 *
 * The grammar (RFC 9112 section 2.1, RFC 9110 section 5, W3C Trace Context section 3.2):
 *   message     = start-line CRLF *( field-name ":" OWS field-value OWS CRLF ) CRLF [ body ]
 *   traceparent = version "-" trace-id "-" parent-id "-" trace-flags      2, 32, 16 and 2 lower-case hex digits
 * A bare LF ends a line too (RFC 9112 section 2.2). Field names are case-insensitive.
 */
#ifndef HOPSPAN_SEARCH_H
#define HOPSPAN_SEARCH_H

#include "record.h"
#include "verifier.h"

#define TRACEPARENT_LENGTH	55
#define TRACEPARENT_NAME_LENGTH 12 /* with the colon */
#define TRACEPARENT_FLAGS_LAST	54 /* the digit that holds the sampled flag */

/* Behind the block there is room for a name, white space and a text, so that no read needs a second bound. */
#define SEARCH_SLACK 96

struct search_buffer {
	__u64 length; /* of the block that was loaded */
	__u64 line;   /* the index of the line that the walk stopped at */
	union {
		__u8 bytes[HEADER_BLOCK_MAX + SEARCH_SLACK];
		__u64 words[(HEADER_BLOCK_MAX + SEARCH_SLACK) / 8];
	};
};

enum search_result { CONTEXT_SAMPLED, CONTEXT_UNSAMPLED, CONTEXT_BAD, CONTEXT_NONE, BLOCK_UNFINISHED };

/* All eight bytes lower case; what is no letter is not changed into one that the names hold. */
#define LOWER_CASE    0x2020202020202020ULL
#define NAME_TRACEPAR 0x7261706563617274ULL /* "tracepar", little-endian */
#define NAME_ENT      0x00746e65U	    /* "ent" */

/* Bytes that are looked at in one turn of the loop. */
#define STRIDE 16

#define EACH_BYTE(byte) (0x0101010101010101ULL * (byte))

/* Sets the high bit of each byte of `word` that is a line feed, and of no other (the test without borrows: a byte is
 * zero if neither its low seven bits carry into the high one nor the high one is set).
 */
static __always_inline __u64 mark_line_feeds(__u64 word)
{
	__u64 x = word ^ EACH_BYTE('\n');
	__u64 low = (x & EACH_BYTE(0x7f)) + EACH_BYTE(0x7f);

	return ~(low | x | EACH_BYTE(0x7f));
}

/* Returns the index behind the lowest marked byte of the word at index `i`. Without branches: each would double the
 * paths that the verifier follows through the loop.
 */
static __always_inline __u64 line_behind(__u64 i, __u64 marks)
{
	__u64 below = (marks & -marks) - 1;
	__u64 line = i + ((below & EACH_BYTE(0x01)) * EACH_BYTE(0x01) >> 56 & 0xf);

	OPAQUE(line); /* else clang counts from -8: "R2 unbounded memory access" */
	return line;
}

static __always_inline int is_sampled(__u8 digit)
{
	/* '0'..'9' are odd where the value is, 'a'..'f' (0x61 is ten) where it is not. */
	return digit <= '9' ? digit & 1 : !(digit & 1);
}

/* Copies the text at `start` into `context` and judges its outline; every digit is checked in user space. */
static __always_inline enum search_result take_traceparent(const __u8 *value, __u64 available,
							   struct context *context)
{
	if (available < TRACEPARENT_LENGTH + 1)
		return BLOCK_UNFINISHED;
	context->format = TRACEPARENT;
	context->coding = PLAIN;
	context->length = available < CONTEXT_TEXT_MAX ? available : CONTEXT_TEXT_MAX;
	context->stream_id = 0;
#pragma unroll
	for (int i = 0; i < CONTEXT_TEXT_MAX; i += 8)
		*(__u64 *)&context->text[i] = *(const __u64 *)&value[i];
	if (context->text[2] != '-' || context->text[35] != '-' || context->text[52] != '-')
		return CONTEXT_BAD;
	return is_sampled(context->text[TRACEPARENT_FLAGS_LAST]) ? CONTEXT_SAMPLED : CONTEXT_UNSAMPLED;
}

/* Returns 0 where the text is an empty line (the block's end) or a traceparent field, else something else. In one
 * expression, since the verifier keeps every branch of every turn of the loop in mind, and has room for 8192:
 * "The sequence of 8193 jumps is too complex".
 */
static __always_inline __u64 differs_from_known_lines(const __u8 *text)
{
	__u64 name = (*(const __u64 *)text | LOWER_CASE) ^ NAME_TRACEPAR;
	__u64 rest = (*(const __u32 *)&text[8] | (LOWER_CASE & 0xffffff)) ^ (NAME_ENT | ':' << 24);
	__u64 carriage_return = *(const __u16 *)text ^ ('\r' | '\n' << 8);
	__u64 line_feed = text[0] ^ '\n';

	/* Factors of 32, 16 and 8 bits: their product cannot overflow to 0. */
	return ((name | name >> 32 | rest) & 0xffffffff) * carriage_return * line_feed;
}

/* Fills the buffer with the message at `offset` of the skb. Returns its length, 0 where it is too short to look at. */
static __always_inline __u64 load_block(struct __sk_buff *skb, __u32 offset, struct search_buffer *buffer)
{
	__u64 n = (__u32)skb->len - offset;

	/* A barrier before each test: clang else folds them into one range check, and 6.1 and 6.12 then say
	 * "R4 invalid zero-sized read: u64=[0,8191]".
	 */
	OPAQUE(n);
	if (n > HEADER_BLOCK_MAX)
		n = HEADER_BLOCK_MAX;
	OPAQUE(n);
	if (n < 16)
		return 0;
	OPAQUE(n);
	if (n > HEADER_BLOCK_MAX)
		return 0;
	if (bpf_skb_load_bytes(skb, offset, buffer->bytes, n) < 0)
		return 0;
	/* The tail of the last word is an earlier packet's: clear it. */
	*(__u64 *)&buffer->bytes[n] = 0;
	buffer->length = n;
	return READ_AGAIN(buffer->length); /* one value, where the clamp above made two to follow */
}

/* Whether one of 32 bytes may be a line feed: ASCII's control characters are those with neither bit 5 nor bit 6. One in
 * ten words of a header block has one, so most are passed at a third of the cost of marking them.
 */
static __always_inline int may_end_line(const __u64 *words)
{
	__u64 printable = EACH_BYTE(0x40);

#pragma unroll
	for (int i = 0; i < STRIDE / 8; i++)
		printable &= words[i] | words[i] << 1;
	return printable != EACH_BYTE(0x40);
}

/* Walks the lines of a block of `n` bytes up to the first that is known, whose index is left in the buffer. Returns 0
 * where the block goes on behind the `n` bytes.
 */
static __always_inline int find_known_line(struct search_buffer *buffer, __u64 n)
{
#pragma nounroll
	for (__u32 stride = 0; stride < HEADER_BLOCK_MAX; stride += STRIDE) {
		OPAQUE(n); /* else clang drops the constant bound as implied, which 6.1 needs */
		if (stride >= n)
			return 0;
		if (!may_end_line(&buffer->words[stride / 8]))
			continue;
#pragma unroll
		for (__u32 i = stride; i < stride + STRIDE; i += 8) {
			__u64 marks = mark_line_feeds(buffer->words[i / 8]);
			if (!marks)
				continue;
			if (i >= n)
				return 0; /* an earlier packet's bytes */
			buffer->line = line_behind(i, marks);
			if (!differs_from_known_lines(&buffer->bytes[line_behind(i, marks)]))
				return 1;
			/* Eight bytes hold at most two line ends that matter: the shortest field line, "a:\r\n", has
			 * four.
			 */
			marks &= marks - 1;
			if (!marks)
				continue;
			buffer->line = line_behind(i, marks);
			if (!differs_from_known_lines(&buffer->bytes[line_behind(i, marks)]))
				return 1;
		}
	}
	return 0;
}

/* Skips white space behind the name. Returns the index of the value. */
static __always_inline __u64 skip_white_space(const struct search_buffer *buffer, __u64 value)
{
	__u64 skipped = 0;

#pragma unroll
	for (int i = 0; i < WHITE_SPACE_MAX; i++) {
		__u8 byte = buffer->bytes[value + i];
		if (byte != ' ' && byte != '\t')
			break;
		skipped++;
	}
	return value + skipped;
}

/* Searches the message at `offset` of the skb. BLOCK_UNFINISHED: the header block goes on behind this segment. */
static __always_inline enum search_result search_context(struct __sk_buff *skb, __u32 offset,
							 struct search_buffer *buffer, struct context *context)
{
	__u64 n = load_block(skb, offset, buffer);

	if (!n)
		return BLOCK_UNFINISHED;
	if (!find_known_line(buffer, n))
		return BLOCK_UNFINISHED;
	/* Read back from memory, so that the verifier forgets what each turn of the loop told it of these two; it would
	 * else follow the rest of the program once for every turn: "BPF program is too large. Processed 1000001 insn".
	 */
	__u64 line = READ_AGAIN(buffer->line);
	n = READ_AGAIN(buffer->length);
	if (line > HEADER_BLOCK_MAX)
		return BLOCK_UNFINISHED;
	if (buffer->bytes[line] == '\r' || buffer->bytes[line] == '\n')
		return CONTEXT_NONE;
	__u64 value = skip_white_space(buffer, line + TRACEPARENT_NAME_LENGTH);
	if (value >= n)
		return BLOCK_UNFINISHED;
	return take_traceparent(&buffer->bytes[value], n - value, context);
}

#endif
