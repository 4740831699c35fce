/* SPDX-License-Identifier: Apache-2.0 */
/* Searches a header block for the lines that hold a tracing context: bytes -> their places. Touches no map; the caller
 * lends the buffer.
 *
 * The grammar (RFC 9112 section 2.1, RFC 9110 section 5):
 *   message     = start-line CRLF *( field-name ":" OWS field-value OWS CRLF ) CRLF [ body ]
 * A bare LF ends a line too (RFC 9112 section 2.2). Field names are case-insensitive.
 */
#ifndef HOPSPAN_SEARCH_H
#define HOPSPAN_SEARCH_H

#include "lines.h"

enum search_result {
	CONTEXT_SAMPLED,
	CONTEXT_UNSAMPLED,
	CONTEXT_BAD,
	CONTEXT_NONE,
	BLOCK_UNFINISHED, /* it goes on behind this segment */
	BLOCK_TOO_LONG,
	BLOCK_UNREADABLE
};

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

/* Keeps of `printable` the bits (EACH_BYTE(0x40)) of bytes that are no control characters in `word`: these alone have neither
 * bit 5 nor bit 6, in ASCII.
 */
static __always_inline __u64 keep_printable(__u64 printable, __u64 word)
{
	return printable & (word | word << 1);
}

/* Whether one of STRIDE bytes may be a line feed. One in ten words of a header block has a control character, so most are
 * passed at a third of the cost of marking them.
 */
static __always_inline int may_end_line(const __u64 *words)
{
	__u64 printable = EACH_BYTE(0x40);

#pragma unroll
	for (int i = 0; i < STRIDE / 8; i++)
		printable = keep_printable(printable, words[i]);
	return printable != EACH_BYTE(0x40);
}

/* 1 where a value is 0, else 0, which clang does not know, so that it makes no branch of it: the verifier keeps every branch of every turn of the walk in mind, and
 * has room for 8192: "The sequence of 8193 jumps is too complex".
 */
static __always_inline __u64 is_zero(__u64 value)
{
	__u64 result = ~(value | -value) >> 63;

	OPAQUE(result);
	return result;
}

/* Whether one number is below the other, both far below 2^63. */
static __always_inline __u64 is_below(__u64 one, __u64 other)
{
	__u64 difference = one - other;

	OPAQUE(difference); /* else clang makes a branch of it */
	return difference >> 63;
}

#define LOWER_CASE    0x2020202020202020ULL
#define NAME_TRACEPAR 0x7261706563617274ULL /* "tracepar", little-endian */

/* Whether a line that begins with one of FIRST_BYTES is the empty one: of those CR and LF alone are so low, but for one
 * control character. That, as a bare CR, ends the block too; no valid line begins with either (RFC 9112 section 2.2).
 */
static __always_inline __u64 is_block_end(const __u8 *text)
{
	__u64 result = ((__u64)text[0] - '\r' - 1) >> 63;

	OPAQUE(result);
	return result;
}

/* A traceparent whose flags are looked at while the lines are walked: the name, one space, 55 characters and one that
 * ends them. In little-endian words: its first 16 bytes without the version, and those around the flags.
 */
#define UNSAMPLED_BYTES (12 + 1 + 55 + 1)
#define UNSAMPLED_ENT	0x2d0000203a746e65ULL /* "ent: ", version, "-" */
#define UNSAMPLED_MASK	0xff0000ffffffffffULL
#define UNSAMPLED_LOWER 0x202020ULL
#define UNSAMPLED_FLAGS 64

/* 1 where the line is a traceparent of the usual outline, without the sampled flag, in one piece and not cut off at `n`. */
static __always_inline __u64 is_unsampled_traceparent(const __u8 *text, __u64 line, __u64 n)
{
	__u64 difference = (*(const __u64 *)text | LOWER_CASE) ^ NAME_TRACEPAR;
	__u64 flags = *(const __u32 *)&text[UNSAMPLED_FLAGS]; /* a digit, a dash, two digits */

	difference |= ((*(const __u64 *)&text[8] | UNSAMPLED_LOWER) & UNSAMPLED_MASK) ^ UNSAMPLED_ENT;
	difference |= (flags >> 8 & 0xff) ^ '-';
	/* Digits are odd where their value is, letters (bit 6; 'a' is ten) where it is not. */
	difference |= (flags >> 24 ^ flags >> 30) & 1;
	__u64 printable = EACH_BYTE(0x40);
#pragma unroll
	for (int i = 8; i < UNSAMPLED_FLAGS; i += 8)
		printable = keep_printable(printable, *(const __u64 *)&text[i]);
	difference |= printable ^ EACH_BYTE(0x40);
	return is_zero(difference | (n - line - UNSAMPLED_BYTES) >> 63);
}

