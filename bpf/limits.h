/* SPDX-License-Identifier: Apache-2.0 */
/* Every limit of the kernel side, with its unit and the reason for the number. Nothing but constants. */
#ifndef HOPSPAN_LIMITS_H
#define HOPSPAN_LIMITS_H

/* Bytes of a header block that are searched for a context. Servers commonly refuse more (nginx and Apache: 8 KiB). */
#define HEADER_BLOCK_MAX 8192

/* Bytes of white space accepted before a field value. RFC 9110 section 5.6.3 sets no limit; senders use one. */
#define WHITE_SPACE_MAX 8

/* Bytes of a context's text in a record: a traceparent has 55, and the byte after it tells whether it ended there. */
#define CONTEXT_TEXT_MAX 64

/* Contexts a record can carry: one for HTTP/1, several when one segment holds several HTTP/2 requests. */
#define CONTEXTS_MAX 4

/* Bytes of TCP options (RFC 9293 section 3.1: the data offset is at most 15 words, five of them the fixed header). */
#define TCP_OPTIONS_MAX 40

/* Transits between their first and last point. A packet is on a node for some 100 us, and one that never reaches the
 * last point is swept after a second: 16384 bear 10,000 of those a second. 5 MiB.
 */
#define TRANSITS_MAX 16384

/* Exchanges whose response may still come, least recently used out first. 65536 bear 6,000 sampled requests a second
 * that are answered after ten seconds. 11 MiB.
 */
#define EXCHANGES_MAX 65536

/* Pages of 4 KiB in the ring: 15,000 records, 0.7 s at 20,000 records a second, against a reader that comes every
 * 50 ms.
 */
#define RING_PAGES 1024

/* Devices whose rate of new transits is remembered, one a pod; least recently used out first. */
#define RATES_MAX 1024

/* The rate limit counts in windows of one second. */
#define RATE_WINDOW_NS 1000000000ULL

/* UDP ports on which a VXLAN device of the node listens. */
#define TUNNEL_PORTS_MAX 4

#endif
