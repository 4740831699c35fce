/* SPDX-License-Identifier: Apache-2.0 */
/* The slots of transits: how one is found that is free, and how several contexts of one segment are chained. */

/* Takes the slot of the index; 0 where that is in use. */
static __always_inline struct transit_slot *claim_slot(const __u64 *index)
{
	struct transit_slot *slot = transits.lookup((int *)index);

	return slot && !__sync_val_compare_and_swap(&slot->in_use, 0, 1) ? slot : 0;
}

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
		struct transit_slot *slot = claim_slot(index);
		if (slot)
			return slot;
		*index = __sync_fetch_and_add(&turn->transits, 1) % TRANSITS_MAX;
	}
	return 0;
}

/* Takes the slot whose turn it is; 0 where that is in use. */
static __always_inline struct transit_slot *take_next_slot(__u64 *index)
{
	__u64 zero = 0;
	struct turns *turn = turns.lookup((int *)&zero);

	if (!turn)
		return 0;
	*index = __sync_fetch_and_add(&turn->transits, 1) % TRANSITS_MAX;
	return claim_slot(index);
}

/* Keeps the contexts of a segment but the first in slots of their own, each with the number of the next, counted from 1; that of
 * the first one is in work->more. They leave with the transit, in records that differ in no more than context and sequence
 * number.
 */
static __always_inline void chain_contexts(struct workspace *work)
{
	work->more = 0;
#pragma nounroll
	for (__u64 i = STREAMS_MAX - 1; i > 0; i--) {
		MEETING_POINT();
		__u64 number = 0;
		const struct stream_context *kept = &work->segment.kept[BOUNDED(i, STREAMS_MAX)];
		if (i >= READ_AGAIN(work->segment.contexts))
			continue;
		struct transit_slot *slot = take_next_slot(&number);
		if (!slot) {
			count(TRANSIT_MAP_FULL);
			continue;
		}
		slot->transit.seq = seq_at(&work->message, kept->at);
		slot->transit.contexts[0] = kept->context;
		slot->more = work->more;
		work->more = number + 1;
	}
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
	for (__u32 i = 1; i < STREAMS_MAX; i++) {
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
	__u64 failed = 0, emitted = 0;

#pragma nounroll
	for (__u32 i = 1; i < STREAMS_MAX; i++) {
		MEETING_POINT();
		struct transit_slot *slot = next_of_chain(&next);
		if (!slot)
			break;
		first->transit.seq = slot->transit.seq;
		first->transit.contexts[0] = slot->transit.contexts[0];
		publish(&slot->in_use, 0);
		__u64 result = ring.ringbuf_output(&first->transit, sizeof(first->transit), BPF_RB_NO_WAKEUP);
		OPAQUE(result);
		failed += result >> 63;
		emitted += result >> 63 ^ 1;
	}
	if (failed)
		add_count(RING_FULL, failed);
	if (emitted)
		add_count(which, emitted);
}
