/* SPDX-License-Identifier: Apache-2.0 */
/* The messages that go on behind their first segment: what follows may begin like a request and is none.
 *
 * They are found by the key of their response, as exchanges are, for that stays while the request is sent and the server is
 * silent. A tag is all that is kept of one; its own bits are the sequence number of the request's first byte. A full set
 * loses one of its entries, which is then not protected any more.
 */

/* Whether the segment, which is all that is in the block, ends like a header block, so that the message ends with it as a
 * rule.
 */
static __always_inline int ends_here(struct workspace *work)
{
	__u64 n = BOUNDED(READ_AGAIN(work->block.length), 2 * HEADER_BLOCK_MAX);
	__u32 end = *(const __u32 *)(work->block.bytes + n - sizeof(end));

	return work->message.payload_length == n &&
	       (end == WORD('\r', '\n', '\r', '\n') || end >> 16 == ('\n' | '\n' << 8));
}

/* Remembers a request, whose body or other headers may follow. */
static __always_inline void remember_message(struct workspace *work, const struct transit_key *key)
{
	if (ends_here(work))
		return;
	struct transit_key answer = response_key(key, work->message.ack);
	__u64 hash = hash_key(&answer);
	struct answer_set *set = answer_set_of(hash);
	if (!set)
		return;
	__u64 found = find_way(&set->bodies, hash);
	if (!found)
		found = find_free_way(&set->bodies);
	if (!found)
		found = key->seq;
	WRITE_ONCE(set->bodies.tags[found & WAY_MASK], make_tag(hash, bpf_ntohl(key->seq)));
}

/* Whether the segment belongs to a request that was sent before and not answered: to its body, or to one that was sent
 * without waiting (pipelining), whose answer could not be told from the other's.
 */
static __always_inline int is_inside_message(const struct workspace *work, const struct transit_key *key)
{
	struct transit_key answer = response_key(key, work->message.ack);
	__u64 hash = hash_key(&answer);
	struct answer_set *set = answer_set_of(hash);
	__u64 found = set ? find_way(&set->bodies, hash) : 0;

	/* The sequence numbers are compared modulo 2^32 (RFC 9293 section 3.4). */
	return found && (__s32)(bpf_ntohl(key->seq) - (__u32)READ_AGAIN(set->bodies.tags[found & WAY_MASK])) > 0;
}
