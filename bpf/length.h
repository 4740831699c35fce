/* SPDX-License-Identifier: Apache-2.0 */
/* Reads how long the body behind a header block is: candidates -> where the message ends. Touches no map.
 *
 * The grammar (RFC 9110 section 8.6, RFC 9112 sections 6 and 7):
 *   Content-Length = 1*DIGIT
 *   Transfer-Encoding, whose last coding is "chunked": the body has no length, and ends with a chunk of none
 * A request with neither has no body. One with both, with several lengths, or with one that is no number, is one that
 * servers have to refuse, or may: nothing of it is believed.
 */
#ifndef HOPSPAN_LENGTH_H
#define HOPSPAN_LENGTH_H

#include "names.h"

#define CONTENT_LENGTH	  (sizeof("content-length") - 1)
#define TRANSFER_ENCODING (sizeof("transfer-encoding") - 1)

#define IS(byte, character) is_zero((__u64)(byte) ^ (character))

/* Whether a name may end before the byte. White space before the colon is an error that servers have to refuse (RFC 9112
 * section 5.1); it is seen, since what it makes of the value is no number.
 */
static __always_inline __u64 ends_name(__u8 byte)
{
	return IS(byte, ':') | IS(byte, ' ') | IS(byte, '\t');
}

/* Returns how many bytes of white space are at the index, up to WHITE_SPACE_MAX. */
static __always_inline __u64 count_spaces(struct search_buffer *buffer, __u64 index)
{
	__u64 space = 0, in_space = 1;

#pragma unroll
	for (int i = 0; i < WHITE_SPACE_MAX; i++) {
		__u64 byte = buffer->bytes[index + i];
		__u64 is_space = ((byte ^ ' ') - 1) >> 63 | ((byte ^ '\t') - 1) >> 63;
		OPAQUE(is_space);
		in_space &= is_space;
		space += in_space;
	}
	buffer->value = space;
	return BOUNDED(READ_AGAIN(buffer->value), 2 * WHITE_SPACE_MAX);
}

/* Finds the lines among the candidates that tell of a body's length. Without branches, as classify_candidates. */
static __always_inline void find_lengths(struct search_buffer *buffer)
{
	__u64 found = READ_AGAIN(buffer->candidates);

	buffer->lengths = 0;
	buffer->codings = 0;
#pragma nounroll
	for (__u64 i = 0; i < CANDIDATES_MAX; i++) {
		OPAQUE(found); /* else clang drops the constant bound as implied, which 6.1 needs */
		if (i >= found)
			break;
		__u64 index = BOUNDED(READ_AGAIN(buffer->candidate[i]), HEADER_BLOCK_MAX);
		const __u8 *bytes = &buffer->bytes[index];
		const __u64 text[] = {*(const __u64 *)bytes, *(const __u64 *)&bytes[8]};
		__u64 is_length = is_named(text,
					   NAME(EIGHT('c', 'o', 'n', 't', 'e', 'n', 't', '-'),
						EIGHT('l', 'e', 'n', 'g', 't', 'h', 0, 0)),
					   NAME(LOWER_CASE >> 8, LOWER_CASE >> 16), BYTES(6)) &
				  ends_name(bytes[CONTENT_LENGTH]);
		__u64 is_coding = is_named(text,
					   NAME(EIGHT('t', 'r', 'a', 'n', 's', 'f', 'e', 'r'),
						EIGHT('-', 'e', 'n', 'c', 'o', 'd', 'i', 'n')),
					   NAME(LOWER_CASE, LOWER_CASE << 8), BYTES(8)) &
				  IS(bytes[16] | 0x20, 'g') & ends_name(bytes[TRANSFER_ENCODING]);
		buffer->lengths += is_length;
		buffer->codings += is_coding;
		buffer->length_at = (index & -is_length) | (READ_AGAIN(buffer->length_at) & (is_length - 1));
	}
	MEETING_POINT();
}

/* Returns how many of the word's bytes, from the first on, are digits; `digits` is the word without what makes them text. */
static __always_inline __u64 count_digits(__u64 digits)
{
	__u64 others = (((digits & EACH_BYTE(0x7f)) + EACH_BYTE(0x7f - 9)) | digits) & EACH_BYTE(0x80);
	__u64 below = ((others & -others) - 1) >> 7 & EACH_BYTE(1);

	return below * EACH_BYTE(1) >> 56;
}

/* Returns the number that eight digits are, the first of which is in the lowest byte: pairs, fours, all. */
static __always_inline __u64 join_digits(__u64 digits)
{
	digits = (digits * (1 + (10 << 8))) >> 8 & 0x00ff00ff00ff00ffULL;
	digits = (digits * (1 + (100 << 16))) >> 16 & 0x0000ffff0000ffffULL;
	return digits * (1 + (10000ULL << 32)) >> 32;
}

/* Reads the length that the block has once. Returns how its body ends, and puts the length into buffer->value. */
static __always_inline enum body_kind read_length(struct search_buffer *buffer)
{
	__u64 index = BOUNDED(READ_AGAIN(buffer->length_at), HEADER_BLOCK_MAX) + CONTENT_LENGTH + 1;

	index += count_spaces(buffer, index);
	__u64 digits = *(const __u64 *)&buffer->bytes[index] ^ EACH_BYTE('0');
	__u64 number = count_digits(digits);
	__u64 behind = index + BOUNDED(number, 2 * LENGTH_DIGITS);
	if ((__u64)buffer->bytes[behind] - '0' < 10)
		return ENDS_UNKNOWN; /* a ninth digit */
	behind += count_spaces(buffer, behind);
	__u64 is_last = IS(buffer->bytes[behind], '\r') | IS(buffer->bytes[behind], '\n');
	if (!number || !is_last)
		return GOES_ON;
	buffer->value = join_digits(digits << 8 * (LENGTH_DIGITS - number));
	return ENDS_AT;
}

/* Returns how the body ends that follows the header block, which was walked to its end; where it has a length, that is put
 * into buffer->value.
 */
static __always_inline enum body_kind read_body_end(struct search_buffer *buffer)
{
	if (READ_AGAIN(buffer->candidates) > CANDIDATES_MAX)
		return ENDS_UNKNOWN;
	find_lengths(buffer);
	if (READ_AGAIN(buffer->codings) || READ_AGAIN(buffer->lengths) > 1)
		return GOES_ON;
	buffer->value = 0;
	return READ_AGAIN(buffer->lengths) ? read_length(buffer) : ENDS_AT;
}

#endif
