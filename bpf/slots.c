/* SPDX-License-Identifier: Apache-2.0 */
/* The slots of transits: how one is found that is free, and how several contexts of one segment are chained. */

/* Takes a slot that is free, and returns it with its index; 0 where all that were tried are in use. The one that this CPU
 * freed last comes first, since it is still in its caches; then those whose turn it is.
 */
static __always_inline struct transit_slot *take_slot(struct workspace *work, __u64 *index)
{
	__u64 zero = 0;
	struct turns *turn = turns.lookup((int *)&zero);

	if (!turn)
		return 0;
	*index = READ_AGAIN(work->freed) % TRANSITS_MAX;
#pragma unroll
	for (int i = 0; i <= SLOTS_TRIED; i++) {
		struct transit_slot *slot = transits.lookup((int *)index);
		if (slot && !__sync_val_compare_and_swap(&slot->in_use, 0, 1))
			return slot;
		*index = __sync_fetch_and_add(&turn->transits, 1) % TRANSITS_MAX;
	}
	return 0;
}

/* Keeps the contexts of a segment but the first in slots of their own, each with the number of the next, counted from 1.
 * Returns that of the first one. They leave with the transit, in records that differ in no more than context and sequence
 * number.
 */
static __always_inline __u64 chain_contexts(struct workspace *work)
{
	__u64 contexts = READ_AGAIN(work->segment.contexts);
	__u64 next = 0;

#pragma unroll
	for (int i = CONTEXTS_MAX - 1; i > 0; i--) {
		__u64 number = 0;
		struct transit_slot *slot = i < contexts ? take_slot(work, &number) : 0;
		if (!slot) {
			if (i < contexts)
				count(TRANSIT_MAP_FULL);
			continue;
		}
		slot->transit.seq = bpf_ntohl(work->message.seq) + (__u32)work->segment.kept[i].at;
		slot->transit.contexts[0] = work->segment.kept[i].context;
		slot->more = next;
		next = number + 1;
	}
	return next;
}

/* Takes a slot off the chain; 0 where it is at its end. */
static __always_inline struct transit_slot *next_of_chain(__u64 *next)
{
	__u64 number = (*next - 1) % TRANSITS_MAX;
	struct transit_slot *slot = *next ? transits.lookup((int *)&number) : 0;

	if (slot)
		*next = READ_AGAIN(slot->more);
	return slot;
}

/* Frees the slots of a chain that no transit has. */
static __always_inline void free_chain(__u64 next)
{
#pragma nounroll
	for (__u32 i = 1; i < CONTEXTS_MAX; i++) {
		struct transit_slot *slot = next_of_chain(&next);
		if (!slot)
			return;
		publish(&slot->in_use, 0);
	}
}

/* Hands the further contexts of a transit to the ring, which this CPU has taken and handed out with the first one. */
static __always_inline void emit_chain(struct transit_slot *first, enum counter which)
{
	__u64 next = READ_AGAIN(first->more);

#pragma nounroll
	for (__u32 i = 1; i < CONTEXTS_MAX; i++) {
		struct transit_slot *slot = next_of_chain(&next);
		if (!slot)
			return;
		first->transit.seq = slot->transit.seq;
		first->transit.contexts[0] = slot->transit.contexts[0];
		publish(&slot->in_use, 0);
		count(ring.ringbuf_output(&first->transit, sizeof(first->transit), BPF_RB_NO_WAKEUP) < 0 ? RING_FULL
													 : which);
	}
}
