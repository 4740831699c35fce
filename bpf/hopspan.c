/* SPDX-License-Identifier: Apache-2.0 */
/* The maps, and one small program for each point. A program finds the message's transit and stamps it; a first point
 * starts it, a last point hands it to the ring. They read only, and always answer TC_ACT_UNSPEC: we watch, never
 * decide. The file is long because BCC rewrites map access in the main file alone: whatever uses a map lives here.
 */
#include <uapi/linux/bpf.h>
#include <uapi/linux/if_ether.h>
#include <uapi/linux/ip.h>
#include <uapi/linux/pkt_cls.h>
#include <uapi/linux/tcp.h>
#include <uapi/linux/udp.h>

/* Reads memory that was just written, so that the verifier forgets what it knew of the value. */
#define READ_AGAIN(variable) (*(volatile typeof(variable) *)&(variable))

#include "limits.h"
#include "record.h"
#include "parse.h"
#include "search.h"
#include "transit.h"

BPF_TABLE("hash", struct transit_key, struct transit, transits, TRANSITS_MAX);
BPF_TABLE("lru_hash", struct transit_key, struct exchange, exchanges, EXCHANGES_MAX);
BPF_TABLE("lru_hash", struct rate_key, struct rate, rates, RATES_MAX);
BPF_RINGBUF_OUTPUT(ring, RING_PAGES);
BPF_TABLE("percpu_array", int, __u64, counters, COUNTERS);
BPF_TABLE("array", int, struct settings, settings, 1);

/* What starting a transit needs; too large for the stack of 512 bytes. Two programs never share it: tc programs run
 * with bottom halves disabled, so on one CPU none interrupts another.
 */
struct workspace {
	struct message message;
	struct outer outer;
	struct transit transit;
	struct exchange_state
		state; /* behind the transit's context, so that both are the new exchange: see new_exchange */
	struct search_buffer block;
};
BPF_TABLE("percpu_array", int, struct workspace, workspaces, 1);

static __always_inline void count(enum counter which)
{
	int index = which;
	__u64 *value = counters.lookup(&index);

	if (value)
		*value += 1;
}

/* The context was read into the transit; it and the state behind it are laid out as an exchange, without a copy. */
static __always_inline struct exchange *new_exchange(struct workspace *work)
{
	return (struct exchange *)&work->transit.contexts[0];
}

static __always_inline int exceeds_rate(const struct rate_key *key, __u64 now)
{
	int zero = 0;
	struct settings *s = settings.lookup(&zero);

	if (!s || !s->rate_limit)
		return 0;
	struct rate *rate = rates.lookup((struct rate_key *)key);
	if (!rate || now - rate->window_start_ns >= RATE_WINDOW_NS) {
		struct rate fresh = {.window_start_ns = now, .transits = 1};
		rates.update((struct rate_key *)key, &fresh);
		return 0;
	}
	/* Two CPUs may lose an increment to each other: the limit is let exceed by as much, which does no harm. */
	rate->transits += 1;
	return rate->transits > s->rate_limit;
}

/* Enters the exchange of a request with a context. Returns 0 where the request is to be left alone: a repetition
 * within one tick of TSval, or one sent before the last was answered, whose response could not be told from its.
 */
static __always_inline int enter_exchange(const struct transit_key *key, __u32 ack, struct exchange *fresh)
{
	struct transit_key answer = response_key(key, ack);

	fresh->state.request_seq = key->seq;
	fresh->state.request_tsval = key->tsval;
	fresh->state.response_tsval = 0;
	fresh->state.answered = 0;
	if (exchanges.insert(&answer, fresh) == 0)
		return 1;
	struct exchange *known = exchanges.lookup(&answer);
	if (!known) {
		count(EXCHANGE_MAP_FULL); /* the request is still measured, its response will not be */
		return 1;
	}
	if (known->state.request_seq == key->seq) {
		if (known->state.request_tsval == key->tsval) {
			count(REPEATED);
			return 0;
		}
		known->state.request_tsval = key->tsval;
		return 1;
	}
	/* The sequence numbers are compared modulo 2^32 (RFC 9293 section 3.4). */
	if (!known->state.answered && (__s32)(bpf_ntohl(key->seq) - bpf_ntohl(known->state.request_seq)) > 0) {
		count(REQUEST_PIPELINED);
		return 0;
	}
	exchanges.update(&answer, fresh);
	return 1;
}

