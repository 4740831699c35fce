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

#include "record.h"
#include "verifier.h"

/* Which formats are read: bits (enum context_format), set when the programs are compiled. What is off costs nothing. */
#ifndef READ_CONTEXTS
#define READ_CONTEXTS (1 << TRACEPARENT | 1 << B3 | 1 << B3MULTI | 1 << UBER_TRACE_ID)
#endif
#define READS(format) (READ_CONTEXTS >> (format) & 1)

/* Behind the block there is room for a name, white space and a text, so that no read needs a second bound. */
#define SEARCH_SLACK 192

/* What a line of a header block is; contexts.h tells them by their names. */
enum line {
	OTHER_LINE,
	TRACEPARENT_LINE,
	B3_LINE,
	B3_TRACE_LINE,
	B3_SPAN_LINE,
	B3_SAMPLED_LINE,
	B3_FLAGS_LINE,
	UBER_LINE,
	LINES,
};

/* Lines that begin nearly like the name of a context; a block with more of them is no request that anybody sends. */
#define CANDIDATES_MAX 16

struct search_buffer {
	__u64 length;	  /* of the block that was loaded */
	__u64 ended;	  /* 1 once the walk has met the line that it ends with */
	__u64 candidates; /* how many lines were found that may hold a context */
	__u64 value;	  /* only passed through here: see READ_AGAIN */
	__u32 repeated;	  /* bit (enum line): the block has several of them */
	__u32 reserved;
	__u32 candidate[CANDIDATES_MAX]; /* their indexes */
	__u32 lines[LINES];		 /* index of each known line, 0 where the block has none */
	union {
		__u8 bytes[HEADER_BLOCK_MAX + SEARCH_SLACK];
		__u64 words[(HEADER_BLOCK_MAX + SEARCH_SLACK) / 8];
	};
};

enum search_result {
	CONTEXT_SAMPLED,
	CONTEXT_UNSAMPLED,
	CONTEXT_BAD,
	CONTEXT_NONE,
	BLOCK_UNFINISHED,
	BLOCK_TOO_LONG
};

/* Bytes that are looked at in one turn of the loop. */
#define STRIDE 32

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
	/* The rest of what the walk looks at together is an earlier packet's: clear it. */
#pragma unroll
	for (int i = 0; i < STRIDE; i += 8)
		*(__u64 *)&buffer->bytes[n + i] = 0;
	buffer->length = n;
	buffer->candidates = 0;
	buffer->ended = 0;
	buffer->repeated = 0;
#pragma unroll
	for (int i = 0; i < LINES; i++)
		buffer->lines[i] = 0;
	return READ_AGAIN(buffer->length); /* one value, where the clamp above made two to follow */
}

/* Whether one of STRIDE bytes may be a line feed: ASCII's control characters are those with neither bit 5 nor bit 6. One in
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

/* 1 where a value is 0, else 0, which clang does not know, so that it makes no branch of it: the verifier keeps every branch of every turn of the walk in mind, and
 * has room for 8192: "The sequence of 8193 jumps is too complex".
 */
static __always_inline __u64 is_zero(__u64 value)
{
	__u64 result = ~(value | -value) >> 63;

	OPAQUE(result);
	return result;
}

/* The first bytes of the lines that are looked at, as bits of their lower five, in which letters of both cases are equal;
 * others share these bits. Many names begin with x, so the third byte decides which of these lines are kept: few have
 * both.
 */
#define BYTE_BIT(byte) (1U << ((byte) & 0x1f))
#define FIRST_BYTES                                                                                                  \
	(BYTE_BIT('\r') | BYTE_BIT('\n') | (READS(TRACEPARENT) ? BYTE_BIT('t') : 0) |                                \
	 (READS(B3) ? BYTE_BIT('b') : 0) | (READS(B3MULTI) ? BYTE_BIT('x') : 0) |                                    \
	 (READS(UBER_TRACE_ID) ? BYTE_BIT('u') : 0))
#define THIRD_BYTES                                                                                                  \
	((READS(TRACEPARENT) ? BYTE_BIT('a') : 0) | (READS(B3) ? BYTE_BIT(':') : 0) |                                \
	 (READS(B3MULTI) ? BYTE_BIT('b') : 0) | (READS(UBER_TRACE_ID) ? BYTE_BIT('e') : 0))

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

/* Whether the line is a traceparent of the usual outline, without the sampled flag and not cut off at `n`. */
static __always_inline __u64 is_unsampled_traceparent(const __u8 *text, __u64 line, __u64 n)
{
	__u64 difference = (*(const __u64 *)text | LOWER_CASE) ^ NAME_TRACEPAR;
	__u64 flags = *(const __u32 *)&text[UNSAMPLED_FLAGS]; /* a digit, a dash, two digits */

	difference |= ((*(const __u64 *)&text[8] | UNSAMPLED_LOWER) & UNSAMPLED_MASK) ^ UNSAMPLED_ENT;
	difference |= (flags >> 8 & 0xff) ^ '-';
	/* Digits are odd where their value is, letters (bit 6; 'a' is ten) where it is not. */
	difference |= (flags >> 24 ^ flags >> 30) & 1;
	return is_zero(difference | (n - line - UNSAMPLED_BYTES) >> 63);
}

/* Looks at the line at index `line`, and keeps it if it may hold a context or ends the walk, unless an earlier one did.
 * What is known of that lies in memory: what is in a register the verifier follows on each path.
 */
static __always_inline void look_at_line(struct search_buffer *buffer, __u64 line, __u64 n)
{
	const __u8 *text = &buffer->bytes[line];

	if (!(FIRST_BYTES >> (text[0] & 0x1f) & 1))
		return;
	__u64 ends = is_block_end(text) | (READS(TRACEPARENT) ? is_unsampled_traceparent(text, line, n) : 0);
	buffer->candidate[buffer->candidates % CANDIDATES_MAX] = line;
	buffer->candidates += (ends | THIRD_BYTES >> (text[2] & 0x1f)) & (READ_AGAIN(buffer->ended) ^ 1);
	buffer->ended |= ends;
}

/* Walks the lines of a block of `n` bytes up to its end, or to a traceparent that is not sampled: nothing behind it
 * matters then, and most traced requests are such. That line is the last of the candidates. Returns 0 where the block
 * goes on behind the `n` bytes.
 */
static __always_inline __u64 walk_lines(struct search_buffer *buffer, __u64 n)
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
			look_at_line(buffer, line_behind(i, marks), n);
			/* Eight bytes hold at most two line ends that matter: the shortest field line, "a:\r\n", has
			 * four.
			 */
			marks &= marks - 1;
			if (marks)
				look_at_line(buffer, line_behind(i, marks), n);
		}
		if (READ_AGAIN(buffer->ended))
			return 1;
	}
	return 0;
}

#endif
