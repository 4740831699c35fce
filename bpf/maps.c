/* SPDX-License-Identifier: Apache-2.0 */
/* The maps, and what is done with those that are no table. First of the parts that make the one program text: BCC
 * rewrites the access to maps in its main file alone, so whatever uses a map is put there, part after part (see
 * node_probe/compiler.py). The programs read only, and always answer TC_ACT_UNSPEC: we watch, never decide.
 */
#include <uapi/linux/bpf.h>
#include <uapi/linux/if_ether.h>
#include <uapi/linux/ip.h>
#include <uapi/linux/ipv6.h>
#include <uapi/linux/pkt_cls.h>
#include <uapi/linux/tcp.h>
#include <uapi/linux/udp.h>

#include "limits.h"
#include "record.h"
#include "parse.h"
#include "tunnel.h"
#include "contexts.h"
#include "stream_contexts.h"
#include "table.h"
#include "transit.h"
#include "tls_records.h"

/* Two tables: see table.h. The own bits of a transit's tag are its coarse time (upper 16) and its slot, those of an
 * exchange the number of its turn, those of a
 * sender its window and count. To be mapped is not wanted, but aligns them to pages, and so each set to a cache line. */
BPF_F_TABLE("array", int, struct tag_set, transit_tags, TRANSIT_SETS, BPF_F_MMAPABLE);
BPF_F_TABLE("array", int, struct transit_slot, transits, TRANSITS_MAX, BPF_F_MMAPABLE);
BPF_F_TABLE("array", int, struct tag_set, exchange_tags, EXCHANGE_SETS, BPF_F_MMAPABLE);
BPF_F_TABLE("array", int, struct exchange, exchanges, EXCHANGES_MAX, BPF_F_MMAPABLE);
BPF_F_TABLE("array", int, struct tag_set, body_tags, BODY_SETS, BPF_F_MMAPABLE);
BPF_TABLE("array", int, struct body, bodies, BODIES_MAX);
BPF_F_TABLE("array", int, struct tag_set, unfinished_tags, UNFINISHED_SETS, BPF_F_MMAPABLE);
BPF_TABLE("array", int, struct unfinished_block, unfinished, UNFINISHED_MAX);
BPF_F_TABLE("array", int, struct tag_set, flows, FLOW_SETS, BPF_F_MMAPABLE);
BPF_F_TABLE("array", int, struct tag_set, followed_tags, FOLLOWED_SETS, BPF_F_MMAPABLE);
BPF_TABLE("array", int, struct followed_flow, followed, FOLLOWED_MAX);
BPF_TABLE("array", int, struct turns, turns, 1);
BPF_TABLE("array", int, __u32, awaited, AWAITED_MAX);
BPF_F_TABLE("array", int, struct tag_set, rates, RATE_SETS, BPF_F_MMAPABLE);
BPF_RINGBUF_OUTPUT(ring, RING_PAGES);
BPF_TABLE("percpu_array", int, __u64, counters, COUNTERS);
BPF_TABLE("array", int, struct settings, settings, 1);
BPF_PROG_ARRAY(calls, CALLS);

/* A request or response of HTTP/2 in a segment, with its context. */
struct stream_context {
	__u64 at; /* where its frame begins in the payload; negative where its head began in an earlier segment */
	struct context context;
};

/* A segment of HTTP/2, as its frames are walked. */
struct segment {
	__u64 is_begun;
	__u64 frames;	  /* that were looked at */
	__u64 streams;	  /* how many of them began or reset a stream */
	__u64 kind;	  /* of its messages: HTTP_REQUEST or HTTP_RESPONSE */
	__u64 at;	  /* where the next frame begins in the payload; beyond it, or negative */
	__u64 held;	  /* bytes of that frame's head that came with an earlier segment */
	__u64 cut;	  /* bytes of a head that the segment ends in */
	__u64 is_certain; /* frames begin where we look for them, since the connection was followed so far */
	__u64 is_proven;  /* a header block was read that tells of a request or response */
	__u64 is_lost;	  /* something was no frame */
	__u64 is_cut;	  /* the header block that is walked is not whole */
	__u64 contexts;	  /* how many are kept */
	struct frame frame;
	union {
		__u8 head[32];
		__u64 words[4];
	};
	struct stream_context kept[STREAMS_MAX];
};

/* What starting a transit needs; too large for the stack of 512 bytes. Two programs never share it: tc programs run
 * with bottom halves disabled, so on one CPU none interrupts another.
 */
struct workspace {
	struct message message;
	struct outer outer;
	__u64 point;
	__u64 is_expected; /* whether the segment may go on with an earlier one */
	__u64 now;
	__u64 found;   /* only passed through here: see READ_AGAIN */
	__u64 result;  /* the same */
	__u64 verdict; /* the same */
	__u64 goes_on; /* whether the next two are set: see bodies.c */
	struct transit_key sender;
	struct body body;
	__u64 waits;		  /* what the next segment is waited for (enum waits) */
	__u64 waited;		  /* what this one was */
	__u64 freed;		  /* the transit slot that this CPU freed last */
	struct transit_key first; /* of the request's transit */
	__u32 server;		  /* that the request was sent to: see server_of */
	__u32 segments;		  /* of the request, with this one */
	__u32 flags;
	__u32 frame_at; /* see fill_message */
	__u64 more;	/* see chain_contexts */
	struct segment segment;
	struct header_block fields;
	struct context context;
	struct burst burst;
	struct tls_records records;
	struct search_buffer block;
};
BPF_TABLE("percpu_array", int, struct workspace, workspaces, 1);

/* Keys have eight bytes here, of which the maps read four. What a place of the stack held before, the verifier forgets only
 * where all eight are written; else it would follow the search once for each key that came before it.
 */
static __always_inline void add_count(enum counter which, __u64 number)
{
	__u64 index = which;
	__u64 *value = counters.lookup((int *)&index);

	if (value)
		*value += number;
}

static __always_inline void count(enum counter which)
{
	add_count(which, 1);
}