/* Reads the request's context into the workspace. Returns 0 where the message is to be left alone: nothing sampled, or
 * counted here.
 */
static __always_inline int find_request_context(struct __sk_buff *skb, struct workspace *work)
{
	switch (search_context(skb, work->message.payload_offset, &work->block, &work->transit.contexts[0])) {
	case CONTEXT_SAMPLED:
		return 1;
	case CONTEXT_UNSAMPLED:
		count(REQUEST_UNSAMPLED);
		return 0;
	case CONTEXT_BAD:
		count(REQUEST_BAD_CONTEXT);
		return 0;
	case CONTEXT_NONE:
		count(REQUEST_NO_CONTEXT);
		return 0;
	case BLOCK_UNFINISHED:
		count(REQUEST_UNFINISHED);
		return 0;
	}
	return 0;
}

/* Reads the context of the response's exchange into the workspace. Returns 0 where the message is to be left alone. */
static __always_inline int find_response_context(struct __sk_buff *skb, struct workspace *work,
						 const struct transit_key *key)
{
	struct transit_key answer = response_key(key, key->seq);
	struct exchange *exchange = exchanges.lookup(&answer);

	if (!exchange) {
		count(RESPONSE_NO_EXCHANGE);
		return 0;
	}
	if (is_interim(skb, &work->message)) {
		/* The exchange waits on, for the response behind this one. */
		struct exchange *fresh = new_exchange(work);
		__u32 length = skb->len - work->message.payload_offset;
		*fresh = *exchange;
		answer.seq = bpf_htonl(bpf_ntohl(key->seq) + length);
		exchanges.update(&answer, fresh);
		count(RESPONSE_INTERIM);
		return 0;
	}
	if (exchange->state.answered && exchange->state.response_tsval == key->tsval) {
		count(REPEATED);
		return 0;
	}
	exchange->state.answered = 1;
	exchange->state.response_tsval = key->tsval;
	work->transit.contexts[0] = exchange->context;
	return 1;
}

/* Starts a transit at a node's first point. The stamp is taken last: the search is charged to no hop. The rate limit
 * comes before the exchange, so that a flood does not push out its neighbours' exchanges.
 *
 * Message and outer lie in the workspace and are read from there again: the verifier then knows nothing of them, and
 * follows the search once instead of once for every way in which the headers can be read.
 */
static __always_inline void start_transit(struct __sk_buff *skb, struct workspace *work, enum point point, __u64 now)
{
	struct transit_key key = key_of(&work->message);
	struct transit *fresh = &work->transit;
	int request = key.direction == REQUEST;

	if (request ? !find_request_context(skb, work) : !find_response_context(skb, work, &key))
		return;
	struct rate_key rate = rate_key_of(skb, &key, point);
	if (exceeds_rate(&rate, now)) {
		count(RATE_LIMITED);
		return;
	}
	if (request && !enter_exchange(&key, work->message.ack, new_exchange(work)))
		return;
	fill_message(fresh, &work->message, &key);
	fill_outer(fresh, &work->outer);
	fresh->seen = 1 << (point - 1);
	fresh->ifindex[point - 1] = skb->ifindex;
	fresh->monotonic_ns[point - 1] = bpf_ktime_get_ns();
	if (transits.update(&key, fresh) < 0) {
		count(TRANSIT_MAP_FULL);
		return;
	}
	count(TRANSITS_STARTED);
}

