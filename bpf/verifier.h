/* SPDX-License-Identifier: Apache-2.0 */
/* What keeps the verifier's work small: it follows every path that clang writes, with all that is known on it. */
#ifndef HOPSPAN_VERIFIER_H
#define HOPSPAN_VERIFIER_H

/* Reads memory that was just written, or that another CPU may write; what was known of the value is forgotten. */
#define READ_AGAIN(variable)	    (*(volatile typeof(variable) *)&(variable))
#define WRITE_ONCE(variable, value) (*(volatile typeof(variable) *)&(variable) = (value))

/* Hides from clang what it knows of a value: it else turns arithmetic into branches, each of which doubles the paths. */
#define OPAQUE(value) asm volatile("" : "+r"(value))

/* Jumps that lead on, which the kernel takes out once the program is verified. The verifier keeps in mind what it knows at a
 * jump, to end there whatever comes by a second time, but in a loop only after 20 of them.
 */
#define FOUR_JUMPS	"goto +0\n\tgoto +0\n\tgoto +0\n\tgoto +0\n\t"
#define MEETING_POINT() asm volatile(FOUR_JUMPS FOUR_JUMPS FOUR_JUMPS FOUR_JUMPS FOUR_JUMPS)

/* The value, which is below `limit`, a power of two. By a mask and not by a test, since the verifiers of 6.1 and 6.12 forget
 * what a test said of a register when clang uses a copy of it: "R1 unbounded memory access". A line that begins at the
 * block's very end is taken for none so.
 */
#define BOUNDED(value, limit)                                                                                        \
	({                                                                                                           \
		__u64 bounded_value = (value);                                                                       \
		OPAQUE(bounded_value);                                                                               \
		bounded_value &((limit) - 1);                                                                        \
	})

#endif
