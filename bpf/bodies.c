/* SPDX-License-Identifier: Apache-2.0 */
/* The messages that go on behind their first segment: what follows may begin like a request and is none.
 *
 * A table of tags alone: the client's side and the acknowledgement number are the key, for these stay while the request
 * is sent and the server is silent; the tag's own bits are the sequence number of the request's first byte. A full set
 * loses one of its entries, which is then not protected any more.
 */

static __always_inline __u64 *find_body(const struct transit_key *key, __u64 **fresh, __u64 *hash)
{
	*hash = hash_key(key);
	int index = *hash % BODY_SETS;
	struct tag_set *set = bodies.lookup(&index);

	if (!set)
		return 0;
	__u64 found = find_way(set, *hash);
	if (found)
		return &set->tags[found & WAY_MASK];
	__u64 is_free = find_free_way(set);
	*fresh = &set->tags[(is_free ? is_free : key->seq) & WAY_MASK];
	return 0;
}

/* Whether the segment's payload ends like a header block, so that the message ends with it as a rule. */
static __always_inline int ends_here(struct __sk_buff *skb)
{
	__u32 end = 0;

	if (bpf_skb_load_bytes(skb, skb->len - sizeof(end), &end, sizeof(end)) < 0)
		return 1;
	return end == WORD('\r', '\n', '\r', '\n') || end >> 16 == ('\n' | '\n' << 8);
}

/* Remembers a request, whose body or other headers may follow. */
static __always_inline void remember_message(struct __sk_buff *skb, const struct workspace *work,
					     const struct transit_key *key)
{
	if (ends_here(skb))
		return;
	struct transit_key body = response_key(key, work->message.ack);
	__u64 hash, *fresh = 0;
	__u64 *known = find_body(&body, &fresh, &hash);
	__u64 *where = known ? known : fresh;

	if (where)
		WRITE_ONCE(*where, make_tag(hash, bpf_ntohl(key->seq)));
}

/* Whether the segment belongs to a request that was sent before and not answered: to its body, or to one that was sent
 * without waiting (pipelining), whose answer could not be told from the other's.
 */
static __always_inline int is_inside_message(const struct workspace *work, const struct transit_key *key)
{
	struct transit_key body = response_key(key, work->message.ack);
	__u64 hash, *fresh = 0;
	__u64 *known = find_body(&body, &fresh, &hash);

	/* The sequence numbers are compared modulo 2^32 (RFC 9293 section 3.4). */
	return known && (__s32)(bpf_ntohl(key->seq) - (__u32)READ_AGAIN(*known)) > 0;
}