/* Hands the transit to the ring. The reader polls, so no packet pays for waking it. */
static __always_inline void emit_transit(struct transit_key *key, struct transit *transit)
{
	if (ring.ringbuf_output(transit, sizeof(*transit), BPF_RB_NO_WAKEUP) < 0)
		count(RING_FULL);
	else
		count(TRANSITS_EMITTED);
	transits.delete(key);
}

enum place { FIRST, MIDDLE, LAST };

static __always_inline void stamp(struct __sk_buff *skb, __u32 offset, const struct outer *outer, enum point point,
				  enum place place)
{
	struct message message;
	enum payload_kind kind = read_message(skb, offset, &message);

	if (kind == TLS_RECORD && place == FIRST)
		count(TLS_SEEN);
	if (kind != HTTP_REQUEST && kind != HTTP_RESPONSE)
		return;

	__u64 now = bpf_ktime_get_ns();
	struct transit_key key = key_of(&message);
	struct transit *transit = transits.lookup(&key);
	if (!transit) {
		int zero = 0;
		struct workspace *work = place == FIRST ? workspaces.lookup(&zero) : 0;
		if (work) {
			work->message = message;
			work->outer = *outer;
			asm volatile("" ::: "memory");
			start_transit(skb, work, point, now);
		}
		return;
	}
	__u8 bit = 1 << (point - 1);
	if (transit->seen & bit) {
		count(REPEATED);
		return;
	}
	transit->monotonic_ns[point - 1] = now;
	transit->ifindex[point - 1] = skb->ifindex;
	transit->seen |= bit;
	if (outer->tunnel)
		fill_outer(transit, outer);
	if (place == LAST)
		emit_transit(&key, transit);
}

static __always_inline int stamp_inner(struct __sk_buff *skb, enum point point, enum place place)
{
	struct outer none = {};

	if (skb->protocol == bpf_htons(ETH_P_IP))
		stamp(skb, ETH_HLEN, &none, point, place);
	return TC_ACT_UNSPEC;
}

/* At the underlay device: the message inside a tunnel, or without one the packet itself. */
static __always_inline int stamp_outer(struct __sk_buff *skb, enum point point, enum place place)
{
	struct outer outer = {};
	int zero = 0;
	struct settings *s = settings.lookup(&zero);

	if (!s || skb->protocol != bpf_htons(ETH_P_IP))
		return TC_ACT_UNSPEC;
	__u32 offset = read_tunnel(skb, s, &outer);
	stamp(skb, offset ? offset : ETH_HLEN, &outer, point, place);
	return TC_ACT_UNSPEC;
}

int pod_egress(struct __sk_buff *skb)
{
	return stamp_inner(skb, POD_EGRESS, FIRST);
}

int veth_ingress(struct __sk_buff *skb)
{
	return stamp_inner(skb, VETH_INGRESS, MIDDLE);
}

int veth_ingress_first(struct __sk_buff *skb)
{
	return stamp_inner(skb, VETH_INGRESS, FIRST);
}

int overlay_egress(struct __sk_buff *skb)
{
	return stamp_inner(skb, OVERLAY_EGRESS, MIDDLE);
}

int nic_egress(struct __sk_buff *skb)
{
	return stamp_outer(skb, NIC_EGRESS, LAST);
}

int nic_ingress(struct __sk_buff *skb)
{
	return stamp_outer(skb, NIC_INGRESS, FIRST);
}

int overlay_ingress(struct __sk_buff *skb)
{
	return stamp_inner(skb, OVERLAY_INGRESS, MIDDLE);
}

int veth_egress(struct __sk_buff *skb)
{
	return stamp_inner(skb, VETH_EGRESS, MIDDLE);
}

int veth_egress_last(struct __sk_buff *skb)
{
	return stamp_inner(skb, VETH_EGRESS, LAST);
}

int pod_ingress(struct __sk_buff *skb)
{
	return stamp_inner(skb, POD_INGRESS, LAST);
}
