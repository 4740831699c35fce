/* SPDX-License-Identifier: Apache-2.0 */
/* Hands out a transit that this CPU has taken, and frees it; drops it where the rest of its header block did not come. */
static __always_inline void sweep_transit(__u64 *where, __u64 tag, struct transit_slot *slot)
{
	enum counter which = REQUEST_UNFINISHED;

	if (!READ_AGAIN(slot->awaits)) {
		slot->transit.flags |= PARTIAL;
		which = ring.ringbuf_output(&slot->transit, sizeof(slot->transit), BPF_RB_NO_WAKEUP) < 0
				? RING_FULL
				: TRANSITS_SWEPT;
		emit_chain(slot, TRANSITS_SWEPT);
	}
	free_transit(where, tag, slot);
	count(which);
}

/* Hands out the transits whose packet never met the node's last point: local sockets, drops, host-network pods. Attached
 * nowhere: the agent runs it by PROG_TEST_RUN, so that the sweep and a last point can settle by compare-and-swap who has
 * a transit. `mark` is the step, of SWEEP_STEP transits each, and `priority` the least age in units of 2^20 ns. The packet
 * is made up for the run, and no traffic ever is here.
 */
int sweep(struct __sk_buff *skb)
{
	__u32 now = coarse_time(bpf_ktime_get_ns());
	__u32 first = skb->mark * (SWEEP_STEP / TABLE_WAYS);
	__u32 least = skb->priority;

	skb->mark += 1; /* the repetitions of a run have one packet: each takes the next step */

#pragma nounroll
	for (__u32 i = 0; i < SWEEP_STEP; i++) {
		int index = first + i / TABLE_WAYS;
		struct tag_set *set = transit_tags.lookup(&index);
		if (!set)
			break;
		__u64 *where = &set->tags[i & WAY_MASK];
		__u64 tag = READ_AGAIN(*where);
		__u32 age = (now - (__u32)(tag >> 16)) & 0xffff;
		if (!(tag >> TAG_HASH_SHIFT) || age < least)
			continue;
		int number = tag % TRANSITS_MAX;
		struct transit_slot *slot = transits.lookup(&number);
		if (!slot)
			break;
		if (take_way(where, tag))
			sweep_transit(where, tag, slot);
	}
	__u32 step = first / (SWEEP_STEP / TABLE_WAYS);
	__u32 least_waited = least < UNFINISHED_AGE ? least : UNFINISHED_AGE;
	if (step < UNFINISHED_SETS)
		expire_blocks(step, now, least_waited);
	if (step < FOLLOWED_SETS)
		expire_followed(step, now, least_waited);
	return TC_ACT_UNSPEC;
}
