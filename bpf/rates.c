/* SPDX-License-Identifier: Apache-2.0 */
/* The table of senders: how many transits each has started within the running second. A tag is all that is kept of one; its
 * own bits are the window and the count.
 */

/* Counts a transit of the sender, and returns whether that is more than the limit. */
static __always_inline int exceeds_rate(struct workspace *work, const struct rate_key *sender)
{
	__u64 zero = 0;
	struct settings *s = settings.lookup((int *)&zero);

	if (!s || !s->rate_limit)
		return 0;
	__u64 hash = hash_words((const __u64 *)sender);
	__u64 index = hash % RATE_SETS;
	struct tag_set *set = rates.lookup((int *)&index);
	if (!set)
		return 0;
	__u32 window = (__u32)(work->now / RATE_WINDOW_NS) << RATE_COUNT_BITS;
	work->found = find_way(set, hash);
	if (!work->found)
		work->found = find_worst_way(set, window | RATE_COUNT_MAX, RATE_COUNT_MAX + 1);
	__u64 found = READ_AGAIN(work->found);
	__u64 *where = &set->tags[found & WAY_MASK];
	__u64 tag = READ_AGAIN(*where);
	__u64 is_new =
		(tag ^ make_tag(hash, window)) >> RATE_COUNT_BITS; /* another sender's, or of an earlier window */
	__u32 started = tag & RATE_COUNT_MAX & -is_zero(is_new);
	/* Two CPUs may lose an increment to each other: the limit is let exceed by as much, which does no harm. */
	if (started < RATE_COUNT_MAX)
		WRITE_ONCE(*where, make_tag(hash, window | (started + 1)));
	return started >= s->rate_limit;
}
