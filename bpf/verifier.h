/* SPDX-License-Identifier: Apache-2.0 */
/* What keeps the verifier's work small: it follows every path that clang writes, with all that is known on it. */
#ifndef HOPSPAN_VERIFIER_H
#define HOPSPAN_VERIFIER_H

/* Reads memory that was just written, or that another CPU may write; what was known of the value is forgotten. */
#define READ_AGAIN(variable)	    (*(volatile typeof(variable) *)&(variable))
#define WRITE_ONCE(variable, value) (*(volatile typeof(variable) *)&(variable) = (value))

/* Hides from clang what it knows of a value: it else turns arithmetic into branches, each of which doubles the paths. */
#define OPAQUE(value) asm volatile("" : "+r"(value))

#endif
