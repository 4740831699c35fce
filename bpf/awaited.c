/* SPDX-License-Identifier: Apache-2.0 */
/* What the two tables have in common that wait for a connection's next segment: header blocks and bodies of HTTP/1, and frames of
 * HTTP/2. Each way of theirs has a slot of its own, which begins with the key of that segment; tags have its time.
 */

/* Takes the way for the segment that has come, and is the one that was waited for: then nobody waits for it any more once the way
 * is published as free. Returns 0, and leaves the way as it was, where another's key has the same tag.
 */
static __always_inline int take_awaited(__u64 *where, __u64 tag, const struct transit_key *kept,
					const struct transit_key *next)
{
	if (!take_way(where, tag))
		return 0;
	if (same_key(kept, next))
		return 1;
	publish(where, tag);
	return 0;
}

/* Frees a way that was taken. */
static __always_inline void free_awaited(__u64 *where, const struct transit_key *kept)
{
	__u32 seq = kept->seq;

	publish(where, 0);
	await_packet(seq, -1);
}

/* Chooses the way of a segment that is to be waited for: its own, or that of what has waited longest. */
static __always_inline __u64 choose_awaited_way(struct workspace *work, const struct tag_set *set, __u64 hash,
						__u32 now)
{
	work->found = find_way(set, hash);
	if (!work->found)
		work->found = find_worst_way(set, now, UNFINISHED_AGE);
	return READ_AGAIN(work->found);
}

/* Takes the way that was chosen, from which what waited there has to go. Returns 0 where another CPU has it. */
static __always_inline int replace_awaited(__u64 *where, const struct transit_key *kept)
{
	__u64 former = READ_AGAIN(*where);

	if (!take_way(where, former))
		return 0;
	if (former)
		await_packet(kept->seq, -1);
	return 1;
}

/* Frees the way if it has waited for `least` (2^20 ns) or longer. */
static __always_inline void expire_awaited(__u64 *where, const struct transit_key *kept, __u32 now, __u32 least)
{
	__u64 tag = READ_AGAIN(*where);

	if (tag >> TAG_HASH_SHIFT && now - (__u32)tag >= least && take_way(where, tag))
		free_awaited(where, kept);
}
