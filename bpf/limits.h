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

/* Bytes of TCP options (RFC 9293 section 3.1: the data offset is at most 15 words, five of them the fixed header). */
#define TCP_OPTIONS_MAX 40

/* TCP options that are stepped over to find the timestamps. Senders put them first or behind at most three others, with
 * two no-operations before each.
 */
#define TCP_OPTIONS_TRIED 16

/* Frames that begin or reset a stream of HTTP/2, and are looked at in one segment: a sender that has a hundred requests at once
 * fills segments of up to 64 KiB with them. Each is a tail call of its own, of which the kernel allows 33 (MAX_TAIL_CALL_CNT).
 */
#define STREAMS_MAX 32

/* Frames of any type that are looked at in one segment, and how many more are stepped over. */
#define FRAMES_MAX     64
#define FRAMES_STEPPED 64

/* Bytes of a header block of HTTP/2 that are walked, and fields: gRPC's have 60 to 300 and some ten. */
#define HPACK_BLOCK_MAX	 512
#define HPACK_FIELDS_MAX 64

/* Ways of a set: eight tags of eight bytes are one cache line. */
#define TABLE_WAYS 8

/* Transits between their first and last point. A packet is on a node for some 100 us, and one that never reaches the
 * last point is swept after a second and a quarter: with 5,000 a second of those, one in 5,000 finds no room. 9 MiB.
 */
#define TRANSITS_MAX 32768
#define TRANSIT_SETS (TRANSITS_MAX / TABLE_WAYS)

/* Counters of transits under way, each for the packets whose sequence numbers fall on it: four kilobytes, which stay in
 * the caches.
 */
#define AWAITED_BITS 10
#define AWAITED_MAX  (1 << AWAITED_BITS)

/* Slots in turn that are looked at for one that is free. */
#define SLOTS_TRIED 4

/* Exchanges whose response may still come, the oldest out first. 65536 bear 6,000 sampled requests a second that are
 * answered after ten seconds. 8 MiB.
 */
#define EXCHANGES_MAX 65536
#define EXCHANGE_SETS (EXCHANGES_MAX / TABLE_WAYS)

/* Requests whose header block goes on in further segments, which follow within microseconds as a rule: each is kept with
 * what came of it. So are requests whose chunked body goes on, with nothing. 2 MiB.
 */
#define UNFINISHED_MAX	256
#define UNFINISHED_SETS (UNFINISHED_MAX / TABLE_WAYS)

/* Digits of a content-length: eight are one word, and bodies of 100 MB and more end for us with an answer. */
#define LENGTH_DIGITS 8

/* Connections of which one side sends what may look like a request, and is none: 768 KiB. */
#define BODIES_MAX 32768
#define BODY_SETS  (BODIES_MAX / TABLE_WAYS)

/* Segments of a header block. 8 KiB are six of an Ethernet's 1,500 bytes. */
#define SEGMENTS_MAX 8

/* Directions of HTTP/2 connections of which it is known where the next frame begins: 32 KiB. */
#define FLOWS_MAX 4096
#define FLOW_SETS (FLOWS_MAX / TABLE_WAYS)

/* Those of which that is inside a later segment, which follows within microseconds as a rule: 50 KiB. */
#define FOLLOWED_MAX  1024
#define FOLLOWED_SETS (FOLLOWED_MAX / TABLE_WAYS)

/* Directions of TLS connections of which it is known when the last message began: those of 8,192 connections. 1.1 MiB, where
 * they are followed at all.
 */
#define DIRECTIONS_MAX 16384
#define DIRECTION_SETS (DIRECTIONS_MAX / TABLE_WAYS)

/* Bytes of a TLS record: 2^14 of plain text, and 256 of what the cipher adds (RFC 8446 section 5.2). */
#define TLS_RECORD_MAX 16640

/* A direction that gives way and was used within a minute (2^20 ns) is counted. */
#define DIRECTION_AGE 57220

/* How far behind the last record a segment may begin that was sent before: no window that senders have is larger. */
#define SENT_AGAIN_MAX (1 << 26)

/* How long the rest of a header block is waited for (2^20 ns): 0.9 s, less than the sweep lets transits be. */
#define UNFINISHED_AGE 858

/* An exchange that gives way unanswered within a minute (2^20 ns) is counted: later, few responses come. */
#define EXCHANGE_AGE 57220

/* Transits that one run of the sweep looks at: all at once are more than the verifier follows. */
#define SWEEP_STEP 64

/* Pages of 4 KiB in the ring: 15,000 records, 0.7 s at 20,000 records a second, against a reader that comes every
 * 100 ms.
 */
#define RING_PAGES 1024

/* Senders whose rate of new transits is remembered: a node's pods, and those of others that call them. Those that sent
 * nothing in the running window give way first. 32 KiB.
 */
#define RATES_MAX 4096
#define RATE_SETS (RATES_MAX / TABLE_WAYS)

/* The rate limit counts in windows of one second, up to a number that is above the highest limit. */
#define RATE_WINDOW_NS	1000000000ULL
#define RATE_COUNT_BITS 20
#define RATE_COUNT_MAX	((1 << RATE_COUNT_BITS) - 1)

/* UDP ports on which a VXLAN device of the node listens. */
#define TUNNEL_PORTS_MAX 4

/* Programs that others call: their indexes in `calls`. */
#define CALL_HTTP1 0
#define CALL_HTTP2 1
#define CALL_TLS   2
#define CALLS	   3

#endif