/* Looks at the line at index `line`, and keeps it if it may hold a context or ends the block, unless an earlier one did.
 * What is known of that lies in memory: what is in a register the verifier follows on each path.
 */
static __always_inline void look_at_line(struct search_buffer *buffer, __u64 line)
{
	const __u8 *text = &buffer->bytes[line];

	__u64 ends = is_block_end(text);
	__u64 keep = (READ_AGAIN(buffer->first_bytes) >> (text[0] & 0x1f)) &
		     (ends | READ_AGAIN(buffer->third_bytes) >> (text[2] & 0x1f));
	keep &= READ_AGAIN(buffer->ended) ^ 1;
	OPAQUE(keep);
	buffer->candidate[buffer->candidates % CANDIDATES_MAX] = line;
	buffer->candidates += keep;
	buffer->ended |= keep & ends;
}

/* Returns the index of the candidate that was found last. */
static __always_inline __u64 last_candidate(struct search_buffer *buffer)
{
	__u64 last = READ_AGAIN(buffer->candidate[(READ_AGAIN(buffer->candidates) - 1) % CANDIDATES_MAX]);

	return BOUNDED(last, HEADER_BLOCK_MAX);
}

/* Returns the index behind the header block, 0 where the walk did not come to its end. */
static __always_inline __u64 behind_block(struct search_buffer *buffer)
{
	__u64 last = last_candidate(buffer);
	const __u8 *text = &buffer->bytes[last];
	__u64 is_end = READ_AGAIN(buffer->ended) & is_block_end(text);

	return BOUNDED((last + 1 + is_zero(text[0] ^ '\r')) & -is_end, 2 * HEADER_BLOCK_MAX);
}

/* Looks at the lines that begin behind a line feed among the STRIDE bytes at index `stride`. Returns 1 where the walk ends
 * with one of them.
 */
static __always_inline __u64 look_at_stride(struct search_buffer *buffer, __u64 stride, __u64 n)
{
	if (!may_end_line(&buffer->words[stride / 8]))
		return 0;
#pragma unroll
	for (int word = 0; word < STRIDE / 8; word++) {
		MEETING_POINT();
		__u64 i = stride + 8 * word;
		__u64 marks = mark_line_feeds(buffer->words[i / 8]);
		if (!marks)
			continue;
		look_at_line(buffer, line_behind(i, marks));
		/* Eight bytes hold at most two line ends that matter: the shortest field line, "a:\r\n", has four. */
		marks &= marks - 1;
		if (marks)
			look_at_line(buffer, line_behind(i, marks));
	}
	__u64 found = READ_AGAIN(buffer->candidates);
	if (found == READ_AGAIN(buffer->seen))
		return 0;
	buffer->seen = found;
	/* A traceparent is longer than a stride, so if there is one it is the last. */
	if (READS(TRACEPARENT)) {
		__u64 last = last_candidate(buffer);
		__u64 unsampled = is_unsampled_traceparent(&buffer->bytes[last], last, n);
		buffer->unsampled |= unsampled;
		buffer->ended |= unsampled & (READ_AGAIN(buffer->wants_body) ^ 1);
	}
	return READ_AGAIN(buffer->ended);
}

/* Walks the lines of a block of `n` bytes up to its end, or where no body is to be expected, to a traceparent that is not
 * sampled: nothing behind it matters then, and most traced requests are such. That line is the last of the candidates. Returns 0 where the block
 * goes on behind the `n` bytes.
 *
 * In four parts, since the verifier forgets a state that did not match what came after it four times: the one at the start
 * of a part is kept, so whatever it has to follow again ends there.
 */
static __always_inline __u64 walk_lines(struct search_buffer *buffer, __u64 n)
{
#pragma nounroll
	for (__u64 part = 0; part < HEADER_BLOCK_MAX; part += HEADER_BLOCK_MAX / 4) {
		OPAQUE(part);
		MEETING_POINT();
#pragma nounroll
		for (__u64 i = 0; i < HEADER_BLOCK_MAX / 4; i += STRIDE) {
			__u64 stride = part + i;
			OPAQUE(n); /* else clang drops the constant bound as implied, which 6.1 needs */
			if (stride >= n)
				return 0;
			if (look_at_stride(buffer, stride, n))
				return 1;
		}
	}
	return 0;
}

#endif
