/* SPDX-License-Identifier: Apache-2.0 */
/* Which formats of contexts are read: bits (enum context_format), set when the programs are compiled. What is off costs nothing. */
#ifndef HOPSPAN_FORMATS_H
#define HOPSPAN_FORMATS_H

#include "record.h"

#ifndef READ_CONTEXTS
#define READ_CONTEXTS (1 << TRACEPARENT | 1 << B3 | 1 << B3MULTI | 1 << UBER_TRACE_ID)
#endif
#define READS(format) (READ_CONTEXTS >> (format) & 1)

#endif
